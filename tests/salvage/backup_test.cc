// Goal: a backup is a log with every durable record, number, time, batch and checkpoint of the
// one it was made of, and says what it could not copy. Method: small logs on simulated disks,
// damaged by hand; what readers see of copy and log is compared.

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/salvage/log_contents.h"

namespace millrace {
namespace {

class BackupTest : public testing::Test {
 protected:
  LogContents Read(const std::string& directory) { return Read(disk_, directory); }
  static LogContents Read(FileSystem& disk, const std::string& directory) {
    const auto contents = ReadLog(disk, directory);
    EXPECT_TRUE(contents.ok()) << contents.status();
    return contents.ok() ? *contents : LogContents();
  }
  // What reading sees is what reopening keeps.
  absl::StatusOr<SequenceNumber> AppendTo(const std::string& directory) {
    Options options;
    options.file_system = &disk_;
    options.create_mode = CreateMode::kMustExist;
    const auto log = Log::Open(directory, options);
    if (!log.ok()) return log.status();
    return (*log)->Append("after the backup");
  }
  // Makes the first place in the log's segments where `text` stands unreadable.
  void Damage(const std::string& text) {
    for (const std::string& name : disk_.FileNames("/log")) {
      const std::string path = "/log/" + name;
      const size_t at = disk_.ReadFileBytes(path)->find(text);
      if (!name.ends_with(".seg") || at == std::string::npos) continue;
      disk_.FlipBit(path, at, 3);
      return;
    }
    FAIL() << text;
  }

  SimFileSystem disk_{SimOptions{.seed = 1}};
};

TEST_F(BackupTest, CopyHoldsEveryRecordWithNumberTimeBatchAndCheckpoints) {
  SmallLog log(&disk_);
  log.Append(40);
  log.Consume("billing", 7);
  log.Consume("mail", 30);
  const auto result = log->Backup("/copy");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(1u, result->first);
  EXPECT_EQ(log->last_durable(), result->last);
  EXPECT_EQ(log->last_durable(), result->records);
  EXPECT_EQ((std::vector<std::string>{"billing", "mail"}), result->cursors);
  EXPECT_TRUE(result->lost.empty());
  EXPECT_GT(result->bytes, result->payload_bytes);
  log.Close();
  const LogContents copy = Read("/copy");
  ExpectSameContents(Read("/log"), copy);
  EXPECT_EQ(RecoveryReport::Outcome::kClean, copy.outcome);
  EXPECT_EQ(result->last + 1, *AppendTo("/copy"));
  EXPECT_EQ(result->last + 1, *AppendTo("/log"));
}

// Cursors that are open together have their newest checkpoints in a file that they share.
TEST_F(BackupTest, CheckpointsOfCursorsThatAreOpenAreCopied) {
  SmallLog log(&disk_);
  log.Append(30);
  std::vector<std::unique_ptr<Cursor>> cursors;
  for (const char* name : {"a", "b", "c"}) cursors.push_back(log->OpenCursor(name).value());
  for (SequenceNumber committed = 1; committed <= 3; ++committed) {
    for (size_t i = 0; i < cursors.size(); ++i) {
      ASSERT_TRUE(cursors[i]->Next(absl::ZeroDuration()).ok());
      ASSERT_TRUE(i == 0 || cursors[i]->Commit(committed).ok());
    }
    ASSERT_TRUE(log->CheckpointCursors().ok());
  }
  ASSERT_TRUE(disk_.ReadFileBytes("/log/CURSORS").has_value());
  ASSERT_TRUE(log->Backup("/copy").ok());
  const std::map<std::string, SequenceNumber> expected = {{"a", 0}, {"b", 3}, {"c", 3}};
  EXPECT_EQ(expected, Read("/copy").cursors);
}

// Damage to one record of a batch costs the whole batch, in the copy as in the log.
TEST_F(BackupTest, BatchesStayWhole) {
  SmallLog log(&disk_);
  log.Append(5);
  ASSERT_TRUE(log->Backup("/copy").ok());
  log.Close();
  const std::string path = "/copy/00000000000000000001.seg";
  disk_.FlipBit(path, disk_.ReadFileBytes(path)->find("record 5"), 0);
  EXPECT_EQ(std::vector<std::string>{"5..7"}, Read("/copy").lost);
}

TEST_F(BackupTest, RecordsThatAreNotDurableAreFlushedFirstOrLeftOut) {
  SmallLog log(&disk_);
  AppendOptions weak;
  weak.durability = Durability::kWritten;
  ASSERT_TRUE(log->Append("durable").ok());
  ASSERT_TRUE(log->Append("written", weak).ok());
  BackupOptions as_it_is;
  as_it_is.flush = BackupOptions::Flush::kNot;
  EXPECT_EQ(1u, log->Backup("/without", as_it_is)->last);
  EXPECT_EQ(2u, log->Backup("/with")->last);
  EXPECT_EQ(2u, log->last_durable());
}

TEST_F(BackupTest, TrimmedLogsKeepTheirFirstNumberAndEmptyOnesTheirNext) {
  SmallLog log(&disk_);
  ASSERT_TRUE(log->Backup("/none").ok());
  EXPECT_EQ(1u, *AppendTo("/none"));
  log.Append(60);
  ASSERT_TRUE(log->TrimBefore(40).ok());
  const SequenceNumber first = log->first_retained();
  ASSERT_GT(first, 20u);
  EXPECT_EQ(first, log->Backup("/trimmed")->first);
  EXPECT_EQ(first, Read("/trimmed").first);
  log.Close();
  ExpectSameContents(Read("/log"), Read("/trimmed"));

  log.Open();
  log.Append(1);
  const SequenceNumber last = log->last_durable();
  ASSERT_TRUE(log->TruncateAfter(log->first_retained() - 1).ok());
  ASSERT_TRUE(log->Backup("/empty").ok());
  EXPECT_EQ(log->first_retained(), *AppendTo("/empty"));
  EXPECT_GT(last, log->first_retained());
}

TEST_F(BackupTest, WhatWasTruncatedIsNotInTheCopyAndCursorsAreSetBack) {
  SmallLog log(&disk_);
  log.Append(30);
  log.Consume("ahead", 30);
  ASSERT_TRUE(log->TruncateAfter(10).ok());
  log.Append(2);
  const auto result = log->Backup("/copy");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(log->last_durable(), result->records);
  log.Close();
  ExpectSameContents(Read("/log"), Read("/copy"));
  EXPECT_EQ(10u, Read("/copy").cursors["ahead"]);
}

TEST_F(BackupTest, DamageIsNamedAndTheRestCopied) {
  SmallLog log(&disk_);
  log.Append(40);
  log.Consume("billing", 7);
  log.Close();
  Damage("record 14");
  Damage("record 31");
  disk_.WriteFileBytes("/log/broken.cursor", "not a checkpoint");
  log.Open();
  const auto result = log->Backup("/copy");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(2u, result->lost.size());
  EXPECT_EQ(2u, result->records_lost());
  EXPECT_EQ(std::vector<std::string>{"broken"}, result->cursors_left_out);
  BackupOptions strict;
  strict.damage = BackupOptions::Damage::kRefuse;
  const absl::Status refused = log->Backup("/strict", strict).status();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_TRUE(disk_.FileNames("/strict").empty());
  log.Close();
  ExpectSameContents(Read("/log"), Read("/copy"));
  EXPECT_EQ(Read("/log").next, *AppendTo("/copy"));
}

// Numbers that had been acknowledged are not given again by the copy either.
TEST_F(BackupTest, LossAtTheEndKeepsTheNextNumber) {
  SmallLog log(&disk_);
  log.Append(9);
  log.Close();
  Damage("record 9");
  const SequenceNumber next = Read("/log").next;
  LogReaderOptions options;
  options.file_system = &disk_;
  options.limit = LogReaderOptions::Limit::kReadable;
  const auto reader = LogReader::Open("/log", options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto result = (*reader)->Backup("/copy");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(1u, result->records_lost());
  ExpectSameContents(Read("/log"), Read("/copy"));
  EXPECT_EQ(next, *AppendTo("/copy"));
}

TEST_F(BackupTest, LogAndCopyMayStandOnDifferentFileSystems) {
  SimFileSystem other({.seed = 2});
  SmallLog log(&disk_);
  log.Append(20);
  BackupOptions options;
  options.file_system = &other;
  ASSERT_TRUE(log->Backup("/log", options).ok());
  log.Close();
  ExpectSameContents(Read("/log"), Read(other, "/log"));
}

// A file of one put into the other would else be taken for its own.
TEST_F(BackupTest, CopyIsALogOfItsOwn) {
  SmallLog log(&disk_);
  log.Append(5);
  ASSERT_TRUE(log->Backup("/copy").ok());
  log.Close();
  const std::string id = disk_.ReadFileBytes("/log/LOG")->substr(4096 + 24, 16);
  const std::string copy_id = disk_.ReadFileBytes("/copy/LOG")->substr(4096 + 24, 16);
  EXPECT_NE(id, copy_id);
}

TEST_F(BackupTest, TargetMustBeEmptyAndOutsideOfTheLog) {
  SmallLog log(&disk_);
  log.Append(5);
  const auto files = FilesOf(disk_, "/log");
  for (const char* target : {"/log", "/log/", "/log/sub", "/log/sub/deeper"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(log->Backup(target).status())) << target;
  }
  ASSERT_TRUE(log->Backup("/logs").ok());
  const absl::Status again = log->Backup("/logs").status();
  EXPECT_TRUE(absl::IsAlreadyExists(again)) << again;
  ExpectSameContents(Read("/log"), Read("/logs"));
  EXPECT_EQ(files, FilesOf(disk_, "/log"));
}

TEST_F(BackupTest, ProgressRisesToItsEndAndCanStopIt) {
  SmallLog log(&disk_);
  for (int i = 0; i < 3000; ++i) {
    AppendOptions weak;
    weak.durability = Durability::kBuffered;
    ASSERT_TRUE(log->Append("a record", weak).ok());
  }
  std::vector<BackupProgress> seen;
  BackupOptions options;
  options.progress = [&](const BackupProgress& progress) {
    seen.push_back(progress);
    return true;
  };
  ASSERT_TRUE(log->Backup("/copy", options).ok());
  ASSERT_GT(seen.size(), 10u);
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_LE(seen[i - 1].done_bytes, seen[i].done_bytes);
  EXPECT_LE(seen.back().done_bytes, seen.back().total_bytes);
  for (const size_t stop_at : {size_t{1}, seen.size() / 2, seen.size()}) {
    size_t calls = 0;
    options.progress = [&](const BackupProgress&) { return ++calls < stop_at; };
    EXPECT_TRUE(absl::IsCancelled(log->Backup("/stopped", options).status()));
    EXPECT_TRUE(disk_.FileNames("/stopped").empty());
  }
}

}  // namespace
}  // namespace millrace
