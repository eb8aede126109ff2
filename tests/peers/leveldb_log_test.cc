// Goal: what LevelDB's log_test writes and reads back comes back from Millrace too,
// wherever in a block or a segment a record ends.
// Method: the shipping log on a simulated disk; where LevelDB tries three places of a
// trailer, every place that a frame can end at is tried, and judged by the crash oracle.

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash_oracle.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"

namespace millrace {
namespace {

class LevelDbLogTest : public PeerLogTest {};

// LevelDB log_test: Empty.
TEST_F(LevelDbLogTest, ALogWithoutRecordsIsReadToItsEndAgainAndAgain) {
  Open();
  EXPECT_EQ(ReadByCursor(), "");
  Close();
  EXPECT_EQ(ReadBack(), "");
  EXPECT_EQ(ReadBack(), "");
  Open();
  EXPECT_EQ(log_->recovery().next_sequence, 1u);
}

// LevelDB log_test: ReadWrite.
TEST_F(LevelDbLogTest, RecordsComeBackInOrderAndThenTheEndStays) {
  Open();
  const std::vector<std::string> payloads = {"foo", "bar", "", "xxxx"};
  for (const std::string& payload : payloads) Append(payload);
  auto cursor = log_->OpenCursor("c").value();
  for (const std::string& payload : payloads) EXPECT_EQ(cursor->Next()->record.payload, payload);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(cursor->Next(absl::ZeroDuration()).status()));
  }
  Close();
  EXPECT_EQ(Payloads(), payloads);
  EXPECT_TRUE(absl::IsCancelled(cursor->Next().status()));
}

// LevelDB log_test: ManyBlocks.
TEST_F(LevelDbLogTest, ManyRecordsFillManySegments) {
  Open();
  constexpr SequenceNumber kRecords = 20'000;
  for (SequenceNumber s = 1; s <= kRecords; ++s) {
    expected_[s] = absl::StrCat(s, ".");
    ASSERT_TRUE(log_->Append(expected_[s], {.durability = Durability::kBuffered}).ok());
  }
  Close();
  EXPECT_EQ(ReadBack(), "1..20000");
  EXPECT_GT(Segments().size(), 80u);
}

// LevelDB log_test: Fragmentation.
TEST_F(LevelDbLogTest, RecordsOfManyBlocksStandBesideSmallOnes) {
  options_.segment_bytes = 1 << 20;
  Open();
  Append("small");
  Append(Payload(2, 50'000));
  Append(Payload(3, 100'000));
  Close();
  EXPECT_EQ(ReadBack(), "1..3");
}

// LevelDB log_test: RandomRead.
TEST_F(LevelDbLogTest, FiveHundredRecordsOfSkewedSizesComeBack) {
  options_.segment_bytes = 1 << 20;
  Open();
  uint64_t random = 301;
  for (SequenceNumber s = 1; s <= 500; ++s) {
    random = random * 6364136223846793005 + 1442695040888963407;
    const uint64_t bits = (random >> 59) % 18;  // most are small, some have 128 KiB
    const Durability durability = s % 50 == 0 ? Durability::kDurable : Durability::kWritten;
    ASSERT_EQ(Append(Payload(s, (random >> 20) % (uint64_t{1} << bits)), durability), s);
  }
  EXPECT_EQ(ReadByCursor(), "1..500");
  Kill();
  EXPECT_EQ(ReadBack(), "1..500");
}

// LevelDB log_test: OpenForAppend.
TEST_F(LevelDbLogTest, AnotherOpeningAppendsBehindWhatIsThere) {
  Open();
  Append("hello");
  Close();
  Open();
  EXPECT_EQ(Append("world"), 2u);
  Kill();
  Open();
  EXPECT_EQ(Append("again"), 3u);
  Close();
  EXPECT_EQ(Payloads(), (std::vector<std::string>{"hello", "world", "again"}));
}

// --- Where a record ends ----------------------------------------------------------------

class LevelDbEdgeTest : public testing::Test {
 protected:
  // A record of `bytes` bytes is followed by nothing, by an empty one, by one that may not fit any
  // more; the process dies before or after the idle mark. Everything acknowledged must be there.
  static void TryRecordOf(uint64_t bytes) {
    Options options;
    options.segment_bytes = options.initial_segment_bytes = 8192;
    for (const std::vector<size_t>& later : std::vector<std::vector<size_t>>{{}, {0, 60}}) {
      SimFileSystem disk(SimOptions{});
      CrashOracle oracle;
      SimLog log(disk, options, oracle);
      log.Open();
      log.Append(bytes);
      log.Commit();
      for (const size_t more : later) log.Append(more), log.Commit();
      if (bytes % 2 == 0) log.IdleMark();
      log.Kill();
      CrashOracle::Recovered recovered;
      const auto failed = RecoverAll(disk, options, "probe", &recovered);
      ASSERT_FALSE(failed.has_value()) << *failed << " at " << bytes;
      const auto wrong = oracle.Check(recovered);
      ASSERT_FALSE(wrong.has_value()) << *wrong << " at " << bytes;
      ASSERT_EQ(recovered.payloads.size(), 1 + later.size()) << bytes;
    }
  }

  // The largest record that fits a segment of 8 KiB.
  static constexpr uint64_t kLargest = 8192 - FrameBytes(kGroupBodyBytes) - FrameBytes(0);
};

// LevelDB log_test: MarginalTrailer.
TEST_F(LevelDbEdgeTest, ARecordMayEndAtEveryPlaceOfABlock) {
  // A frame ends at a multiple of 8: these are all of them in one block of 4096 bytes.
  for (uint64_t bytes = 0; bytes < kBlockBytes; bytes += 8) TryRecordOf(bytes);
}

// LevelDB log_test: MarginalTrailer2, ShortTrailer.
TEST_F(LevelDbEdgeTest, ARecordMayLeaveAnyRoomUpToAHeaderInItsBlock) {
  // Every size, not only every place, for which what is left of the block is from nothing to
  // more than a group's and a record's header take.
  const uint64_t to_block_end = kBlockBytes - FrameBytes(kGroupBodyBytes) - FrameBytes(0);
  for (uint64_t left = 0; left <= 160; ++left) TryRecordOf(to_block_end - left);
}

// LevelDB log_test: AlignedEof.
TEST_F(LevelDbEdgeTest, ARecordMayLeaveAnyRoomUpToAHeaderInItsSegment) {
  for (uint64_t left = 0; left <= 160; ++left) TryRecordOf(kLargest - left);
}

}  // namespace
}  // namespace millrace
