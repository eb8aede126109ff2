#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/flip_check.h"
#include "tests/flip_log.h"

// Goal: one flipped bit, wherever it is, changes nothing that a reader is given, or
// is reported as the loss of exactly the records that it stands in.
// Method: a small log of which every byte's meaning is known (tests/flip_log.h).
// Each bit of each of its files is flipped, and the log read from outside; a sample
// is also opened for writing, under each policy. What is expected follows from the
// meaning of the byte alone. Unoptimized builds take every seventh bit where there
// are only zeros without a meaning; sanitizers sample; the output says so.

namespace millrace {
namespace {

#if defined(__has_feature)
#define MILLRACE_HAS_FEATURE(x) __has_feature(x)
#else
#define MILLRACE_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    MILLRACE_HAS_FEATURE(address_sanitizer) || MILLRACE_HAS_FEATURE(thread_sanitizer)
constexpr uint64_t kFrameStride = 7;
constexpr uint64_t kZeroStride = 101;
constexpr uint64_t kOpenStride = 101;
#elif defined(__OPTIMIZE__)
constexpr uint64_t kFrameStride = 1;
constexpr uint64_t kZeroStride = 1;
constexpr uint64_t kOpenStride = 97;
#else
constexpr uint64_t kFrameStride = 1;
constexpr uint64_t kZeroStride = 7;  // where all bytes are zeros without a meaning
constexpr uint64_t kOpenStride = 97;
#endif

constexpr size_t kThreads = 2;
constexpr size_t kProblemsShown = 10;

bool IsZeroFill(FlipRegion region) {
  return region == FlipRegion::kPaddingBody || region == FlipRegion::kBlockSlack ||
         region == FlipRegion::kBeyondEnd || region == FlipRegion::kPreparedFill;
}

std::vector<Flip> AllFlips(const FlipLog& log) {
  std::vector<Flip> flips;
  for (const FlipFile& file : log.files) {
    for (const FlipRange& range : file.ranges) {
      const uint64_t stride = IsZeroFill(range.region) ? kZeroStride : kFrameStride;
      for (uint64_t bit = 8 * range.begin; bit < 8 * range.end; bit += stride) {
        flips.push_back({&file, &range, bit / 8, static_cast<int>(bit % 8)});
      }
    }
  }
  return flips;
}

// What one thread found.
struct Findings {
  std::array<uint64_t, kFlipRegions> flips = {};
  uint64_t opened = 0;
  uint64_t wrong = 0;
  std::vector<std::string> problems;

  void Note(std::string problem) {
    if (problem.empty()) return;
    ++wrong;
    if (problems.size() < kProblemsShown) problems.push_back(std::move(problem));
  }
};

void TryFlips(const FlipLog& log, const std::vector<Flip>& flips, size_t part, Findings* found) {
  const std::unique_ptr<SimFileSystem> disk = log.disk->Clone();
  for (size_t i = part; i < flips.size(); i += kThreads) {
    const Flip& flip = flips[i];
    disk->FlipBit(flip.file->path, flip.offset, flip.bit);
    found->Note(ReadFlipped(log, flip, *disk));
    ++found->flips[static_cast<size_t>(flip.range->region)];
    if (i % kOpenStride == 0) {
      found->Note(OpenFlippedStrictly(flip, *disk->Clone()));
      found->Note(SalvageFlipped(log, flip, *disk->Clone()));
      found->Note(StopAtFlipped(log, flip, *disk->Clone()));
      ++found->opened;
    }
    disk->FlipBit(flip.file->path, flip.offset, flip.bit);
  }
  if (disk->Hash() != log.disk->Hash()) found->Note("reading from outside changed something");
}

class BitFlipTest : public ::testing::TestWithParam<FlipEnding> {};

TEST_P(BitFlipTest, IsIrrelevantOrNamesExactlyTheRecordsItStandsIn) {
  const FlipLog log = BuildFlipLog(GetParam());
  const std::vector<Flip> flips = AllFlips(log);
  std::array<Findings, kThreads> parts;
  std::vector<std::thread> threads;
  for (size_t part = 0; part < kThreads; ++part) {
    threads.emplace_back([&, part] { TryFlips(log, flips, part, &parts[part]); });
  }
  for (std::thread& thread : threads) thread.join();

  uint64_t wrong = 0;
  uint64_t irrelevant = 0;
  for (size_t region = 0; region < kFlipRegions; ++region) {
    const uint64_t count = parts[0].flips[region] + parts[1].flips[region];
    const auto name = std::string(FlipRegionName(static_cast<FlipRegion>(region)));
    std::printf("%8llu flips, %s: %s\n", static_cast<unsigned long long>(count), name.c_str(),
                region == 0 ? "lost, and reported" : "irrelevant");
    if (region != 0) irrelevant += count;
  }
  for (const Findings& part : parts) {
    wrong += part.wrong;
    for (const std::string& problem : part.problems) ADD_FAILURE() << problem;
  }
  std::printf(
      "RELIABILITY target=bit_flip_test ending=%s flips=%llu reported=%llu irrelevant=%llu "
      "opened=%llu stride=%llu zero_stride=%llu silent=%llu\n",
      GetParam() == FlipEnding::kClosed ? "closed" : "crashed",
      static_cast<unsigned long long>(flips.size()),
      static_cast<unsigned long long>(flips.size() - irrelevant),
      static_cast<unsigned long long>(irrelevant),
      static_cast<unsigned long long>(parts[0].opened + parts[1].opened),
      static_cast<unsigned long long>(kFrameStride), static_cast<unsigned long long>(kZeroStride),
      static_cast<unsigned long long>(wrong));
  EXPECT_EQ(wrong, 0u);
}

// The log under test has what the flips are to hit.
TEST_P(BitFlipTest, HasEveryKindOfByteInThreeSegments) {
  const FlipLog log = BuildFlipLog(GetParam());
  std::array<uint64_t, kFlipRegions> bytes = {};
  uint64_t segments = 0;
  uint64_t batches = 0;
  for (const FlipFile& file : log.files) {
    bool holds_records = false;
    for (const FlipRange& range : file.ranges) {
      bytes[static_cast<size_t>(range.region)] += range.end - range.begin;
      if (range.region == FlipRegion::kRecords) holds_records = true;
      if (range.last > range.first) ++batches;
    }
    if (holds_records) ++segments;
  }
  EXPECT_EQ(segments, 3u);
  EXPECT_GE(batches, 4u);
  for (size_t region = 0; region < kFlipRegions; ++region) {
    const auto kind = static_cast<FlipRegion>(region);
    const bool closed_only = kind == FlipRegion::kFooter;
    const bool crashed_only = kind == FlipRegion::kPreparedFill;
    const bool absent = GetParam() == FlipEnding::kClosed ? crashed_only : closed_only;
    EXPECT_EQ(bytes[region] == 0, absent) << FlipRegionName(kind);
  }
}

// The reader is trusted with an undamaged log, and not otherwise.
TEST_P(BitFlipTest, IsToldFromNoFlipAndFromAnotherOne) {
  const FlipLog log = BuildFlipLog(GetParam());
  const FlipRange nowhere;
  const Flip none = {.file = &log.files.front(), .range = &nowhere};
  EXPECT_EQ(ReadFlipped(log, none, *log.disk), "");
  EXPECT_EQ(OpenFlippedStrictly(none, *log.disk->Clone()), "");
  EXPECT_EQ(SalvageFlipped(log, none, *log.disk->Clone()), "");
  EXPECT_EQ(StopAtFlipped(log, none, *log.disk->Clone()), "");

  const std::vector<Flip> flips = AllFlips(log);
  const auto flip =
      std::find_if(flips.begin(), flips.end(), [](const Flip& f) { return f.LosesRecords(); });
  ASSERT_NE(flip, flips.end());
  // A loss that is due and not there; one that is there and not due; one elsewhere.
  EXPECT_NE(ReadFlipped(log, *flip, *log.disk), "");
  EXPECT_NE(OpenFlippedStrictly(*flip, *log.disk->Clone()), "");
  EXPECT_NE(SalvageFlipped(log, *flip, *log.disk->Clone()), "");
  EXPECT_NE(StopAtFlipped(log, *flip, *log.disk->Clone()), "");
  log.disk->FlipBit(flip->file->path, flip->offset, flip->bit);
  EXPECT_EQ(ReadFlipped(log, *flip, *log.disk), "");
  EXPECT_NE(ReadFlipped(log, none, *log.disk), "");
  EXPECT_NE(ReadFlipped(log, flips.back(), *log.disk), "");
  const auto other = std::find_if(flip, flips.end(), [&](const Flip& f) {
    return f.LosesRecords() && f.range->first != flip->range->first;
  });
  ASSERT_NE(other, flips.end());
  EXPECT_NE(ReadFlipped(log, *other, *log.disk), "");
}

INSTANTIATE_TEST_SUITE_P(, BitFlipTest,
                         ::testing::Values(FlipEnding::kClosed, FlipEnding::kCrashed),
                         [](const auto& instance) {
                           return instance.param == FlipEnding::kClosed ? "Closed" : "Crashed";
                         });

}  // namespace
}  // namespace millrace
