// Goal: what LevelDB's recovery_test, corruption_test and fault_injection_test do to its
// log and its manifest costs Millrace no record that is not destroyed, and no number is
// given twice.
// Method: the shipping log on a simulated disk, closed, killed or cut off; then its
// segments and its superblock are taken away or garbled.

#include <errno.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

class LevelDbRecoveryTest : public PeerLogTest {
 protected:
  static std::string SuperblockPath() { return "log/" + std::string(kSuperblockName); }
  // Three and more segments, all acknowledged, closed in order.
  void WriteClosed(SequenceNumber last = 100) {
    Open();
    AppendUpTo(last, 200);
    Close();
  }
};

// --- recovery_test ----------------------------------------------------------------------

// LevelDB recovery_test: NoLogFiles.
TEST_F(LevelDbRecoveryTest, WithoutAnySegmentAllIsNamedAsLostAndNoNumberComesAgain) {
  WriteClosed();
  for (const uint64_t number : Segments()) Remove(number);
  EXPECT_EQ(ReadBack(), "lost 1..100 acknowledged missing segment");
  options_.recovery_policy = RecoveryPolicy::kStrict;
  EXPECT_TRUE(absl::IsDataLoss(TryOpen()));
  options_.recovery_policy = RecoveryPolicy::kSalvage;
  Open();
  EXPECT_EQ(log_->recovery().records_lost(), 100u);
  EXPECT_EQ(Append("after"), 101u);
}

// LevelDB recovery_test: LogFileReuse.
TEST_F(LevelDbRecoveryTest, EachOpeningBeginsASegmentAndEmptyOnesGo) {
  Open();
  Append("foo");
  Close();
  const std::vector<uint64_t> before = Segments();
  const std::string bytes = BytesOf(1);
  for (int i = 0; i < 20; ++i) {
    Open();
    i % 2 == 0 ? Close() : Kill();
  }
  EXPECT_EQ(BytesOf(1), bytes) << "nobody appends to another opening's segment";
  Open();
  EXPECT_LE(Segments().size(), before.size() + 1);
  EXPECT_EQ(Append("bar"), 2u);
  EXPECT_EQ(ReadByCursor(), "1..2");
}

// LevelDB recovery_test: MultipleLogFiles.
TEST_F(LevelDbRecoveryTest, SegmentsOfManyOpeningsAreReadInOrder) {
  for (SequenceNumber s = 1; s <= 12; ++s) {
    Open();
    ASSERT_EQ(Append(Payload(s)), s);
    s % 3 == 0 ? Kill() : Close();
  }
  EXPECT_EQ(ReadBack(), "1..12");
  // Segments that were never part of the log: older and newer numbers, without any content.
  Put(1'000, "");
  Put(2'000, std::string(20'000, '\0'));
  EXPECT_EQ(ReadBack(), "1..12");
  Open();
  EXPECT_EQ(Append(Payload(13)), 13u);
  EXPECT_EQ(ReadByCursor(), "1..13");
}

// LevelDB recovery_test: ManifestMissing; corruption_test: MissingDescriptor.
TEST_F(LevelDbRecoveryTest, WithoutItsSuperblockTheLogIsWhole) {
  WriteClosed();
  disk_.DeleteFile(SuperblockPath());
  EXPECT_EQ(ReadBack(), "1..100");
  options_.recovery_policy = RecoveryPolicy::kStrict;
  options_.create_mode = CreateMode::kMustExist;
  Open();
  EXPECT_EQ(ReadByCursor(), "1..100");
  EXPECT_EQ(Append("on"), 101u);
}

// LevelDB corruption_test: CorruptedDescriptor. Issues #74, #75: a manifest of zeros, or garbled.
TEST_F(LevelDbRecoveryTest, WithAGarbledSuperblockTheLogIsWhole) {
  WriteClosed();
  const std::string whole = *disk_.ReadFileBytes(SuperblockPath());
  std::vector<std::string> garbled = {"", "x", std::string(whole.size(), '\0'),
                                      std::string(whole.size(), '\xff'), whole + whole};
  for (size_t size = 0; size < whole.size(); size += 97) garbled.push_back(whole.substr(0, size));
  for (size_t at = 0; at < kSlotBytes; ++at) {
    garbled.push_back(whole);
    garbled.back()[at] ^= 0x41;
    garbled.back()[kBlockBytes + at] ^= 0x14;
  }
  for (const std::string& bytes : garbled) {
    disk_.WriteFileBytes(SuperblockPath(), bytes);
    ASSERT_EQ(ReadBack(), "1..100") << bytes.size();
  }
  Open();
  EXPECT_EQ(Append("on"), 101u);
}

// LevelDB recovery_test: ManifestReused, LargeManifestCompacted.
TEST_F(LevelDbRecoveryTest, TheSuperblockStaysOfOneSize) {
  Open();
  Append("first");
  const size_t size = disk_.ReadFileBytes(SuperblockPath())->size();
  for (SequenceNumber last = 100; last <= 1000; last += 100) {
    AppendUpTo(last, 500);
    ASSERT_TRUE(log_->TrimBefore(last - 20).ok());
    Close();
    Open();
  }
  EXPECT_EQ(disk_.ReadFileBytes(SuperblockPath())->size(), size);
  EXPECT_LE(size, 2 * kBlockBytes);
}

// --- corruption_test --------------------------------------------------------------------

// LevelDB corruption_test: Recovery.
TEST_F(LevelDbRecoveryTest, OfAHundredRecordsTwoDamagedOnesAreLost) {
  options_.segment_bytes = options_.initial_segment_bytes = 1 << 20;
  Open();
  AppendUpTo(100, 1000);
  Close();
  Damage(1);
  Damage(37);
  EXPECT_EQ(ReadBack(),
            "lost 1..1 acknowledged checksum 2..36 lost 37..37 acknowledged checksum 38..100");
  Open();
  EXPECT_EQ(ReadByCursor(),
            "lost 1..1 acknowledged checksum 2..36 lost 37..37 acknowledged checksum 38..100");
}

// LevelDB corruption_test: RecoverWriteError.
TEST_F(LevelDbRecoveryTest, AnOpeningThatCannotWriteFailsAndTheNextOneFindsAll) {
  Open();
  AppendUpTo(30);
  Kill();
  for (const FileOp op : {FileOp::kCreate, FileOp::kWrite, FileOp::kDirectorySync}) {
    for (const int error : {EIO, ENOSPC, EROFS}) {
      disk_.AddRule({.op = op, .error = error, .count = SimRule::kForever});
      const absl::Status status = TryOpen();
      EXPECT_FALSE(status.ok()) << FileOpName(op) << " " << error;
      log_ = nullptr;
      disk_.ClearRules();
      ASSERT_EQ(ReadBack(), "1..30") << status;
    }
  }
  Open();
  EXPECT_EQ(ReadByCursor(), "1..30");
}

// LevelDB corruption_test: NewFileErrorDuringWrite.
TEST_F(LevelDbRecoveryTest, WithoutANewSegmentNothingIsAcknowledgedThatIsNotThere) {
  Open();
  AppendUpTo(10);
  disk_.AddRule(
      {.op = FileOp::kCreate, .error = EMFILE, .name = "*.seg", .count = SimRule::kForever});
  SequenceNumber acknowledged = 10;
  absl::Status failed;
  // What finds no segment is held until there is one; this caller gives up.
  const AppendOptions patient = {.timeout = absl::Milliseconds(100)};
  for (int i = 0; i < 60 && failed.ok(); ++i) {
    const auto s = log_->Append(Payload(acknowledged + 1, 1000), patient);
    failed = s.status();
    if (s.ok()) expected_[acknowledged = *s] = Payload(*s, 1000);
  }
  EXPECT_FALSE(failed.ok());
  EXPECT_GT(acknowledged, 10u);
  Kill();
  disk_.ClearRules();
  Open();
  EXPECT_GE(log_->last_durable(), acknowledged);
  EXPECT_EQ(ReadByCursor(), absl::StrCat("1..", log_->last_durable()));
}

// LevelDB corruption_test: SequenceNumberRecovery.
TEST_F(LevelDbRecoveryTest, NumbersGoOnBehindALostTail) {
  WriteClosed(50);
  // The last segment goes, and the superblock with it: what closing wrote into the others is not
  // enough to know its records, but a cursor had them.
  Open();
  {
    auto cursor = log_->OpenCursor("c").value();
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(cursor->Next().ok());
    ASSERT_TRUE(cursor->Commit(50).ok());
  }
  Close();
  const Place last = PlaceOf(50);
  for (const uint64_t number : Segments()) {
    if (number >= last.segment) Remove(number);
  }
  disk_.DeleteFile(SuperblockPath());
  Open();
  EXPECT_GT(log_->recovery().records_lost(), 0u);
  EXPECT_EQ(log_->recovery().lost.back().last, 50u);
  EXPECT_EQ(Append("after"), 51u);
}

// --- fault_injection_test ---------------------------------------------------------------

// LevelDB fault_injection_test: FaultTestNoLogReuse (DropUnsyncedFileData).
TEST_F(LevelDbRecoveryTest, DroppingUnsyncedDataLosesOnlyWhatWasNotSynced) {
  Open();
  AppendUpTo(10);
  for (SequenceNumber s = 11; s <= 20; ++s) Append(Payload(s), Durability::kWritten);
  EXPECT_EQ(log_->last_written(), 20u);
  CutPower(kSubsetImage);
  EXPECT_EQ(ReadBack(), "1..10");
  Open();
  EXPECT_EQ(Append("again"), 11u);
}

// LevelDB fault_injection_test: FaultTestWithLogReuse (DeleteFilesCreatedAfterLastDirSync).
TEST_F(LevelDbRecoveryTest, LosingUnsyncedFilesLosesOnlyWhatWasNotSynced) {
  Open();
  AppendUpTo(10);
  SequenceNumber written = 10;
  while (Segments().size() < 4) {
    ++written;
    Append(Payload(written, 1000), Durability::kWritten);
  }
  // The new segments' entries, sizes and data in every combination that 200 cuts happen to have.
  disk_.ForEachCrashImage(200, /*seed=*/7, [&](SimFileSystem& image, ImageId id) {
    Options options = options_;
    options.file_system = &image;
    const auto log = Log::Open("log", options);
    ASSERT_TRUE(log.ok()) << log.status() << " image " << id;
    ASSERT_EQ((*log)->recovery().lost.size() == 0 ||
                  (*log)->recovery().lost[0].acknowledgement == Acknowledgement::kUnknown,
              true)
        << (*log)->recovery().ToString();
    ASSERT_GE((*log)->last_durable(), 10u) << "image " << id;
    ASSERT_LE((*log)->last_durable(), written);
  });
}

}  // namespace
}  // namespace millrace
