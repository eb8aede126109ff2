// Goal: what a log has acknowledged survives a power cut on the ext4 of this kernel, on which a
// subset of what was not flushed reached the disk; what is lost is a suffix, and nothing is
// invented. Method: producers, a cursor and a trimmer work on an ext4 whose disk records every
// write and flush (RamDisk). Afterwards disks are made as a power cut could have left them,
// mounted, read, opened, appended to and read again; what the threads were told, and when, stands
// outside of the log. The same must fail when the log's syncs do nothing. Takes root, /dev/fuse and
// loop devices, and says what is missing where it is skipped.
// `--seed=N` or MILLRACE_SEED repeats the choices, not the threads' timing; `--images=N` or
// MILLRACE_IMAGES goes on for longer.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "millrace/file_system.h"
#include "millrace/testing/forwarding_file_system.h"
#include "tests/realfs/make_ext4.h"
#include "tests/realfs/power_cuts_on_ext4.h"
#include "tests/realfs/private_mounts.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

constexpr uint64_t kImagesOfOneWorkload = 20;

uint64_t seed;
uint64_t images = 60;
absl::Status available;

// Stops when there are enough, or something is wrong.
absl::Status CutUntil(uint64_t enough, PowerCutsOnExt4* cuts) {
  absl::Status status;
  while (status.ok() && cuts->tally().images < enough && cuts->tally().first_problem.empty()) {
    status = cuts->Cut(kImagesOfOneWorkload);
  }
  return status;
}

void Print(const char* target, const CutTally& tally) {
  std::printf("%llu workloads, %llu images lack something, %llu records read, %llu failed mounts\n",
              static_cast<unsigned long long>(tally.workloads),
              static_cast<unsigned long long>(tally.images_short),
              static_cast<unsigned long long>(tally.records),
              static_cast<unsigned long long>(tally.failed_mounts));
  std::printf(
      "RELIABILITY target=%s seed=%llu states=%llu acked=%llu lost_acked=%llu "
      "invented=%llu silent=%llu hangs=0\n",
      target, static_cast<unsigned long long>(seed), static_cast<unsigned long long>(tally.images),
      static_cast<unsigned long long>(tally.acknowledged),
      static_cast<unsigned long long>(tally.lost_acknowledged),
      static_cast<unsigned long long>(tally.invented),
      static_cast<unsigned long long>(tally.silent));
}

TEST(PowerCutTest, LosesNothingAcknowledgedOnExt4) {
  if (!available.ok()) GTEST_SKIP() << available;
  const TempDirectory directory;
  const auto cuts = PowerCutsOnExt4::Make(directory.path(), PosixFileSystem(), seed);
  ASSERT_TRUE(cuts.ok()) << cuts.status();
  EXPECT_EQ(CutUntil(images, cuts->get()), absl::OkStatus());
  const CutTally& tally = (*cuts)->tally();
  EXPECT_EQ(tally.first_problem, "");
  EXPECT_EQ(tally.failed_mounts, 0u);
  // Without these the images would have proved less than they say.
  EXPECT_GT(tally.images_short * 5, tally.images);  // about half, by the moments that are drawn
  EXPECT_GT(tally.acknowledged, tally.images);
  EXPECT_GT(tally.workloads, 1u);
  Print("realfs_power_cut", tally);
}

TEST(PowerCutTest, NoticesSyncsThatDoNothing) {
  if (!available.ok()) GTEST_SKIP() << available;
  ForwardingFileSystem without_syncs(PosixFileSystem(), [](const FileCall& call) {
    return call.op == FileOp::kSync ? std::optional<IoResult>(0) : std::nullopt;
  });
  const TempDirectory directory;
  const auto cuts = PowerCutsOnExt4::Make(directory.path(), &without_syncs, seed);
  ASSERT_TRUE(cuts.ok()) << cuts.status();
  EXPECT_EQ(CutUntil(200, cuts->get()), absl::OkStatus());
  const CutTally& tally = (*cuts)->tally();
  EXPECT_GT(tally.lost_acknowledged, 0u);
  std::printf("without syncs: found after %llu images\n",
              static_cast<unsigned long long>(tally.images));
}

uint64_t NumberFrom(const char* text) { return std::strtoull(text, nullptr, 10); }

void ReadOptions(int argc, char** argv) {
  seed = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  if (const char* text = std::getenv("MILLRACE_SEED")) seed = NumberFrom(text);
  if (const char* text = std::getenv("MILLRACE_IMAGES")) images = NumberFrom(text);
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--seed=")) seed = NumberFrom(argv[i] + 7);
    if (word.starts_with("--images=")) images = NumberFrom(argv[i] + 9);
  }
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  millrace::ReadOptions(argc, argv);
  std::printf("seed %llu\n", static_cast<unsigned long long>(millrace::seed));
  millrace::available = millrace::PrepareRealFileSystems(millrace::kMakeExt4);
  return RUN_ALL_TESTS();
}
