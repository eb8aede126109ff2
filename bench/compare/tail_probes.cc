// Readers beside a writer: how soon after its sync a record reaches a cursor that waits for it, and
// what readers cost those who append.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "bench/compare/contestant.h"
#include "bench/compare/probes.h"
#include "bench/compare/sync_watch.h"
#include "bench/compare/ticks.h"
#include "millrace/log.h"

namespace millrace {
namespace {

constexpr double kDeliveryRate = 1000;  // records a second: one sync each
constexpr int kProducers = 8;

// Cursors that read on until they are destroyed, each in a thread.
class Readers {
 public:
  // In their place: threads that are woken as often, and read nothing.
  void StartWaiters(Log* log, int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, log] {
        // relaxed: a request to end.
        while (!stopping_.load(std::memory_order_relaxed)) {
          log->WaitDurable(log->last_durable() + 1, absl::Milliseconds(20)).IgnoreError();
        }
      });
    }
  }

  // `delivered` is called for each record, in the thread of its cursor.
  absl::Status Start(Log* log, int count, std::function<void()> delivered) {
    for (int i = 0; i < count; ++i) {
      absl::StatusOr<std::unique_ptr<Cursor>> cursor =
          log->OpenCursor(absl::StrCat("reader", i), {.start = CursorStart::Latest()});
      if (!cursor.ok()) return cursor.status();
      threads_.emplace_back([this, delivered, cursor = *std::move(cursor)] {
        // relaxed: a request to end.
        while (!stopping_.load(std::memory_order_relaxed)) {
          const absl::StatusOr<Entry> entry = cursor->Next(absl::Milliseconds(20));
          if (entry.ok()) delivered();
        }
      });
    }
    return absl::OkStatus();
  }

  ~Readers() {
    // relaxed: a request to end; join orders the rest.
    stopping_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

absl::StatusOr<Figures> MeasureDelivery(const Bench& bench, const std::string& directory) {
  SyncWatch watch;
  const TickClock clock;
  Options options;
  options.file_system = &watch;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory + "/log", options);
  if (!log.ok()) return log.status();
  LatencyHistogram delivery;
  const std::unique_ptr<Contestant> contestant = NewMillraceOver(log->get(), Durability::kDurable);
  absl::StatusOr<LoadResult> load;
  {
    Readers readers;
    // With one producer that waits, each record has a sync of its own, and no later one ends
    // before the record is delivered or its producer was woken, had its turn and was synced.
    absl::Status status = readers.Start(log->get(), 1, [&] {
      delivery.Record(clock.Nanoseconds(watch.last_sync(), TickClock::Now()));
    });
    if (!status.ok()) return status;
    load = OpenLoop(bench.LoadOf(1), kDeliveryRate, contestant.get());
  }
  if (!load.ok()) return load.status();
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  Figures figures;
  figures.AddLoad(*load);
  figures.AddLatency("delivery", delivery);
  return figures;
}

enum class Beside : uint8_t { kReaders, kWaiters };

absl::StatusOr<Figures> MeasureBeside(Beside beside, int wanted, const Bench& bench,
                                      const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory + "/log");
  if (!log.ok()) return log.status();
  const std::unique_ptr<Contestant> contestant = NewMillraceOver(log->get(), Durability::kDurable);
  std::atomic<uint64_t> delivered{0};
  absl::StatusOr<LoadResult> load;
  {
    Readers readers;
    if (beside == Beside::kWaiters) {
      readers.StartWaiters(log->get(), wanted);
    } else {
      // relaxed: a count.
      absl::Status status = readers.Start(
          log->get(), wanted, [&] { delivered.fetch_add(1, std::memory_order_relaxed); });
      if (!status.ok()) return status;
    }
    load = ClosedLoop(bench.LoadOf(kProducers), contestant.get());
  }
  if (!load.ok()) return load.status();
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  Figures figures;
  figures.AddLoad(*load);
  // relaxed: the readers have ended.
  figures.values["delivered"] = static_cast<double>(delivered.load(std::memory_order_relaxed));
  return figures;
}

constexpr char kBesideProducers[] = "readers beside 8 durable producers";

Probe WaitersProbe(int waiters) {
  Probe probe = {.group = kBesideProducers, .name = absl::StrCat("readers", waiters, ".waiting")};
  probe.title = absl::StrCat(waiters, " that read nothing");
  probe.settings = "as above, threads in WaitDurable in their place";
  probe.run = [waiters](const Bench& bench, const std::string& directory) {
    return MeasureBeside(Beside::kWaiters, waiters, bench, directory);
  };
  return probe;
}

}  // namespace

Probe ReadersProbe(const std::string& group, const std::string& name, int readers) {
  Probe probe = {.group = group, .name = name};
  probe.title = Counted(readers, "reader");
  probe.settings = "8 durable producers, cursors that wait in Next; defaults";
  probe.run = [readers](const Bench& bench, const std::string& directory) {
    return MeasureBeside(Beside::kReaders, readers, bench, directory);
  };
  return probe;
}

void AddTailProbes(Probes* probes) {
  probes->push_back({"tail a live log", "tail.delivery", "one record at a time, one cursor",
                     "1 producer, 1000 records/s, each synced by itself; from the end of the sync",
                     MeasureDelivery});
  for (const int readers : {0, 1, 4}) {
    probes->push_back(ReadersProbe(kBesideProducers, absl::StrCat("readers", readers), readers));
  }
  probes->push_back(WaitersProbe(4));
}

}  // namespace millrace
