#ifndef MILLRACE_WAL_TESTING_SIM_STATE_H_
#define MILLRACE_WAL_TESTING_SIM_STATE_H_

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "millrace/testing/sim_file_system.h"
#include "wal/testing/sim_disk.h"

namespace millrace {

// What all calls of one SimFileSystem share: the disk, the power switch, the
// rules, and the count and log of calls.
struct SimFileSystem::State {
  explicit State(const SimOptions& sim_options)
      : options(sim_options),
        random(sim_options.seed * 2 + 1),
        rule_random(sim_options.seed ^ 0xD1CE) {}

  // What is to become of a call, apart from what the disk makes of it.
  struct Admission {
    IoResult error = 0;  // if negative, the result; the call has no effect
    bool pretend = false;
    bool lose_pages = false;  // a sync that fails with `lose_error`
    int lose_error = 0;
    uint64_t limit = ~uint64_t{0};  // bytes that a read or write may move
    uint64_t end = ~uint64_t{0};    // no byte of the file from here on may be written:
    int end_error = 0;
    uint32_t corrupt_bits = 0;
    uint64_t delay = 0;
    bool delayed = false;
    bool last = false;     // the power goes after it,
    bool unheard = false;  // and its result does not arrive
  };

  struct ActiveRule {
    SimRule rule;
    uint64_t matches = 0;
    uint64_t hits = 0;
  };

  struct LoggedCall {
    FileCall call;  // its `name` is not used
    // The end of it; in place, as every image logs the calls of a recovery.
    std::array<char, 40> name = {};
    IoResult result = 0;
  };

  // Runs one call: hook, power, rules, then `body` for its effect on the disk.
  template <typename Body>
  IoResult Run(FileCall call, uint64_t caller_generation, Body body) {
    std::unique_lock<std::mutex> lock(mutex);
    SimVerdict verdict = SimVerdict::kProceed;
    if (hook != nullptr && powered && caller_generation == generation) {
      const std::shared_ptr<const Hook> kept = hook;
      if (Mutates(call.op)) call.number = mutating_calls + 1;
      lock.unlock();
      verdict = (*kept)(call);
      lock.lock();
    }
    Admission admission = Admit(&call, caller_generation, verdict);
    if (admission.delayed && delay != nullptr) {
      const std::shared_ptr<const Delay> kept = delay;
      lock.unlock();
      (*kept)(call, admission.delay);
      lock.lock();
      if (!powered || caller_generation != generation) admission.error = -EIO;
    }
    IoResult result = admission.error;
    if (result == 0) {
      result = admission.pretend ? static_cast<IoResult>(call.op == FileOp::kWrite ? call.bytes : 0)
                                 : body(call, admission);
    }
    if (admission.last) powered = false;
    if (admission.unheard) result = -EIO;
    Record(call, result);
    return result;
  }

  static bool Mutates(FileOp op);
  Admission Admit(FileCall* call, uint64_t caller_generation, SimVerdict verdict);
  void ApplyRules(const FileCall& call, Admission* admission);
  // Whether `active` is to act on a call that matches it.
  bool IsDue(ActiveRule* active);
  void Act(const SimRule& rule, Admission* admission);
  void Crash(CrashMoment moment, Admission* admission);
  void Record(const FileCall& call, IoResult result);
  // How many of `total` bytes at `offset` may be written; where none of several, the error.
  IoResult Room(const SimInode& inode, uint64_t offset, uint64_t total, const Admission& admission);
  void CorruptRead(uint32_t bits, std::span<char> bytes);

  std::mutex mutex;
  const SimOptions options;
  SimDisk disk;
  SimRandom random;  // what Random() hands out
  SimRandom rule_random;
  uint64_t boots = 0;
  bool powered = true;
  bool read_only = false;   // since the journal was aborted
  uint64_t generation = 1;  // of handles; those of an earlier one are dead
  uint64_t next_handle = 1;

  uint64_t mutating_calls = 0;
  std::array<uint64_t, kFileOps> calls = {};
  uint64_t crash_at = 0;  // 0: never
  CrashMoment crash_moment = CrashMoment::kBefore;
  std::vector<ActiveRule> rules;
  FaultCounts faults;
  std::shared_ptr<const Hook> hook;
  std::shared_ptr<const Delay> delay;
  std::optional<uint64_t> capacity;
  std::vector<LoggedCall> log;  // a ring
  size_t log_next = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_TESTING_SIM_STATE_H_
