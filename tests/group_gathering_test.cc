// Goal: the writer waits for threads that are about to append again, and not for others.
// Method: the decisions alone, at times that the test makes up.

#include "wal/group_gathering.h"

#include <chrono>

#include "gtest/gtest.h"
#include "queue/atomics.h"

namespace millrace {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class GroupGatheringTest : public ::testing::Test {
 protected:
  static Deadline At(int64_t us) { return Deadline() + std::chrono::seconds(1) + microseconds(us); }

  // Tells 8 with none waiting; true if that is waited for.
  bool Begins(int64_t us) {
    gathering_.Told(8, 0);
    return gathering_.Begin(At(us));
  }

  GroupGathering gathering_;
};

TEST_F(GroupGatheringTest, WaitsForNobodyAtFirst) { EXPECT_FALSE(gathering_.Begin(At(0))); }

TEST_F(GroupGatheringTest, WaitsUntilAllAreThere) {
  gathering_.Synced(microseconds(100));
  gathering_.Told(8, 3);
  ASSERT_TRUE(gathering_.Begin(At(0)));
  EXPECT_TRUE(gathering_.Waits(3, At(10)));
  EXPECT_TRUE(gathering_.Waits(10, At(20)));
  EXPECT_FALSE(gathering_.Waits(11, At(21)));
  EXPECT_FALSE(gathering_.Begin(At(22))) << "once for those who were told";
}

TEST_F(GroupGatheringTest, OfManyHalfAreWaitedFor) {
  gathering_.Synced(milliseconds(1));
  gathering_.Told(96, 0);
  ASSERT_TRUE(gathering_.Begin(At(0)));
  EXPECT_TRUE(gathering_.Waits(47, At(1)));
  EXPECT_FALSE(gathering_.Waits(48, At(2)));
  gathering_.Told(96, 100);
  EXPECT_FALSE(gathering_.Begin(At(3))) << "they came during the sync";
  gathering_.Told(95, 20);
  ASSERT_TRUE(gathering_.Begin(At(4))) << "nor is it tried more seldom for that";
  EXPECT_TRUE(gathering_.Waits(114, At(5)));
  EXPECT_FALSE(gathering_.Waits(115, At(6)));
}

TEST_F(GroupGatheringTest, WaitsOnWhileTheyComeButNotLongerThanASync) {
  gathering_.Synced(microseconds(100));
  ASSERT_TRUE(Begins(0));
  EXPECT_TRUE(gathering_.Waits(1, At(40)));
  EXPECT_TRUE(gathering_.Waits(1, At(89)));
  EXPECT_FALSE(gathering_.Waits(1, At(90))) << "half a sync after the last came";
  ASSERT_TRUE(Begins(200)) << "some came";
  for (int i = 1; i < 5; ++i) EXPECT_TRUE(gathering_.Waits(i, At(200 + 20 * i)));
  EXPECT_FALSE(gathering_.Waits(5, At(300)));
}

TEST_F(GroupGatheringTest, FewAreWaitedForLessLong) {
  gathering_.Synced(milliseconds(10));
  gathering_.Told(1, 0);
  ASSERT_TRUE(gathering_.Begin(At(0)));
  EXPECT_TRUE(gathering_.Waits(0, At(21)));
  EXPECT_FALSE(gathering_.Waits(0, At(22)));
}

TEST_F(GroupGatheringTest, SlowDiskIsNotWaitedForInProportion) {
  gathering_.Synced(milliseconds(20));
  ASSERT_TRUE(Begins(0));
  EXPECT_TRUE(gathering_.Waits(0, At(99)));
  EXPECT_FALSE(gathering_.Waits(0, At(100)));
  GroupGathering coming;
  coming.Synced(milliseconds(20));
  coming.Told(100, 0);
  ASSERT_TRUE(coming.Begin(At(0)));
  for (int i = 1; i < 25; ++i) EXPECT_TRUE(coming.Waits(i, At(40 * i)));
  EXPECT_FALSE(coming.Waits(25, At(1000)));
}

TEST_F(GroupGatheringTest, WhereNobodyComesItIsTriedEverMoreSeldom) {
  gathering_.Synced(microseconds(100));
  int tries = 0;
  for (int group = 0; group < 1000; ++group) {
    if (!Begins(1000 * group)) continue;
    ++tries;
    EXPECT_FALSE(gathering_.Waits(0, At(1000 * group + 50)));
  }
  EXPECT_GE(tries, 15);
  EXPECT_LE(tries, 25);
  // One that comes is enough to wait each time again.
  int group = 1000;
  while (!Begins(1000 * group)) ++group;
  EXPECT_TRUE(gathering_.Waits(1, At(1000 * group)));
  EXPECT_FALSE(gathering_.Waits(1, At(1000 * group + 50)));
  EXPECT_TRUE(Begins(1000 * group + 1000));
}

TEST_F(GroupGatheringTest, SyncsAreAMovingMean) {
  gathering_.Synced(microseconds(80));
  for (int i = 0; i < 100; ++i) gathering_.Synced(microseconds(160));
  ASSERT_TRUE(Begins(0));
  EXPECT_TRUE(gathering_.Waits(0, At(78)));
  EXPECT_FALSE(gathering_.Waits(0, At(80)));
}

}  // namespace
}  // namespace millrace
