// Goal: a walk shows every byte of a segment's file for what it is: each header copy
// in each of its states, each kind of frame, damage, and where it must stop.
// Method: segments made by hand, damaged in one place, on a simulated disk.

#include "wal/segment_walk.h"

#include <errno.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/newer_block.h"
#include "tests/segment_builder.h"
#include "wal/format.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

using Kind = FrameInfo::Kind;

SegmentHeader Header(uint64_t number = 3) {
  SegmentHeader header;
  header.log_id.fill('w');
  header.number = number;
  header.incarnation = 1234;
  header.capacity = 1 << 20;
  return header;
}

SegmentBuilder TwoRecords(const SegmentHeader& header = Header()) {
  SegmentBuilder segment(header);
  segment.Group(header.first_sequence - 1).Record("a").Record("b");
  return segment;
}

class SegmentWalkTest : public ::testing::Test {
 protected:
  SegmentWalkTest() {
    EXPECT_EQ(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0);
  }

  absl::Status Walk(const std::string& bytes,
                    const std::optional<SegmentIdentity>& assumed = std::nullopt) {
    WriteFile(*directory_, SegmentName(3), bytes);
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open(SegmentName(3), OpenMode::kRead, &file), 0);
    shown_.clear();
    return WalkSegmentFile(*file, 3, assumed,
                           [this](const FrameInfo& info) { shown_.push_back(info); });
  }

  // "header header group record": the kinds of what was shown.
  std::string Kinds() const {
    std::string text;
    for (const FrameInfo& info : shown_) {
      absl::StrAppend(&text, text.empty() ? "" : " ", std::string(FrameKindName(info.kind)));
    }
    return text;
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
  std::vector<FrameInfo> shown_;
};

TEST_F(SegmentWalkTest, HeadersSayWhoseTheyAreAndWhatStoodBefore) {
  ASSERT_TRUE(Walk(TwoRecords().Bytes()).ok());
  EXPECT_EQ(Kinds(), "header header group record record end");
  EXPECT_NE(shown_[0].detail.find("active; log 7777"), std::string::npos) << shown_[0].detail;
  EXPECT_NE(shown_[0].detail.find("no predecessor"), std::string::npos) << shown_[0].detail;
  EXPECT_EQ(shown_[0].detail, shown_[1].detail);

  SegmentHeader header = Header();
  header.state = SegmentState::kPrepared;
  header.predecessor = {.number = 2, .incarnation = 77, .last_sequence = 0, .cut = 8192};
  ASSERT_TRUE(Walk(SegmentBuilder(header).Bytes()).ok());
  EXPECT_EQ(Kinds(), "header header end");
  EXPECT_EQ(shown_[0].detail.find("prepared; "), 0u) << shown_[0].detail;
  EXPECT_NE(shown_[0].detail.find("after segment 2, incarnation 000000000000004d"),
            std::string::npos)
      << shown_[0].detail;
}

TEST_F(SegmentWalkTest, EitherCopySufficesAndTheOtherIsShownAsItIs) {
  const std::string whole = TwoRecords().Bytes();
  for (int copy = 0; copy < 2; ++copy) {
    const uint64_t begin = copy * kBlockBytes;
    std::string bytes = whole;
    bytes.replace(begin, kSegmentHeaderBytes, std::string(kSegmentHeaderBytes, '\0'));
    ASSERT_TRUE(Walk(bytes).ok());
    EXPECT_EQ(Kinds(), "header header group record record end");
    EXPECT_EQ(shown_[copy].detail, "zero: nothing was written here");

    bytes = whole;
    bytes[begin + 50] ^= 1;
    ASSERT_TRUE(Walk(bytes).ok());
    EXPECT_EQ(shown_[copy].detail, "damaged");

    bytes = whole;
    MakeNewer(&bytes, begin, kSegmentBlockSeedOnDisk, copy);
    ASSERT_TRUE(Walk(bytes).ok());
    EXPECT_EQ(shown_[copy].detail, "of a newer version");

    disk_.AddRule({.op = FileOp::kRead, .error = EIO, .first = copy + uint64_t{1}});
    ASSERT_TRUE(Walk(whole).ok());
    disk_.ClearRules();
    EXPECT_EQ(shown_[copy].detail, "unreadable: EIO");
    EXPECT_EQ(Kinds(), "header header group record record end");
  }
}

TEST_F(SegmentWalkTest, WithoutHeadersItNeedsToBeToldWhoseFramesTheyAre) {
  std::string bytes = TwoRecords().Bytes();
  bytes.replace(0, kFramesOffset, std::string(kFramesOffset, '\0'));
  const absl::Status refused = Walk(bytes);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_NE(refused.message().find(SegmentName(3)), absl::string_view::npos) << refused;
  EXPECT_EQ(Kinds(), "header header");
  ASSERT_TRUE(Walk(bytes, SegmentIdentity{Header().log_id, 1234, 1}).ok());
  EXPECT_EQ(Kinds(), "header header group record record end");
}

TEST_F(SegmentWalkTest, HeaderThatStandsThereOutweighsWhatIsAssumed) {
  ASSERT_TRUE(Walk(TwoRecords(Header(9)).Bytes(), SegmentIdentity{{}, 1, 50}).ok());
  EXPECT_EQ(Kinds(), "header header group record record end");
}

TEST_F(SegmentWalkTest, GroupsIdleMarksAndFootersSayWhatTheyStateOfTheLog) {
  ASSERT_TRUE(Walk(TwoRecords().IdleMark().Footer().Bytes()).ok());
  EXPECT_EQ(Kinds(), "header header group record record padding idle-mark padding footer end");
  for (const FrameInfo& info : shown_) {
    const bool states =
        info.kind == Kind::kGroup || info.kind == Kind::kIdleMark || info.kind == Kind::kFooter;
    EXPECT_EQ(info.group.has_value(), states) << FrameKindName(info.kind);
    if (!states) continue;
    EXPECT_EQ(info.group->mark, info.kind == Kind::kGroup ? 0u : 2u);
  }
  EXPECT_EQ(shown_[8].first, 1u);
  EXPECT_EQ(shown_[8].last, 2u);
  EXPECT_EQ(shown_.back().sequence, 3u);
}

TEST_F(SegmentWalkTest, DamageIsShownWithItsNumbersAndTheWalkGoesOn) {
  SegmentBuilder segment = TwoRecords();
  segment.Record("c");
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(2) + 8] ^= 1;
  ASSERT_TRUE(Walk(bytes).ok());
  EXPECT_EQ(Kinds(), "header header group record damaged record end");
  const FrameInfo& damaged = shown_[4];
  EXPECT_EQ(damaged.offset, segment.FrameBegin(2));
  EXPECT_EQ(damaged.bytes, segment.FrameBegin(3) - segment.FrameBegin(2));
  EXPECT_EQ(damaged.sequence, 2u);
  EXPECT_EQ(damaged.records, 1u);
  ASSERT_TRUE(damaged.lost.has_value());
  EXPECT_EQ(damaged.lost->first, 2u);
}

TEST_F(SegmentWalkTest, BytesBehindTheLastFrameAreCounted) {
  ASSERT_TRUE(Walk(TwoRecords().Bytes() + std::string(5, 'x') + std::string(100, '\0')).ok());
  EXPECT_EQ(Kinds(), "header header group record record end");
  EXPECT_EQ(shown_.back().bytes, 5u);
}

TEST_F(SegmentWalkTest, UnknownFramesArePassedOverOnlyIfTheyMayBe) {
  SegmentBuilder segment = TwoRecords();
  segment.Frame(static_cast<FrameType>(kFirstSkippable + 1), 0, 0, "later").Record("c");
  const std::string skippable = segment.Bytes();
  ASSERT_TRUE(Walk(skippable).ok());
  EXPECT_EQ(Kinds(), "header header group record record skipped record end");
  EXPECT_EQ(shown_[5].type, kFirstSkippable + 1);

  segment.Frame(static_cast<FrameType>(9), 0, 0, "much later").Record("d");
  ASSERT_TRUE(Walk(segment.Bytes()).ok());
  EXPECT_EQ(Kinds(), "header header group record record skipped record unknown");
}

TEST_F(SegmentWalkTest, ErrorsThatAreNoDamageEndTheWalk) {
  disk_.AddRule({.op = FileOp::kStat, .error = ENOMEM, .name = SegmentName(3)});
  EXPECT_TRUE(absl::IsResourceExhausted(Walk(TwoRecords().Bytes())));
  EXPECT_TRUE(shown_.empty());
  disk_.ClearRules();
  disk_.AddRule({.op = FileOp::kRead, .error = EBADF, .name = SegmentName(3), .first = 3});
  const absl::Status failed = Walk(TwoRecords().Bytes());
  EXPECT_EQ(ErrnoOf(failed), EBADF) << failed;
  EXPECT_NE(failed.message().find("at 8192"), absl::string_view::npos) << failed;
}

TEST(FrameKindNameTest, EveryKindHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int kind = 0; kind <= static_cast<int>(Kind::kEnd); ++kind) {
    const std::string_view name = FrameKindName(static_cast<Kind>(kind));
    EXPECT_FALSE(name.empty()) << kind;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(FrameKindName(static_cast<Kind>(99)), "");
}

}  // namespace
}  // namespace millrace
