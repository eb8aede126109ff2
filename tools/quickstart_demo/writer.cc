#include "tools/quickstart_demo/writer.h"

#include <cstdio>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "millrace/log.h"
#include "millrace/producer.h"

namespace millrace {
namespace {

// One producer: appends its records from `first` on, one after the other.
absl::Status Produce(Log* log, const Workload& workload, Workload::Tag first, int sitting,
                     Oracle* oracle) {
  absl::StatusOr<std::unique_ptr<Producer>> producer = log->NewProducer();
  if (!producer.ok()) return producer.status();
  std::string record;
  for (Workload::Tag tag = first; tag.index < workload.per_producer(); ++tag.index) {
    workload.Make(tag, &record);
    oracle->Issue(tag);
    const int64_t start = SteadyNanoseconds();
    const absl::StatusOr<SequenceNumber> sequence = (*producer)->Append(record);
    if (!sequence.ok()) return sequence.status();
    oracle->Acknowledge(tag, *sequence, static_cast<uint64_t>(SteadyNanoseconds() - start));
    // One thread keeps the count that would die with this process.
    if (tag.producer == 0) oracle->sitting(sitting).syncs = log->stats().syncs;
  }
  return absl::OkStatus();
}

// Runs all producers, each from `from[producer]` on.
absl::Status ProduceAll(Log* log, const Workload& workload, const std::vector<uint64_t>& from,
                        int sitting, Oracle* oracle) {
  SittingFigures& figures = oracle->sitting(sitting);
  for (const uint64_t index : from) figures.acknowledged_before += index;
  // relaxed: the parent process looks only whether it is set.
  figures.started_ns.store(SteadyNanoseconds(), std::memory_order_relaxed);
  std::vector<absl::Status> statuses(workload.producers());
  std::vector<std::thread> threads;
  for (uint32_t p = 0; p < workload.producers(); ++p) {
    threads.emplace_back([&, p] {
      statuses[p] = Produce(log, workload, {p, from[p]}, sitting, oracle);
    });
  }
  for (std::thread& thread : threads) thread.join();
  figures.ended_ns = SteadyNanoseconds();
  figures.syncs = log->stats().syncs;
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// What the log holds of each producer: the index after its last record there.
absl::StatusOr<std::vector<uint64_t>> FindProgress(Log* log, const Workload& workload,
                                                   Oracle* oracle) {
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = log->OpenCursor("progress");
  if (!cursor.ok()) return cursor.status();
  std::vector<uint64_t> next(workload.producers());
  const SequenceNumber last = log->last_durable();
  while ((*cursor)->delivered() < last) {
    const absl::StatusOr<Entry> entry = (*cursor)->Next(absl::Seconds(10));
    if (!entry.ok()) return entry.status();
    if (entry->kind == Entry::Kind::kLost) continue;
    const std::optional<Workload::Tag> tag = workload.TagOf(entry->record.payload);
    // What is none of ours is for the consumers to complain about.
    if (!tag) continue;
    uint64_t& recovered = oracle->recovered(tag->producer);
    if (tag->index == recovered) ++recovered;
    next[tag->producer] = std::max(next[tag->producer], tag->index + 1);
    if (tag->index >= oracle->acknowledged(tag->producer)) {
      oracle->Adopt(*tag, entry->record.sequence);
    }
  }
  return next;
}

}  // namespace

absl::Status AppendAll(const std::string& directory, const Workload& workload, Oracle* oracle) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory);
  if (!log.ok()) return log.status();
  const std::vector<uint64_t> from(workload.producers(), 0);
  absl::Status status = ProduceAll(log->get(), workload, from, kBeforeKill, oracle);
  const absl::Status closed = (*log)->Close();
  return status.ok() ? closed : status;
}

absl::Status AppendRest(const std::string& directory, const Workload& workload, Oracle* oracle) {
  const int64_t start = SteadyNanoseconds();
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory);
  if (!log.ok()) return log.status();
  absl::PrintF("   reopened in %.1f ms; the recovery report:\n",
               static_cast<double>(SteadyNanoseconds() - start) / 1e6);
  // Indented, line by line.
  std::string report = "      " + (*log)->recovery().ToString();
  while (report.ends_with('\n')) report.pop_back();
  for (size_t at = 0; (at = report.find('\n', at)) != std::string::npos; at += 7) {
    report.replace(at, 1, "\n      ");
  }
  absl::PrintF("%s\n", report);
  std::fflush(stdout);
  const absl::StatusOr<std::vector<uint64_t>> from = FindProgress(log->get(), workload, oracle);
  if (!from.ok()) return from.status();
  absl::Status status = ProduceAll(log->get(), workload, *from, kAfterKill, oracle);
  const absl::Status closed = (*log)->Close();
  return status.ok() ? closed : status;
}

}  // namespace millrace
