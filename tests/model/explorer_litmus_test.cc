// Goal: trust the explorer before it is asked about the queue.
// Method: the litmus tests of the literature, each with the exact set of outcomes that C++20
// allows, no more and no fewer; where the model is narrower than C++ the test says so.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/model/explorer.h"
#include "tests/model/model_atomics.h"

namespace millrace::model {
namespace {

using std::memory_order;
constexpr memory_order kRelaxed = memory_order::relaxed;
constexpr memory_order kAcquire = memory_order::acquire;
constexpr memory_order kRelease = memory_order::release;
constexpr memory_order kAcqRel = memory_order::acq_rel;
constexpr memory_order kSeqCst = memory_order::seq_cst;

// What the threads of a litmus test share, and the registers that hold its outcome.
struct Shared {
  ModelAtomic<uint32_t> x{0};
  ModelAtomic<uint32_t> y{0};
  ModelAtomic<uint32_t> z{0};
  Cell<uint32_t> data;
  std::array<uint32_t, 4> r{9, 9, 9, 9};
};

using Body = std::function<void(Shared&)>;
using Outcomes = std::set<std::string>;

std::vector<Body> g_bodies;
std::size_t g_registers;
Outcomes g_outcomes;

struct Litmus {
  std::vector<std::function<void()>> Threads() {
    std::vector<std::function<void()>> threads;
    for (const Body& body : g_bodies) threads.push_back([this, &body] { body(shared); });
    return threads;
  }
  void Finally() {
    std::string outcome;
    for (std::size_t i = 0; i < g_registers; ++i) outcome += std::to_string(shared.r[i]);
    g_outcomes.insert(outcome);
  }
  Shared shared;
};

// Every outcome of registers r[0..registers), as strings of digits.
Outcomes OutcomesOf(std::size_t registers, std::vector<Body> bodies) {
  g_bodies = std::move(bodies);
  g_registers = registers;
  g_outcomes.clear();
  Explorer explorer;
  Exploration result = explorer.Explore<Litmus>();
  EXPECT_EQ(result.violation, "");
  EXPECT_TRUE(result.complete);
  return g_outcomes;
}

std::string ViolationOf(std::vector<Body> bodies) {
  g_bodies = std::move(bodies);
  g_registers = 0;
  Explorer explorer;
  return explorer.Explore<Litmus>().violation;
}

Outcomes StoreBuffering(memory_order store, memory_order fence, memory_order load) {
  return OutcomesOf(2, {[=](Shared& s) {
                          s.x.store(1, store);
                          if (fence != kRelaxed) ModelAtomics::Fence(fence);
                          s.r[0] = s.y.load(load);
                        },
                        [=](Shared& s) {
                          s.y.store(1, store);
                          if (fence != kRelaxed) ModelAtomics::Fence(fence);
                          s.r[1] = s.x.load(load);
                        }});
}

TEST(LitmusTest, StoreBufferingShowsBothZeroUnlessSequentiallyConsistent) {
  const Outcomes all = {"00", "01", "10", "11"};
  const Outcomes strong = {"01", "10", "11"};
  EXPECT_EQ(StoreBuffering(kRelaxed, kRelaxed, kRelaxed), all);
  EXPECT_EQ(StoreBuffering(kRelease, kRelaxed, kAcquire), all);
  EXPECT_EQ(StoreBuffering(kRelease, kAcqRel, kAcquire), all);
  EXPECT_EQ(StoreBuffering(kRelaxed, kSeqCst, kRelaxed), strong);
  EXPECT_EQ(StoreBuffering(kSeqCst, kRelaxed, kSeqCst), strong);
}

TEST(LitmusTest, OneFenceIsNotEnoughForStoreBuffering) {
  EXPECT_EQ(OutcomesOf(2, {[](Shared& s) {
                             s.x.store(1, kRelaxed);
                             ModelAtomics::Fence(kSeqCst);
                             s.r[0] = s.y.load(kRelaxed);
                           },
                           [](Shared& s) {
                             s.y.store(1, kRelaxed);
                             ModelAtomics::Fence(kAcqRel);
                             s.r[1] = s.x.load(kRelaxed);
                           }}),
            (Outcomes{"00", "01", "10", "11"}));
}

Outcomes MessagePassing(memory_order store, memory_order load) {
  return OutcomesOf(2, {[=](Shared& s) {
                          s.x.store(1, kRelaxed);
                          s.y.store(1, store);
                        },
                        [=](Shared& s) {
                          s.r[0] = s.y.load(load);
                          s.r[1] = s.x.load(kRelaxed);
                        }});
}

TEST(LitmusTest, MessagePassingNeedsReleaseAndAcquire) {
  const Outcomes weak = {"00", "01", "10", "11"};
  EXPECT_EQ(MessagePassing(kRelaxed, kRelaxed), weak);
  EXPECT_EQ(MessagePassing(kRelease, kRelaxed), weak);
  EXPECT_EQ(MessagePassing(kRelaxed, kAcquire), weak);
  EXPECT_EQ(MessagePassing(kRelease, kAcquire), (Outcomes{"00", "01", "11"}));
}

Outcomes MessagePassingWithFences(memory_order writer, memory_order reader) {
  return OutcomesOf(2, {[=](Shared& s) {
                          s.x.store(1, kRelaxed);
                          ModelAtomics::Fence(writer);
                          s.y.store(1, kRelaxed);
                        },
                        [=](Shared& s) {
                          s.r[0] = s.y.load(kRelaxed);
                          ModelAtomics::Fence(reader);
                          s.r[1] = s.x.load(kRelaxed);
                        }});
}

TEST(LitmusTest, MessagePassingWithFencesNeedsBoth) {
  const Outcomes weak = {"00", "01", "10", "11"};
  const Outcomes strong = {"00", "01", "11"};
  EXPECT_EQ(MessagePassingWithFences(kRelease, kAcquire), strong);
  EXPECT_EQ(MessagePassingWithFences(kAcqRel, kAcqRel), strong);
  EXPECT_EQ(MessagePassingWithFences(kSeqCst, kSeqCst), strong);
  EXPECT_EQ(MessagePassingWithFences(kAcquire, kAcquire), weak);
  EXPECT_EQ(MessagePassingWithFences(kRelease, kRelease), weak);
}

TEST(LitmusTest, LoadBufferingIsNotProduced) {
  // C++ allows "11" here; this model does not produce it, and says so in weak_memory.h.
  EXPECT_EQ(OutcomesOf(2, {[](Shared& s) {
                             s.r[0] = s.x.load(kRelaxed);
                             s.y.store(1, kRelaxed);
                           },
                           [](Shared& s) {
                             s.r[1] = s.y.load(kRelaxed);
                             s.x.store(1, kRelaxed);
                           }}),
            (Outcomes{"00", "01", "10"}));
}

// r: what each of two readers saw of two independent writes, in opposite orders.
Outcomes IndependentReads(memory_order store, memory_order load, memory_order fence) {
  auto reader = [=](ModelAtomic<uint32_t> Shared::*first, ModelAtomic<uint32_t> Shared::*second,
                    std::size_t at) {
    return [=](Shared& s) {
      s.r[at] = (s.*first).load(load);
      if (fence != kRelaxed) ModelAtomics::Fence(fence);
      s.r[at + 1] = (s.*second).load(load);
    };
  };
  return OutcomesOf(
      4, {[=](Shared& s) { s.x.store(1, store); }, [=](Shared& s) { s.y.store(1, store); },
          reader(&Shared::x, &Shared::y, 0), reader(&Shared::y, &Shared::x, 2)});
}

TEST(LitmusTest, IndependentReadersMayDisagreeUnlessSequentiallyConsistent) {
  Outcomes acquire = IndependentReads(kRelease, kAcquire, kRelaxed);
  EXPECT_EQ(acquire.size(), 16u);
  EXPECT_TRUE(acquire.contains("1010"));
  Outcomes all_but_one = acquire;
  all_but_one.erase("1010");
  EXPECT_EQ(IndependentReads(kRelaxed, kRelaxed, kSeqCst), all_but_one);
  EXPECT_EQ(IndependentReads(kSeqCst, kSeqCst, kRelaxed), all_but_one);
}

TEST(LitmusTest, OneLocationIsCoherent) {
  // CoRR: a thread never sees an older value after a newer one.
  Outcomes outcomes = OutcomesOf(2, {[](Shared& s) {
                                       s.x.store(1, kRelaxed);
                                       s.x.store(2, kRelaxed);
                                     },
                                     [](Shared& s) {
                                       s.r[0] = s.x.load(kRelaxed);
                                       s.r[1] = s.x.load(kRelaxed);
                                     }});
  EXPECT_EQ(outcomes, (Outcomes{"00", "01", "02", "11", "12", "22"}));
}

TEST(LitmusTest, TwoPlusTwoWritesAreNarrowerThanCpp) {
  // C++ also allows "11" (each thread's second store ordered before the other's first); a model
  // whose new messages are always last cannot show it. The queue has no such stores.
  EXPECT_EQ(OutcomesOf(2, {[](Shared& s) {
                             s.x.store(2, kRelaxed);
                             s.y.store(1, kRelaxed);
                             s.z.fetch_add(1, kAcqRel);
                           },
                           [](Shared& s) {
                             s.y.store(2, kRelaxed);
                             s.x.store(1, kRelaxed);
                             s.z.fetch_add(1, kAcqRel);
                           },
                           [](Shared& s) {
                             s.z.Await(2, kAcquire);
                             s.r[0] = s.x.load(kRelaxed) - 1;
                             s.r[1] = s.y.load(kRelaxed) - 1;
                           }}),
            (Outcomes{"00", "01", "10"}));
}

Outcomes ReleaseSequence(memory_order middle) {
  return OutcomesOf(2, {[](Shared& s) {
                          s.x.store(1, kRelaxed);
                          s.y.store(1, kRelease);
                        },
                        [=](Shared& s) { s.y.fetch_add(1, middle); },
                        [](Shared& s) {
                          s.r[0] = s.y.load(kAcquire);
                          s.r[1] = s.x.load(kRelaxed);
                        }});
}

TEST(LitmusTest, AReadModifyWriteContinuesAReleaseSequence) {
  // y is 2 only if the addition read the released 1: then x is seen, whatever the addition's order.
  const Outcomes expected = {"00", "01", "10", "11", "21"};
  EXPECT_EQ(ReleaseSequence(kRelaxed), expected);
  EXPECT_EQ(ReleaseSequence(kAcqRel), expected);
}

TEST(LitmusTest, AStoreByAnotherThreadEndsAReleaseSequence) {
  Outcomes outcomes = OutcomesOf(2, {[](Shared& s) {
                                       s.x.store(1, kRelaxed);
                                       s.y.store(1, kRelease);
                                     },
                                     [](Shared& s) {
                                       s.y.Await(1, kRelaxed);
                                       s.y.store(2, kRelaxed);
                                     },
                                     [](Shared& s) {
                                       s.y.Await(2, kAcquire);
                                       s.r[0] = 2;
                                       s.r[1] = s.x.load(kRelaxed);
                                     }});
  EXPECT_EQ(outcomes, (Outcomes{"20", "21"}));
}

TEST(LitmusTest, ReadModifyWritesNeverReadTheSameValue) {
  Body draw0 = [](Shared& s) { s.r[0] = s.x.fetch_add(1, kRelaxed); };
  Body draw1 = [](Shared& s) { s.r[1] = s.x.fetch_add(1, kRelaxed); };
  Body draw2 = [](Shared& s) { s.r[2] = s.x.fetch_add(1, kRelaxed); };
  EXPECT_EQ(OutcomesOf(3, {draw0, draw1, draw2}),
            (Outcomes{"012", "021", "102", "120", "201", "210"}));
}

TEST(LitmusTest, ACompareExchangeMayFailOnAnOldValueButSucceedsOnTheLastOnly) {
  Outcomes outcomes =
      OutcomesOf(2, {[](Shared& s) { s.x.store(1, kRelaxed); },
                     [](Shared& s) {
                       uint32_t expected = 1;
                       s.r[0] = s.x.compare_exchange_strong(expected, 2, kRelaxed, kRelaxed);
                       s.r[1] = expected;
                     }});
  EXPECT_EQ(outcomes, (Outcomes{"00", "11"}));
}

TEST(LitmusTest, CausalityIsTransitive) {
  auto chain = [](memory_order second) {
    return OutcomesOf(1, {[](Shared& s) {
                            s.x.store(1, kRelaxed);
                            s.y.store(1, kRelease);
                          },
                          [=](Shared& s) {
                            s.y.Await(1, kAcquire);
                            s.z.store(1, second);
                          },
                          [](Shared& s) {
                            s.z.Await(1, kAcquire);
                            s.r[0] = s.x.load(kRelaxed);
                          }});
  };
  EXPECT_EQ(chain(kRelease), (Outcomes{"1"}));
  EXPECT_EQ(chain(kRelaxed), (Outcomes{"0", "1"}));
}

TEST(LitmusTest, UnorderedPlainAccessIsADataRace) {
  auto pass = [](memory_order store) {
    return ViolationOf({[=](Shared& s) {
                          s.data.Write(1);
                          s.x.store(1, store);
                        },
                        [](Shared& s) {
                          s.x.Await(1, kAcquire);
                          s.data.Read();
                        }});
  };
  EXPECT_EQ(pass(kRelease), "");
  EXPECT_EQ(pass(kRelaxed), "data race");
}

TEST(LitmusTest, AFutexWaitSeesTheChangeOrIsWoken) {
  Body waiter = [](Shared& s) {
    while (s.x.load(kRelaxed) == 0) ModelAtomics::Wait(s.x, 0, kNoDeadline);
  };
  Body waker = [](Shared& s) {
    s.x.store(1, kRelaxed);
    ModelAtomics::WakeOne(s.x);
  };
  EXPECT_EQ(ViolationOf({waiter, waker}), "");
  Body silent = [](Shared& s) { s.x.store(1, kRelaxed); };
  EXPECT_EQ(ViolationOf({waiter, silent}), "all threads wait for ever");
  Body early = [](Shared& s) {
    ModelAtomics::WakeOne(s.x);
    s.x.store(1, kRelaxed);
  };
  EXPECT_EQ(ViolationOf({waiter, early}), "all threads wait for ever");
}

TEST(LitmusTest, WakeOneWakesOneAndWakeAllWakesAll) {
  Body waiter = [](Shared& s) {
    while (s.x.load(kRelaxed) == 0) ModelAtomics::Wait(s.x, 0, kNoDeadline);
  };
  Body one = [](Shared& s) {
    s.x.store(1, kRelaxed);
    ModelAtomics::WakeOne(s.x);
  };
  Body all = [](Shared& s) {
    s.x.store(1, kRelaxed);
    ModelAtomics::WakeAll(s.x);
  };
  EXPECT_EQ(ViolationOf({waiter, waiter, one}), "all threads wait for ever");
  EXPECT_EQ(ViolationOf({waiter, waiter, all}), "");
}

TEST(LitmusTest, AWaitWithADeadlineMayEndEitherWay) {
  Deadline deadline{};
  Outcomes outcomes =
      OutcomesOf(1, {[=](Shared& s) { s.r[0] = ModelAtomics::Wait(s.x, 0, deadline); },
                     [](Shared& s) {
                       s.x.store(1, kRelaxed);
                       ModelAtomics::WakeAll(s.x);
                     }});
  EXPECT_EQ(outcomes, (Outcomes{"0", "1"}));
}

}  // namespace
}  // namespace millrace::model
