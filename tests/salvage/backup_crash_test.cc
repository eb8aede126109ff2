// Goal: whatever ends a backup, the log is as it was, and what is left of the copy is never taken
// for a log. Method: on the simulated disk, crash images before every call of a backup; one
// failing call for every call that it makes; a disk that is full after any number of bytes.

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/testing/forwarding_file_system.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/salvage/log_contents.h"

namespace millrace {
namespace {

constexpr uint64_t kImagesPerCall = 8;

class BackupCrashTest : public testing::Test {
 protected:
  BackupCrashTest() {
    SmallLog log(&disk_);
    log.Append(25);
    log.Consume("billing", 9);
    log.Close();
    log_ = ReadLog(disk_, "/log").value();
  }

  std::unique_ptr<LogReader> OpenReader(FileSystem* file_system) {
    LogReaderOptions options;
    options.file_system = file_system;
    options.limit = LogReaderOptions::Limit::kReadable;
    auto reader = LogReader::Open("/log", options);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }

  // True if it is a log, which must then be the whole of it.
  bool IsWhole(SimFileSystem& disk, const std::string& copy = "/copy") {
    const auto contents = ReadLog(disk, copy);
    Options options;
    options.file_system = &disk;
    options.create_mode = CreateMode::kMustExist;
    const absl::Status opened = Log::Open(copy, options).status();
    EXPECT_EQ(contents.ok(), opened.ok()) << contents.status() << "\n" << opened;
    if (!contents.ok()) {
      EXPECT_TRUE(absl::IsNotFound(contents.status()) ||
                  absl::IsFailedPrecondition(contents.status()))
          << contents.status();
      return false;
    }
    ExpectSameContents(log_, *contents);
    EXPECT_EQ(RecoveryReport::Outcome::kClean, contents->outcome);
    return true;
  }

  SimFileSystem disk_{SimOptions{.seed = 1}};
  LogContents log_;
};

TEST_F(BackupCrashTest, AfterACrashAtAnyCallTheCopyIsWholeOrNone) {
  const std::unique_ptr<LogReader> reader = OpenReader(&disk_);
  uint64_t images = 0;
  uint64_t whole = 0;
  const auto check = [&](SimFileSystem& image, ImageId id) {
    SCOPED_TRACE(absl::StrCat("image ", id));
    const auto log = ReadLog(image, "/log");
    ASSERT_TRUE(log.ok()) << log.status();
    ExpectSameContents(log_, *log);
    ++images;
    whole += IsWhole(image) ? 1 : 0;
  };
  disk_.SetHook([&](const FileCall& call) {
    if (call.number != 0 && !HasFailure()) {
      disk_.ForEachCrashImage(kImagesPerCall, call.number, check);
    }
    return SimVerdict::kProceed;
  });
  const auto result = reader->Backup("/copy");
  disk_.SetHook(nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(whole, images);
  // Once it has returned, nothing can take it away.
  disk_.ForEachCrashImage(64, 1, [&](SimFileSystem& image, ImageId) {
    ++images;
    EXPECT_TRUE(IsWhole(image));
  });
  RecordProperty("images", static_cast<int>(images));
  std::printf(
      "RELIABILITY target=backup_crash_test seed=1 states=%d acked=%d lost_acked=0 "
      "invented=0 silent=0 hangs=0\n",
      static_cast<int>(images), static_cast<int>(log_.records.size()));
}

TEST_F(BackupCrashTest, AnErrorAtAnyCallLeavesNoPartThatOpens) {
  const auto before = FilesOf(disk_, "/log");
  for (const IoResult error : {-EIO, -ENOSPC, -EMFILE}) {
    bool reached = true;
    int succeeded = 0;
    for (int k = 1; reached; ++k) {
      SCOPED_TRACE(absl::StrCat("call ", k, " fails with ", error));
      int calls = -1;  // not yet counting
      ForwardingFileSystem disk(&disk_, [&](const FileCall&) -> std::optional<IoResult> {
        if (calls < 0 || ++calls != k) return std::nullopt;
        return error;
      });
      const std::unique_ptr<LogReader> reader = OpenReader(&disk);
      const std::string copy = absl::StrCat("/copy", -error, "-", k);
      calls = 0;
      const auto result = reader->Backup(copy);
      reached = calls >= k;
      calls = -1;
      const auto contents = ReadLog(disk_, copy);
      EXPECT_EQ(result.ok(), contents.ok()) << result.status() << "\n" << contents.status();
      if (!result.ok()) continue;
      // What the device would not read is named.
      ++succeeded;
      EXPECT_EQ(log_.records.size(), result->records + result->records_lost());
      // So is a cursor of which nothing could be read; one of whose two slots one could not goes
      // on from the other, as it would in the log.
      for (const auto& [name, committed] : contents->cursors) {
        EXPECT_LE(committed, log_.cursors.at(name));
      }
      EXPECT_EQ(log_.cursors.size(), contents->cursors.size() + result->cursors_left_out.size());
      EXPECT_TRUE(!result->lost.empty() || log_.records == contents->records);
    }
    EXPECT_GT(succeeded, 0);
  }
  EXPECT_EQ(before, FilesOf(disk_, "/log"));
}

TEST_F(BackupCrashTest, AFullDiskIsNamedWithHowMuchItTookAndLeavesNothing) {
  uint64_t used = 0;
  for (const auto& [name, bytes] : FilesOf(disk_, "/log")) used += bytes.size();
  const std::unique_ptr<LogReader> reader = OpenReader(&disk_);
  int refused = 0;
  for (uint64_t room = 0; room < 2 * used; room += 2000) {
    disk_.SetCapacity(used + room);
    const auto result = reader->Backup("/copy");
    if (result.ok()) break;
    ++refused;
    EXPECT_TRUE(absl::IsResourceExhausted(result.status())) << result.status();
    EXPECT_TRUE(disk_.FileNames("/copy").empty());
  }
  disk_.SetCapacity(std::nullopt);
  EXPECT_GT(refused, 5);
  EXPECT_TRUE(IsWhole(disk_));
}

}  // namespace
}  // namespace millrace
