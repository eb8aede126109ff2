#include "tests/realfs/cut_oracle.h"

#include <algorithm>

namespace millrace {
namespace {

// The highest number promised within the first `cut` calls, at least `none`.
uint64_t Highest(const std::vector<CutPromise>& promises, uint64_t cut, uint64_t none) {
  uint64_t highest = none;
  for (const CutPromise& promise : promises) {
    if (promise.position <= cut) highest = std::max(highest, promise.number);
  }
  return highest;
}

void KeepUpTo(uint64_t cut, std::vector<CutPromise>* promises) {
  std::erase_if(*promises, [cut](const CutPromise& p) { return p.position > cut; });
  for (CutPromise& promise : *promises) promise.position = 0;
}

}  // namespace

void CutOracle::CutAt(uint64_t cut) {
  for (ProducerNotes& notes : producers) {
    for (CutPromise& promise : notes.acknowledged) {
      if (promise.position > cut) promise.number = kNoSequence;
      promise.position = 0;
    }
    notes.acknowledged.resize(notes.issued);
    KeepUpTo(cut, &notes.flushed);
  }
  for (auto* promises : {&trim_asked, &commit_asked, &checkpointed}) KeepUpTo(cut, promises);
}

CutExpectation ExpectationAt(const CutOracle& oracle, uint64_t cut) {
  CutExpectation expected;
  for (const CutOracle::ProducerNotes& notes : oracle.producers) {
    std::vector<SequenceNumber>& acknowledged = expected.acknowledged.emplace_back();
    for (const CutPromise& promise : notes.acknowledged) {
      acknowledged.push_back(promise.position <= cut ? promise.number : kNoSequence);
    }
  }
  for (uint32_t p = 0; p < kCutProducers; ++p) {
    const CutOracle::ProducerNotes& notes = oracle.producers[p];
    expected.histories.push_back(
        {notes.issued, Highest(notes.flushed, cut, 0), expected.acknowledged[p]});
  }
  expected.highest_trim = Highest(oracle.trim_asked, cut, 1);
  expected.lowest_checkpoint = Highest(oracle.checkpointed, cut, kNoSequence);
  expected.highest_commit = Highest(oracle.commit_asked, cut, kNoSequence);
  return expected;
}

}  // namespace millrace
