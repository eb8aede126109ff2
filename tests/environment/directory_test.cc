// Goal: a log stays with its directory, whatever happens to its name, and never writes into
// another. Method: the directory is renamed, replaced, deleted, and the process goes elsewhere,
// while the log is open and through several segments.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "tests/environment/acknowledged_records.h"
#include "tests/environment/in_child.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

class DirectoryTest : public testing::Test {
 protected:
  DirectoryTest() { options_.segment_bytes = options_.initial_segment_bytes = 8192; }

  std::unique_ptr<Log> Open(const std::string& directory) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, options_);
    EXPECT_TRUE(log.ok()) << log.status();
    return log.ok() ? *std::move(log) : nullptr;
  }

  const TempDirectory temp_;
  Options options_;
  AcknowledgedRecords records_;
};

TEST_F(DirectoryTest, RenamedOneIsWrittenOnUnderItsNewName) {
  const std::unique_ptr<Log> log = Open(temp_.Sub("log"));
  ASSERT_EQ(records_.AppendMany(*log, 10), absl::OkStatus());
  fs::rename(temp_.Sub("log"), temp_.Sub("moved"));
  ASSERT_EQ(records_.AppendMany(*log, 40), absl::OkStatus());
  const auto cursor = log->OpenCursor("reader").value();
  ASSERT_TRUE(cursor->Next().ok());
  EXPECT_EQ(cursor->Commit(1), absl::OkStatus());
  EXPECT_EQ(log->TrimBefore(1), absl::OkStatus());
  EXPECT_EQ(log->Close(), absl::OkStatus());
  EXPECT_FALSE(fs::exists(temp_.Sub("log")));
  EXPECT_EQ(records_.Missing(temp_.Sub("moved")), "");
}

TEST_F(DirectoryTest, AnotherInItsPlaceIsLeftAlone) {
  const std::unique_ptr<Log> log = Open(temp_.Sub("log"));
  ASSERT_EQ(records_.AppendMany(*log, 10), absl::OkStatus());
  fs::rename(temp_.Sub("log"), temp_.Sub("moved"));
  fs::create_directory(temp_.Sub("log"));
  std::ofstream(temp_.Sub("log/mine")) << "not a log's";
  ASSERT_EQ(records_.AppendMany(*log, 40), absl::OkStatus());
  EXPECT_EQ(log->Close(), absl::OkStatus());
  EXPECT_EQ(std::distance(fs::directory_iterator(temp_.Sub("log")), fs::directory_iterator()), 1);
  EXPECT_EQ(records_.Missing(temp_.Sub("moved")), "");
}

TEST_F(DirectoryTest, DeletedOneIsNotMadeAgainAndEndsTheLogWithAnError) {
  const std::unique_ptr<Log> log = Open(temp_.Sub("log"));
  ASSERT_EQ(records_.AppendMany(*log, 10), absl::OkStatus());
  fs::remove_all(temp_.Sub("log"));
  // What is open can still be written; a new segment has nowhere to go.
  const absl::Status status = records_.AppendMany(*log, 200);
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(log->Close().ok());
  EXPECT_FALSE(fs::exists(temp_.Sub("log")));
}

TEST_F(DirectoryTest, ProcessMayGoElsewhere) {
  EXPECT_EQ(InChild([this]() -> std::string {
              fs::current_path(temp_.path());
              fs::create_directory("elsewhere");
              const std::unique_ptr<Log> log = Open("log");
              if (log == nullptr) return "not opened";
              if (absl::Status s = records_.AppendMany(*log, 10); !s.ok()) return s.ToString();
              fs::current_path("elsewhere");
              if (absl::Status s = records_.AppendMany(*log, 40); !s.ok()) return s.ToString();
              const auto cursor = log->OpenCursor("reader");
              if (!cursor.ok()) return cursor.status().ToString();
              for (int i = 0; i < 50; ++i) {
                if (!(*cursor)->Next(absl::Seconds(10)).ok()) return "not read";
              }
              if (absl::Status s = log->Close(); !s.ok()) return s.ToString();
              if (!fs::is_empty(".")) return "something was written elsewhere";
              return records_.Missing("../log");
            }),
            "");
}

}  // namespace
}  // namespace millrace
