// What the causal queue costs beside the queue underneath it: items per second through one
// consumer, from 1 to 32 producers.
//
//   BM_BareQueue             moodycamel with a token per producer; unordered across producers,
//   unbounded BM_CausalQueue           stamps, two-pass drain, bounded sub-queues; the consumer
//   polls BM_CausalQueueSleeping   the same; the consumer sleeps whenever it finds nothing
//   BM_CausalQueueCredits    the same; and every item takes and returns credits

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"
#include "queue/causal_queue.h"
#include "queue/credits.h"
#include "queue/moodycamel.h"

namespace millrace {
namespace {

constexpr std::size_t kItems = 1 << 20;

using Queue = CausalQueue<uint64_t>;

// Producers that wait for `go`, so that starting threads is not measured.
template <class Produce>
class Producers {
 public:
  Producers(std::size_t count, Produce produce) {
    for (std::size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, produce, each = kItems / count] {
        go_.wait(false, std::memory_order_acquire);
        produce(each);
      });
    }
  }
  void Go() {
    go_.store(true, std::memory_order_release);
    go_.notify_all();
  }
  ~Producers() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> go_{false};
  std::vector<std::thread> threads_;
};

// Runs one iteration of kItems per loop of `state`; `consume()` returns how many items it took.
template <class Produce, class Consume>
void Run(benchmark::State& state, Produce produce, Consume consume) {
  for (auto unused : state) {
    state.PauseTiming();
    {
      Producers<Produce> producers(static_cast<std::size_t>(state.range(0)), produce);
      state.ResumeTiming();
      producers.Go();
      for (std::size_t taken = 0; taken < kItems;) taken += consume();
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(kItems) * state.iterations());
}

void BM_BareQueue(benchmark::State& state) {
  moodycamel::ConcurrentQueue<uint64_t> queue;
  std::vector<uint64_t> out(64 << 10);
  Run(
      state,
      [&](std::size_t items) {
        moodycamel::ProducerToken token(queue);
        for (std::size_t i = 0; i < items; ++i) {
          if (!queue.enqueue(token, i)) state.SkipWithError("enqueue failed");
        }
      },
      [&] { return queue.try_dequeue_bulk(out.begin(), out.size()); });
}

enum class Consumer { kPolls, kSleeps };
enum class Crediting { kOff, kOn };

template <Consumer kConsumer, Crediting kCrediting>
void RunCausalQueue(benchmark::State& state) {
  Queue queue(Limits{});
  std::vector<uint64_t> out;
  out.reserve(queue.most_elements());
  Run(
      state,
      [&](std::size_t items) {
        Queue::Producer producer = queue.MakeProducer();
        for (std::size_t i = 0; i < items; ++i) {
          if constexpr (kCrediting == Crediting::kOn) {
            queue.Admit(producer, 1, 128, kNoDeadline);
          } else {
            queue.WaitForRoom(producer, kNoDeadline);
          }
          if (!queue.Enqueue(producer, i)) state.SkipWithError("enqueue failed");
        }
      },
      [&] {
        if constexpr (kConsumer == Consumer::kSleeps) queue.WaitForWork(kNoDeadline);
        out.clear();
        std::size_t count = queue.Drain(&out);
        if constexpr (kCrediting == Crediting::kOn) {
          if (count != 0) queue.Return(static_cast<uint32_t>(count), count * 128);
        }
        return count;
      });
}

void BM_CausalQueue(benchmark::State& state) {
  RunCausalQueue<Consumer::kPolls, Crediting::kOff>(state);
}
void BM_CausalQueueSleeping(benchmark::State& state) {
  RunCausalQueue<Consumer::kSleeps, Crediting::kOff>(state);
}
void BM_CausalQueueCredits(benchmark::State& state) {
  RunCausalQueue<Consumer::kSleeps, Crediting::kOn>(state);
}

void Producers1To32(benchmark::internal::Benchmark* bench) {
  bench->ArgName("producers")->UseRealTime()->Unit(benchmark::kMillisecond);
  for (int producers : {1, 2, 4, 8, 32}) bench->Arg(producers);
}

BENCHMARK(BM_BareQueue)->Apply(Producers1To32);
BENCHMARK(BM_CausalQueue)->Apply(Producers1To32);
BENCHMARK(BM_CausalQueueSleeping)->Apply(Producers1To32);
BENCHMARK(BM_CausalQueueCredits)->Apply(Producers1To32);

}  // namespace
}  // namespace millrace
