// Goal: what RocksDB's log_test adds to LevelDB's: record types to come, strictness about a
// torn end, readers that follow a live file, files that are used again.
// Method: segments made by hand, cut or grown at every byte, and read from outside.

#include <errno.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log_reader.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"

namespace millrace {
namespace {

class RocksDbLogTest : public PeerLogTest {
 protected:
  RocksDbLogTest() { PutLockFile(); }

  std::unique_ptr<LogReader> OpenReader() {
    LogReaderOptions options;
    options.file_system = &disk_;
    options.limit = Limit::kReadable;
    return LogReader::Open("log", options).value();
  }
  // The numbers that come now: "1 2".
  static std::string NextNumbers(LogReader& reader) {
    std::string text;
    for (auto entry = reader.Next(); entry.ok(); entry = reader.Next()) {
      absl::StrAppend(&text, text.empty() ? "" : " ", entry->record.sequence);
      if (entry->kind == Entry::Kind::kLost) text += " lost";
    }
    return text;
  }
  // Every way in which closing may have left a tear: what strict opening says, and whether it
  // changed anything.
  absl::Status OpenStrictly() {
    options_.recovery_policy = RecoveryPolicy::kStrict;
    const uint64_t before = disk_.Hash();
    const absl::Status status = TryOpen();
    log_ = nullptr;
    EXPECT_TRUE(status.ok() || disk_.Hash() == before);
    return status;
  }
};

// --- Types to come ----------------------------------------------------------------------

// RocksDB log_test: IgnorableRecordType.
TEST_F(RocksDbLogTest, FramesOfTypesToComeAreSkippedOrRefusedAsTheirNumberSays) {
  for (int type = 0; type < 256; ++type) {
    if (type >= 1 && type <= 6) continue;
    SegmentBuilder segment(Header(1, 1));
    AddGroup(segment, 0, 2);
    segment.Frame(static_cast<FrameType>(type), 0, 0, "what it means nobody knows");
    AddGroup(segment, 2, 2);
    Put(segment);
    if (type >= kFirstSkippable) {
      ASSERT_EQ(ReadBack(), "1..4") << type;
      continue;
    }
    const uint64_t before = disk_.Hash();
    ASSERT_TRUE(absl::IsUnimplemented(TryOpen())) << type;
    ASSERT_EQ(disk_.Hash(), before) << type;
  }
}

// --- A strict reader --------------------------------------------------------------------

// RocksDB log_test: TruncatedTrailingRecordIsNotIgnored, MissingLastIsNotIgnored.
TEST_F(RocksDbLogTest, StrictRefusesAnAcknowledgedRecordCutAtAnyByte) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 3, 77);
  PutSuperblock(OwnSuperblock(/*mark=*/3));
  for (uint64_t size = segment.FrameBegin(3); size < segment.offset(); ++size) {
    Put(1, segment.Bytes().substr(0, size));
    ASSERT_TRUE(absl::IsDataLoss(OpenStrictly())) << size;
  }
}

// RocksDB log_test: BadLengthAtEndIsNotIgnored.
TEST_F(RocksDbLogTest, StrictRefusesAnAcknowledgedRecordWhoseLengthPassesTheEnd) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 3);
  PutSuperblock(OwnSuperblock(/*mark=*/3));
  for (const uint32_t length : {101u, 104u, 4096u, 1u << 20, 1u << 31, ~0u}) {
    Put(segment);
    Overwrite(1, segment.FrameBegin(3) + 16,
              std::string_view(reinterpret_cast<const char*>(&length), sizeof length));
    ASSERT_TRUE(absl::IsDataLoss(OpenStrictly())) << length;
  }
}

// RocksDB log_test: PartialLastIsNotIgnored.
TEST_F(RocksDbLogTest, StrictRefusesAnAcknowledgedRecordOfWhichSectorsAreMissing) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 2);
  AddRecord(segment, 3000);
  PutSuperblock(OwnSuperblock(/*mark=*/3));
  const uint64_t end = segment.offset();
  for (uint64_t begin = segment.FrameBegin(3); begin < end; begin += 512) {
    Put(segment);
    Zero(1, begin, std::min(begin + 512, end));
    ASSERT_TRUE(absl::IsDataLoss(OpenStrictly())) << begin;
  }
}

// RocksDB log_test: TruncatedTrailingRecordIsNotIgnored, above the mark: there it is a torn write,
// which RocksDB cannot tell from a loss and Millrace can.
TEST_F(RocksDbLogTest, StrictOpensATornEndThatNobodyWasPromised) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 3, 77);
  PutSuperblock(OwnSuperblock(/*mark=*/2));
  const std::unique_ptr<SimFileSystem> before = disk_.Clone();
  for (uint64_t size = segment.FrameBegin(3); size < segment.offset(); size += 3) {
    const auto disk = before->Clone();
    disk->WriteFileBytes(PathOf(1), segment.Bytes().substr(0, size));
    Options options = options_;
    options.file_system = disk.get();
    options.recovery_policy = RecoveryPolicy::kStrict;
    const auto log = Log::Open("log", options);
    ASSERT_TRUE(log.ok()) << log.status() << " " << size;
    ASSERT_EQ((*log)->last_durable(), 2u) << size;
  }
}

// --- Readers of a live file -------------------------------------------------------------

// RocksDB log_test: ClearEofSingleBlock, ClearEofMultiBlock.
TEST_F(RocksDbLogTest, AReaderAtTheEndGoesOnWhenMoreWasWritten) {
  for (const size_t bytes : {5, 100, 4'000, 33'000, 100'000}) {
    SegmentHeader header = Header(1, 1);
    header.capacity = 1 << 20;
    SegmentBuilder segment(header);
    AddGroup(segment, 0, 1, bytes);
    Put(segment);
    const auto reader = OpenReader();
    EXPECT_EQ(NextNumbers(*reader), "1");
    for (SequenceNumber s = 2; s <= 5; ++s) {
      AddGroup(segment, s - 1, 1, bytes);
      Put(segment);
      EXPECT_EQ(NextNumbers(*reader), "") << "not looked for yet";
      ASSERT_TRUE(reader->Refresh().ok());
      ASSERT_EQ(NextNumbers(*reader), absl::StrCat(s)) << bytes;
    }
  }
}

// RocksDB log_test: ClearEofError, ClearEofError2.
TEST_F(RocksDbLogTest, AReaderThatMetAnErrorGoesOnWhenItHasPassed) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 2);
  Put(segment);
  const auto reader = OpenReader();
  EXPECT_EQ(NextNumbers(*reader), "1 2");
  AddGroup(segment, 2, 2);
  Put(segment);
  for (const int error : {EIO, EMFILE, ENOMEM}) {
    for (const FileOp op : {FileOp::kOpen, FileOp::kRead, FileOp::kStat, FileOp::kList}) {
      disk_.AddRule({.op = op, .error = error, .count = SimRule::kForever});
      reader->Refresh().IgnoreError();
      disk_.ClearRules();
    }
  }
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(NextNumbers(*reader), "3 4");
}

// RocksDB log_test: RetriableLogTest TailLog_PartialHeader, TailLog_FullHeader,
// NonBlockingReadFullRecord.
TEST_F(RocksDbLogTest, AReaderSeesHalfAFrameNeverAndAWholeOneAlways) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 2);
  const uint64_t whole = segment.offset();
  AddGroup(segment, 2, 1, 601);
  const std::string bytes = segment.Bytes();
  // The group, the record's header, its body, at every byte; what is not written yet is missing,
  // or zero as in a file prepared ahead.
  for (const bool prepared : {false, true}) {
    // Zeros fill the frame up.
    const uint64_t end = prepared ? segment.FrameBegin(4) + kFrameHeaderBytes + 601 : bytes.size();
    for (uint64_t size = whole; size < end; ++size) {
      const std::string half = bytes.substr(0, size);
      Put(1, prepared ? half + std::string(bytes.size() - size + 512, '\0') : half);
      const auto reader = OpenReader();
      ASSERT_EQ(NextNumbers(*reader), "1 2") << size;
      if (size % 7 == 0) {
        Put(1, bytes.substr(0, size + 1));
        ASSERT_TRUE(reader->Refresh().ok());
        ASSERT_EQ(NextNumbers(*reader), size + 1 == bytes.size() ? "3" : "") << size;
      }
      Put(1, bytes);
      ASSERT_TRUE(reader->Refresh().ok());
      ASSERT_EQ(NextNumbers(*reader), size % 7 == 0 && size + 1 == bytes.size() ? "" : "3") << size;
    }
  }
}

// --- Files that are used again ----------------------------------------------------------

class RocksDbRecycleTest : public RocksDbLogTest {
 protected:
  // Segment 7, of this log or with another shape of records, is full of `old`; segment 9 is
  // written over it up to each of its frames. Nothing of the old one may be seen.
  void OverwriteStepByStep(const std::string& old, const SegmentBuilder& fresh) {
    const std::string bytes = fresh.Bytes();
    for (uint64_t size = kFramesOffset; size <= bytes.size(); size += 8) {
      std::string file = old;
      file.replace(0, size, bytes, 0, size);
      Put(9, file);
      SequenceNumber last = 0;
      while (last < fresh.next() - 1 && size >= fresh.FrameBegin(last + 1) + FrameBytes(100)) {
        ++last;
      }
      ASSERT_EQ(ReadBack(), last == 0 ? "" : absl::StrCat("1..", last)) << size;
    }
  }
};

// RocksDB log_test: Recycle.
TEST_F(RocksDbRecycleTest, OldFramesBehindNewOnesAreNotRead) {
  SegmentBuilder fresh(Header(9, 1));
  AddGroup(fresh, 0, 4);
  // The same numbers at the same places, under the number that the file had before.
  SegmentBuilder old(Header(7, 1));
  old.Group(0);
  while (old.offset() < fresh.offset() + 4096) old.Record(std::string(100, 'o'));
  OverwriteStepByStep(old.Bytes(), fresh);
  // And under the same number, of an earlier use of it.
  SegmentHeader header = Header(9, 1);
  header.incarnation = 4711;
  SegmentBuilder earlier(header);
  earlier.Group(0);
  while (earlier.offset() < fresh.offset() + 4096) earlier.Record(std::string(100, 'e'));
  OverwriteStepByStep(earlier.Bytes(), fresh);
}

// RocksDB log_test: RecycleWithTimestampSize.
TEST_F(RocksDbRecycleTest, OldFramesOfOtherKindsBehindNewOnesAreNotRead) {
  SegmentBuilder fresh(Header(9, 1));
  AddGroup(fresh, 0, 4);
  SegmentBuilder old(Header(7, 1));
  old.At(99);
  const std::vector<Attribute> attributes = {{"timestamp", "12345678"}};
  while (old.offset() < fresh.offset() + 4096) {
    old.Group(0).Record("with a key", {.key = "k", .attributes = attributes});
    old.Batch({{"a"}, {"b", {.key = "k2"}}});
    old.IdleMark().Frame(static_cast<FrameType>(0x91), 0, 0, "of a type to come");
  }
  old.Footer();
  OverwriteStepByStep(old.Bytes(), fresh);
}

}  // namespace
}  // namespace millrace
