#ifndef MILLRACE_CUT_ORACLE_H_
#define MILLRACE_CUT_ORACLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "millrace/sequence.h"
#include "tests/log_oracle.h"

namespace millrace {

inline constexpr uint32_t kCutProducers = 4;

// What was promised, and how many calls the disk had recorded then. It holds for every power cut
// after at least that many.
struct CutPromise {
  uint64_t number = 0;  // what it is about
  uint64_t position = 0;
};

// What the threads of a workload were told, outside of the log. Each field is written by one
// thread, and read when that has ended.
struct CutOracle {
  struct ProducerNotes {
    uint64_t issued = 0;  // noted before the append
    // By index: the number of a durable append, and when it was known.
    std::vector<CutPromise> acknowledged;
    // The records [0, number) were made durable by a flush.
    std::vector<CutPromise> flushed;
  };
  ProducerNotes producers[kCutProducers];

  // Noted before it was asked for: nothing below `number` need be there from `position` on.
  std::vector<CutPromise> trim_asked;
  // Of the cursor: noted before committing, and when the checkpoint was durable.
  std::vector<CutPromise> commit_asked;
  std::vector<CutPromise> checkpointed;

  // Forgets what was promised after the first `cut` calls, since it did not come to that, and keeps
  // the rest for good.
  void CutAt(uint64_t cut);
};

// What must hold of a disk that was cut after `cut` calls.
struct CutExpectation {
  std::vector<std::vector<SequenceNumber>> acknowledged;  // owns what `histories` refer to
  std::vector<ProducerHistory> histories;
  SequenceNumber highest_trim = 1;  // the log may begin here, and not later
  SequenceNumber lowest_checkpoint = kNoSequence;
  SequenceNumber highest_commit = kNoSequence;
};
CutExpectation ExpectationAt(const CutOracle& oracle, uint64_t cut);

}  // namespace millrace

#endif  // MILLRACE_CUT_ORACLE_H_
