#ifndef MILLRACE_KILL_TEST_ORACLE_H_
#define MILLRACE_KILL_TEST_ORACLE_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "millrace/sequence.h"
#include "tests/log_oracle.h"

namespace millrace {

inline constexpr uint32_t kKillProducers = 8;
// Of one producer over all generations; the file is sparse.
inline constexpr uint64_t kKillMaxRecords = uint64_t{1} << 21;

// What the killed process was in the middle of.
enum class KillWindow : uint8_t { kRecovery, kRotation, kCheckpoint };
inline constexpr size_t kKillWindows = 3;

enum class KillPhase : uint64_t { kStarting, kRecovering, kChecking, kAppending };

// One number that outlives its process. Written by the process that is killed, or
// by the one that plans its end; read by the other.
class KillNote {
 public:
  // release: whoever sees this note sees all that was noted before it; pairs with
  // the acquire in Read().
  void Write(uint64_t value) { word_.store(value, std::memory_order_release); }
  // acq_rel: as Write and Read, for notes with several writers.
  uint64_t Add(uint64_t n) { return word_.fetch_add(n, std::memory_order_acq_rel) + n; }
  uint64_t Read() const {
    // acquire: pairs with the release in Write() and Add().
    return word_.load(std::memory_order_acquire);
  }

 private:
  std::atomic<uint64_t> word_{0};
};

// What a producer does. `issued` is noted before a record is handed to the log,
// the rest after the log has answered.
struct alignas(64) KillProducerNotes {
  KillNote issued;
  KillNote returned;     // blocking calls, by the producer
  KillNote called_back;  // asynchronous ones, by the callback thread
  KillNote kept;         // see ProducerHistory
  SequenceNumber acknowledged[kKillMaxRecords];

  void Acknowledge(uint64_t index, SequenceNumber sequence) {
    // release: as in KillNote. Read when this process is gone, or by itself before
    // anyone appends.
    std::atomic_ref(acknowledged[index]).store(sequence, std::memory_order_release);
  }
};

// How the parent wants the child to be found.
struct KillAim {
  KillNote call;  // 0: nowhere; else to stop at this call inside of `window`,
  KillNote window;
  KillNote after;  // 0: before the call; 1: after it
};

// The memory that parent and child share: it is the oracle, so it is outside of the
// log, in a mapped file of its own, which SIGKILL does not touch.
struct KillOracle {
  KillNote phase;
  KillNote stopped;               // the child has come to where it was to stop
  KillNote inside[kKillWindows];  // threads of the child inside of each window
  KillNote calls[kKillWindows];   // of this generation, made inside of each window
  KillAim aim;

  // Of the cursor. Commits and trims are noted before they are asked for.
  KillNote commit_asked;
  KillNote checkpointed;
  KillNote trim_asked;
  KillNote delivered;

  // How much of the log's life there was, over all generations.
  KillNote recycled;
  KillNote trimmed;
  KillNote open_us;  // how long the last complete Log::Open took

  KillProducerNotes producers[kKillProducers];
};

// Maps the file at `path`, which is made if need be; aborts if that fails.
KillOracle* MapKillOracle(const std::string& path);

// What OracleCheck needs, in place: nobody may be appending.
std::vector<ProducerHistory> Histories(const KillOracle& oracle);

// Records that a producer has handed over and not heard of.
uint64_t AppendsInFlight(const KillOracle& oracle);

// The segments' size, and with it the largest payload, changes from generation to
// generation: 8, 16, 32, 64 KiB.
constexpr uint64_t KillSegmentBytes(uint32_t generation) {
  return uint64_t{8192} << generation % 4;
}

}  // namespace millrace

#endif  // MILLRACE_KILL_TEST_ORACLE_H_
