#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_ORACLE_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_ORACLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "bench/compare/histogram.h"
#include "millrace/sequence.h"
#include "tools/quickstart_demo/workload.h"

namespace millrace {

// The steady clock, which all processes share.
int64_t SteadyNanoseconds();

// One sitting of all producers: before the kill, or after it.
struct SittingFigures {
  std::atomic<int64_t> started_ns = 0;  // SteadyNanoseconds(); 0: not yet
  int64_t ended_ns = 0;
  uint64_t acknowledged_before = 0;  // records that earlier sittings appended
  uint64_t syncs = 0;
};

// What one named consumer was given. Written by the consumer's thread alone.
struct Tally {
  uint64_t records = 0;
  uint64_t repeated = 0;            // given before and given again
  uint64_t repeated_too_early = 0;  // of these: at or below the last durable checkpoint
  uint64_t altered = 0;             // other bytes than were appended
  uint64_t invented = 0;            // never appended
  uint64_t renumbered = 0;          // under another number than its append returned
  uint64_t out_of_order = 0;        // not right after its producer's previous record
  uint64_t lost = 0;                // reported as lost by the log
  SequenceNumber committed = kNoSequence;
  SequenceNumber checkpointed = kNoSequence;
  SequenceNumber first_of_last_sitting = kNoSequence;
};

inline constexpr uint32_t kConsumers = 2;

// What the demonstration knows, in memory shared by all its processes and outside the log: it
// survives the SIGKILL of a writer, and tells afterwards what that had been promised.
class Oracle {
 public:
  // Maps a new file `path`.
  static absl::StatusOr<std::unique_ptr<Oracle>> Create(const std::string& path,
                                                        const Workload& workload);
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;
  ~Oracle();

  // By the producer's thread, before and after its append.
  void Issue(Workload::Tag tag);
  void Acknowledge(Workload::Tag tag, SequenceNumber sequence, uint64_t nanoseconds);
  // Records that are in the log and whose acknowledgement the kill kept from arriving.
  void Adopt(Workload::Tag tag, SequenceNumber sequence);

  uint64_t issued(uint32_t producer) const;
  uint64_t acknowledged(uint32_t producer) const;
  uint64_t total_issued() const;
  uint64_t total_acknowledged() const;
  // The number that the record got; kNoSequence if it was not acknowledged.
  SequenceNumber sequence_of(Workload::Tag tag) const;

  LatencyHistogram& latency(uint32_t producer);
  // How many of the producer's records, from its first on, the log held after the kill.
  uint64_t& recovered(uint32_t producer);
  SittingFigures& sitting(int which) { return header_->sittings[which]; }
  Tally& tally(uint32_t consumer) { return header_->tallies[consumer]; }
  // How often `consumer` was given the record, up to 255.
  uint8_t& deliveries(uint32_t consumer, Workload::Tag tag);

 private:
  struct alignas(64) Lane {
    std::atomic<uint64_t> issued;
    std::atomic<uint64_t> acknowledged;
    uint64_t recovered;
    LatencyHistogram latency;
  };
  struct Header {
    SittingFigures sittings[2];
    Tally tallies[kConsumers];
  };

  Oracle(char* memory, size_t bytes, const Workload& workload);
  size_t PlaceOf(Workload::Tag tag) const {
    return static_cast<size_t>(tag.producer * per_producer_ + tag.index);
  }

  char* const memory_;
  const size_t bytes_;
  const uint32_t producers_;
  const uint64_t per_producer_;
  Header* header_;
  Lane* lanes_;                             // one for each producer
  std::atomic<SequenceNumber>* sequences_;  // one for each record
  uint8_t* deliveries_;                     // one for each consumer and record
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_ORACLE_H_
