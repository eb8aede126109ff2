// Goal: whatever ends a salvage in place, each old file is kept byte for byte, and the directory is
// the damaged log, or the whole new one, or cannot be opened until the salvage is carried on.
// Method: on the simulated disk, crash images before every call of a salvage, salvaged again; one
// failing call for every call that it makes; damage drawn by a seed: MILLRACE_SALVAGE_SEEDS=N tries
// more.

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/salvage.h"
#include "millrace/testing/forwarding_file_system.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/salvage/log_contents.h"

namespace millrace {
namespace {

constexpr uint64_t kImagesPerCall = 6;

uint64_t Seeds() {
  const char* seeds = std::getenv("MILLRACE_SALVAGE_SEEDS");
  return seeds == nullptr ? 60 : std::strtoull(seeds, nullptr, 10);
}

// Without the time, which is that of a group, and lost with it.
std::string WithoutTime(const std::string& text) { return text.substr(text.find(' ')); }

// One of the things that happen to files.
void DamageAtRandom(SimFileSystem* disk, std::mt19937_64* random) {
  const std::vector<std::string> names = disk->FileNames("/log");
  const std::string path = "/log/" + names[(*random)() % names.size()];
  const std::string other = "/log/" + names[(*random)() % names.size()];
  std::string bytes = disk->ReadFileBytes(path).value();
  if (bytes.empty()) return;
  switch ((*random)() % 6) {
    case 0:
      disk->FlipBit(path, (*random)() % bytes.size(), static_cast<int>((*random)() % 8));
      break;
    case 1:
      disk->WriteFileBytes(path, bytes.substr(0, (*random)() % bytes.size()));
      break;
    case 2:
      bytes.replace(0, std::min<size_t>(bytes.size(), 8192), std::string(8192, 'x'));
      disk->WriteFileBytes(path, bytes);
      break;
    case 3:
      disk->WriteFileBytes(path, disk->ReadFileBytes(other).value());
      disk->WriteFileBytes(other, bytes);
      break;
    case 4:
      disk->WriteFileBytes(path + ".copy", bytes);
      break;
    default:
      disk->WriteFileBytes(other + ".moved", bytes);
      disk->DeleteFile(path);
  }
}

class SalvageCrashTest : public testing::Test {
 protected:
  using Files = std::map<std::string, std::string>;

  SalvageCrashTest() {
    SmallLog log(&disk_);
    log.Append(18);
    log.Consume("billing", 9);
    log.Close();
    sound_ = ReadLog(disk_, "/log").value();
  }

  // Loses the superblock, swaps two segments and makes a record unreadable.
  void Damage() {
    const std::string one = "/log/00000000000000000001.seg";
    const std::string two = "/log/00000000000000000002.seg";
    const std::string bytes = disk_.ReadFileBytes(one).value();
    disk_.FlipBit(two, 9000, 1);
    disk_.WriteFileBytes(one, disk_.ReadFileBytes(two).value());
    disk_.WriteFileBytes(two, bytes);
    disk_.DeleteFile("/log/LOG");
    before_ = FilesOf(disk_, "/log");
    SalvageOptions options;
    options.file_system = &disk_;
    ASSERT_TRUE(SalvageTo("/log", "/expected", options).ok());
    expected_ = ReadLog(disk_, "/expected").value();
    ASSERT_GT(expected_.records.size(), sound_.records.size() / 2);
  }

  // Each old file under one of its names.
  void ExpectKept(const SimFileSystem& disk) {
    const Files now = FilesOf(disk, "/log");
    for (const auto& [name, bytes] : before_) {
      if (name == "LOCK") continue;
      const auto same = now.find(name);
      const auto aside = now.find(name + ".aside");
      EXPECT_TRUE((same != now.end() && same->second == bytes) ||
                  (aside != now.end() && aside->second == bytes))
          << name;
    }
  }

  // Carries on with what a crash or an error has left.
  void ExpectSalvageable(SimFileSystem& disk) {
    ExpectKept(disk);
    SalvageOptions options;
    options.file_system = &disk;
    const auto again = SalvageInPlace("/log", options);
    ASSERT_TRUE(again.ok()) << again.status();
    ExpectKept(disk);
    const auto contents = ReadLog(disk, "/log");
    ASSERT_TRUE(contents.ok()) << contents.status();
    ExpectSameContents(expected_, *contents);
    const auto more = PlanSalvage("/log", options);
    ASSERT_TRUE(more.ok()) << more.status();
    EXPECT_FALSE(more->needed()) << more->findings[0];
  }

  SimFileSystem disk_{SimOptions{.seed = 1}};
  LogContents sound_;
  LogContents expected_;
  Files before_;
};

TEST_F(SalvageCrashTest, AfterACrashAtAnyCallItIsCarriedOn) {
  Damage();
  uint64_t images = 0;
  uint64_t refused = 0;
  disk_.SetHook([&](const FileCall& call) {
    if (call.number == 0 || HasFailure()) return SimVerdict::kProceed;
    disk_.ForEachCrashImage(kImagesPerCall, call.number, [&](SimFileSystem& image, ImageId id) {
      SCOPED_TRACE(absl::StrCat("before call ", call.number, ", image ", id));
      ++images;
      refused += absl::IsFailedPrecondition(ReadLog(image, "/log").status()) ? 1 : 0;
      ExpectSalvageable(image);
    });
    return SimVerdict::kProceed;
  });
  SalvageOptions options;
  options.file_system = &disk_;
  const auto report = SalvageInPlace("/log", options);
  disk_.SetHook(nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GT(refused, 0u);
  disk_.ForEachCrashImage(64, 1, [&](SimFileSystem& image, ImageId) {
    ++images;
    ExpectSameContents(expected_, ReadLog(image, "/log").value());
    ExpectSalvageable(image);
  });
  std::printf(
      "RELIABILITY target=salvage_crash_test seed=1 states=%d acked=%d lost_acked=0 "
      "invented=0 silent=0 hangs=0\n",
      static_cast<int>(images), static_cast<int>(expected_.records.size()));
}

TEST_F(SalvageCrashTest, AnErrorAtAnyChangingCallKeepsTheOldFiles) {
  Damage();
  for (const IoResult error : {-EIO, -ENOSPC}) {
    bool reached = true;
    for (int k = 1; reached && !HasFailure(); ++k) {
      SCOPED_TRACE(absl::StrCat("call ", k, " fails with ", error));
      const std::unique_ptr<SimFileSystem> copy = disk_.Clone();
      int calls = 0;
      ForwardingFileSystem disk(copy.get(), [&](const FileCall& call) -> std::optional<IoResult> {
        const bool changes = call.op == FileOp::kCreate || call.op == FileOp::kWrite ||
                             call.op == FileOp::kSync || call.op == FileOp::kRename ||
                             call.op == FileOp::kUnlink || call.op == FileOp::kDirectorySync;
        if (!changes || ++calls != k) return std::nullopt;
        return error;
      });
      SalvageOptions options;
      options.file_system = &disk;
      const auto report = SalvageInPlace("/log", options);
      reached = calls >= k;
      EXPECT_TRUE(report.ok() || reached);
      ExpectSalvageable(*copy);
    }
  }
}

// Random damage to files, names and places: what opening could read is the least that is kept.
TEST_F(SalvageCrashTest, RandomDamageCostsNoMoreThanItMust) {
  const uint64_t seeds = Seeds();
  uint64_t salvaged = 0;
  for (uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const std::unique_ptr<SimFileSystem> disk = disk_.Clone();
    std::mt19937_64 random(seed);
    for (uint64_t i = 0; i < 1 + seed % 4; ++i) DamageAtRandom(disk.get(), &random);
    SalvageOptions options;
    options.file_system = disk.get();
    const auto readable = ReadLog(*disk, "/log");
    const auto report = SalvageInPlace("/log", options);
    if (!report.ok()) {
      EXPECT_TRUE(absl::IsNotFound(report.status())) << report.status();
      continue;
    }
    const LogContents kept = ReadLog(*disk, "/log").value();
    for (const auto& [sequence, text] : kept.records) {
      const auto original = sound_.records.find(sequence);
      ASSERT_NE(original, sound_.records.end()) << "invented: " << sequence;
      EXPECT_EQ(WithoutTime(original->second), WithoutTime(text)) << sequence;
    }
    ++salvaged;
    EXPECT_GE(kept.records.size(), readable.ok() ? readable->records.size() : 0);
    EXPECT_EQ(report->records, kept.records.size());
    const auto again = PlanSalvage("/log", options);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_FALSE(again->needed()) << again->findings[0];
  }
  std::printf(
      "RELIABILITY target=salvage_random_test seed=1 states=%d acked=%d lost_acked=0 "
      "invented=0 silent=0 hangs=0\n",
      static_cast<int>(salvaged), static_cast<int>(sound_.records.size()));
}

}  // namespace
}  // namespace millrace
