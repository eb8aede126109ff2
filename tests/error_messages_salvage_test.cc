// Goal: whoever cannot back up or salvage a log learns what is in the way and what to do about it,
// and that nothing half done passes for a log.
// Method: rows of what provokes each error and what it must say, on a simulated disk.

#include <cerrno>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/salvage.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/error_row.h"
#include "tests/newer_block.h"

namespace millrace {
namespace {

using Code = absl::StatusCode;
using Action = SimRule::Action;

class ErrorMessagesSalvageTest : public testing::Test {
 protected:
  ErrorMessagesSalvageTest() : disk_({.seed = 1}) {
    options_.file_system = &disk_;
    options_.idle_mark_delay = absl::Hours(1);
    salvage_.file_system = &disk_;
    for (const char* directory : {"/part", "/full"}) {
      std::unique_ptr<Directory> made;
      EXPECT_EQ(0, disk_.OpenDirectory(directory, DirectoryMode::kCreate, &made));
    }
    Open();
    for (int i = 0; i < 400; ++i) EXPECT_TRUE(log_->Append("a record").ok());
  }

  void Open() { log_ = Log::Open("/log", options_).value(); }
  void Close() { log_.reset(); }
  absl::Status BackupError(const std::string& target, const BackupOptions& options = {}) {
    return log_->Backup(target, options).status();
  }
  // The target stands on a disk of its own, so that the log's threads do not meet the rule.
  static absl::Status BackupErrorWith(Log& log, const SimRule& rule) {
    SimFileSystem target({.seed = 2});
    target.AddRule(rule);
    BackupOptions options;
    options.file_system = &target;
    const absl::Status status = log.Backup("/copy", options).status();
    EXPECT_TRUE(target.FileNames("/copy").empty());
    return status;
  }
  absl::Status SalvageErrorWith(const SimRule& rule) {
    disk_.AddRule(rule);
    const absl::Status status = SalvageInPlace("/log", salvage_).status();
    disk_.ClearRules();
    return status;
  }

  SimFileSystem disk_;
  Options options_;
  SalvageOptions salvage_;
  std::unique_ptr<Log> log_;
};

TEST_F(ErrorMessagesSalvageTest, TargetsThatDoNotSuitAreNamed) {
  disk_.WriteFileBytes("/part/UNFINISHED", "copy\n");
  ExpectErrors({
      {[&] { return BackupError("/log"); },
       Code::kInvalidArgument,
       {"log /log: ", "the target /log is the log itself; choose a directory outside of it"}},
      {[&] { return BackupError("/log/b"); },
       Code::kInvalidArgument,
       {"the target /log/b is inside the log /log; choose a directory outside of it"}},
      {[&] {
         disk_.WriteFileBytes("/full/notes", "x");
         return BackupError("/full");
       },
       Code::kAlreadyExists,
       {"the target /full is not empty, it holds notes: choose a new directory or an empty one"}},
      {[&] { return BackupError("/part"); },
       Code::kAlreadyExists,
       {"the target /part holds a copy that was begun and not finished", "delete the directory"}},
      {[&] {
         BackupOptions options;
         options.segment_bytes = 100;
         return BackupError("/copy", options);
       },
       Code::kInvalidArgument,
       {"BackupOptions::segment_bytes is 100: set it to 8192 to 1073741824"}},
  });
}

TEST_F(ErrorMessagesSalvageTest, WhatEndsABackupIsNamedAndNothingIsLeft) {
  BackupOptions stopping;
  stopping.progress = [](const BackupProgress&) { return false; };
  BackupOptions truncating;
  truncating.progress = [this](const BackupProgress&) {
    return log_->Append("x").ok() && log_->TruncateAfter(log_->last_durable() - 1).ok();
  };
  ExpectErrors({
      {[&] { return BackupError("/copy", stopping); },
       Code::kCancelled,
       {"log /log: copy to /copy: stopped by its progress function before record 257 of 400",
        "nothing was kept"}},
      {[&] { return BackupError("/copy", truncating); },
       Code::kAborted,
       {"the log was truncated 8 times while it was being copied; nothing was kept: copy it while "
        "nobody truncates it"}},
      {[&] {
         return BackupErrorWith(
             *log_,
             {.op = FileOp::kWrite, .action = Action::kFail, .error = ENOSPC, .name = "*.seg"});
       },
       Code::kResourceExhausted,
       {"copy to /copy: no space after ", " bytes of about ", ", for record ", "ENOSPC"}},
      {[&] {
         return BackupErrorWith(
             *log_, {.op = FileOp::kMakeDirectory, .action = Action::kFail, .error = EACCES});
       },
       Code::kPermissionDenied,
       {"log /log: open the target /copy: EACCES"}},
      {[&] {
         return BackupErrorWith(*log_,
                                {.op = FileOp::kList, .action = Action::kFail, .error = EIO});
       },
       Code::kInternal,
       {"log /log: list the target /copy: EIO"}},
      // A disk that lies about a write: the copy is not what was written.
      {[&] {
         return BackupErrorWith(
             *log_, {.op = FileOp::kWrite, .action = Action::kPretend, .name = "*.seg"});
       },
       Code::kDataLoss,
       {"the copy was read back and differs: the number of records should be 400 and is ",
        "; nothing was kept: check the device and the memory, and copy anew"}},
  });
  EXPECT_TRUE(disk_.FileNames("/copy").empty());
  Close();
  const std::string path = "/log/00000000000000000001.seg";
  disk_.FlipBit(path, 8300, 1);
  Open();
  BackupOptions strict;
  strict.damage = BackupOptions::Damage::kRefuse;
  ExpectError(BackupError("/copy", strict), Code::kDataLoss,
              {"record 1",
               "cannot be read, and BackupOptions::damage is kRefuse: nothing was "
               "kept; kCopyTheRest copies all others"});
}

TEST_F(ErrorMessagesSalvageTest, PartsOfLogsAreRefusedByWhoeverOpensThem) {
  Close();
  disk_.WriteFileBytes("/log/UNFINISHED", "copy\n");
  const std::vector<std::string> part = {
      "log /log: ",
      "the directory holds a part of a log, of which a copy was begun and not "
      "finished (UNFINISHED); if nobody is at work on it, delete the directory and copy anew"};
  const auto open = [&] { return Log::Open("/log", options_).status(); };
  const auto read = [&] { return LogReader::Open("/log", {.file_system = &disk_}).status(); };
  const auto plan = [&] { return PlanSalvage("/log", salvage_).status(); };
  const auto in_place = [&] { return SalvageInPlace("/log", salvage_).status(); };
  ExpectErrors({{open, Code::kFailedPrecondition, part},
                {read, Code::kFailedPrecondition, part},
                {plan, Code::kFailedPrecondition, part},
                {in_place, Code::kFailedPrecondition, part}});
  disk_.WriteFileBytes("/log/UNFINISHED", "exchange\nwhat?");
  const std::vector<std::string> exchange = {
      "log /log: ",
      "a salvage of the log in place was interrupted while it exchanged the files "
      "(UNFINISHED); run it again to finish: millrace salvage --apply"};
  ExpectErrors(
      {{open, Code::kFailedPrecondition, exchange},
       {read, Code::kFailedPrecondition, exchange},
       {plan, Code::kFailedPrecondition, exchange},
       {in_place,
        Code::kDataLoss,
        {"log /log: UNFINISHED, which says how an interrupted salvage goes on, is "
         "damaged: rename the log's files that do not end in .salvage to end in .aside"}}});
}

TEST_F(ErrorMessagesSalvageTest, WhatASalvageCannotDoIsNamed) {
  ExpectError(PlanSalvage("/log", salvage_).status(), Code::kAborted,
              {"log /log is open: a program that has it open must close it before it can be "
               "salvaged"});
  Close();
  const std::string superblock = disk_.ReadFileBytes("/log/LOG").value();
  ExpectErrors({
      {[&] {
         std::string newer = superblock;
         MakeNewer(&newer, 0, kSuperblockSeedOnDisk, 0);
         disk_.WriteFileBytes("/log/LOG", newer);
         return PlanSalvage("/log", salvage_).status();
       },
       Code::kUnimplemented,
       {"LOG was written by a newer version of Millrace; salvage the log with that one"}},
  });
  disk_.DeleteFile("/log/LOG");
  ExpectErrors({
      {[&] {
         return SalvageErrorWith(
             {.op = FileOp::kRename, .action = Action::kFail, .error = EIO, .name = "*.seg"});
       },
       Code::kInternal,
       {"log /log, while the files are exchanged: salvage it again: rename "
        "00000000000000000001.seg: EIO"}},
      {[&] { return SalvageInPlace("/log", salvage_).status(); }, Code::kOk, {}},
      {[&] {
         disk_.WriteFileBytes("/log/LOG", "");
         disk_.WriteFileBytes("/log/00000000000000000001.seg", std::string(9000, 'x'));
         return PlanSalvage("/log", salvage_).status();
       },
       Code::kNotFound,
       {"log /log: no file tells which log this is: no header of a segment, no superblock and no "
        "cursor can be read",
        "restore a backup, or one of these files"}},
  });
}

}  // namespace
}  // namespace millrace
