// Goal: show that the shipping CausalQueue respects happens-before, loses no wake-up and resolves
// every append that races with a close, under weak memory, and that each memory order it names for
// these is needed. Method: the explorer walks every execution of a few threads over the shipping
// template, with the weakest queue underneath that keeps the contract of queue/backing.h. Then each
// named order is weakened on purpose, one at a time, and the explorer must find what breaks.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "queue/credits.h"
#include "tests/model/model_atomics.h"
#include "tests/model/queue_scenario.h"

namespace millrace::model {
namespace {

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

// The same beside producers of whose stamps one is never used.
struct SleepAndFail : QueueScenario {
  Bodies Threads() {
    return {[this] {
              while (emitted.empty()) {
                queue.WaitForWork(kNoDeadline);
                queue.Drain(&emitted);
              }
            },
            [this] { Enqueue(0, 1); },
            [this] { Require(!queue.Enqueue(producers[1], kFailingElement), "enqueued"); }};
  }
  void Finally() { RequireAllOnce(1); }
};

TEST(CausalQueueModelTest, LosesNoWakeUpBesideAnEnqueueThatFails) { ExpectHolds<SleepAndFail>(); }

// A sleeper by itself, whose work is a word.
struct SleepUntilWork {
  Bodies Threads() {
    return {[this] {
              const auto find = [this] { return work.load(std::memory_order_relaxed) != 0; };
              while (!find()) sleeper.Sleep(find, kNoDeadline);
            },
            [this] {
              work.store(1, std::memory_order_relaxed);
              sleeper.WakeIfAsleep();
            }};
  }
  void Finally() {}
  Sleeper<ModelAtomics> sleeper;
  ModelAtomic<uint32_t> work{0};
};

TEST(SleeperModelTest, LosesNoWakeUp) { ExpectHolds<SleepUntilWork>(); }

TEST(SleeperModelTest, AWeakerFenceOfTheWorkerLosesAWakeUp) {
  ExpectBreaks<SleepUntilWork>(&ModelOrders::kWorkerFence, std::memory_order_acq_rel, kLostWakeUp);
}

TEST(SleeperModelTest, AWeakerFenceOfTheSleeperLosesAWakeUp) {
  ExpectBreaks<SleepUntilWork>(&ModelOrders::kSleeperFence, std::memory_order_acq_rel, kLostWakeUp);
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

}  // namespace
}  // namespace millrace::model
