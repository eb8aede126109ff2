// Goal: show that credits are never lost or overdrawn, that every waiter for space is woken, that
// who sees nothing in flight sees what was done, and that pooled slots pass their contents on,
// under weak memory; and that each memory order named for these is needed. Method: as in
// causal_queue_model_test.cc.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "queue/credits.h"
#include "queue/slot_pool.h"
#include "tests/model/model_atomics.h"
#include "tests/model/queue_scenario.h"

namespace millrace::model {
namespace {

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

TEST(CreditsModelTest, TheLastCreditsReturnedWakeTheConsumer) { ExpectHolds<GiveBackAfterClose>(); }

// Closing two words takes two steps; nobody finds out.
struct CloseInTwoSteps : QueueScenario {
  Bodies Threads() {
    return {[this] { queue.Close(); },
            [this] {
              if (queue.TryAdmit(1, 1) == Admission::kClosed) Require(queue.Closed(), "records");
            },
            [this] {
              if (queue.AdmitMarker() == Admission::kClosed) Require(queue.Closed(), "markers");
            }};
  }
  void Finally() {}
};

TEST(CreditsModelTest, WhoIsToldThatItIsClosedFindsItClosed) { ExpectHolds<CloseInTwoSteps>(); }

// A record and a marker come back in any order: whichever is last wakes the consumer.
struct GiveBackBothAfterClose : QueueScenario {
  GiveBackBothAfterClose() {
    queue.TryAdmit(1, 1);
    queue.AdmitMarker();
    queue.Close();
  }
  Bodies Threads() {
    return {[this] {
              while (!queue.Finished()) queue.WaitForWork(kNoDeadline);
              Require(record.Read() == 1 && marker.Read() == 1, "not done");
            },
            [this] {
              record.Write(1);
              queue.Return(1, 1);
            },
            [this] {
              marker.Write(1);
              queue.ReturnMarkers(1);
            }};
  }
  void Finally() {}
  Cell<uint32_t> record;
  Cell<uint32_t> marker;
};

TEST(CreditsModelTest, TheLastOfRecordsAndMarkersWakesTheConsumer) {
  ExpectHolds<GiveBackBothAfterClose>();
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

TEST(CreditsModelTest, IdleShowsWhatWasDoneWithTheRecords) { ExpectHolds<SeeWhatWasDone>(); }

TEST(CreditsModelTest, AReturnThatDoesNotReleaseHidesWhatWasDone) {
  ExpectBreaks<SeeWhatWasDone>(&ModelOrders::kReturn, std::memory_order_relaxed, "data race");
}

TEST(CreditsModelTest, AnIdleThatDoesNotAcquireHidesWhatWasDone) {
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

TEST(CreditsModelTest, EveryTakerOfCreditsIsServed) { ExpectHolds<CreditRace<2>>(); }

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

TEST(CreditsModelTest, AReturnWakesTheOneWhoWaits) { ExpectHolds<WaitForCredit>(); }

TEST(CreditsModelTest, AWeakerGiverFenceLosesAWakeUp) {
  ExpectBreaks<WaitForCredit>(&ModelOrders::kGiverFence, std::memory_order_acq_rel, kLostWakeUp);
}

TEST(CreditsModelTest, AWeakerWaiterFenceLosesAWakeUp) {
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

TEST(CreditsModelTest, CloseWakesTheOneWhoWaits) { ExpectHolds<CloseWhileWaiting>(); }

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

TEST(CreditsModelTest, AProducerAtItsCapGoesOnAfterADrain) { ExpectHolds<WaitForRoom>(); }

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
