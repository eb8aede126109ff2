#ifndef MILLRACE_POWER_CUTS_H_
#define MILLRACE_POWER_CUTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "millrace/options.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash_oracle.h"
#include "tests/image_set.h"
#include "tests/under_sanitizer.h"

namespace millrace {

// Runs a workload on a simulated disk, draws crash images before each of its calls, has the
// shipping code recover from them, and lets the oracle judge what it finds.

inline constexpr uint64_t kBudgetDivisor = kUnderSanitizer ? 16 : 1;

using Workload = std::function<void(SimLog&)>;

struct CutPlan {
  uint64_t seed = 1;   // of the disk, and with it of the log's identity
  uint64_t draws = 0;  // of the images, beside the seed
  // Images at one call, at most. First those of a power cut in the middle: for each number of
  // pending units those before it kept, all but it, it alone. Then others, by chance.
  uint64_t budget = 64;
  // Ends a call at which so many images in a row had been seen before.
  uint64_t known_in_a_row = 64;
  // One image in so many is cut again at calls of its own recovery, and those again, `depth`
  // deep.
  uint64_t cut_recovery_every = 40;
  int depth = 1;
  // One image in so many is recovered, appended to, and cut again.
  uint64_t append_every = 8;
  // Below the first level of nesting one call in so many is a place to cut.
  uint64_t deep_calls_one_in = 8;
  // On disks that may harm what stands beside a write, that has to survive, too.
  bool spares_neighbours = false;
};

struct Outcome {
  uint64_t crash_points = 0;
  uint64_t images = 0;    // drawn
  uint64_t distinct = 0;  // of these, and of the nested ones, by hash, in this run
  uint64_t checks = 0;    // recoveries that were judged
  uint64_t nested = 0;    // of these, after a second or a later cut
  uint64_t deepest = 0;   // power cuts, one in the recovery from the other
  uint64_t acked = 0;     // acknowledged records that the checks looked for
  uint64_t violations = 0;
  uint64_t lost_acked = 0;  // of these, by clause: C1,
  uint64_t invented = 0;    // C3 and C5,
  uint64_t silent = 0;      // all others
  std::string first_violation;
  DamageCounts damage;

  Outcome& operator+=(const Outcome& other);
  // "RELIABILITY target=... seed=..." and so on, without a line's end.
  std::string Line(const std::string& target, uint64_t seed) const;
};

class PowerCuts {
 public:
  PowerCuts(const Options& options, uint64_t seed, uint64_t budget)
      : PowerCuts(options, CutPlan{.seed = seed, .budget = budget}) {}
  // `images`, if given, outlives it: what is in there does not count as distinct.
  PowerCuts(const Options& options, const CutPlan& plan, ImageSet* images = nullptr);

  // `pretend` names the calls that the disk answers with a lie.
  Outcome Run(const Workload& workload, SimOptions sim = {},
              std::function<bool(const FileCall&)> pretend = nullptr);
  // As Run, but draws only in `last`, which goes on where `workload` has ended: what there
  // was to see before is another run's.
  Outcome RunLast(const Workload& workload, const Workload& last, SimOptions sim = {});

 private:
  // Where an image was drawn, for the message of a violation.
  struct Place {
    const FileCall& call;
    ImageId id;
    const Place* outer;  // of the image whose recovery was cut
    const char* how;
  };

  void AllowHarm(const SimOptions& sim, CrashOracle* oracle) const;
  void DrawImages(const SimFileSystem& disk, const FileCall& call);
  // Returns whether the image, at this promise, is new.
  bool Show(const SimFileSystem& disk, const Place& place);
  void Judge(SimFileSystem& image, const CrashOracle& oracle, int depth, const Place& place);
  void CutRecovery(const SimFileSystem& image, const CrashOracle& oracle, int depth,
                   const FileCall& call, const Place& outer);
  void JudgeAppended(SimFileSystem& image, const CrashOracle::Recovered& shown, int depth,
                     const Place& place);
  void Count(const SimFileSystem& image);
  void Report(const std::string& wrong, const RecoveryReport& report, const Place& place);

  const Options options_;
  CutPlan plan_;
  CrashOracle oracle_;
  ImageSet own_images_;
  ImageSet* const images_;
  ImageSet checked_;  // with what was promised
  Outcome outcome_;
};

Options SmallSegments();
// MILLRACE_SEED, or a fixed one.
uint64_t Seed();

// Prints what was done, and demands that nothing was lost, and that enough was tried.
void ExpectNothingLost(const char* name, const Options& options, const Workload& workload,
                       uint64_t budget, SimOptions sim = {});

}  // namespace millrace

#endif  // MILLRACE_POWER_CUTS_H_
