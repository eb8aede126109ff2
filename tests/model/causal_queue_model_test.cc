// Goal: show that the shipping CausalQueue keeps its promises under weak memory, and that each
// memory order it names is needed. Method: the explorer walks every execution of a few threads over
// the shipping template, with the weakest queue underneath that keeps the contract of
// queue/backing.h. Then each named order is weakened on purpose, one at a time, and the explorer
// must find what breaks.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "queue/causal_queue.h"
#include "queue/credits.h"
#include "queue/slot_pool.h"
#include "tests/model/explorer.h"
#include "tests/model/model_atomics.h"
#include "tests/model/model_backing.h"

namespace millrace::model {
namespace {

using Queue = CausalQueue<uint32_t, ModelAtomics, ModelBacking>;
using Bodies = std::vector<std::function<void()>>;

constexpr Limits kSmall = {.records = 4, .bytes = 64, .per_producer = 8, .markers = 2};

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

void Require(bool condition, const char* what) {
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

// M3: y is enqueued by one who saw that the enqueue of x had returned. A third producer is needed:
// its element z may lift the bound above y's stamp while x and y are both unseen.
template <int kConcurrentDrains>
struct Causality : QueueScenario {
  Bodies Threads() {
    return {[this] {
              Enqueue(0, 1);
              baton.store(1, std::memory_order_release);
            },
            [this] {
              baton.Await(1, std::memory_order_acquire);
              Enqueue(1, 2);
            },
            [this] { Enqueue(2, 3); },
            [this] {
              for (int i = 0; i < kConcurrentDrains; ++i) queue.Drain(&emitted);
            }};
  }
  void Finally() {
    queue.Drain(&emitted);
    queue.Drain(&emitted);
    RequireAllOnce(3);
    Require(At(1) < At(2), "effect before cause");
  }
  ModelAtomic<uint32_t> baton{0};
};

constexpr char kEffectBeforeCause[] = "effect before cause";
constexpr char kLostWakeUp[] = "all threads wait for ever";

TEST(CausalQueueModelTest, EmitsCauseBeforeEffectWithOneDrainUnderWay) {
  ExpectHolds<Causality<1>>();
}

TEST(CausalQueueModelTest, EmitsCauseBeforeEffectWithTwoDrainsUnderWay) {
  ExpectHolds<Causality<2>>();
}

TEST(CausalQueueModelTest, AStampThatDoesNotReleaseBreaksCausality) {
  ExpectBreaks<Causality<1>>(&ModelOrders::kStamp, std::memory_order_acquire, kEffectBeforeCause);
}

TEST(CausalQueueModelTest, AStampThatDoesNotAcquireBreaksCausality) {
  ExpectBreaks<Causality<1>>(&ModelOrders::kStamp, std::memory_order_release, kEffectBeforeCause);
}

TEST(CausalQueueModelTest, ARelaxedStampBreaksCausality) {
  ExpectBreaks<Causality<1>>(&ModelOrders::kStamp, std::memory_order_relaxed, kEffectBeforeCause);
}

// Elements of one producer keep their order, and causality holds through a chain of two producers
// that pass the baton back.
struct ThereAndBack : QueueScenario {
  Bodies Threads() {
    return {[this] {
              Enqueue(0, 1);
              baton.store(1, std::memory_order_release);
              baton.Await(2, std::memory_order_acquire);
              Enqueue(0, 3);
            },
            [this] {
              baton.Await(1, std::memory_order_acquire);
              Enqueue(1, 2);
              baton.store(2, std::memory_order_release);
            },
            [this] {
              queue.Drain(&emitted);
              queue.Drain(&emitted);
            }};
  }
  void Finally() {
    queue.Drain(&emitted);
    queue.Drain(&emitted);
    Require(emitted == std::vector<uint32_t>({1, 2, 3}), kEffectBeforeCause);
  }
  ModelAtomic<uint32_t> baton{0};
};

TEST(CausalQueueModelTest, KeepsTheOrderOfABatonPassedThereAndBack) { ExpectHolds<ThereAndBack>(); }

// M1: the consumer sleeps whenever it finds nothing; it must end with every element.
template <std::size_t kProducers>
struct SleepAndWake : QueueScenario {
  Bodies Threads() {
    Bodies bodies = {[this] {
      while (emitted.size() < kProducers) {
        Require(queue.WaitForWork(kNoDeadline), "woken by no deadline");
        queue.Drain(&emitted);
      }
    }};
    for (std::size_t i = 0; i < kProducers; ++i) {
      bodies.push_back([this, i] { Enqueue(i, static_cast<uint32_t>(i + 1)); });
    }
    return bodies;
  }
  void Finally() { RequireAllOnce(kProducers); }
};

TEST(CausalQueueModelTest, LosesNoWakeUpOfOneProducer) { ExpectHolds<SleepAndWake<1>>(); }

TEST(CausalQueueModelTest, LosesNoWakeUpOfTwoProducers) { ExpectHolds<SleepAndWake<2>>(); }

TEST(CausalQueueModelTest, AWeakerProducerFenceLosesAWakeUp) {
  ExpectBreaks<SleepAndWake<1>>(&ModelOrders::kProducerFence, std::memory_order_acq_rel,
                                kLostWakeUp);
}

TEST(CausalQueueModelTest, AWeakerConsumerFenceLosesAWakeUp) {
  ExpectBreaks<SleepAndWake<1>>(&ModelOrders::kConsumerFence, std::memory_order_acq_rel,
                                kLostWakeUp);
}

// News that is not an element: the consumer looks at `news`, and sleeps while there is none.
struct WakeForNews : QueueScenario {
  Bodies Threads() {
    return {[this] {
              while (news.load(std::memory_order_relaxed) == 0) queue.WaitForWork(kNoDeadline);
            },
            [this] {
              news.store(1, std::memory_order_relaxed);
              queue.WakeConsumer();
            },
            [this] { queue.WakeConsumer(); }};
  }
  void Finally() {}
  ModelAtomic<uint32_t> news{0};
};

TEST(CausalQueueModelTest, AWokenConsumerSeesTheNews) { ExpectHolds<WakeForNews>(); }

TEST(CausalQueueModelTest, ANotificationThatDoesNotReleaseLosesTheNews) {
  ExpectBreaks<WakeForNews>(&ModelOrders::kNotify, std::memory_order_relaxed, kLostWakeUp);
}

TEST(CausalQueueModelTest, AWakeUpThatDoesNotAcquireLosesTheNews) {
  ExpectBreaks<WakeForNews>(&ModelOrders::kAwaken, std::memory_order_relaxed, kLostWakeUp);
}

// M4: an append races with Close(). Whatever was admitted comes out before the consumer, which
// sleeps in between, sees Finished(); nothing is admitted afterwards.
template <std::size_t kProducers>
struct CloseRace : QueueScenario {
  Bodies Threads() {
    Bodies bodies = {[this] {
                       while (!queue.Finished()) {
                         queue.WaitForWork(kNoDeadline);
                         auto drained = static_cast<uint32_t>(queue.Drain(&emitted));
                         if (drained != 0) queue.Return(drained, drained);
                       }
                     },
                     [this] { queue.Close(); }};
    for (std::size_t i = 0; i < kProducers; ++i) {
      bodies.push_back([this, i] {
        Admission admission = queue.Admit(1, 1, kNoDeadline);
        Require(admission == Admission::kAdmitted || admission == Admission::kClosed, "admission");
        if (admission == Admission::kAdmitted) {
          admitted[i] = 1;
          Enqueue(i, static_cast<uint32_t>(i + 1));
        }
      });
    }
    return bodies;
  }
  void Finally() {
    Require(queue.Closed() && queue.Idle() && queue.Finished(), "not finished");
    Require(queue.TryAdmit(1, 1) == Admission::kClosed, "admitted after close");
    for (std::size_t i = 0; i < kProducers; ++i) {
      auto times = std::count(emitted.begin(), emitted.end(), i + 1);
      Require(times == admitted[i], "lost or doubled");
    }
  }
  std::array<int, kProducers> admitted{};
};

TEST(CausalQueueModelTest, ResolvesAnAppendThatRacesWithCloseOnce) { ExpectHolds<CloseRace<1>>(); }

// The same with two producers and a consumer that does not sleep, which would be too many
// executions.
struct CloseRaceOfTwo : QueueScenario {
  void Append(std::size_t i) {
    if (queue.TryAdmit(1, 1) != Admission::kAdmitted) return;
    admitted[i] = 1;
    Enqueue(i, static_cast<uint32_t>(i + 1));
  }
  Bodies Threads() {
    return {[this] { Append(0); }, [this] { Append(1); }, [this] { queue.Close(); }};
  }
  void Finally() {
    auto drained = static_cast<uint32_t>(queue.Drain(&emitted));
    queue.Return(drained, drained);
    Require(queue.Finished(), "not finished");
    for (std::size_t i = 0; i < admitted.size(); ++i) {
      auto times = std::count(emitted.begin(), emitted.end(), i + 1);
      Require(times == admitted[i], "lost or doubled");
    }
  }
  std::array<int, 2> admitted{};
};

TEST(CausalQueueModelTest, ResolvesTwoAppendsThatRaceWithCloseOnce) {
  ExpectHolds<CloseRaceOfTwo>();
}

// A producer whose enqueue fails gives its credits back, last of all and after the close.
struct GiveBackAfterClose : QueueScenario {
  GiveBackAfterClose() {
    queue.TryAdmit(1, 1);
    queue.Close();
  }
  Bodies Threads() {
    return {[this] {
              while (!queue.Finished()) queue.WaitForWork(kNoDeadline);
              done.Read();
            },
            [this] {
              done.Write(1);
              queue.Return(1, 1);
            }};
  }
  void Finally() {}
  Cell<uint32_t> done;
};

TEST(CausalQueueModelTest, TheLastCreditsReturnedWakeTheConsumer) {
  ExpectHolds<GiveBackAfterClose>();
}

// Who sees nothing in flight sees what was done with it, also when others returned theirs since.
struct SeeWhatWasDone : QueueScenario {
  SeeWhatWasDone() {
    queue.TryAdmit(2, 2);
    queue.Close();
  }
  Bodies Threads() {
    return {[this] {
              done.Write(1);
              queue.Return(1, 1);
            },
            [this] { queue.Return(1, 1); },
            [this] {
              if (queue.Finished()) Require(done.Read() == 1, "not done");
            }};
  }
  void Finally() {}
  Cell<uint32_t> done;
};

TEST(CausalQueueModelTest, IdleShowsWhatWasDoneWithTheRecords) { ExpectHolds<SeeWhatWasDone>(); }

TEST(CausalQueueModelTest, AReturnThatDoesNotReleaseHidesWhatWasDone) {
  ExpectBreaks<SeeWhatWasDone>(&ModelOrders::kReturn, std::memory_order_relaxed, "data race");
}

TEST(CausalQueueModelTest, AnIdleThatDoesNotAcquireHidesWhatWasDone) {
  ExpectBreaks<SeeWhatWasDone>(&ModelOrders::kIdle, std::memory_order_relaxed, "data race");
}

// M5: more takers than credits. All get theirs in the end, and never too many at once.
template <std::size_t kTakers>
struct CreditRace : QueueScenario {
  static constexpr Limits kOne = {.records = 1, .bytes = 8, .per_producer = 8, .markers = 1};
  CreditRace() : QueueScenario(kOne) {}
  Bodies Threads() {
    return Bodies(kTakers, [this] {
      Require(queue.Admit(1, 8, kNoDeadline) == Admission::kAdmitted, "not admitted");
      InFlight depth = queue.Depth();
      Require(depth.records <= 1 && depth.bytes <= 8, "too many admitted");
      queue.Return(1, 8);
    });
  }
  void Finally() { Require(queue.Idle(), "credits lost"); }
};

TEST(CausalQueueModelTest, EveryTakerOfCreditsIsServed) { ExpectHolds<CreditRace<2>>(); }

// One returns, one waits; the taker that waits must be woken by the return alone.
struct WaitForCredit : QueueScenario {
  WaitForCredit() : QueueScenario(CreditRace<1>::kOne) { queue.TryAdmit(1, 8); }
  Bodies Threads() {
    return {[this] { queue.Return(1, 8); },
            [this] {
              Require(queue.Admit(1, 8, kNoDeadline) == Admission::kAdmitted, "not admitted");
            }};
  }
  void Finally() { Require(queue.Depth().records == 1, "miscounted"); }
};

TEST(CausalQueueModelTest, AReturnWakesTheOneWhoWaits) { ExpectHolds<WaitForCredit>(); }

TEST(CausalQueueModelTest, AWeakerGiverFenceLosesAWakeUp) {
  ExpectBreaks<WaitForCredit>(&ModelOrders::kGiverFence, std::memory_order_acq_rel, kLostWakeUp);
}

TEST(CausalQueueModelTest, AWeakerWaiterFenceLosesAWakeUp) {
  ExpectBreaks<WaitForCredit>(&ModelOrders::kWaiterFence, std::memory_order_acq_rel, kLostWakeUp);
}

// A waiter for credits is told of a close.
struct CloseWhileWaiting : QueueScenario {
  CloseWhileWaiting() : QueueScenario(CreditRace<1>::kOne) { queue.TryAdmit(1, 8); }
  Bodies Threads() {
    return {[this] { queue.Close(); },
            [this] { Require(queue.Admit(1, 8, kNoDeadline) == Admission::kClosed, "admitted"); }};
  }
  void Finally() { Require(!queue.Idle() && !queue.Finished(), "credits lost"); }
};

TEST(CausalQueueModelTest, CloseWakesTheOneWhoWaits) { ExpectHolds<CloseWhileWaiting>(); }

// A producer that reached its cap waits for the drain alone: no credits return here.
struct WaitForRoom : QueueScenario {
  static constexpr Limits kTwo = {.records = 4, .bytes = 64, .per_producer = 2, .markers = 1};
  WaitForRoom() : QueueScenario(kTwo) {}
  Bodies Threads() {
    return {[this] {
              for (uint32_t item = 1; item <= 2; ++item) {
                Require(queue.WaitForRoom(producers[0], kNoDeadline), "no room");
                Enqueue(0, item);
              }
            },
            [this] {
              while (emitted.size() < 2) {
                queue.WaitForWork(kNoDeadline);
                queue.Drain(&emitted);
              }
            }};
  }
  void Finally() { Require(emitted == std::vector<uint32_t>({1, 2}), "order"); }
};

TEST(CausalQueueModelTest, AProducerAtItsCapGoesOnAfterADrain) { ExpectHolds<WaitForRoom>(); }

// A slot's contents pass from borrower to borrower.
struct Borrowers {
  struct Slot {
    Cell<uint32_t> uses;
  };
  Borrowers() { pool.Release(Take()); }
  Slot* Take() {
    return pool.Acquire([] { return Slot{}; });
  }
  void Use(int times) {
    for (int i = 0; i < times; ++i) {
      Slot* slot = Take();
      slot->uses.Write(slot->uses.Read() + 1);
      pool.Release(slot);
    }
  }
  Bodies Threads() {
    return {[this] { Use(1); }, [this] { Use(1); }};
  }
  void Finally() {
    Slot* first = Take();
    Slot* second = pool.size() == 2 ? Take() : nullptr;
    uint32_t uses = first->uses.Read() + (second != nullptr ? second->uses.Read() : 0);
    Require(uses == 2, "a slot was lent twice");
    pool.Release(first);
    if (second != nullptr) pool.Release(second);
  }
  SlotPool<Slot, ModelAtomics> pool;
};

TEST(SlotPoolModelTest, HandsContentsFromBorrowerToBorrower) { ExpectHolds<Borrowers>(); }

TEST(SlotPoolModelTest, AReturnThatDoesNotReleaseIsADataRace) {
  ExpectBreaks<Borrowers>(&ModelOrders::kPoolPush, std::memory_order_relaxed, "data race");
}

TEST(SlotPoolModelTest, ALoanThatDoesNotAcquireIsADataRace) {
  ExpectBreaks<Borrowers>(&ModelOrders::kPoolPop, std::memory_order_relaxed, "data race");
}

}  // namespace
}  // namespace millrace::model
