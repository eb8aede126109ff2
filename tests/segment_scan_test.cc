// Goal: what is concluded from the frames of one segment does not go beyond what they
// say, however the device answers: errors are errors, and a doubtful footer is none.
// Method: segments made by hand on a simulated disk; footers that contradict
// themselves; reads that fail or fall short.

#include "wal/segment_scan.h"

#include <errno.h>

#include <functional>
#include <memory>
#include <string>

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
