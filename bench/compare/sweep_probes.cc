// One thing after the other is varied, for the plots of the full run. Names are
// sweep.<what>.<who>.<value>.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/compare/contestant.h"
#include "bench/compare/contestant_probe.h"
#include "bench/compare/probes.h"
#include "millrace/log.h"

namespace millrace {
namespace {

using Make = std::unique_ptr<Contestant> (*)(Durability);

struct Who {
  const char* name;
  const char* title;
  Make make;
};
constexpr Who kMillrace = {"millrace", "Millrace",
                           [](Durability durability) { return NewMillrace(durability); }};
constexpr Who kAll[] = {
    kMillrace, {"leveldb", "LevelDB", NewLevelDb}, {"rocksdb", "RocksDB", NewRocksDb}};

const char* DurabilityName(Durability durability) {
  switch (durability) {
    case Durability::kBuffered:
      return "buffered";
    case Durability::kWritten:
      return "written";
    case Durability::kDurable:
      return "durable";
  }
  return "";
}

std::string Named(const std::string& what, const std::string& who, uint64_t value) {
  return absl::StrCat("sweep.", what, ".", who, ".", value);
}

// A closed loop of `durability`; buffered ones are timed in samples.
RunLoad Loop(int producers, size_t record_bytes, Durability durability) {
  return [=](const Bench& bench, Contestant* contestant) {
    Load load = bench.LoadOf(producers, record_bytes);
    load.seconds /= 2;  // there are many
    load.latency_sample = durability == Durability::kDurable ? 1 : 16;
    return ClosedLoop(load, contestant);
  };
}

// What several groups in flight would bring: one buffered write and sync at a time, and 1, 2 and 4
// direct ones at once.
void AddInFlight(Probes* probes) {
  for (const int producers : {8, 64}) {
    const std::string group = absl::StrCat("sweep: bare group commit, ", producers, " producers");
    for (const int in_flight : {0, 1, 2, 4}) {
      const std::string title =
          in_flight == 0 ? "buffered, fdatasync" : absl::StrCat(in_flight, " direct in flight");
      probes->push_back(ContestantProbe(
          group,
          Named("in_flight", absl::StrCat("bare", producers), static_cast<uint64_t>(in_flight)),
          title, [in_flight] { return NewBareLog({.direct_in_flight = in_flight}); },
          Loop(producers, 128, Durability::kDurable)));
    }
  }
}

void AddProducers(Probes* probes) {
  for (const int producers : {1, 2, 4, 8, 16, 32, 64, 128, 256}) {
    const std::string group = "sweep: durable, " + Counted(producers, "producer");
    for (const Who& who : kAll) {
      probes->push_back(ContestantProbe(
          group, Named("producers", who.name, static_cast<uint64_t>(producers)), who.title,
          [make = who.make] { return make(Durability::kDurable); },
          Loop(producers, 128, Durability::kDurable)));
    }
    probes->push_back(
        DiskqueueProbe(group, Named("producers", "diskqueue", static_cast<uint64_t>(producers)),
                       {.producers = producers}));
  }
}

void AddRecordBytes(Probes* probes) {
  for (const size_t bytes : {16, 128, 1024, 8 << 10, 64 << 10, 256 << 10, 1 << 20}) {
    const std::string group = absl::StrCat("sweep: durable, 8 producers, ", bytes, "-byte records");
    for (const Who& who : kAll) {
      // Their memtables would be flushed, which is not what is measured.
      if (bytes > 64 << 10 && who.make != kMillrace.make) continue;
      probes->push_back(ContestantProbe(
          group, Named("record_bytes", who.name, bytes), who.title,
          [make = who.make] { return make(Durability::kDurable); },
          Loop(8, bytes, Durability::kDurable)));
    }
  }
}

void AddSegmentBytes(Probes* probes) {
  for (const uint64_t kib : {64, 256, 1024, 4096, 16384, 65536, 262144}) {
    const uint64_t bytes = kib << 10;
    probes->push_back(ContestantProbe(
        "sweep: durable, 8 producers, segment size", Named("segment_bytes", "millrace", bytes),
        absl::StrCat(kib, " KiB"),
        [bytes] {
          Options options;
          options.segment_bytes = bytes;
          return NewMillrace(Durability::kDurable, options);
        },
        Loop(8, 1024, Durability::kDurable)));
  }
}

void AddDurabilities(Probes* probes) {
  for (const int producers : {1, 4, 16, 64}) {
    for (const Durability durability :
         {Durability::kBuffered, Durability::kWritten, Durability::kDurable}) {
      probes->push_back(ContestantProbe(
          "sweep: " + Counted(producers, "producer") + ", durability",
          Named(absl::StrCat("durability_", DurabilityName(durability)), "millrace",
                static_cast<uint64_t>(producers)),
          DurabilityName(durability), [durability] { return NewMillrace(durability); },
          Loop(producers, 128, durability)));
    }
  }
}

void AddArrivals(Probes* probes) {
  for (const uint64_t rate : {1000, 2000, 5000, 10'000, 20'000, 40'000, 80'000, 160'000}) {
    for (const Who& who : kAll) {
      probes->push_back(ContestantProbe(
          absl::StrCat("sweep: durable, 64 producers, ", rate, " records/s arrive"),
          Named("arrivals", who.name, rate), who.title,
          [make = who.make] { return make(Durability::kDurable); },
          [rate](const Bench& bench, Contestant* contestant) {
            return OpenLoop(bench.LoadOf(64), static_cast<double>(rate), contestant);
          }));
    }
  }
}

absl::StatusOr<Figures> CommitAll(int cursors, const Bench& bench, const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory + "/log");
  if (!log.ok()) return log.status();
  if (absl::Status status = (*log)->Append("one record").status(); !status.ok()) return status;
  const uint64_t wanted = bench.work < 0.1 ? std::min(cursors, 4) : cursors;
  std::vector<std::unique_ptr<Cursor>> open;
  for (uint64_t i = 0; i < wanted; ++i) {
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = (*log)->OpenCursor(absl::StrCat("cursor", i));
    if (!cursor.ok()) return cursor.status();
    if (absl::Status status = (*cursor)->Next().status(); !status.ok()) return status;
    open.push_back(*std::move(cursor));
  }
  LatencyHistogram latency;
  const absl::Time begin = absl::Now();
  for (const std::unique_ptr<Cursor>& cursor : open) {
    const absl::Time start = absl::Now();
    absl::Status status = cursor->Commit(1);
    if (status.ok()) status = cursor->Checkpoint();
    if (!status.ok()) return status;
    latency.Record(static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::Now() - start)));
  }
  Figures figures;
  figures.values["records_per_s"] =
      static_cast<double>(wanted) / absl::ToDoubleSeconds(absl::Now() - begin);
  figures.AddLatency("append", latency);
  open.clear();
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  return figures;
}

void AddLogs(Probes* probes) {
  for (const int readers : {0, 1, 2, 4, 8, 16}) {
    probes->push_back(ReadersProbe("sweep: readers beside 8 durable producers",
                                   Named("readers", "millrace", static_cast<uint64_t>(readers)),
                                   readers));
  }
  for (const int segments : {1, 10, 100, 1000, 10'000}) {
    const auto value = static_cast<uint64_t>(segments);
    probes->push_back(OpenCleanProbe("sweep: opening", Named("open", "millrace", value), segments));
  }
  for (const int segments : {1, 10, 100, 1000, 10'000}) {
    const auto value = static_cast<uint64_t>(segments);
    probes->push_back(TrimProbe("sweep: trimming all", Named("trim", "millrace", value), segments));
  }
  for (const int cursors : {1, 10, 100, 1000}) {
    Probe probe = {.group = "sweep: cursors, each commits and checkpoints",
                   .name = Named("cursors", "millrace", static_cast<uint64_t>(cursors)),
                   .title = Counted(cursors, "cursor")};
    probe.settings = "one after the other; a checkpoint is a sync";
    probe.run = [cursors](const Bench& bench, const std::string& directory) {
      return CommitAll(cursors, bench, directory);
    };
    probes->push_back(std::move(probe));
  }
}

}  // namespace

Probes SweepProbes() {
  Probes probes;
  AddProducers(&probes);
  AddInFlight(&probes);
  AddRecordBytes(&probes);
  AddSegmentBytes(&probes);
  AddDurabilities(&probes);
  AddArrivals(&probes);
  AddLogs(&probes);
  return probes;
}

}  // namespace millrace
