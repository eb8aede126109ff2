// Goal: what is concluded from the frames of one segment does not go beyond what they
// say, however the device answers: errors are errors, and a doubtful footer is none.
// Method: segments made by hand on a simulated disk; footers that contradict
// themselves; reads that fail or fall short.

#include "wal/segment_scan.h"

#include <errno.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"
#include "wal/format.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

constexpr uint64_t kNumber = 3;
constexpr uint64_t kIncarnation = 1234;

SegmentHeader Header() {
  SegmentHeader header;
  header.log_id.fill('s');
  header.number = kNumber;
  header.incarnation = kIncarnation;
  header.capacity = 1 << 20;
  return header;
}

SegmentBuilder TwoRecords() {
  SegmentBuilder segment(Header());
  segment.Group(0).Record("a").Record("b");
  return segment;
}

class SegmentScanTest : public ::testing::Test {
 protected:
  SegmentScanTest() {
    EXPECT_EQ(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0);
  }

  File& Put(const std::string& bytes) {
    WriteFile(*directory_, "segment", bytes);
    EXPECT_EQ(directory_->Open("segment", OpenMode::kRead, &file_), 0);
    size_ = bytes.size();
    return *file_;
  }

  absl::StatusOr<SegmentScan> Scan(const std::string& bytes, SequenceNumber first = 1) {
    Put(bytes);
    ScanRequest request;
    request.name = "segment";
    request.log_id = Header().log_id;
    request.number = kNumber;
    request.incarnation = kIncarnation;
    request.first = first;
    request.limit = size_;
    return ScanSegment(*file_, request);
  }

  std::optional<ClosingFooter> Footer(const std::string& bytes) {
    return ReadClosingFooter(Put(bytes), Header().log_id, kNumber, kIncarnation);
  }
  std::optional<GroupBody> Identity(const std::string& bytes) {
    return FindIdentity(Put(bytes), Header().log_id, kNumber);
  }

  void FailReads(int error, uint64_t first = 1, uint64_t count = 1) {
    disk_.AddRule(
        {.op = FileOp::kRead, .error = error, .name = "segment", .first = first, .count = count});
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<File> file_;
  uint64_t size_ = 0;
};

// --- Scanning -----------------------------------------------------------------------

TEST_F(SegmentScanTest, ErrorThatIsNoDamageNamesFileAndPlace) {
  FailReads(EBADF);
  const absl::Status failed = Scan(TwoRecords().Bytes()).status();
  EXPECT_EQ(ErrnoOf(failed), EBADF);
  EXPECT_NE(failed.message().find("segment at 8192"), absl::string_view::npos) << failed;
}

TEST_F(SegmentScanTest, FrameOfANewerVersionNamesFileAndPlace) {
  SegmentBuilder segment = TwoRecords();
  segment.Frame(static_cast<FrameType>(9), 0, 0, "later");
  const absl::Status refused = Scan(segment.Bytes()).status();
  EXPECT_TRUE(absl::IsUnimplemented(refused));
  EXPECT_EQ(ErrnoOf(refused), 0);
  EXPECT_NE(refused.message().find("segment at 8352"), absl::string_view::npos) << refused;
}

TEST_F(SegmentScanTest, StartThatIsUnknownIsFoundBehindDamageAndWithoutIt) {
  SegmentBuilder segment = TwoRecords();
  EXPECT_EQ(Scan(segment.Bytes(), kNoSequence)->first, 1u);
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(0) + 40] ^= 1;
  bytes[segment.FrameBegin(1) + 32] ^= 1;
  const auto scan = Scan(bytes, kNoSequence);
  ASSERT_TRUE(scan.ok());
  EXPECT_EQ(scan->first, 2u);
  EXPECT_EQ(scan->records, 1u);
}

TEST_F(SegmentScanTest, SegmentWithoutAFrameBeginsWhereItWasExpectedTo) {
  const std::string bytes = SegmentBuilder(Header()).Bytes();
  for (const auto& [expected, first] : {std::pair(kNoSequence, 1), {7, 7}}) {
    const auto scan = Scan(bytes, expected);
    ASSERT_TRUE(scan.ok());
    EXPECT_EQ(scan->first, first);
    EXPECT_EQ(scan->next, first);
    EXPECT_EQ(scan->last_valid, kNoSequence);
  }
}

TEST_F(SegmentScanTest, RecordsBelowTheStartAreNone) {
  const auto scan = Scan(TwoRecords().Bytes(), 2);
  ASSERT_TRUE(scan.ok());
  EXPECT_EQ(scan->first, 2u);
  EXPECT_EQ(scan->records, 1u);
}

TEST_F(SegmentScanTest, TellsWhatTheFramesSay) {
  SegmentHeader header = Header();
  header.first_sequence = 11;
  header.first_retained = 2;
  SegmentBuilder segment(header);
  segment.At(10).Group(10).Record("11").Batch({{"12"}, {"13"}}).At(20).Group(13).Record("14");
  // A mark that goes back, and a time that is no group's.
  segment.Group(11).At(30).IdleMark();
  const auto scan = Scan(segment.Bytes(), 11);
  ASSERT_TRUE(scan.ok());
  EXPECT_TRUE(scan->holes.empty());
  EXPECT_EQ(scan->first, 11u);
  EXPECT_EQ(scan->next, 15u);
  EXPECT_EQ(scan->last_valid, 14u);
  EXPECT_EQ(scan->records, 4u);
  EXPECT_EQ(scan->time_ns, 20);
  ASSERT_EQ(scan->marks.size(), 1u);
  EXPECT_EQ(scan->marks[0].mark, 14u);
  EXPECT_EQ(scan->first_retained, 2u);
  EXPECT_EQ(scan->digest, segment.AsPredecessor().digest);
  EXPECT_EQ(scan->bytes_read, segment.offset() - kFramesOffset);
  EXPECT_EQ(Scan(TwoRecords().Group(2).Group(1).Bytes())->marks[0].mark, 2u);
}

TEST_F(SegmentScanTest, NothingCountsBehindAFooter) {
  SegmentBuilder segment = TwoRecords().Footer();
  const uint64_t end = segment.offset();
  const auto scan = Scan(segment.Record("behind").Bytes());
  ASSERT_TRUE(scan.ok());
  EXPECT_TRUE(scan->ends_with_footer);
  EXPECT_EQ(scan->records, 2u);
  EXPECT_EQ(scan->end, end);
}

TEST_F(SegmentScanTest, MarksOfManyEpochsAreForgedAndTakeNoMemory) {
  std::string bytes = TwoRecords().Bytes();
  for (uint64_t epoch = 2; epoch <= 9; ++epoch) {
    SegmentHeader header = Header();
    header.epoch = epoch;
    header.first_sequence = 3;
    SegmentBuilder other(header);
    // As long as what stands there already, so that the groups fit behind it.
    other.Frame(FrameType::kPadding, 0, 0,
                std::string(bytes.size() - kFramesOffset - kFrameHeaderBytes, '\0'));
    other.Group(epoch % 3);
    bytes += other.Bytes().substr(bytes.size());
  }
  const auto scan = Scan(bytes);
  ASSERT_TRUE(scan.ok()) << scan.status();
  EXPECT_EQ(scan->end, bytes.size());
  EXPECT_EQ(scan->marks.size(), 4u);
}

TEST_F(SegmentScanTest, DamageInVeryManyPlacesIsReportedAsIfTheLastWereOne) {
  constexpr uint64_t kReported = uint64_t{1} << 16;
  constexpr uint64_t kPlaces = kReported + 10;
  SegmentHeader header = Header();
  header.capacity = uint64_t{1} << 24;
  SegmentBuilder segment(header);
  for (uint64_t i = 0; i < kPlaces; ++i) segment.Record("lost").Record("kept");
  std::string bytes = segment.Bytes();
  for (uint64_t i = 0; i < kPlaces; ++i) bytes[segment.FrameBegin(2 * i) + 33] ^= 1;
  auto scan = Scan(bytes);
  ASSERT_TRUE(scan.ok()) << scan.status();
  EXPECT_EQ(scan->holes.size(), kReported);
  EXPECT_EQ(scan->records, kPlaces);
  EXPECT_EQ(scan->holes.back().range.last, 2 * kPlaces - 1);
  EXPECT_EQ(scan->holes.back().range.end, segment.FrameBegin(2 * kPlaces - 1));
}

TEST_F(SegmentScanTest, CutBeforeAHoleForgetsAllThatFollows) {
  SegmentBuilder segment(Header());
  segment.Group(0);
  for (int i = 0; i < 6; ++i) segment.Record("r");
  segment.Footer();
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(2) + 32] ^= 1;
  bytes[segment.FrameBegin(4) + 32] ^= 1;
  auto scan = Scan(bytes);
  ASSERT_TRUE(scan.ok());
  ASSERT_EQ(scan->holes.size(), 2u);
  EXPECT_TRUE(scan->ends_with_footer);
  const uint64_t digest = scan->holes[1].digest;
  CutBefore(scan->holes[1], &*scan);
  EXPECT_EQ(scan->holes.size(), 1u);
  EXPECT_EQ(scan->next, 4u);
  EXPECT_EQ(scan->last_valid, 3u);
  EXPECT_EQ(scan->records, 2u);
  EXPECT_EQ(scan->end, segment.FrameBegin(4));
  EXPECT_EQ(scan->digest, digest);
  EXPECT_EQ(scan->end_cause, LossCause::kChecksum);
  EXPECT_FALSE(scan->ends_with_footer);
}

// --- The closing footer ---------------------------------------------------------------

TEST_F(SegmentScanTest, FooterAtTheEndOfTheFileIsRead) {
  const auto footer = Footer(TwoRecords().Footer().Bytes());
  ASSERT_TRUE(footer.has_value());
  EXPECT_EQ(footer->body.last_sequence, 2u);
  EXPECT_EQ(footer->end, size_);
  EXPECT_EQ(footer->digest, TwoRecords().Footer().AsPredecessor().digest);
  EXPECT_TRUE(Footer(SegmentBuilder(Header()).Footer().Bytes()).has_value()) << "without a record";
}

TEST_F(SegmentScanTest, FileThatCannotEndInAFooterHasNone) {
  const std::string bytes = TwoRecords().Footer().Bytes();
  EXPECT_FALSE(Footer("").has_value());
  EXPECT_FALSE(Footer(bytes + "x").has_value());
  EXPECT_FALSE(Footer(bytes + std::string(8, '\0')).has_value());
  EXPECT_FALSE(Footer(TwoRecords().Bytes()).has_value());
  // A group that ends where a footer would.
  SegmentBuilder segment = TwoRecords();
  segment.Group(2).Frame(FrameType::kPadding, 0, 0, "");
  EXPECT_FALSE(Footer(segment.Bytes()).has_value());
}

// Its checksums hold there all the same.
TEST_F(SegmentScanTest, FooterWhereNoFrameCanStandIsNone) {
  const auto at = [this](uint64_t offset) {
    FooterBody footer;
    footer.group = {kNumber, kIncarnation, 1, 0, 0, 1};
    footer.first_sequence = 1;
    FrameHeader header;
    header.sequence = 1;
    header.body_bytes = kFooterBodyBytes;
    header.type = FrameType::kFooter;
    std::string frame(FrameBytes(kFooterBodyBytes), '\0');
    EncodeFooterBody(footer, frame.data() + kFrameHeaderBytes);
    SealFrame(header, SegmentSeed(Header().log_id, kNumber, kIncarnation),
              BodySeed(Header().log_id), offset, frame.data());
    return Footer(std::string(offset, '\0') + frame).has_value();
  };
  EXPECT_TRUE(at(kFramesOffset));
  EXPECT_FALSE(at(kFramesOffset - kAlignment)) << "among the headers";
  EXPECT_FALSE(at(kFramesOffset + 1)) << "between two places";
}

TEST_F(SegmentScanTest, FooterThatCannotBeReadIsNone) {
  const std::string bytes = TwoRecords().Footer().Bytes();
  disk_.AddRule({.op = FileOp::kStat, .error = EIO, .name = "segment"});
  EXPECT_FALSE(Footer(bytes).has_value());
  FailReads(EIO);
  EXPECT_FALSE(Footer(bytes).has_value());
  EXPECT_TRUE(Footer(bytes).has_value());
}

TEST_F(SegmentScanTest, FooterThatContradictsItselfIsNone) {
  const auto with = [this](const std::function<void(FooterBody&)>& change) {
    SegmentBuilder segment = TwoRecords();
    segment.PadToBlock();
    FooterBody footer;
    footer.group = {kNumber, kIncarnation, 1, 0, 2, 1};
    footer.first_sequence = 1;
    footer.last_sequence = 2;
    change(footer);
    std::string body(kFooterBodyBytes, '\0');
    EncodeFooterBody(footer, body.data());
    return Footer(segment.Frame(FrameType::kFooter, 0, 0, body).Bytes()).has_value();
  };
  EXPECT_TRUE(with([](FooterBody&) {}));
  EXPECT_FALSE(with([](FooterBody& f) { f.group.number = 4; }));
  EXPECT_FALSE(with([](FooterBody& f) { f.group.incarnation = 4; }));
  EXPECT_FALSE(with([](FooterBody& f) { f.last_sequence = 1; }));
  EXPECT_FALSE(with([](FooterBody& f) { f.first_sequence = 4; }));
  EXPECT_FALSE(with([](FooterBody& f) { f.group.mark = 3; }));
}

// --- Without headers --------------------------------------------------------------------

TEST_F(SegmentScanTest, IdentityIsFoundInWhateverPartCanBeRead) {
  SegmentHeader header = Header();
  header.capacity = 8 << 20;
  SegmentBuilder segment(header);
  segment.Record(std::string(2 << 20, 'x')).Group(1).Record("b");
  const std::string bytes = segment.Bytes();
  ASSERT_TRUE(Identity(bytes).has_value());
  EXPECT_EQ(Identity(bytes)->incarnation, kIncarnation);
  FailReads(EIO, 1, 2);
  EXPECT_TRUE(Identity(bytes).has_value());
  disk_.ClearRules();
  EXPECT_FALSE(FindIdentity(Put(bytes), Header().log_id, kNumber + 1).has_value());
  EXPECT_FALSE(FindIdentity(Put(bytes), LogId(), kNumber).has_value());
}

TEST_F(SegmentScanTest, IdentityIsFoundAtEveryPlaceAroundTheEndOfARead) {
  for (uint64_t short_of = 0; short_of <= 160; short_of += 8) {
    SegmentHeader header = Header();
    header.capacity = 8 << 20;
    SegmentBuilder segment(header);
    segment.Record(std::string((1 << 20) - kFrameHeaderBytes - short_of, 'x')).Group(1);
    EXPECT_TRUE(Identity(segment.Bytes()).has_value()) << short_of;
  }
}

TEST_F(SegmentScanTest, FooterCutShortByTheEndOfTheFileTellsNoIdentity) {
  SegmentBuilder segment(Header());
  segment.Record("a").Footer();
  const std::string bytes = segment.Bytes();
  EXPECT_TRUE(Identity(bytes).has_value());
  EXPECT_FALSE(Identity(bytes.substr(0, bytes.size() - 8)).has_value());
}

TEST_F(SegmentScanTest, OnlyAnIntactMarkTellsTheIdentity) {
  const auto with = [](FrameType type) {
    std::string body(kGroupBodyBytes, '\0');
    EncodeGroupBody({kNumber, kIncarnation, 1, 0, 0, 1}, body.data());
    const uint16_t count = CarriesRecords(type) ? 1 : 0;
    return SegmentBuilder(Header()).Frame(type, 0, count, body).Bytes();
  };
  for (const FrameType type : {FrameType::kGroup, FrameType::kIdleMark}) {
    std::string bytes = with(type);
    EXPECT_TRUE(Identity(bytes).has_value());
    bytes[kFramesOffset + kFrameHeaderBytes + 16] ^= 1;  // the epoch
    EXPECT_FALSE(Identity(bytes).has_value());
  }
  EXPECT_FALSE(Identity(with(FrameType::kRecord)).has_value()) << "a payload that looks like one";
}

TEST_F(SegmentScanTest, NoMoreIsReadThanThereIs) {
  std::vector<uint64_t> asked;
  disk_.SetHook([&](const FileCall& call) {
    if (call.op == FileOp::kRead) asked.push_back(call.bytes);
    return SimVerdict::kProceed;
  });
  const std::string bytes = SegmentBuilder(Header()).Record("a").Bytes();
  const std::string zeros(bytes.size(), '\0');
  EXPECT_FALSE(Identity(bytes).has_value());
  EXPECT_FALSE(HoldsAnything(Put(zeros)));
  for (const uint64_t at_once : asked)
    EXPECT_LE(at_once, bytes.size()) << "memory for a small file";
  // Where the size cannot be told, up to where the file ends.
  disk_.AddRule({.op = FileOp::kStat, .error = EIO, .name = "segment", .count = 4});
  asked.clear();
  EXPECT_FALSE(Identity(bytes).has_value());
  EXPECT_FALSE(Identity("").has_value());
  EXPECT_EQ(asked.size(), 3u);
  EXPECT_FALSE(HoldsAnything(Put(zeros)));
  EXPECT_TRUE(HoldsAnything(Put(bytes)));
  disk_.SetHook(nullptr);
}

TEST_F(SegmentScanTest, FileWithoutAMarkOrWithoutEndTellsNoIdentity) {
  SegmentBuilder segment(Header());
  segment.Record("a");
  EXPECT_FALSE(Identity(segment.Bytes()).has_value());
  EXPECT_FALSE(Identity("").has_value());
  FailReads(EIO, 1, SimRule::kForever);
  EXPECT_FALSE(Identity(TwoRecords().Bytes()).has_value());
}

TEST_F(SegmentScanTest, WhatCannotBeReadCountsAsHoldingSomething) {
  const std::string zeros(3 << 20, '\0');
  EXPECT_FALSE(HoldsAnything(Put(zeros)));
  EXPECT_FALSE(HoldsAnything(Put("")));
  std::string bytes = zeros;
  bytes.back() = 'x';
  EXPECT_TRUE(HoldsAnything(Put(bytes)));
  FailReads(EIO, 2);
  EXPECT_TRUE(HoldsAnything(Put(zeros)));
}

}  // namespace
}  // namespace millrace
