// The causal queue by itself, beside the queue underneath it: items per second through one consumer
// that polls. //bench:queue_bench measures more of its variants.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bench/compare/probes.h"
#include "queue/causal_queue.h"
#include "queue/credits.h"
#include "queue/moodycamel.h"

namespace millrace {
namespace {

constexpr uint64_t kItems = 1 << 21;

// How many of `items` are enqueued; fewer only if memory failed.
using Produce = std::function<uint64_t(uint64_t items)>;

// Starts the producers, lets them go at once, and calls `consume`, which returns how many items it
// took, until all were taken. Returns items per second.
absl::StatusOr<double> Run(int producers, uint64_t items, const Produce& produce,
                           const std::function<uint64_t()>& consume) {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::atomic<uint64_t> enqueued{0};
  std::atomic<int> ended{0};
  const uint64_t each = std::max<uint64_t>(1, items / static_cast<uint64_t>(producers));
  std::vector<std::thread> threads;
  for (int i = 0; i < producers; ++i) {
    threads.emplace_back([&] {
      ready.fetch_add(1, std::memory_order_acq_rel);
      go.wait(false, std::memory_order_acquire);
      enqueued.fetch_add(produce(each), std::memory_order_relaxed);
      ended.fetch_add(1, std::memory_order_release);
    });
  }
  while (ready.load(std::memory_order_acquire) < producers) std::this_thread::yield();
  const uint64_t wanted = each * static_cast<uint64_t>(producers);
  const auto begin = std::chrono::steady_clock::now();
  go.store(true, std::memory_order_release);
  go.notify_all();
  uint64_t taken = 0;
  while (taken < wanted) {
    const bool all_ended = ended.load(std::memory_order_acquire) == producers;
    if (all_ended && enqueued.load(std::memory_order_relaxed) < wanted) break;
    taken += consume();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  for (std::thread& thread : threads) thread.join();
  if (taken < wanted) return absl::ResourceExhaustedError("enqueue failed");
  return static_cast<double>(taken) / elapsed.count();
}

absl::StatusOr<double> RunBare(int producers, uint64_t items) {
  moodycamel::ConcurrentQueue<uint64_t> queue;
  std::vector<uint64_t> out(64 << 10);
  return Run(
      producers, items,
      [&](uint64_t count) {
        moodycamel::ProducerToken token(queue);
        for (uint64_t i = 0; i < count; ++i) {
          if (!queue.enqueue(token, i)) return i;
        }
        return count;
      },
      [&] { return queue.try_dequeue_bulk(out.begin(), out.size()); });
}

// What any order among producers costs that rests on a counter which they share: nothing bounded,
// nothing sorted, one pass.
absl::StatusOr<double> RunStamped(int producers, uint64_t items) {
  struct Stamped {
    uint64_t stamp;
    uint64_t item;
  };
  moodycamel::ConcurrentQueue<Stamped> queue;
  alignas(64) std::atomic<uint64_t> stamps{1};
  std::vector<Stamped> out(64 << 10);
  return Run(
      producers, items,
      [&](uint64_t count) {
        moodycamel::ProducerToken token(queue);
        for (uint64_t i = 0; i < count; ++i) {
          // acq_rel: as the causal queue draws them.
          if (!queue.enqueue(token, {stamps.fetch_add(1, std::memory_order_acq_rel), i})) return i;
        }
        return count;
      },
      [&] { return queue.try_dequeue_bulk(out.begin(), out.size()); });
}

absl::StatusOr<double> RunCausal(int producers, uint64_t items) {
  CausalQueue<uint64_t> queue(Limits{});
  std::vector<uint64_t> out;
  out.reserve(queue.most_elements());
  return Run(
      producers, items,
      [&](uint64_t count) {
        auto producer = queue.MakeProducer();
        for (uint64_t i = 0; i < count; ++i) {
          queue.WaitForRoom(producer, kNoDeadline);
          if (!queue.Enqueue(producer, i)) return i;
        }
        return count;
      },
      [&] {
        out.clear();
        return queue.Drain(&out);
      });
}

Probe QueueProbe(const std::string& which, const std::string& title, const std::string& settings,
                 int producers, absl::StatusOr<double> (*run)(int, uint64_t)) {
  Probe probe = {.group = "queue alone, " + Counted(producers, "producer"),
                 .name = absl::StrCat("queue", producers, ".", which),
                 .title = title};
  probe.settings = settings;
  probe.run = [=](const Bench& bench, const std::string&) -> absl::StatusOr<Figures> {
    absl::StatusOr<double> rate = run(producers, bench.Scaled(kItems));
    if (!rate.ok()) return rate.status();
    Figures figures;
    figures.values["records_per_s"] = *rate;
    return figures;
  };
  return probe;
}

}  // namespace

void AddQueueProbes(Probes* probes) {
  for (const int producers : {1, 2, 4, 8, 16, 32}) {
    probes->push_back(QueueProbe("causal", "causal queue",
                                 "stamps, two passes, bounded sub-queues; no credits", producers,
                                 RunCausal));
    probes->push_back(QueueProbe("bare", "bare moodycamel",
                                 "one token for each producer; no order among producers", producers,
                                 RunBare));
    probes->push_back(
        QueueProbe("stamped", "moodycamel, stamped",
                   "as bare, and each item draws a number from one counter; not sorted", producers,
                   RunStamped));
  }
}

}  // namespace millrace
