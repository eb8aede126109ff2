// Goal: a backup beside appends, trims and truncations is what the log was at one moment. Method:
// four appending threads, one that trims, backups meanwhile; each copy is checked for what holds
// of every prefix of the log. Truncations from the progress function, where they hurt most.

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/salvage/log_contents.h"

namespace millrace {
namespace {

constexpr int kThreads = 4;
constexpr int kBackups = 6;

// Of "TIME THREAD COUNT".
std::pair<int, int> ThreadAndCount(const std::string& text) {
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  int thread = 0;
  int count = 0;
  EXPECT_EQ(3u, words.size());
  EXPECT_TRUE(absl::SimpleAtoi(words[1], &thread) && absl::SimpleAtoi(words[2], &count)) << text;
  return {thread, count};
}

TEST(BackupLiveTest, CopyBesideAppendsAndTrimsIsADensePrefix) {
  SimFileSystem disk({.seed = 1});
  SmallLog log(&disk);
  ASSERT_TRUE(log->Append("0 0").ok());
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int thread = 1; thread <= kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      // relaxed: only ends the loop.
      for (int count = 1; !stop.load(std::memory_order_relaxed); ++count) {
        ASSERT_TRUE(log->Append(absl::StrCat(thread, " ", count)).ok());
      }
    });
  }
  threads.emplace_back([&] {
    // relaxed: only ends the loop.
    while (!stop.load(std::memory_order_relaxed)) {
      const SequenceNumber last = log->last_durable();
      EXPECT_TRUE(log->TrimBefore(last > 200 ? last - 200 : 1).ok());
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < kBackups; ++i) {
    const std::string copy = absl::StrCat("/copy", i);
    ASSERT_TRUE(log->WaitDurable((i + 1) * 300).ok());
    const SequenceNumber promised = log->last_durable();
    const auto result = log->Backup(copy);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_GE(result->last, promised);
    EXPECT_TRUE(result->lost.empty()) << result->lost[0].ToString();
    EXPECT_EQ(result->last - result->first + 1, result->records);
    const LogContents contents = ReadLog(disk, copy).value();
    EXPECT_EQ(result->records, contents.records.size());
    EXPECT_EQ(result->last + 1, contents.next);
    std::map<int, int> counts;
    for (const auto& [sequence, text] : contents.records) {
      const auto [thread, count] = ThreadAndCount(text);
      const auto [before, first] = counts.try_emplace(thread, count - 1);
      EXPECT_EQ(before->second + 1, count) << sequence;
      before->second = count;
    }
  }
  // relaxed: only ends the loops.
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads) thread.join();
  log.Close();
}

TEST(BackupLiveTest, WhatIsStillToBeCopiedIsNotTrimmedUnlessByForce) {
  SimFileSystem disk({.seed = 1});
  SmallLog log(&disk);
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(log->Append(absl::StrCat("0 ", i)).ok());
  BackupOptions options;
  SequenceNumber highest = 0;
  bool trimmed = false;
  options.progress = [&](const BackupProgress&) {
    EXPECT_TRUE(trimmed || log->TrimBefore(1900).ok());
    trimmed = true;
    highest = std::max(highest, log->first_retained());
    return true;
  };
  const auto kept = log->Backup("/kept", options);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(2000u, kept->records);
  EXPECT_LT(highest, 600u);
  // It was held back, and is no more.
  EXPECT_TRUE(log->TrimBefore(1000).ok());
  EXPECT_GT(log->first_retained(), 700u);

  bool forced = false;
  options.progress = [&](const BackupProgress&) {
    EXPECT_TRUE(forced || log->TrimBefore(1900, TrimMode::kForce).ok());
    forced = true;
    return true;
  };
  const SequenceNumber first = log->first_retained();
  const auto broken = log->Backup("/broken", options);
  ASSERT_TRUE(broken.ok()) << broken.status();
  EXPECT_EQ(2000 - first + 1, broken->records + broken->records_lost());
  for (const LostRange& lost : broken->lost) EXPECT_EQ(LossCause::kTrimmed, lost.cause);
}

TEST(BackupLiveTest, ATruncationMeanwhileMakesItBeginAnew) {
  SimFileSystem disk({.seed = 1});
  SmallLog log(&disk);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(log->Append(absl::StrCat("0 ", i)).ok());
  int truncations = 0;
  BackupOptions options;
  options.progress = [&](const BackupProgress&) {
    if (truncations == 3) return true;
    ++truncations;
    EXPECT_TRUE(log->TruncateAfter(log->last_durable() - 100).ok());
    EXPECT_TRUE(log->Append("0 new").ok());
    return true;
  };
  const auto result = log->Backup("/copy", options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(703u, result->records);
  log.Close();
  ExpectSameContents(ReadLog(disk, "/log").value(), ReadLog(disk, "/copy").value());

  log.Open();
  options.progress = [&](const BackupProgress&) {
    EXPECT_TRUE(log->Append("0 more").ok());
    EXPECT_TRUE(log->TruncateAfter(log->last_durable() - 1).ok());
    return true;
  };
  EXPECT_TRUE(absl::IsAborted(log->Backup("/never", options).status()));
  EXPECT_TRUE(disk.FileNames("/never").empty());
}

}  // namespace
}  // namespace millrace
