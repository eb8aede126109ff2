#ifndef MILLRACE_TESTS_MODEL_EXPLORER_H_
#define MILLRACE_TESTS_MODEL_EXPLORER_H_

// Explores every execution of a small concurrent scenario under weak_memory.h: every interleaving
// of the threads' operations, and for each operation every result that the memory orders permit.
//
// The search is depth first and stateless: an execution is a list of choices, and the next one
// replays all but the last of them. Before each scheduling choice the state is hashed (per thread,
// what it did and saw; per location, every message with its view; the global seq_cst view). What a
// thread does next depends on nothing else, so a state that was seen before is not explored again.
// This does what sleep sets do, and joins executions that differ only in the order of independent
// steps. The hash has 64 bits: among the ten million states of the largest test two differing ones
// meet with probability 3e-6.
//
// A scenario is a class:
//
//   struct Scenario {
//     Scenario();                                     // set-up: sees no choices
//     std::vector<std::function<void()>> Threads();   // each runs as a thread
//     void Finally();                                 // after all of them have ended
//   };
//
// Threads may share atomics (ModelAtomics) and Cells; their locals may own no memory.
//
// An operation on a location that only one thread uses, or that no thread writes, commutes with all
// that others do: nobody else need run before it. Which locations these are is learned on the way;
// when a guess proves wrong the search starts again without it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tests/model/choice_path.h"
#include "tests/model/location_uses.h"
#include "tests/model/model_thread.h"
#include "tests/model/weak_memory.h"

namespace millrace::model {

struct Exploration {
  bool complete = false;  // all executions were explored
  uint64_t executions = 0;
  uint64_t states = 0;
  std::string violation;           // empty: none
  std::vector<std::string> trace;  // the operations that led to it
};

class Explorer {
 public:
  using Bodies = std::vector<std::function<void()>>;
  using Predicate = Thread::Predicate;

  static Explorer& Current() { return *current_explorer_; }

  // Explores `Scenario` until the first violation, the end, or `most_executions`.
  template <class Scenario>
  Exploration Explore(uint64_t most_executions = 20'000'000) {
    current_explorer_ = this;
    result_ = Exploration();
    storage_.resize(sizeof(Scenario) + alignof(Scenario));
    uses_.Clear(storage_);
    Restart();
    do {
      Execute<Scenario>();
      ++result_.executions;
    } while (result_.violation.empty() && result_.executions < most_executions && Advance());
    result_.complete = result_.violation.empty() && path_.empty();
    result_.states = seen_.size();
    // A violation is shown once more, the same choices, with a record of each operation.
    tracing_ = !result_.violation.empty();
    if (tracing_) Execute<Scenario>();
    tracing_ = false;
    return std::move(result_);
  }

  // ---- For ModelAtomics and the scenario's threads. ----

  // Reports a violation and ends the execution.
  void Fail(const std::string& what) {
    if (result_.violation.empty()) result_.violation = what;
    if (self_ != kMain) Leave();
  }

  // True in set-up, Finally() and tear-down.
  bool InMain() const { return self_ == kMain; }

  // Makes the atomic at `address` a location.
  std::size_t Create(const void* address, uint64_t value) {
    if (memory_.full()) {
      Fail("the model has too few locations");
      return 0;
    }
    std::size_t location = memory_.Create(value);
    uses_.Create(location, address);
    return location;
  }

  uint64_t Load(std::size_t location, std::memory_order order) {
    ScheduleFor(location, Access::kRead);
    std::size_t oldest = memory_.Oldest(know(), location, order);
    if (self_ == kMain) oldest = memory_.last(location);
    std::size_t message = oldest + path_.Choose(memory_.last(location) - oldest + 1);
    return Pick(location, message, order, "load");
  }

  void Store(std::size_t location, uint64_t value, std::memory_order order) {
    ScheduleFor(location, Access::kWrite);
    memory_.Write(know(), location, value, order);
    Note("store", location, memory_.last(location), value);
  }

  // Replaces the last value v by `change(v)`; returns v.
  template <class Change>
  uint64_t Update(std::size_t location, std::memory_order order, Change change) {
    ScheduleFor(location, Access::kWrite);
    std::size_t message = memory_.last(location);
    uint64_t before = memory_.value(location, message);
    memory_.Update(know(), location, change(before), order);
    Note("update", location, message, change(before));
    return before;
  }

  // A failure is a load of any value but `expected`. Never fails without reason: the callers loop.
  bool CompareExchange(std::size_t location, uint64_t& expected, uint64_t desired,
                       std::memory_order success, std::memory_order failure) {
    ScheduleFor(location, Access::kWrite);
    std::size_t last = memory_.last(location);
    std::size_t oldest = memory_.Oldest(know(), location, failure);
    if (self_ == kMain) oldest = last;
    bool can_succeed = memory_.value(location, last) == expected;
    std::array<std::size_t, 64> failures;
    std::size_t count = 0;
    for (std::size_t i = oldest; i <= last && count < failures.size(); ++i) {
      if (memory_.value(location, i) != expected) failures[count++] = i;
    }
    std::size_t choice = path_.Choose(count + (can_succeed ? 1 : 0));
    if (choice == count) {
      memory_.Update(know(), location, desired, success);
      Note("exchange", location, last, desired);
      return true;
    }
    expected = Pick(location, failures[choice], failure, "fail to exchange");
    return false;
  }

  void Fence(std::memory_order order) {
    // Other fences touch nothing that another thread can see: when they run makes no difference.
    if (order == std::memory_order_seq_cst) Schedule();
    memory_.Fence(know(), order);
    Note("fence", 0, 0, static_cast<uint64_t>(order));
  }

  // A load that is repeated until `done(value)`: the thread blocks until it can end.
  uint64_t Await(std::size_t location, std::memory_order order, Predicate done) {
    if (self_ == kMain) return Load(location, order);
    uses_.Mark(location, self_, Access::kRead);
    Thread& thread = threads_[self_];
    thread.state = Thread::kAwaiting;
    thread.location = location;
    thread.order = order;
    thread.done = std::move(done);
    Schedule();
    thread.state = Thread::kReady;
    std::vector<std::size_t>& choices = thread.choices;
    choices.clear();
    for (std::size_t i = memory_.Oldest(know(), location, order); i <= memory_.last(location);
         ++i) {
      if (thread.done(memory_.value(location, i))) choices.push_back(i);
    }
    return Pick(location, choices[path_.Choose(choices.size())], order, "await");
  }

  // The futex calls. The kernel checks the word under a lock that wakers take too, so the check
  // sees what the last waker saw of the word; beyond that it is an ordinary, possibly stale,
  // relaxed load, and neither call orders any other location. Wake-ups without a reason are left
  // out: callers loop.
  //
  // `how`: kAsleep, kDozing or kPatient. A patient thread's time is up once nobody else can run,
  // and so much time has passed that it sees all that was stored.
  bool FutexWait(std::size_t location, uint64_t expected, Thread::State how) {
    if (self_ == kMain) {
      Fail("set-up sleeps");
      return false;
    }
    ScheduleFor(location, Access::kWrite);
    Thread& thread = threads_[self_];
    std::size_t oldest = std::max<std::size_t>(thread.know.current[location], wakers_[location]);
    std::size_t message = oldest + path_.Choose(memory_.last(location) - oldest + 1);
    memory_.Read(thread.know, location, message, std::memory_order_relaxed);
    if (memory_.value(location, message) != expected) {
      Note("find changed", location, message, expected);
      return true;
    }
    Note("sleep", location, message, expected);
    thread.state = how;
    thread.location = location;
    Dispatch();
    bool timed_out = thread.state == how;
    if (timed_out && how == Thread::kPatient) SeeAll(thread.know);
    thread.state = Thread::kReady;
    memory_.Read(thread.know, location,
                 std::max<std::size_t>(thread.know.current[location], wakers_[location]),
                 std::memory_order_relaxed);
    Note(timed_out ? "time out" : "wake up", location, timed_out ? 1 : 0, 0);
    return !timed_out;
  }

  enum class Sleepers { kOne, kAll };
  void FutexWake(std::size_t location, Sleepers how_many) {
    ScheduleFor(location, Access::kWrite);
    wakers_[location] = std::max(wakers_[location], know().current[location]);
    Note("wake", location, 0, 0);
    std::array<std::size_t, kMostThreads> asleep;
    std::size_t count = 0;
    for (std::size_t i = 1; i < thread_count_; ++i) {
      if (threads_[i].sleeps() && threads_[i].location == location) asleep[count++] = i;
    }
    if (how_many == Sleepers::kOne && count > 1) {
      std::swap(asleep[0], asleep[path_.Choose(count)]);
      count = 1;
    }
    for (std::size_t i = 0; i < count; ++i) threads_[asleep[i]].state = Thread::kReady;
  }

  // True if this thread's view holds the last message: what is unordered with it is a data race.
  bool KnowsLast(std::size_t location) {
    return self_ == kMain || know().current[location] == memory_.last(location);
  }

 private:
  static constexpr std::size_t kMain = 0;

  template <class Scenario>
  void Execute() {
    memory_.Clear();
    path_.Rewind();
    self_ = last_patient_ = kMain;
    threads_[kMain].know.Clear();
    wakers_.fill(0);
    result_.trace.clear();
    // Always at the same place, so that an atomic is known again by its offset.
    void* place = storage_.data();
    std::size_t space = storage_.size();
    auto* scenario = new (std::align(alignof(Scenario), sizeof(Scenario), place, space)) Scenario;
    Bodies bodies = scenario->Threads();
    thread_count_ = bodies.size() + 1;
    for (std::size_t i = 1; i < thread_count_; ++i) {
      Thread& thread = threads_[i];
      thread.know = threads_[kMain].know;
      thread.know.did = i;
      thread.state = Thread::kReady;
      thread.fresh = true;
      thread.body = std::move(bodies[i - 1]);
      thread.fiber.Start(&RunThread, this);
    }
    ended_ = false;
    Dispatch();
    self_ = kMain;
    if (ended_) {
      for (std::size_t i = 1; i < thread_count_; ++i) know().Join(threads_[i].know);
      scenario->Finally();
    }
    scenario->~Scenario();
  }

  static void RunThread(void* explorer) {
    auto* self = static_cast<Explorer*>(explorer);
    self->threads_[self->self_].body();
    self->threads_[self->self_].state = Thread::kDone;
    self->Dispatch();
  }

  Knowledge& know() { return threads_[self_].know; }

  void ScheduleFor(std::size_t location, Access access) {
    if (self_ != kMain && uses_.Mark(location, self_, access)) Schedule();
  }

  // Every operation of a thread begins here: others may run first. Not at the first: there the
  // thread has just been chosen, and nothing has happened since.
  void Schedule() {
    Thread& thread = threads_[self_];
    bool chosen = thread.fresh && thread.state == Thread::kReady;
    thread.fresh = false;
    if (self_ != kMain && !chosen) Dispatch();
  }

  // Chooses who runs next and returns when the caller is chosen again; in main, when all is over.
  void Dispatch() {
    if (path_.OnNewGround() && !tracing_ && !seen_.insert(Hash()).second) {
      Leave();
      return;
    }
    std::array<std::size_t, kMostThreads> ready;
    std::size_t count = 0;
    bool all_done = true;
    for (std::size_t i = 1; i < thread_count_; ++i) {
      all_done = all_done && threads_[i].state == Thread::kDone;
      if (CanRun(threads_[i])) ready[count++] = i;
    }
    for (std::size_t i = 1; i < thread_count_ && count == 0; ++i) {
      // Once: if it finds nothing then, it never will.
      if (threads_[i].state != Thread::kPatient || i == last_patient_) continue;
      last_patient_ = i;
      return Resume(i);
    }
    if (count == 0) {
      ended_ = all_done;
      if (!all_done && result_.violation.empty()) result_.violation = "all threads wait for ever";
      Leave();
      return;
    }
    const std::size_t next = ready[path_.Choose(count)];
    if (next != last_patient_) last_patient_ = kMain;
    Resume(next);
  }

  void SeeAll(Knowledge& know) {
    for (std::size_t i = 0; i < memory_.locations(); ++i) {
      memory_.Read(know, i, memory_.last(i), std::memory_order_relaxed);
    }
  }

  void Resume(std::size_t next) {
    std::size_t from = self_;
    if (next == from) return;
    self_ = next;
    threads_[from].fiber.SwitchTo(threads_[next].fiber);
  }

  // Ends the execution.
  void Leave() {
    if (self_ != kMain) Resume(kMain);
  }

  bool CanRun(const Thread& thread) const {
    if (thread.state == Thread::kReady || thread.state == Thread::kDozing) return true;
    if (thread.state != Thread::kAwaiting) return false;
    std::size_t oldest = memory_.Oldest(thread.know, thread.location, thread.order);
    for (std::size_t i = oldest; i <= memory_.last(thread.location); ++i) {
      if (thread.done(memory_.value(thread.location, i))) return true;
    }
    return false;
  }

  uint64_t Hash() const {
    uint64_t hash = memory_.Hash();
    for (std::size_t i = 1; i < thread_count_; ++i) {
      const Thread& thread = threads_[i];
      hash = Mix(Mix(hash, thread.know.did), thread.state);
      hash = thread.know.current.Hash(hash);
      hash = thread.know.acquired.Hash(hash);
      hash = thread.know.released.Hash(hash);
    }
    for (uint16_t waker : wakers_) hash = Mix(hash, waker);
    return Mix(hash, last_patient_);
  }

  void Restart() {
    seen_.clear();
    path_.Clear();
    uses_.GuessAgain();
  }

  // Prepares the next execution; returns false if there is none.
  bool Advance() {
    if (uses_.guessed_wrong()) {
      Restart();
      return true;
    }
    return path_.Advance();
  }

  uint64_t Pick(std::size_t location, std::size_t message, std::memory_order order,
                const char* what) {
    memory_.Read(know(), location, message, order);
    uint64_t value = memory_.value(location, message);
    Note(what, location, message, value);
    return value;
  }

  void Note(const char* what, std::size_t location, std::size_t message, uint64_t value) {
    uint64_t& did = know().did;
    did = Mix(Mix(Mix(did, static_cast<uint64_t>(what[0])), location), message);
    if (!tracing_) return;
    result_.trace.push_back("thread " + std::to_string(self_) + ": " + what + " location " +
                            std::to_string(location) + " message " + std::to_string(message) +
                            " value " + std::to_string(value));
  }

  static inline Explorer* current_explorer_ = nullptr;

  Memory memory_;
  std::array<Thread, kMostThreads> threads_;
  std::array<uint16_t, kMostLocations> wakers_{};  // the view of those who woke sleepers
  std::vector<char> storage_;                      // for the scenario
  LocationUses uses_;
  std::size_t thread_count_ = 1;
  std::size_t self_ = kMain;
  std::size_t last_patient_ = kMain;  // since when nobody else has run; kMain: somebody has
  bool ended_ = false;
  bool tracing_ = false;

  ChoicePath path_;
  std::unordered_set<uint64_t> seen_;
  Exploration result_;
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_EXPLORER_H_
