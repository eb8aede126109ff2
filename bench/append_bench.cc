// What an append costs: each durability, payload and number of threads, by a
// Producer and by Log::Append. Durable ones also report the latency that a caller
// sees. Set TEST_TMPDIR to a directory on the disk in question, never on tmpfs.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "millrace/log.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

// One log for all threads of a run.
struct Bed {
  TempDirectory temp;
  std::unique_ptr<Log> log = Log::Open(temp.Sub("log")).value();
  LogStats before;
};
Bed* bed = nullptr;

void SetUpBed(const benchmark::State&) {
  bed = new Bed;
  // Past the first segments, which are small.
  const std::string payload(4096, 'w');
  for (int i = 0; i < 4000; ++i) {
    bed->log->Append(payload, {.durability = Durability::kBuffered}).IgnoreError();
  }
  bed->log->Flush().IgnoreError();
  bed->before = bed->log->stats();
}

void TearDownBed(const benchmark::State&) {
  delete bed;
  bed = nullptr;
}

double Percentile(std::vector<uint32_t>& sorted_ns, double percent) {
  if (sorted_ns.empty()) return 0;
  const double index = percent / 100 * static_cast<double>(sorted_ns.size() - 1);
  return sorted_ns[static_cast<size_t>(index)] / 1000.0;
}

void ReportLatency(benchmark::State& state, std::vector<uint32_t>& ns) {
  std::sort(ns.begin(), ns.end());
  const auto mean = benchmark::Counter::kAvgThreads;
  state.counters["p50_us"] = benchmark::Counter(Percentile(ns, 50), mean);
  state.counters["p99_us"] = benchmark::Counter(Percentile(ns, 99), mean);
}

// The groups are the log's, not a thread's.
void ReportGroups(benchmark::State& state) {
  if (state.thread_index() != 0) return;
  const LogStats now = bed->log->stats();
  const double groups = static_cast<double>(now.groups - bed->before.groups);
  const double records = static_cast<double>(now.records - bed->before.records);
  state.counters["records_per_group"] = groups == 0 ? 0 : records / groups;
}

enum class Way { kProducer, kLog };

template <Way way>
void BM_Append(benchmark::State& state) {
  const AppendOptions options = {.durability = static_cast<Durability>(state.range(0))};
  const std::string payload(static_cast<size_t>(state.range(1)), 'x');
  std::unique_ptr<Producer> producer = bed->log->NewProducer().value();
  const bool timed = options.durability == Durability::kDurable;
  std::vector<uint32_t> ns;
  ns.reserve(timed ? 1 << 20 : 0);
  for (auto _ : state) {
    const auto start =
        timed ? std::chrono::steady_clock::now() : decltype(std::chrono::steady_clock::now()){};
    const auto result = way == Way::kProducer ? producer->Append(payload, options)
                                              : bed->log->Append(payload, options);
    if (!result.ok()) {
      state.SkipWithError(std::string(result.status().message()).c_str());
      break;
    }
    if (timed && ns.size() < ns.capacity()) {
      ns.push_back(static_cast<uint32_t>((std::chrono::steady_clock::now() - start).count()));
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * state.range(1));
  if (timed) ReportLatency(state, ns);
  ReportGroups(state);
}

void Arguments(benchmark::internal::Benchmark* b) {
  b->ArgNames({"durability", "payload_bytes"})
      ->UseRealTime()
      ->Setup(SetUpBed)
      ->Teardown(TearDownBed);
}

BENCHMARK(BM_Append<Way::kProducer>)
    ->Name("BM_Append")
    ->Apply(Arguments)
    ->ArgsProduct({{static_cast<int>(Durability::kBuffered)}, {128, 4096}})
    ->Threads(1)
    ->Threads(4)
    ->Threads(8);
BENCHMARK(BM_Append<Way::kProducer>)
    ->Name("BM_Append")
    ->Apply(Arguments)
    ->Args({static_cast<int>(Durability::kWritten), 128})
    ->Threads(1)
    ->Threads(4)
    ->Threads(8);
BENCHMARK(BM_Append<Way::kProducer>)
    ->Name("BM_Append")
    ->Apply(Arguments)
    ->ArgsProduct({{static_cast<int>(Durability::kDurable)}, {128, 4096}})
    ->Threads(1)
    ->Threads(8)
    ->Threads(64);
BENCHMARK(BM_Append<Way::kLog>)
    ->Name("BM_LogAppend")
    ->Apply(Arguments)
    ->Args({static_cast<int>(Durability::kBuffered), 128})
    ->Args({static_cast<int>(Durability::kDurable), 128})
    ->Threads(1)
    ->Threads(8);

}  // namespace
}  // namespace millrace
