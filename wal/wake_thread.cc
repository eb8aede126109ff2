#include "wal/wake_thread.h"

#include "queue/atomics.h"
#include "wal/check.h"

namespace millrace {
namespace {

// The word on which the two threads wait holds a State.
template <class State>
constexpr uint32_t Word(State state) {
  return static_cast<uint32_t>(state);
}

}  // namespace

CompletionGates::Mask WakeThread::Finished::Tell() const {
  if (ticket == nullptr) return completion->Set(sequence);
  ticket->Finish(sequence);
  return 0;
}

bool WakeThread::EnsureStarted() {
  if (thread_.started()) return true;
  if (refused_) return false;
  refused_ = !thread_.Start("millrace-wake", [this] { Run(); }).ok();
  return !refused_;
}

bool WakeThread::Take(std::vector<Finished>* finished) {
  if (!EnsureStarted()) return false;
  // acquire: the thread is done with finished_; pairs with release in Run().
  if (state_.load(std::memory_order_acquire) != Word(State::kIdle)) return false;
  WAL_CHECK(finished_.empty());
  finished_.swap(*finished);
  // release: publishes finished_, and whatever the writer published before; pairs with acquire
  // in Run().
  state_.store(Word(State::kGiven), std::memory_order_release);
  StdAtomics::WakeOne(state_);
  return true;
}

void WakeThread::Stop() {
  if (!thread_.started()) return;
  while (true) {
    // acquire: as in Take().
    const uint32_t seen = state_.load(std::memory_order_acquire);
    if (seen == Word(State::kIdle)) break;
    StdAtomics::Wait(state_, seen, kNoDeadline);
  }
  // relaxed: nothing comes with it.
  state_.store(Word(State::kEnd), std::memory_order_relaxed);
  StdAtomics::WakeOne(state_);
  thread_.Join();
}

void WakeThread::Run() {
  while (true) {
    // acquire: shows finished_; pairs with release in Take().
    const uint32_t seen = state_.load(std::memory_order_acquire);
    if (seen == Word(State::kEnd)) return;
    if (seen == Word(State::kIdle)) {
      StdAtomics::Wait(state_, seen, kNoDeadline);
      continue;
    }
    CompletionGates::Mask gates = 0;
    for (const Finished& f : finished_) gates |= f.Tell();
    gates_->Open(gates);
    finished_.clear();
    // release: gives finished_ back; pairs with acquire in Take() and Stop().
    state_.store(Word(State::kIdle), std::memory_order_release);
    // Only Stop() ever waits for it.
    StdAtomics::WakeOne(state_);
  }
}

}  // namespace millrace
