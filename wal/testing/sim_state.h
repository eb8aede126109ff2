#ifndef MILLRACE_WAL_TESTING_SIM_STATE_H_
#define MILLRACE_WAL_TESTING_SIM_STATE_H_

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
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
      : options(sim_options), random(sim_options.seed * 2 + 1) {}

  // What is to become of a call, apart from what the disk makes of it.
  struct Admission {
    IoResult error = 0;  // if negative, the result; the call has no effect
    bool pretend = false;
    bool lose_pages = false;  // a sync that fails with `lose_error`
    int lose_error = 0;
    uint64_t limit = ~uint64_t{0};  // bytes that a read or write may move
    bool last = false;              // the power goes after it,
    bool unheard = false;           // and its result does not arrive
  };

  struct ActiveRule {
    SimRule rule;
    uint64_t matches = 0;
    uint64_t hits = 0;
  };

  struct LoggedCall {
    FileCall call;  // its `name` is not used
    std::string name;
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
    const Admission admission = Admit(&call, caller_generation, verdict);
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
  void Record(const FileCall& call, IoResult result);
  // How many of `total` bytes at `offset` fit on the disk.
  uint64_t Room(const SimInode& inode, uint64_t offset, uint64_t total) const;

  std::mutex mutex;
  const SimOptions options;
  SimDisk disk;
  SimRandom random;  // what Random() hands out
  uint64_t boots = 0;
  bool powered = true;
  uint64_t generation = 1;  // of handles; those of an earlier one are dead
  uint64_t next_handle = 1;

  uint64_t mutating_calls = 0;
  std::array<uint64_t, kFileOps> calls = {};
  uint64_t crash_at = 0;  // 0: never
  CrashMoment crash_moment = CrashMoment::kBefore;
  std::vector<ActiveRule> rules;
  std::shared_ptr<const Hook> hook;
  std::optional<uint64_t> capacity;
  std::vector<LoggedCall> log;  // a ring
  size_t log_next = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_TESTING_SIM_STATE_H_
