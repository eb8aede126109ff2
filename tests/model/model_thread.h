#ifndef MILLRACE_TESTS_MODEL_MODEL_THREAD_H_
#define MILLRACE_TESTS_MODEL_MODEL_THREAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/model/fiber.h"
#include "tests/model/weak_memory.h"

namespace millrace::model {

// One thread of a scenario.
struct Thread {
  using Predicate = std::function<bool(uint64_t)>;

  // kAwaiting: until a load can find what `done` asks for. kAsleep: until woken. kDozing: until
  // woken or its time is up. kPatient: until woken or nobody else can run.
  enum State { kReady, kAwaiting, kAsleep, kDozing, kPatient, kDone };

  bool sleeps() const { return state == kAsleep || state == kDozing || state == kPatient; }

  Fiber fiber;
  Knowledge know;
  State state = kReady;
  bool fresh = true;         // has done nothing yet
  std::size_t location = 0;  // that it waits for
  std::memory_order order = std::memory_order_relaxed;
  Predicate done;
  std::vector<std::size_t> choices;
  std::function<void()> body;
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_MODEL_THREAD_H_
