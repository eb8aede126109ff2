// Goal: what etcd's wal tests do to its log while it is created, cut over, torn and
// repaired costs nothing that was acknowledged, and what is torn never comes back.
// Method: the shipping log on a simulated disk; calls that fail, a power cut at every call
// of a creation, zeros over every part of a record.

#include <errno.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

class EtcdTest : public PeerLogTest {};

// etcd: TestOpenOnTornWrite.
TEST_F(EtcdTest, WhatStoodBehindATornWriteNeverComesBack) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 40, 60);
  const std::string bytes = segment.Bytes();
  const uint64_t begin = segment.FrameBegin(20);
  for (uint64_t torn = begin; torn < begin + kFrameHeaderBytes + 60; torn += 4) {
    // The 20th is torn; of those behind it nothing is missing.
    std::string with_tear = bytes;
    with_tear.replace(torn, segment.FrameBegin(21) - torn, segment.FrameBegin(21) - torn, '\0');
    SimFileSystem& disk = TakeFreshDisk();
    std::unique_ptr<Directory> directory;
    ASSERT_EQ(disk.OpenDirectory("log", DirectoryMode::kCreate, &directory), 0);
    WriteFile(*directory, SegmentName(1), with_tear);
    Open();
    ASSERT_EQ(log_->recovery().last_recovered, 19u) << torn;
    ASSERT_EQ(log_->recovery().tail_records_dropped, 20u);
    for (SequenceNumber s = 20; s <= 23; ++s) ASSERT_EQ(Append(absl::StrCat("new ", s)), s);
    log_ = nullptr;
    Open();
    ASSERT_EQ(log_->recovery().last_recovered, 23u);
    ASSERT_EQ(ReadByCursor(), "1..23") << "the new ones, and none of the old";
    for (SequenceNumber s = 20; s <= 23; ++s) expected_[s] = Payload(s, 60);
    log_ = nullptr;
  }
}

// etcd: TestTailWriteNoSlackSpace.
TEST_F(EtcdTest, ALastSegmentWithoutRoomBehindItsRecordsIsGoneOnFrom) {
  for (SequenceNumber last = 5; last <= 60; last += 5) {
    Open();
    ASSERT_EQ(log_->recovery().last_recovered, last - 5);
    AppendUpTo(last);
    Kill();
    const Place place = PlaceOf(last);
    Shorten(place.segment, place.end);
  }
  EXPECT_EQ(ReadBack(), "1..60");
}

// etcd: TestRestartCreateWal.
TEST_F(EtcdTest, ACreationThatIsCutAtAnyCallIsBegunAgain) {
  uint64_t calls = 0;
  for (uint64_t call = 1; calls == 0 || call <= calls; ++call) {
    for (const CrashMoment moment :
         {CrashMoment::kBefore, CrashMoment::kInside, CrashMoment::kAfter}) {
      SimFileSystem& disk = TakeFreshDisk();
      disk.CrashAt(call, moment);
      TryOpen().IgnoreError();
      log_ = nullptr;
      if (disk.powered()) {
        calls = call - 1;
        break;
      }
      const std::unique_ptr<SimFileSystem> before = disk.Clone();
      for (const ImageId image : {kSubsetImage, ~uint64_t{0} >> 1, uint64_t{17}}) {
        Take(before->CrashImage(image));
        Open();
        ASSERT_EQ(log_->recovery().records_lost(), 0u);
        ASSERT_EQ(Append("first"), 1u) << call;
        log_ = nullptr;
      }
    }
    ASSERT_LT(call, 200u);
  }
  EXPECT_GT(calls, 8u);
}

// etcd: TestRenameFail.
TEST_F(EtcdTest, WithoutRenamesTheLogGoesOnInNewFiles) {
  Open();
  AppendUpTo(60, 900);
  disk_.AddRule({.op = FileOp::kRename, .error = EPERM, .count = SimRule::kForever});
  ASSERT_TRUE(log_->TrimBefore(50).ok());
  AppendUpTo(150, 900);
  const SequenceNumber first = log_->first_retained();
  Close();
  disk_.ClearRules();
  EXPECT_EQ(ReadBack(), absl::StrCat(first, "..150"));
}

// etcd: TestCreateFailFromNoSpaceLeft.
TEST_F(EtcdTest, ACreationWithoutSpaceIsAnErrorThatNamesIt) {
  disk_.SetCapacity(4096);
  const absl::Status status = TryOpen();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  disk_.SetCapacity(std::nullopt);
  Open();
  EXPECT_EQ(Append("first"), 1u);
}

// etcd: TestCreateFailFromPollutedDir.
TEST_F(EtcdTest, ACreationAmongRemainsOfALogIsRefusedAndChangesNothing) {
  PutLockFile();
  disk_.WriteFileBytes(PathOf(1), "some data");
  options_.create_mode = CreateMode::kMustNotExist;
  const uint64_t before = disk_.Hash();
  EXPECT_TRUE(absl::IsAlreadyExists(TryOpen()));
  EXPECT_EQ(disk_.Hash(), before);
}

// etcd: TestLastRecordLengthExceedFileEnd.
TEST_F(EtcdTest, ALengthBeyondTheFileIsNotBelievedThoughItsChecksumIsRight) {
  for (const uint32_t length : {200u, 4096u, 1u << 20, 1u << 30, 0xfffffff8u, 0xffffffffu}) {
    SegmentBuilder segment(Header(1, 1));
    AddGroup(segment, 0, 2);
    const uint64_t begin = segment.offset();
    AddRecord(segment, 100);
    std::string bytes = segment.Bytes();
    FrameHeader header;
    header.sequence = 3;
    header.body_bytes = length;
    header.count = 1;
    EncodeFrameHeader(header, SegmentSeed(log_id_, 1, segment.header().incarnation), begin,
                      &bytes[begin]);
    Put(1, bytes);
    ASSERT_EQ(ReadBack(), "1..2") << length;
    Recover();
    ASSERT_EQ(Lost(), "");
    ASSERT_EQ(report_.next_sequence, 3u);
  }
}

// --- Repair -----------------------------------------------------------------------------

class EtcdRepairTest : public PeerLogTest {
 protected:
  // One segment with records 1..20, of which the group in the middle says that `mark` are durable.
  SegmentBuilder Twenty(SequenceNumber mark) {
    SegmentBuilder segment(Header(1, 1));
    AddGroup(segment, 0, 10, 400);
    AddGroup(segment, mark, 10, 400);
    return segment;
  }
};

// etcd: TestRepairWriteTearLast.
TEST_F(EtcdRepairTest, ATearInTheLastRecordIsRepairedByOpening) {
  const SegmentBuilder segment = Twenty(10);
  Put(1, segment.Bytes().substr(0, segment.offset() - 100));
  EXPECT_EQ(ReadBack(), "1..19");
  Open();
  EXPECT_EQ(log_->recovery().records_lost(), 0u);
  EXPECT_EQ(Append(Payload(20)), 20u);
  EXPECT_EQ(ReadByCursor(), "1..20");
}

// etcd: TestRepairWriteTearMiddle.
TEST_F(EtcdRepairTest, ATearInTheMiddleIsALossBelowTheMarkAndACutAboveIt) {
  // 4096 zeros, as in etcd, at every place.
  const SegmentBuilder segment = Twenty(10);
  const std::string bytes = segment.Bytes();
  const auto frame_of = [&](SequenceNumber s) { return segment.FrameBegin(s + (s > 10 ? 1 : 0)); };
  for (uint64_t begin = frame_of(1); begin + 4096 <= bytes.size(); begin += 56) {
    std::string torn = bytes;
    torn.replace(begin, 4096, 4096, '\0');
    Put(1, torn);
    const auto hit = [&](SequenceNumber s) {
      return frame_of(s) + FrameBytes(400) > begin && frame_of(s) < begin + 4096;
    };
    SequenceNumber first = 1;
    while (!hit(first)) ++first;
    SequenceNumber last = first;
    while (last < 20 && hit(last + 1)) ++last;
    // The group that says so must be there.
    const uint64_t group = segment.FrameBegin(11);
    const bool mark_is_there =
        group + FrameBytes(kGroupBodyBytes) <= begin || group >= begin + 4096;
    Recover({.scan = Scan::kAll});
    const SequenceNumber mark = mark_is_there ? 10 : 0;
    ASSERT_EQ(report_.mark, mark) << begin;
    const SequenceNumber acknowledged = first <= mark ? std::min(last, mark) - first + 1 : 0;
    uint64_t named = 0;
    for (const LostRange& lost : report_.lost) {
      if (lost.acknowledgement == Acknowledgement::kAcknowledged) named += lost.records();
    }
    ASSERT_EQ(named, acknowledged) << begin << report_.ToString();
    ASSERT_EQ(report_.next_sequence, last <= mark ? 21 : std::max(first, mark + 1)) << begin;
  }
}

// etcd: TestRepairTruncate.
TEST_F(EtcdRepairTest, ATruncatedFileIsRepairedToItsLastWholeRecord) {
  const SegmentBuilder segment = Twenty(0);
  for (uint64_t size = 0; size < segment.offset(); size += 33) {
    Take(disk_.Clone()).WriteFileBytes(PathOf(1), segment.Bytes().substr(0, size));
    Open();
    SequenceNumber last = 0;
    while (segment.FrameBegin(last + 1 + (last >= 10)) + FrameBytes(400) <= size) ++last;
    ASSERT_EQ(log_->recovery().last_recovered, last) << size;
    ASSERT_EQ(Append("repaired"), last + 1);
    expected_[last + 1] = Payload(last + 1, 400);
    log_ = nullptr;
  }
}

// etcd: TestRepairFailDeleteDir.
TEST_F(EtcdRepairTest, WithoutItsDirectoryThereIsNothingToRepair) {
  options_.create_mode = CreateMode::kMustExist;
  const auto log = Log::Open("gone", options_);
  EXPECT_TRUE(absl::IsNotFound(log.status())) << log.status();
  EXPECT_TRUE(absl::IsNotFound(LogReader::Open("gone", {.file_system = &disk_}).status()));
}

// --- Files ------------------------------------------------------------------------------

// etcd: TestReleaseLockTo.
TEST_F(EtcdTest, AFileIsGivenUpWhenItsLastReaderHasLeft) {
  Open();
  AppendUpTo(60, 900);
  auto cursor = log_->OpenCursor("slow").value();
  ASSERT_EQ(cursor->Next()->record.sequence, 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(log_->TrimBefore(40))) << "its checkpoint holds them";
  ASSERT_TRUE(log_->TrimBefore(40, TrimMode::kForce).ok());
  AppendUpTo(150, 900);
  // It reads its segment to the end, and is told what it missed.
  SequenceNumber next = 2;
  auto entry = cursor->Next();
  for (; entry->kind == Entry::Kind::kRecord && next < log_->first_retained(); ++next) {
    ASSERT_EQ(entry->record.sequence, next);
    ASSERT_EQ(entry->record.payload, Payload(next, 900));
    entry = cursor->Next();
  }
  ASSERT_EQ(entry->kind, Entry::Kind::kLost);
  EXPECT_EQ(entry->lost.first, next);
  EXPECT_EQ(entry->lost.last, log_->first_retained() - 1);
  EXPECT_EQ(entry->lost.cause, LossCause::kTrimmed);
  cursor = nullptr;
  Close();
  EXPECT_EQ(Segments().size(), 1 + PlaceOf(150).segment - PlaceOf(60).segment +
                                   (PlaceOf(60).segment - Segments().front()));
}

// etcd: TestFilePipelineFailPreallocate.
TEST_F(EtcdTest, WithoutReservationSegmentsAreMadeAllTheSame) {
  for (const int error : {EOPNOTSUPP, EINVAL, ENOSYS}) {
    SimFileSystem& disk = TakeFreshDisk();
    disk.AddRule({.op = FileOp::kAllocate, .error = error, .count = SimRule::kForever});
    const absl::Status status = TryOpen();
    if (!status.ok()) {
      // An error that is none of a file system that cannot reserve is not passed over.
      EXPECT_NE(error, EOPNOTSUPP) << status;
      continue;
    }
    for (SequenceNumber s = 1; s <= 40; ++s) ASSERT_EQ(Append(Payload(s, 900)), s);
    EXPECT_EQ(ReadByCursor(), "1..40");
    log_ = nullptr;
  }
  options_.segment_bytes = (uint64_t{1} << 30) + 1;
  EXPECT_TRUE(absl::IsInvalidArgument(TryOpen()));
}

// etcd: TestSaveWithCut.
TEST_F(EtcdTest, EverySegmentIsCutOverWithNothingBetweenTheTwo) {
  Open();
  std::vector<NewRecord> batch(3);
  const std::string payload(700, 'p');
  for (NewRecord& record : batch) record.payload = payload;
  for (int i = 0; i < 40; ++i) {
    const auto first = log_->AppendBatch(batch);
    ASSERT_TRUE(first.ok()) << first.status();
    ASSERT_EQ(*first, 3u * i + 1);
    const auto image = disk_.CrashImage(i);
    Options options = options_;
    options.file_system = image.get();
    const auto log = Log::Open("log", options).value();
    ASSERT_EQ(log->last_durable(), 3u * i + 3);
    ASSERT_EQ(log->recovery().records_lost(), 0u);
  }
  EXPECT_GE(log_->stats().rotations, 12u);
}

}  // namespace
}  // namespace millrace
