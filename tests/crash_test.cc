// Goal: after a power cut at any moment, everything acknowledged is there, what is
// lost is a suffix, and nothing is there that was not accepted.
// Method: each workload runs once on a simulated disk. Before every call that
// changes the disk, many of the states that a power cut could leave there are
// drawn; the shipping code recovers from each, and an oracle outside the log checks
// what it finds. Part of the images then take another append and another power cut.
// The same harness must fail when the disk lies about a sync.

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
#include "tests/crash_oracle.h"
#include "tests/sim_file_system.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

constexpr uint64_t kBudgetDivisor = kUnderSanitizer ? 16 : 1;

// One image in so many is recovered, appended to, and cut again.
constexpr uint64_t kNestedEvery = 8;

using Workload = std::function<void(SimLog&)>;

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
          if (!hashes_.insert(image.Hash() ^ (oracle_.acknowledged() * 0x9e3779b97f4a7c15))
                   .second) {
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
    std::optional<std::string> wrong = RecoverAll(image, options_, probe, &recovered);
    if (!wrong.has_value()) wrong = oracle_.Check(recovered);
    if (!wrong.has_value() && nested) wrong = JudgeAgain(image, recovered);
    if (!wrong.has_value()) return;
    if (outcome_.violations++ == 0) {
      outcome_.first_violation =
          absl::StrCat(*wrong, ", seed ", seed_, ", ", where, "\n", recovered.report.ToString());
    }
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

// --- Workloads ----------------------------------------------------------------

// Groups of one and of many, empty records, batches, several writes a sync, idle
// marks, a record larger than what is copied.
void SmallRecords(SimLog& log) {
  log.Open();
  for (int round = 0; round < 9; ++round) {
    log.Append(20 + 7 * round);
    log.Commit();
    for (int i = 0; i < round; ++i) log.Append(100 * i);
    log.Write();
    log.AppendBatch({10, 0, 700});
    log.Append(3);
    log.Commit();
    log.Append(40, Durability::kWritten);
    log.Write();
    if (round % 3 == 0) log.Commit();
    if (round % 3 == 0) log.IdleMark();
    if (round == 5) log.Append(9000);
  }
  log.Commit();
}

// Small segments, trimmed behind the writer, their files used again.
void RotationWithRecycling(SimLog& log) {
  log.Open();
  SequenceNumber trimmed = 1;
  for (int round = 0; round < 30; ++round) {
    log.Append(900 + 37 * round);
    log.Append(500);
    log.AppendBatch({300, 300});
    log.Commit();
    if (round % 5 == 4) {
      trimmed += 14;
      log.Trim(trimmed);
    }
    if (round % 11 == 10) log.IdleMark();
  }
  ASSERT_GT(log.core().counters().recycled_segments, 0u);
  log.Close();
}

// Closed in order, killed with and without unsynced records, opened and left empty.
void ReopenAndAppend(SimLog& log) {
  for (int round = 0; round < 7; ++round) {
    log.Open();
    log.Append(300);
    log.Append(200);
    log.Commit();
    log.Append(2500 + round, Durability::kWritten);
    log.Write();
    if (round % 2 == 0) {
      log.Append(100);
      log.Commit();
    }
    switch (round % 4) {
      case 0:
        log.Close();
        break;
      case 1:
        log.Kill();
        break;
      case 2:
        log.IdleMark();
        log.Kill();
        break;
      case 3:
        log.Close();
        log.Open();
        log.Close();
        break;
    }
  }
}

// Nothing asks for durability while several segments fill; then one sync.
void UnsyncedAcrossSegments(SimLog& log) {
  log.Open();
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 14; ++i) {
      log.Append(1200 + 10 * i, Durability::kWritten);
      if (i % 3 == 2) log.Write();
    }
    log.Commit();
  }
}

Options SmallSegments() {
  Options options;
  options.segment_bytes = 8192;
  options.initial_segment_bytes = 8192;
  return options;
}

Options GrowingSegments() {
  Options options;
  options.segment_bytes = 64 << 10;
  options.initial_segment_bytes = 8192;
  return options;
}

uint64_t Seed() {
  const char* given = std::getenv("MILLRACE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20261120;
}

void ExpectNothingLost(const char* name, const Options& options, const Workload& workload,
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

TEST(CrashTest, SmallRecordsLoseNothingAcknowledged) {
  ExpectNothingLost("small_records", GrowingSegments(), SmallRecords, 1600);
}

TEST(CrashTest, RotationWithRecyclingLosesNothingAcknowledged) {
  ExpectNothingLost("rotation_with_recycling", SmallSegments(), RotationWithRecycling, 1000);
}

TEST(CrashTest, ReopenAndAppendLosesNothingAcknowledged) {
  ExpectNothingLost("reopen_and_append", SmallSegments(), ReopenAndAppend, 1400);
}

TEST(CrashTest, UnsyncedAcrossSegmentsLosesNothingAcknowledged) {
  ExpectNothingLost("unsynced_across_segments", SmallSegments(), UnsyncedAcrossSegments, 500);
}

TEST(CrashTest, OrderedJournalAndLargeSectorsLoseNothingAcknowledged) {
  SimOptions sim;
  sim.sector_bytes = 4096;
  sim.entries = SimOptions::Entries::kPrefix;
  sim.new_entry = SimOptions::NewEntry::kSyncedWithFile;
  ExpectNothingLost("ordered_large_sectors", SmallSegments(), RotationWithRecycling, 200, sim);
}

// The harness must notice what it is there to notice.

TEST(CrashTest, NoticesASkippedDataSync) {
  const Outcome outcome =
      PowerCuts(GrowingSegments(), Seed(), 32).Run(SmallRecords, {}, [](const FileCall& call) {
        return call.op == FileOp::kSync && call.name.ends_with(".seg");
      });
  EXPECT_GT(outcome.violations, 0u);
}

TEST(CrashTest, NoticesASkippedDirectorySync) {
  const Outcome outcome = PowerCuts(SmallSegments(), Seed(), 32)
                              .Run(RotationWithRecycling, {}, [](const FileCall& call) {
                                return call.op == FileOp::kDirectorySync;
                              });
  EXPECT_GT(outcome.violations, 0u);
}

}  // namespace
}  // namespace millrace
