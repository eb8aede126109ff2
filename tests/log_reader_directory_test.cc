// Goal: a log reader says of every file in the directory what has become of it, and
// what fails while it looks is either an error or changes nothing of what it knew.
// Method: logs made by hand in a simulated file system: one file for each state, and
// calls that fail while the reader opens and refreshes.

#include <errno.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log_reader.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/newer_block.h"
#include "tests/segment_builder.h"
#include "wal/format.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

constexpr LogId kLogId = {'d', 'i', 'r'};
constexpr LogId kOtherLog = {'o', 't', 'h', 'e', 'r'};

SegmentHeader Header(uint64_t number, SequenceNumber first, const Predecessor& predecessor = {}) {
  SegmentHeader header;
  header.log_id = kLogId;
  header.number = number;
  header.incarnation = 100 + number;
  header.first_sequence = first;
  header.mark = first - 1;
  header.capacity = 1 << 16;
  header.predecessor = predecessor;
  return header;
}

SegmentBuilder Segment(uint64_t number, int records, const Predecessor& predecessor = {}) {
  SegmentBuilder segment(Header(number, predecessor.last_sequence + 1, predecessor));
  segment.Group(predecessor.last_sequence);
  for (int i = 0; i < records; ++i) segment.Record("r");
  return segment;
}

class LogReaderDirectoryTest : public testing::Test {
 protected:
  LogReaderDirectoryTest() {
    EXPECT_EQ(disk_.OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0);
  }

  absl::StatusOr<std::unique_ptr<LogReader>> TryOpen(LogReaderOptions options = {}) {
    options.file_system = &disk_;
    return LogReader::Open("/log", options);
  }
  std::unique_ptr<LogReader> Open() {
    auto reader = TryOpen({.limit = LogReaderOptions::Limit::kReadable});
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }

  void Store(const SegmentBuilder& segment) {
    WriteFile(*directory_, SegmentName(segment.header().number), segment.Bytes());
  }
  // Records 1..3 and 4..6, the second segment with an idle mark.
  std::vector<SegmentBuilder> StoreTwo() {
    std::vector<SegmentBuilder> segments;
    segments.push_back(Segment(1, 3));
    segments.push_back(Segment(2, 3, segments[0].AsPredecessor()).IdleMark());
    for (const SegmentBuilder& segment : segments) Store(segment);
    return segments;
  }
  void StoreCursor(const std::string& file, const std::string& name, const LogId& log_id) {
    WriteFile(*directory_, file + ".cursor", CursorBytes(name, log_id));
  }
  static std::string CursorBytes(const std::string& name, const LogId& log_id) {
    CursorSlot slot;
    slot.log_id = log_id;
    slot.generation = 1;
    slot.committed = 2;
    slot.name = name;
    std::string bytes(kBlockBytes + kSlotBytes, '\0');
    EncodeCursorSlot(slot, 1, std::span<char, kSlotBytes>(&bytes[kBlockBytes], kSlotBytes));
    return bytes;
  }

  // "1 sealed, 2 open": every segment and its state.
  static std::string States(LogReader& reader) {
    const auto segments = reader.Segments();
    EXPECT_TRUE(segments.ok()) << segments.status();
    if (!segments.ok()) return "";
    std::string text;
    for (const SegmentInfo& info : *segments) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", info.number, " ",
                      std::string(SegmentStateName(info.state)));
    }
    return text;
  }
  // The numbers of the records up to the limit.
  static std::string ReadAll(LogReader& reader) {
    std::string text;
    while (true) {
      const auto entry = reader.Next();
      if (!entry.ok()) return text;
      absl::StrAppend(&text, text.empty() ? "" : " ", entry->record.sequence);
    }
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
};

// --- Segments -------------------------------------------------------------------------

TEST_F(LogReaderDirectoryTest, SegmentsInUseAreSealedOpenAndClosed) {
  const auto segments = StoreTwo();
  EXPECT_EQ(States(*Open()), "1 sealed, 2 open");
  Store(Segment(2, 3, segments[0].AsPredecessor()).Footer());
  EXPECT_EQ(States(*Open()), "1 sealed, 2 closed");
}

TEST_F(LogReaderDirectoryTest, SegmentsWithoutRecordsAreEmptyPreparedAndDead) {
  const auto segments = StoreTwo();
  Store(SegmentBuilder(Header(3, 7, segments[1].AsPredecessor())));
  SegmentHeader prepared = Header(4, 1);
  prepared.state = SegmentState::kPrepared;
  Store(SegmentBuilder(prepared));
  WriteFile(*directory_, SegmentName(5), std::string(9000, 'x'));
  WriteFile(*directory_, SegmentName(6), "");
  SegmentHeader foreign = Header(7, 1);
  foreign.log_id = kOtherLog;
  Store(SegmentBuilder(foreign));
  const auto reader = Open();
  EXPECT_EQ(States(*reader), "1 sealed, 2 open, 3 empty, 4 prepared, 5 dead, 6 dead, 7 dead");
  const auto shown = reader->Segments();
  EXPECT_EQ((*shown)[2].first, 7u);
  EXPECT_EQ((*shown)[2].last, 6u);
  EXPECT_EQ((*shown)[4].file_bytes, 9000u);
}

TEST_F(LogReaderDirectoryTest, SegmentThatAnEarlierOneReplacesIsDead) {
  const auto segments = StoreTwo();
  // The last one names the first as what stood before it: what lies between is cut off.
  Store(Segment(3, 2, segments[0].AsPredecessor()).IdleMark());
  EXPECT_EQ(States(*Open()), "1 sealed, 2 dead, 3 open");
}

TEST_F(LogReaderDirectoryTest, SegmentWhoseFileIsGoneOrAnothersIsMissing) {
  StoreTwo();
  const auto reader = Open();
  EXPECT_EQ(ReadAll(*reader), "1 2 3 4 5 6");
  const std::string bytes = *disk_.ReadFileBytes("/log/" + SegmentName(1));
  disk_.DeleteFile("/log/" + SegmentName(1));
  EXPECT_EQ(States(*reader), "1 missing, 2 open");
  SegmentHeader later = Header(1, 1);
  later.incarnation = 999;
  Store(SegmentBuilder(later));
  EXPECT_EQ(States(*reader), "1 missing, 2 open");
  disk_.WriteFileBytes("/log/" + SegmentName(1), bytes);
  EXPECT_EQ(States(*reader), "1 sealed, 2 open");
}

TEST_F(LogReaderDirectoryTest, SegmentOfWhichBothHeadersAreLostStaysWhatItIs) {
  StoreTwo();
  const auto reader = Open();
  std::string bytes = *disk_.ReadFileBytes("/log/" + SegmentName(1));
  bytes.replace(0, kFramesOffset, std::string(kFramesOffset, 'x'));
  disk_.WriteFileBytes("/log/" + SegmentName(1), bytes);
  EXPECT_EQ(States(*reader), "1 sealed, 2 open");
  EXPECT_EQ(ReadAll(*Open()), "1 2 3 4 5 6");
}

TEST_F(LogReaderDirectoryTest, SegmentThatCannotBeLookedAtIsShownAllTheSame) {
  StoreTwo();
  const auto reader = Open();
  for (const FileOp op : {FileOp::kOpen, FileOp::kStat, FileOp::kRead}) {
    disk_.AddRule({.op = op, .error = EIO, .name = SegmentName(2), .count = 2});
    EXPECT_EQ(States(*reader), "1 sealed, 2 open") << FileOpName(op);
    disk_.ClearRules();
  }
}

TEST_F(LogReaderDirectoryTest, LogOfWhichNoRecordIsLeftGoesOnWithItsNumbers) {
  SegmentHeader header = Header(4, 50, {.number = 3, .incarnation = 103, .last_sequence = 49});
  header.first_retained = 50;
  Store(SegmentBuilder(header));
  const auto reader = Open();
  EXPECT_EQ(reader->next(), 50u);
  EXPECT_EQ(ReadAll(*reader), "");
  EXPECT_EQ(States(*reader), "4 empty");
}

TEST_F(LogReaderDirectoryTest, WalkOfASegmentWithoutHeadersKnowsItByTheChain) {
  StoreTwo();
  const auto reader = Open();
  std::string bytes = *disk_.ReadFileBytes("/log/" + SegmentName(1));
  bytes.replace(0, kFramesOffset, std::string(kFramesOffset, '\0'));
  disk_.WriteFileBytes("/log/" + SegmentName(1), bytes);
  int records = 0;
  const auto count = [&records](const FrameInfo& info) {
    if (info.kind == FrameInfo::Kind::kRecord) ++records;
  };
  ASSERT_TRUE(reader->WalkSegment(1, count).ok());
  EXPECT_EQ(records, 3);
  WriteFile(*directory_, SegmentName(9), std::string(9000, 'x'));
  EXPECT_TRUE(absl::IsFailedPrecondition(reader->WalkSegment(9, count)));
}

// --- Cursors --------------------------------------------------------------------------

TEST_F(LogReaderDirectoryTest, CursorsAreValidDamagedForeignAndNewer) {
  StoreTwo();
  StoreCursor("a", "a", kLogId);
  WriteFile(*directory_, "b.cursor", std::string(kBlockBytes + kSlotBytes, 'x'));
  StoreCursor("c", "c", kOtherLog);
  StoreCursor("d", "a", kLogId);  // a copy of a's
  std::string newer = CursorBytes("e", kLogId);
  MakeNewer(&newer, kBlockBytes, kCursorSeedOnDisk, 1);
  WriteFile(*directory_, "e.cursor", newer);
  WriteFile(*directory_, "f.cursor", "");
  const auto reader = Open();
  const auto cursors = reader->Cursors();
  ASSERT_TRUE(cursors.ok()) << cursors.status();
  std::string text;
  for (const CursorInfo& info : *cursors) {
    absl::StrAppend(&text, info.name, " ", std::string(CursorFileStateName(info.state)), ", ");
  }
  EXPECT_EQ(text, "a valid, b damaged, c foreign, d foreign, e newer, f damaged, ");
  EXPECT_EQ(cursors->front().checkpointed, 2u);
}

TEST_F(LogReaderDirectoryTest, EveryStateHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int state = 0; state <= static_cast<int>(SegmentInfo::State::kMissing); ++state) {
    names.insert(SegmentStateName(static_cast<SegmentInfo::State>(state)));
  }
  EXPECT_EQ(names.size(), 7u);
  EXPECT_FALSE(names.contains(""));
  names.clear();
  for (int state = 0; state <= static_cast<int>(CursorInfo::State::kNewer); ++state) {
    names.insert(CursorFileStateName(static_cast<CursorInfo::State>(state)));
  }
  EXPECT_EQ(names.size(), 4u);
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(SegmentStateName(static_cast<SegmentInfo::State>(99)), "");
  EXPECT_EQ(CursorFileStateName(static_cast<CursorInfo::State>(99)), "");
}

// --- Calls that fail --------------------------------------------------------------------

TEST_F(LogReaderDirectoryTest, DirectoryThatCannotBeOpenedOrListedIsAnError) {
  StoreTwo();
  const auto reader = Open();
  disk_.AddRule({.op = FileOp::kOpenDirectory, .error = EACCES});
  EXPECT_TRUE(absl::IsPermissionDenied(TryOpen().status()));
  disk_.AddRule({.op = FileOp::kList, .error = EIO, .count = SimRule::kForever});
  EXPECT_EQ(ErrnoOf(TryOpen().status()), EIO);
  EXPECT_EQ(ErrnoOf(reader->Segments().status()), EIO);
  EXPECT_EQ(ErrnoOf(reader->Cursors().status()), EIO);
  EXPECT_EQ(ErrnoOf(reader->Refresh()), EIO);
  disk_.ClearRules();
  EXPECT_TRUE(reader->Refresh().ok());
}

TEST_F(LogReaderDirectoryTest, SegmentThatVanishesWhileTheLogIsReadIsLookedForAgain) {
  StoreTwo();
  const LogReaderOptions all = {.scan = LogReaderOptions::Scan::kAll};
  // It is opened for its header, and again for its frames.
  for (const uint64_t open : {1, 2}) {
    disk_.AddRule({.op = FileOp::kOpen, .error = ENOENT, .name = SegmentName(1), .first = open});
    const auto reader = TryOpen(all);
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE((*reader)->recovery().lost.empty()) << (*reader)->recovery().ToString();
    EXPECT_EQ(ReadAll(**reader), "1 2 3 4 5 6");
    disk_.ClearRules();
  }
  disk_.AddRule({.op = FileOp::kOpen, .error = EACCES, .name = SegmentName(1), .count = 2});
  EXPECT_TRUE(absl::IsPermissionDenied(TryOpen(all).status()));
}

TEST_F(LogReaderDirectoryTest, RefreshWithoutFileDescriptorsIsAnErrorAndMissesNothing) {
  auto segments = StoreTwo();
  WriteFile(*directory_, "LOG", std::string(kBlockBytes + kSlotBytes, '\0'));
  const auto reader = Open();
  EXPECT_EQ(ReadAll(*reader), "1 2 3 4 5 6");
  const SegmentBuilder third = Segment(3, 2, segments[1].AsPredecessor());
  Store(third);
  for (const std::string& name : {std::string("LOG"), SegmentName(2), SegmentName(3)}) {
    for (const int error : {EMFILE, ENFILE}) {
      disk_.AddRule({.op = FileOp::kOpen, .error = error, .name = name});
      const absl::Status failed = reader->Refresh();
      EXPECT_TRUE(absl::IsResourceExhausted(failed)) << name << ": " << failed;
      disk_.ClearRules();
      if (name == SegmentName(2)) break;  // then it is open
    }
  }
  // What was new is found, but cannot be taken over.
  disk_.AddRule({.op = FileOp::kList, .error = EIO, .first = 2});
  EXPECT_EQ(ErrnoOf(reader->Refresh()), EIO);
  disk_.ClearRules();
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(ReadAll(*reader), "7 8");
}

TEST_F(LogReaderDirectoryTest, RefreshKeepsWhatItKnewWhereTheDeviceFails) {
  const auto segments = StoreTwo();
  WriteFile(*directory_, "LOG", std::string(kBlockBytes + kSlotBytes, '\0'));
  const auto reader = Open();
  Store(Segment(3, 2, segments[1].AsPredecessor()));
  for (const std::string& name : {std::string("LOG"), SegmentName(2), SegmentName(3)}) {
    disk_.AddRule({.op = FileOp::kOpen, .error = EIO, .name = name, .count = SimRule::kForever});
  }
  EXPECT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(reader->limit(), 6u);
  disk_.ClearRules();
  disk_.AddRule({.op = FileOp::kRead, .error = EBADF, .name = SegmentName(2)});
  disk_.AddRule({.op = FileOp::kRead, .error = EIO, .name = SegmentName(3), .count = 4});
  EXPECT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(reader->limit(), 6u);
  disk_.ClearRules();
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(reader->limit(), 8u);
  EXPECT_EQ(ReadAll(*reader), "1 2 3 4 5 6 7 8");
}

TEST_F(LogReaderDirectoryTest, SegmentThatIsGoneSinceItWasListedLeadsToANewLook) {
  const auto segments = StoreTwo();
  const auto reader = Open();
  Store(Segment(3, 2, segments[1].AsPredecessor()));
  disk_.AddRule({.op = FileOp::kOpen, .error = ENOENT, .name = SegmentName(3)});
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(ReadAll(*reader), "1 2 3 4 5 6 7 8");
}

TEST_F(LogReaderDirectoryTest, FilesThatAddNoRecordLeaveTheLogAsItIs) {
  const auto segments = StoreTwo();
  const auto reader = Open();
  WriteFile(*directory_, SegmentName(3), "short");
  SegmentHeader foreign = Header(4, 90);
  foreign.log_id = kOtherLog;
  Store(SegmentBuilder(foreign));
  SegmentHeader misnamed = Header(90, 90);
  WriteFile(*directory_, SegmentName(5), SegmentBuilder(misnamed).Bytes());
  SegmentHeader prepared = Header(6, 90);
  prepared.state = SegmentState::kPrepared;
  Store(SegmentBuilder(prepared));
  Store(SegmentBuilder(Header(7, 7, segments[1].AsPredecessor())));
  const uint64_t lists = disk_.Calls(FileOp::kList);
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(disk_.Calls(FileOp::kList), lists + 1) << "it was read anew";
  EXPECT_EQ(reader->limit(), 6u);
}

TEST_F(LogReaderDirectoryTest, TruncationIsSeenByItsHeaderAlone) {
  const auto segments = StoreTwo();
  const auto reader = Open();
  EXPECT_EQ(ReadAll(*reader), "1 2 3 4 5 6");
  Predecessor cut = segments[0].AsPredecessor();
  SegmentHeader header = Header(3, 4, cut);
  header.epoch = 2;
  Store(SegmentBuilder(header));
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(reader->next(), 4u);
  EXPECT_EQ(ReadAll(*reader), "");
}

// What a failing over left behind in the segment that failed stays dead, though the segment that
// took its records over holds no whole one, or only later ones.
TEST_F(LogReaderDirectoryTest, LookingAgainDoesNotGoBehindACutUnderADamagedSegment) {
  Store(Segment(1, 5));
  const SegmentBuilder next = Segment(2, 3, Segment(1, 3).AsPredecessor());
  Store(next);
  disk_.FlipBit("/log/" + SegmentName(2), next.FrameBegin(0), 0);
  disk_.FlipBit("/log/" + SegmentName(2), next.FrameBegin(1), 0);
  const auto reader = Open();
  EXPECT_EQ(ReadAll(*reader), "1 2 3");
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(ReadAll(*reader), "");
}

}  // namespace
}  // namespace millrace
