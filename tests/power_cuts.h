#ifndef MILLRACE_POWER_CUTS_H_
#define MILLRACE_POWER_CUTS_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash_oracle.h"
#include "tests/under_sanitizer.h"

namespace millrace {

inline constexpr uint64_t kBudgetDivisor = kUnderSanitizer ? 16 : 1;

// One image in so many is recovered, appended to, and cut again.
inline constexpr uint64_t kNestedEvery = 8;

using Workload = std::function<void(SimLog&)>;

// One in so many is cut at every call of its recovery.
inline constexpr uint64_t kCutRecoveryEvery = 40;

struct Outcome {
  uint64_t crash_points = 0;
  uint64_t images = 0;
  uint64_t distinct = 0;
  uint64_t nested = 0;
  uint64_t violations = 0;
  std::string first_violation;
  DamageCounts damage;
};

class PowerCuts {
 public:
  PowerCuts(const Options& options, uint64_t seed, uint64_t budget)
      : options_(options), seed_(seed), budget_(std::max<uint64_t>(4, budget / kBudgetDivisor)) {}

  // `pretend` names the calls that the disk answers with a lie.
  Outcome Run(const Workload& workload, SimOptions sim = {},
              std::function<bool(const FileCall&)> pretend = nullptr) {
    sim.seed = seed_;
    SimFileSystem disk(sim);
    SimLog log(disk, options_, oracle_);
    disk.SetHook([&](const FileCall& call) {
      if (call.number != 0) DrawImages(disk, call);
      return pretend != nullptr && pretend(call) ? SimVerdict::kPretend : SimVerdict::kProceed;
    });
    workload(log);
    disk.SetHook(nullptr);
    DrawImages(disk, FileCall{});
    outcome_.distinct = hashes_.size();
    return outcome_;
  }

 private:
  void DrawImages(const SimFileSystem& disk, const FileCall& call) {
    ++outcome_.crash_points;
    disk.ForEachCrashImage(
        budget_, seed_ + outcome_.crash_points,
        [&](SimFileSystem& image, ImageId id) {
          ++outcome_.images;
          // An image seen before at this promise has been checked before.
          if (!hashes_.insert(image.Hash() ^ (oracle_.promise() * 0x9e3779b97f4a7c15)).second) {
            return;
          }
          Judge(image,
                absl::StrCat("before call ", call.number, " (", std::string(FileOpName(call.op)),
                             " ", std::string(call.name), "), image ", id));
        },
        &outcome_.damage);
  }

  void Judge(SimFileSystem& image, const std::string& where) {
    const bool nested = hashes_.size() % kNestedEvery == 0;
    const std::string probe = nested ? "probe" : "";
    CrashOracle::Recovered recovered;
    // Another power cut during the recovery.
    std::optional<std::string> cut_recovery;
    if (hashes_.size() % kCutRecoveryEvery == 1) {
      image.SetHook([&](const FileCall& call) {
        if (call.number != 0) CutAgain(image, &cut_recovery);
        return SimVerdict::kProceed;
      });
    }
    std::optional<std::string> wrong = RecoverAll(image, options_, probe, &recovered);
    image.SetHook(nullptr);
    if (!wrong.has_value()) wrong = oracle_.Check(recovered);
    if (!wrong.has_value() && nested) wrong = JudgeAgain(image, recovered);
    if (!wrong.has_value() && cut_recovery.has_value()) wrong = *cut_recovery;
    if (!wrong.has_value()) return;
    if (outcome_.violations++ == 0) {
      outcome_.first_violation =
          absl::StrCat(*wrong, ", seed ", seed_, ", ", where, "\n", recovered.report.ToString());
    }
  }

  void CutAgain(const SimFileSystem& image, std::optional<std::string>* wrong) {
    image.ForEachCrashImage(2, seed_, [&](SimFileSystem& again, ImageId id) {
      ++outcome_.nested;
      CrashOracle::Recovered recovered;
      std::optional<std::string> bad = RecoverAll(again, options_, "", &recovered);
      if (!bad.has_value()) bad = oracle_.Check(recovered);
      if (bad.has_value()) *wrong = absl::StrCat("cut during recovery (", id, "): ", *bad);
    });
  }

  // The first recovery showed its records to readers and acknowledged the probe:
  // a second power cut must leave just that.
  std::optional<std::string> JudgeAgain(SimFileSystem& image, CrashOracle::Recovered& shown) {
    CrashOracle promise;
    // Below the first record retained nothing is compared.
    for (SequenceNumber s = 1; s < shown.first; ++s) promise.Accepted(s, {""});
    for (const std::string& payload : shown.payloads) {
      promise.Accepted(promise.last() + 1, {payload});
    }
    promise.Accepted(promise.last() + 1, {"probe"});
    promise.Acknowledged(promise.last());
    promise.TrimRequested(shown.first);
    std::optional<std::string> wrong;
    image.ForEachCrashImage(2, seed_, [&](SimFileSystem& again, ImageId id) {
      ++outcome_.nested;
      CrashOracle::Recovered recovered;
      std::optional<std::string> bad = RecoverAll(again, options_, "", &recovered);
      if (!bad.has_value()) bad = promise.Check(recovered);
      if (bad.has_value()) wrong = absl::StrCat("after a second cut (", id, "): ", *bad);
    });
    return wrong;
  }

  const Options options_;
  const uint64_t seed_;
  const uint64_t budget_;
  CrashOracle oracle_;
  std::unordered_set<uint64_t> hashes_;
  Outcome outcome_;
};

inline Options SmallSegments() {
  Options options;
  options.segment_bytes = 8192;
  options.initial_segment_bytes = 8192;
  return options;
}

inline uint64_t Seed() {
  const char* given = std::getenv("MILLRACE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20261120;
}

inline void ExpectNothingLost(const char* name, const Options& options, const Workload& workload,
                              uint64_t budget, SimOptions sim = {}) {
  const Outcome outcome = PowerCuts(options, Seed(), budget).Run(workload, sim);
  std::printf(
      "RELIABILITY target=%s seed=%llu states=%llu distinct=%llu nested=%llu crash_points=%llu "
      "violations=%llu\n  lost_write=%llu old_version=%llu torn=%llu garbage=%llu size_lost=%llu "
      "stale=%llu lost_create=%llu lost_rename=%llu lost_unlink=%llu\n",
      name, static_cast<unsigned long long>(Seed()),
      static_cast<unsigned long long>(outcome.images),
      static_cast<unsigned long long>(outcome.distinct),
      static_cast<unsigned long long>(outcome.nested),
      static_cast<unsigned long long>(outcome.crash_points),
      static_cast<unsigned long long>(outcome.violations),
      static_cast<unsigned long long>(outcome.damage.lost_write),
      static_cast<unsigned long long>(outcome.damage.old_version),
      static_cast<unsigned long long>(outcome.damage.torn_sector),
      static_cast<unsigned long long>(outcome.damage.garbage),
      static_cast<unsigned long long>(outcome.damage.size_lost),
      static_cast<unsigned long long>(outcome.damage.stale_hole),
      static_cast<unsigned long long>(outcome.damage.lost_create),
      static_cast<unsigned long long>(outcome.damage.lost_rename),
      static_cast<unsigned long long>(outcome.damage.lost_unlink));
  EXPECT_EQ(outcome.violations, 0u) << outcome.first_violation;
  EXPECT_GT(outcome.distinct, 8 * budget / kBudgetDivisor);
  EXPECT_GT(outcome.damage.lost_write, 0u);
  EXPECT_GT(outcome.damage.torn_sector, 0u);
}

}  // namespace millrace

#endif  // MILLRACE_POWER_CUTS_H_
