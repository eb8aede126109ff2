#include "tests/power_cuts.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

// What a seed is mixed with gives images of its own.
uint64_t Mixed(uint64_t seed, uint64_t with) {
  const uint64_t mixed = (seed ^ with) * 0x9E3779B97F4A7C15;
  return mixed ^ (mixed >> 31);
}

}  // namespace

Outcome& Outcome::operator+=(const Outcome& other) {
  crash_points += other.crash_points;
  images += other.images;
  distinct += other.distinct;
  checks += other.checks;
  nested += other.nested;
  deepest = std::max(deepest, other.deepest);
  acked += other.acked;
  violations += other.violations;
  lost_acked += other.lost_acked;
  invented += other.invented;
  silent += other.silent;
  if (first_violation.empty()) first_violation = other.first_violation;
  damage += other.damage;
  return *this;
}

std::string Outcome::Line(const std::string& target, uint64_t seed) const {
  return absl::StrCat("RELIABILITY target=", target, " seed=", seed, " states=", distinct,
                      " acked=", acked, " lost_acked=", lost_acked, " invented=", invented,
                      " silent=", silent, " hangs=0 drawn=", images, " checks=", checks,
                      " nested=", nested, " crash_points=", crash_points);
}

PowerCuts::PowerCuts(const Options& options, const CutPlan& plan, ImageSet* images)
    : options_(options), plan_(plan), images_(images == nullptr ? &own_images_ : images) {
  plan_.budget = std::max<uint64_t>(4, plan.budget / kBudgetDivisor);
}

Outcome PowerCuts::Run(const Workload& workload, SimOptions sim,
                       std::function<bool(const FileCall&)> pretend) {
  sim.seed = plan_.seed;
  AllowHarm(sim, &oracle_);
  SimFileSystem disk(sim);
  SimLog log(disk, options_, oracle_);
  disk.SetHook([&](const FileCall& call) {
    if (call.number != 0) DrawImages(disk, call);
    return pretend != nullptr && pretend(call) ? SimVerdict::kPretend : SimVerdict::kProceed;
  });
  workload(log);
  disk.SetHook(nullptr);
  DrawImages(disk, FileCall{});
  return outcome_;
}

Outcome PowerCuts::RunLast(const Workload& workload, const Workload& last, SimOptions sim) {
  sim.seed = plan_.seed;
  SimFileSystem disk(sim);
  SimLog log(disk, options_, oracle_);
  workload(log);
  disk.SetHook([&](const FileCall& call) {
    if (call.number != 0) DrawImages(disk, call);
    return SimVerdict::kProceed;
  });
  last(log);
  disk.SetHook(nullptr);
  DrawImages(disk, FileCall{});
  return outcome_;
}

// On a disk that may harm what stands beside a write.
void PowerCuts::AllowHarm(const SimOptions& sim, CrashOracle* oracle) const {
  if (sim.powersafe_overwrite || plan_.spares_neighbours) return;
  oracle->AllowHarmBeside(sim.sector_bytes);
}

void PowerCuts::DrawImages(const SimFileSystem& disk, const FileCall& call) {
  ++outcome_.crash_points;
  uint64_t known = 0;
  uint64_t drawn = 0;
  // Returns false where it is time to stop.
  const auto show = [&](ImageId id) {
    known = Show(disk, Place{call, id, nullptr, "before"}) ? 0 : known + 1;
    return ++drawn < plan_.budget && known < plan_.known_in_a_row;
  };
  const uint64_t units = disk.PendingUnits();
  if (units == 0) {
    show(kSubsetImage);
    return;
  }
  if (units <= 10 && (uint64_t{1} << units) <= plan_.budget) {
    for (uint64_t mask = 0; mask < uint64_t{1} << units; ++mask) {
      if (!show(kSubsetImage | mask)) return;
    }
  } else {
    constexpr uint64_t kMaskBits = 62;
    const uint64_t bits = std::min(units, kMaskBits);
    const uint64_t all = (uint64_t{1} << bits) - 1;
    for (uint64_t i = 0; i <= bits && 2 * drawn <= plan_.budget; ++i) {
      const uint64_t one = i < bits ? uint64_t{1} << i : 0;
      if (!show(kSubsetImage | (i < bits ? one - 1 : all))) return;
      if (!show(kSubsetImage | (all & ~one)) || !show(kSubsetImage | one)) return;
    }
  }
  uint64_t id = Mixed(Mixed(plan_.seed, plan_.draws), outcome_.crash_points);
  do {
    id = Mixed(id, drawn);
  } while (show(id & ~kSubsetImage));
}

void PowerCuts::Count(const SimFileSystem& image) {
  if (images_->Insert(image.Hash())) ++outcome_.distinct;
}

bool PowerCuts::Show(const SimFileSystem& disk, const Place& place) {
  const std::unique_ptr<SimFileSystem> image = disk.CrashImage(place.id, &outcome_.damage);
  ++outcome_.images;
  Count(*image);
  // An image seen before at this promise has been checked before.
  if (!checked_.Insert(Mixed(image->Hash(), oracle_.Digest()))) return false;
  Judge(*image, oracle_, plan_.depth, place);
  return true;
}

void PowerCuts::Judge(SimFileSystem& image, const CrashOracle& oracle, int depth,
                      const Place& place) {
  const uint64_t check = ++outcome_.checks;
  outcome_.acked += oracle.acknowledged();
  const bool nested = depth != plan_.depth;
  if (nested) ++outcome_.nested;
  // By chance: the number goes on in steps that depend on what was done.
  const uint64_t chance = Mixed(plan_.seed, check);
  const bool cut_recovery = depth > 0 && (nested || chance % plan_.cut_recovery_every == 0);
  const bool append = !cut_recovery && (chance >> 24) % plan_.append_every == 0;
  if (cut_recovery) {
    image.SetHook([&](const FileCall& call) {
      if (call.number != 0) CutRecovery(image, oracle, depth - 1, call, place);
      return SimVerdict::kProceed;
    });
  }
  CrashOracle::Recovered recovered;
  std::optional<std::string> wrong = RecoverAll(image, options_, append ? "probe" : "", &recovered);
  image.SetHook(nullptr);
  if (!wrong.has_value()) wrong = oracle.Check(recovered);
  if (wrong.has_value()) return Report(*wrong, recovered.report, place);
  if (append) JudgeAppended(image, recovered, depth, place);
}

void PowerCuts::CutRecovery(const SimFileSystem& image, const CrashOracle& oracle, int depth,
                            const FileCall& call, const Place& outer) {
  const uint64_t level = static_cast<uint64_t>(plan_.depth - depth);
  const uint64_t chance = Mixed(plan_.seed + outcome_.checks, call.number);
  if (level > 1 && chance % plan_.deep_calls_one_in != 0) return;
  for (uint64_t i = 0; i < 2; ++i) {
    const ImageId id = Mixed(chance, i) & ~kSubsetImage;
    const std::unique_ptr<SimFileSystem> again = image.CrashImage(id, &outcome_.damage);
    Count(*again);
    outcome_.deepest = std::max(outcome_.deepest, level + 1);
    Judge(*again, oracle, depth, Place{call, id, &outer, "in the recovery before"});
    if (image.PendingUnits() == 0) return;
  }
}

// The first recovery showed its records to readers and acknowledged the probe: a second power
// cut must leave just that, and perhaps what was appended without a sync. Nothing that was cut
// may come back under the new records.
void PowerCuts::JudgeAppended(SimFileSystem& image, const CrashOracle::Recovered& shown, int depth,
                              const Place& place) {
  if (!shown.lost.empty()) return;
  CrashOracle promise;
  // Below the first record retained nothing is compared.
  for (SequenceNumber s = 1; s < shown.first; ++s) promise.Accepted(s, {""});
  for (const std::string& payload : shown.payloads) {
    promise.Accepted(promise.last() + 1, {payload});
  }
  promise.Accepted(promise.last() + 1, {"probe"});
  promise.Acknowledged(promise.last());
  promise.Accepted(promise.last() + 1, {UnsyncedProbe("probe")});
  promise.TrimRequested(shown.first);
  AllowHarm(image.Script().options, &promise);
  const FileCall none;
  for (uint64_t i = 0; i < 3; ++i) {
    const ImageId id = Mixed(plan_.seed + outcome_.checks, i) & ~kSubsetImage;
    const std::unique_ptr<SimFileSystem> again = image.CrashImage(id, &outcome_.damage);
    Count(*again);
    ++outcome_.checks;
    ++outcome_.nested;
    outcome_.acked += promise.acknowledged();
    outcome_.deepest = std::max(outcome_.deepest, static_cast<uint64_t>(plan_.depth - depth) + 2);
    CrashOracle::Recovered recovered;
    std::optional<std::string> wrong = RecoverAll(*again, options_, "", &recovered);
    if (!wrong.has_value()) wrong = promise.Check(recovered);
    if (wrong.has_value()) {
      Report(*wrong, recovered.report, Place{none, id, &place, "after an append, at"});
    }
  }
}

void PowerCuts::Report(const std::string& wrong, const RecoveryReport& report, const Place& place) {
  if (wrong.starts_with("C1:")) {
    ++outcome_.lost_acked;
  } else if (wrong.starts_with("C3:") || wrong.starts_with("C5:")) {
    ++outcome_.invented;
  } else {
    ++outcome_.silent;
  }
  if (outcome_.violations++ > 0) return;
  std::string where;
  for (const Place* at = &place; at != nullptr; at = at->outer) {
    where = absl::StrCat(at->how, " call ", at->call.number, " (",
                         std::string(FileOpName(at->call.op)), " ", std::string(at->call.name),
                         "), image ", at->id, where.empty() ? "" : "; ", where);
  }
  outcome_.first_violation =
      absl::StrCat(wrong, ", seed ", plan_.seed, ", ", where, "\n", report.ToString());
}

Options SmallSegments() {
  Options options;
  options.segment_bytes = 8192;
  options.initial_segment_bytes = 8192;
  return options;
}

uint64_t Seed() {
  const char* given = std::getenv("MILLRACE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20261120;
}

void ExpectNothingLost(const char* name, const Options& options, const Workload& workload,
                       uint64_t budget, SimOptions sim) {
  const Outcome outcome = PowerCuts(options, Seed(), budget).Run(workload, sim);
  std::printf("%s\n", outcome.Line(name, Seed()).c_str());
  EXPECT_EQ(outcome.violations, 0u) << outcome.first_violation;
  EXPECT_GT(outcome.distinct, 8 * budget / kBudgetDivisor);
  EXPECT_GT(outcome.damage.lost_write, 0u);
  EXPECT_GT(outcome.damage.torn_sector, 0u);
}

}  // namespace millrace
