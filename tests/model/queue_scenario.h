#ifndef MILLRACE_TESTS_MODEL_QUEUE_SCENARIO_H_
#define MILLRACE_TESTS_MODEL_QUEUE_SCENARIO_H_

// What the model tests of the queue share: the shipping CausalQueue over the model's atomics and
// the model's queue, with every order as shipped or with one of them weakened.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "queue/causal_queue.h"
#include "queue/credits.h"
#include "tests/model/explorer.h"
#include "tests/model/model_atomics.h"
#include "tests/model/model_backing.h"

namespace millrace::model {

using Queue = CausalQueue<uint32_t, ModelAtomics, ModelBacking>;
using Bodies = std::vector<std::function<void()>>;

inline constexpr Limits kSmall = {.records = 4, .bytes = 64, .per_producer = 8, .markers = 2};

// Sets an order for the length of a test.
class Weakened {
 public:
  Weakened(std::memory_order* order, std::memory_order weaker) : order_(order), kept_(*order) {
    *order = weaker;
  }
  ~Weakened() { *order_ = kept_; }

 private:
  std::memory_order* const order_;
  const std::memory_order kept_;
};

template <class Scenario>
void ExpectHolds() {
  Explorer explorer;
  Exploration result = explorer.Explore<Scenario>();
  EXPECT_EQ(result.violation, "");
  for (const std::string& step : result.trace) std::cout << step << "\n";
  EXPECT_TRUE(result.complete);
  std::cout << result.executions << " executions, " << result.states << " states\n";
}

template <class Scenario>
void ExpectBreaks(std::memory_order* order, std::memory_order weaker,
                  const std::string& violation) {
  Weakened weakened(order, weaker);
  Explorer explorer;
  Exploration result = explorer.Explore<Scenario>();
  EXPECT_EQ(result.violation, violation);
  std::cout << "found after " << result.executions << " executions\n";
}

inline void Require(bool condition, const char* what) {
  if (!condition) Explorer::Current().Fail(what);
}

// A queue and up to three producers; what was emitted is kept in order.
struct QueueScenario {
  explicit QueueScenario(const Limits& limits = kSmall) : queue(limits) {
    emitted.reserve(16);
    for (auto& producer : producers) producer = queue.MakeProducer();
  }

  void Enqueue(std::size_t producer, uint32_t item) {
    Require(queue.Enqueue(producers[producer], item), "enqueue failed");
  }

  std::size_t At(uint32_t item) const {
    return std::find(emitted.begin(), emitted.end(), item) - emitted.begin();
  }

  void RequireAllOnce(std::size_t items) {
    Require(emitted.size() == items, "lost or doubled");
    for (uint32_t item = 1; item <= items; ++item) {
      Require(std::count(emitted.begin(), emitted.end(), item) == 1, "lost or doubled");
    }
  }

  Queue queue;
  std::array<Queue::Producer, 3> producers;
  std::vector<uint32_t> emitted;
};

inline constexpr char kEffectBeforeCause[] = "effect before cause";
inline constexpr char kLostWakeUp[] = "all threads wait for ever";

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_QUEUE_SCENARIO_H_
