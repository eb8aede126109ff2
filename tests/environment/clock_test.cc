// Goal: whatever the clock says (back, forth, 1970, beyond 2038), order, recovery, trimming and
// checkpoints are as they are.
// Method: this program defines clock_gettime, and shifts the time of day under an open log and
// between its openings.

#include "absl/time/clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "tests/environment/acknowledged_records.h"
#include "tests/temp_directory.h"

namespace {

// INT64_MIN: the time of day is what it is; else seconds since 1970, at a stand.
std::atomic<int64_t> time_of_day{INT64_MIN};

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) {
  // relaxed: nothing else is read through it.
  const int64_t seconds = time_of_day.load(std::memory_order_relaxed);
  if (clock == CLOCK_REALTIME && seconds != INT64_MIN) {
    *time = {.tv_sec = seconds, .tv_nsec = 0};
    return 0;
  }
  return static_cast<int>(syscall(SYS_clock_gettime, clock, time));
}

namespace millrace {
namespace {

// relaxed: as above.
void SetClock(int64_t seconds) { time_of_day.store(seconds, std::memory_order_relaxed); }

constexpr int64_t kToday = 1795000000;
constexpr int64_t kTimes[] = {kToday,
                              kToday - 86400 * 365,  // back
                              0,                     // 1970
                              INT32_MAX - int64_t{1},
                              INT32_MAX + int64_t{1},  // the end of 32 bits, 2038
                              int64_t{1} << 32,        // and of 32 without a sign, 2106
                              -1,                      // before 1970
                              kToday + 1};

class ClockTest : public testing::Test {
 protected:
  ClockTest() { options_.segment_bytes = options_.initial_segment_bytes = 8192; }
  ~ClockTest() override { SetClock(INT64_MIN); }

  const TempDirectory temp_;
  const std::string directory_ = temp_.Sub("log");
  Options options_;
  AcknowledgedRecords records_;
};

TEST_F(ClockTest, IsTheOneThatTheLogAsks) {
  SetClock(12345);
  EXPECT_EQ(absl::ToUnixSeconds(absl::Now()), 12345);
}

TEST_F(ClockTest, JumpsUnderAnOpenLogChangeNothing) {
  const std::unique_ptr<Log> log = Log::Open(directory_, options_).value();
  const std::unique_ptr<Cursor> cursor = log->OpenCursor("reader").value();
  SequenceNumber due = 1;
  for (const int64_t seconds : kTimes) {
    SetClock(seconds);
    ASSERT_EQ(records_.AppendMany(*log, 15), absl::OkStatus()) << seconds;
    for (int i = 0; i < 15; ++i) {
      const absl::StatusOr<Entry> entry = cursor->Next(absl::Seconds(60));
      ASSERT_TRUE(entry.ok()) << entry.status();
      ASSERT_EQ(entry->record.sequence, due++);
    }
    ASSERT_EQ(cursor->Commit(cursor->delivered()), absl::OkStatus());
    ASSERT_EQ(cursor->Checkpoint(), absl::OkStatus());
    ASSERT_EQ(log->TrimBefore(cursor->checkpointed() - 5), absl::OkStatus()) << seconds;
    EXPECT_GT(log->first_retained() + 30, due) << seconds;
    EXPECT_TRUE(cursor->Lag().ok());
  }
  EXPECT_EQ(log->Close(), absl::OkStatus());
  EXPECT_EQ(records_.Missing(directory_), "");
}

TEST_F(ClockTest, JumpsBetweenOpeningsChangeNothing) {
  SequenceNumber due = 1;
  for (const int64_t seconds : kTimes) {
    SetClock(seconds);
    const std::unique_ptr<Log> log = Log::Open(directory_, options_).value();
    EXPECT_EQ(log->recovery().next_sequence, due) << seconds;
    EXPECT_TRUE(log->recovery().lost.empty()) << log->recovery().ToString();
    ASSERT_EQ(records_.AppendMany(*log, 12), absl::OkStatus()) << seconds;
    due += 12;
  }
  EXPECT_EQ(records_.Missing(directory_), "");
}

TEST_F(ClockTest, CheckpointsComeInTheirIntervalThoughTheClockGoesBack) {
  const std::unique_ptr<Log> log = Log::Open(directory_, options_).value();
  CursorOptions options;
  options.checkpoint_records = 0;
  options.checkpoint_interval = absl::Milliseconds(20);
  SetClock(kToday);
  const std::unique_ptr<Cursor> cursor = log->OpenCursor("reader", options).value();
  ASSERT_EQ(records_.AppendMany(*log, 2), absl::OkStatus());
  SetClock(kToday - 86400);
  ASSERT_TRUE(cursor->Next().ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(25));
  ASSERT_EQ(cursor->Commit(1), absl::OkStatus());
  EXPECT_EQ(cursor->checkpointed(), 1u);
}

}  // namespace
}  // namespace millrace
