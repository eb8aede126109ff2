// Goal: a process that comes to a limit of its own (size of a file, descriptors, memory) is told so
// by an error, loses nothing that was acknowledged, and can use its log again once there is room.
// Method: children with limits that real calls run into.

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "tests/environment/acknowledged_records.h"
#include "tests/environment/in_child.h"
#include "tests/temp_directory.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

// Lowers a limit of this process while it exists.
class LimitTo {
 public:
  LimitTo(__rlimit_resource resource, rlim_t value) : resource_(resource) {
    if (getrlimit(resource_, &before_) != 0) _exit(90);
    const rlimit limit = {value, before_.rlim_max};
    if (setrlimit(resource_, &limit) != 0) _exit(91);
  }
  LimitTo(const LimitTo&) = delete;
  LimitTo& operator=(const LimitTo&) = delete;
  ~LimitTo() {
    if (setrlimit(resource_, &before_) != 0) _exit(92);
  }

 private:
  const __rlimit_resource resource_;
  rlimit before_;
};

class LimitsTest : public testing::Test {
 protected:
  LimitsTest() { options_.segment_bytes = options_.initial_segment_bytes = 8192; }

  absl::StatusOr<std::unique_ptr<Log>> Open() { return Log::Open(log_, options_); }

  // Opens the log without limits, appends, and closes it; then looks for what was acknowledged.
  std::string GoesOn(AcknowledgedRecords& records) {
    {
      const absl::StatusOr<std::unique_ptr<Log>> log = Open();
      if (!log.ok()) return log.status().ToString();
      for (const LostRange& lost : (*log)->recovery().lost) return "lost: " + lost.ToString();
      if (absl::Status s = records.AppendMany(**log, 20); !s.ok()) return s.ToString();
      if (absl::Status s = (*log)->Close(); !s.ok()) return s.ToString();
    }
    return records.Missing(log_);
  }

  const TempDirectory temp_;
  const std::string log_ = temp_.Sub("log");
  Options options_;
};

TEST_F(LimitsTest, OpeningBeyondTheFileSizeIsAnErrorThatPasses) {
  EXPECT_EQ(InChild([this]() -> std::string {
              signal(SIGXFSZ, SIG_DFL);
              // Every file of the log grows past some of these.
              for (const rlim_t bytes : {0, 1, 4095, 4096, 8191, 8192, 12000, 16383}) {
                const LimitTo limit(RLIMIT_FSIZE, bytes);
                const absl::StatusOr<std::unique_ptr<Log>> log = Open();
                if (!log.ok() && !absl::IsResourceExhausted(log.status())) {
                  return absl::StrCat(bytes, ": ", log.status().ToString());
                }
              }
              AcknowledgedRecords records;
              return GoesOn(records);
            }),
            "");
}

TEST_F(LimitsTest, AppendingBeyondTheFileSizeIsAnErrorAndLosesNothing) {
  EXPECT_EQ(InChild([this]() -> std::string {
              signal(SIGXFSZ, SIG_DFL);
              // The first segment is made before the limit, and any other would be as large.
              options_.segment_bytes = options_.initial_segment_bytes = 256 << 10;
              AcknowledgedRecords records;
              const absl::StatusOr<std::unique_ptr<Log>> log = Open();
              if (!log.ok()) return log.status().ToString();
              {
                const LimitTo limit(RLIMIT_FSIZE, 40000);
                // Some fit, and no failure ends the process.
                records.set_timeout(absl::Seconds(1));
                const absl::Status status = records.AppendMany(**log, 60);
                if (records.size() < 4) return "failed at once: " + status.ToString();
                if (status.ok()) return "the limit was not met";
              }
              (*log)->Close(absl::Seconds(5)).IgnoreError();
              return records.Missing(log_);
            }),
            "");
}

TEST_F(LimitsTest, CheckpointBeyondTheFileSizeIsAnErrorThatPasses) {
  EXPECT_EQ(InChild([this]() -> std::string {
              signal(SIGXFSZ, SIG_DFL);
              const absl::StatusOr<std::unique_ptr<Log>> log = Open();
              if (!log.ok()) return log.status().ToString();
              AcknowledgedRecords records;
              if (absl::Status s = records.AppendMany(**log, 3); !s.ok()) return s.ToString();
              {
                const LimitTo limit(RLIMIT_FSIZE, 0);
                const auto cursor = (*log)->OpenCursor("reader");
                if (cursor.ok()) return "a cursor's file of no bytes";
              }
              const auto cursor = (*log)->OpenCursor("reader");
              if (!cursor.ok()) return cursor.status().ToString();
              for (int i = 0; i < 3; ++i) (*cursor)->Next().IgnoreError();
              if (absl::Status s = (*cursor)->Commit(2); !s.ok()) return s.ToString();
              {
                const LimitTo limit(RLIMIT_FSIZE, 0);
                (*cursor)->Commit(3).IgnoreError();
                if ((*cursor)->Checkpoint().ok()) return "a checkpoint beyond the limit";
              }
              return std::string((*cursor)->Checkpoint().message());
            }),
            "");
}

// The lowest descriptor that is free: a limit of that number leaves none.
int FirstFreeDescriptor() {
  const int fd = dup(0);
  close(fd);
  return fd;
}

TEST_F(LimitsTest, OpeningWithoutEnoughDescriptorsIsAnErrorThatPasses) {
  EXPECT_EQ(InChild([this]() -> std::string {
              AcknowledgedRecords records;
              bool opened = false;
              for (int more = 0; more < 16; ++more) {
                const LimitTo limit(RLIMIT_NOFILE, FirstFreeDescriptor() + more);
                const absl::StatusOr<std::unique_ptr<Log>> log = Open();
                if (log.ok()) {
                  opened = true;
                  // What it opened with is enough to append to this segment.
                  if (absl::Status s = records.AppendMany(**log, 2); !s.ok()) return s.ToString();
                } else if (!absl::IsResourceExhausted(log.status())) {
                  return absl::StrCat(more, " more: ", log.status().ToString());
                }
              }
              return opened ? GoesOn(records) : "never opened";
            }),
            "");
}

TEST_F(LimitsTest, RotatingWithoutADescriptorLosesNothing) {
  EXPECT_EQ(InChild([this]() -> std::string {
              AcknowledgedRecords records;
              const absl::StatusOr<std::unique_ptr<Log>> log = Open();
              if (!log.ok()) return log.status().ToString();
              // Through a rotation or two, so that the next file is prepared.
              if (absl::Status s = records.AppendMany(**log, 20); !s.ok()) return s.ToString();
              const size_t before = records.size();
              {
                const LimitTo limit(RLIMIT_NOFILE, FirstFreeDescriptor());
                records.set_timeout(absl::Seconds(5));
                records.AppendMany(**log, 40).IgnoreError();
              }
              records.set_timeout(absl::InfiniteDuration());
              if (records.size() == before) return "not one more append";
              (*log)->Close(absl::Seconds(5)).IgnoreError();
              if (std::string missing = records.Missing(log_); !missing.empty()) return missing;
              return GoesOn(records);
            }),
            "");
}

TEST_F(LimitsTest, WithoutMemoryAnAppendIsRefusedAndWhatWasAcceptedIsWritten) {
  if (kUnderSanitizer) GTEST_SKIP() << "a sanitizer's own memory is in the way of the limit";
  EXPECT_EQ(InChild([this]() -> std::string {
              options_.queue_bytes = uint64_t{256} << 20;
              options_.segment_bytes = uint64_t{64} << 20;
              const absl::StatusOr<std::unique_ptr<Log>> log = Open();
              if (!log.ok()) return log.status().ToString();
              const std::string payload(1 << 20, 'x');
              AppendOptions buffered;
              buffered.durability = Durability::kBuffered;
              // So that the threads and what they allocate once are there.
              if (!(*log)->Append("first").ok()) return "not even one";
              uint64_t accepted = 1;
              uint64_t refused = 0;
              {
                const LimitTo limit(RLIMIT_AS, 1);  // nothing more can be mapped
                for (int i = 0; i < 200; ++i) {
                  const auto sequence = (*log)->TryAppend(payload, buffered);
                  if (!sequence.ok() && !absl::IsResourceExhausted(sequence.status())) {
                    return sequence.status().ToString();
                  }
                  ++(sequence.ok() ? accepted : refused);
                }
              }
              if (refused == 0) return "nothing was refused";
              if (absl::Status s = (*log)->Flush(); !s.ok()) return s.ToString();
              if ((*log)->last_durable() != accepted) return "accepted, and not written";
              return std::string((*log)->Close().message());
            }),
            "");
}

}  // namespace
}  // namespace millrace
