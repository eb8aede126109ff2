// Goal: closed and open loops count and time what they should. Method: a contestant that takes
// a known time, and stalls once.

#include "bench/compare/load.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/compare/contestant.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;

class FakeContestant : public Contestant {
 public:
  // Append number `stall_at` takes 100 ms more, and number `fail_at` fails.
  int stall_at = -1;
  int fail_at = -1;
  std::atomic<int> appended{0};
  bool drained = false;

  std::string name() const override { return "fake"; }
  std::string settings() const override { return ""; }
  absl::Status Open(const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<Appender>> NewAppender() override {
    return std::make_unique<FakeAppender>(this);
  }
  absl::Status Drain() override {
    drained = true;
    return absl::OkStatus();
  }
  std::optional<uint64_t> syncs() const override { return std::nullopt; }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  class FakeAppender : public Appender {
   public:
    explicit FakeAppender(FakeContestant* owner) : owner_(owner) {}
    absl::Status Append(std::string_view) override {
      const int number = owner_->appended.fetch_add(1, std::memory_order_relaxed);
      if (number == owner_->fail_at) return absl::DataLossError("on purpose");
      if (number == owner_->stall_at) std::this_thread::sleep_for(milliseconds(100));
      return absl::OkStatus();
    }

   private:
    FakeContestant* const owner_;
  };
};

constexpr Load kShort = {.producers = 2, .seconds = 0.3, .warm_up_seconds = 0.02};

TEST(ClosedLoopTest, CountsTheMeasuredTimeAndDrains) {
  FakeContestant contestant;
  const absl::StatusOr<LoadResult> result = ClosedLoop(kShort, &contestant);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(contestant.drained);
  EXPECT_GT(result->records, 0u);
  EXPECT_LT(result->records,
            static_cast<uint64_t>(contestant.appended.load(std::memory_order_relaxed)));
  EXPECT_EQ(result->records, result->latency.count());
}

TEST(ClosedLoopTest, AFailedAppendIsAnError) {
  FakeContestant contestant;
  contestant.fail_at = 100;
  EXPECT_TRUE(absl::IsDataLoss(ClosedLoop(kShort, &contestant).status()));
}

TEST(FixedWorkTest, AppendsAsManyAndAnEighthMore) {
  FakeContestant contestant;
  const absl::StatusOr<LoadResult> result = FixedWork(kShort, 8000, &contestant);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(8000u, result->records);
  EXPECT_EQ(9000, contestant.appended.load(std::memory_order_relaxed));
}

TEST(OpenLoopTest, KeepsToTheRate) {
  FakeContestant contestant;
  const absl::StatusOr<LoadResult> result = OpenLoop(kShort, 1000, &contestant);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NEAR(300, static_cast<double>(result->records), 4);
}

// A closed loop would have one slow append among many; whoever arrived during the stall waited too.
TEST(OpenLoopTest, AStallIsFeltByAllThatArriveDuringIt) {
  FakeContestant contestant;
  contestant.stall_at = 60;
  Load load = kShort;
  load.producers = 1;
  const absl::StatusOr<LoadResult> result = OpenLoop(load, 1000, &contestant);
  ASSERT_TRUE(result.ok()) << result.status();
  uint64_t slow = 0;
  result->latency.ForEachBucket([&](uint64_t upper, uint64_t count) {
    if (upper > 20'000'000) slow += count;
  });
  EXPECT_GE(slow, 70u);
}

}  // namespace
}  // namespace millrace
