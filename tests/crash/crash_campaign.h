#ifndef MILLRACE_CRASH_CAMPAIGN_H_
#define MILLRACE_CRASH_CAMPAIGN_H_

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "tests/image_set.h"
#include "tests/power_cuts.h"

namespace millrace {

// Runs `round` once with the seed of MILLRACE_SEED; with MILLRACE_CRASH_MINUTES=n again and
// again with fresh seeds until so many minutes have passed, or something was lost. Ends with
// the line that sums it up.
inline Outcome RunCampaign(const std::string& target,
                           const std::function<Outcome(uint64_t seed, ImageSet& images)>& round) {
  using Clock = std::chrono::steady_clock;
  const char* minutes = std::getenv("MILLRACE_CRASH_MINUTES");
  const Clock::time_point begin = Clock::now();
  const std::chrono::duration<double> wanted(minutes == nullptr ? 0 : 60 * std::atof(minutes));
  ImageSet images;
  Outcome outcome;
  uint64_t seed = Seed();
  do {
    outcome += round(seed++, images);
  } while (outcome.violations == 0 && Clock::now() - begin < wanted);
  // Of one core, whatever else runs.
  const double seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  std::printf("%.0f distinct images a CPU second, %.0f checks\n",
              static_cast<double>(outcome.distinct) / seconds,
              static_cast<double>(outcome.checks) / seconds);
  std::printf("%s\n", outcome.Line(target, Seed()).c_str());
  EXPECT_EQ(outcome.violations, 0u) << outcome.first_violation;
  EXPECT_EQ(outcome.distinct, images.size());
  return outcome;
}

}  // namespace millrace

#endif  // MILLRACE_CRASH_CAMPAIGN_H_
