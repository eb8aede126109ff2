// A stream of durable records of 1 KiB: producers that do not wait, so that the writer always has
// the largest group there is. Into a growing log, and into recycled segments; beside 1 MiB
// writes with fdatasync.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "bench/compare/probes.h"
#include "bench/compare/raw_device.h"
#include "bench/compare/recycled_log.h"
#include "millrace/log.h"

namespace millrace {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kSegmentBytes = 64 * kMiB;
constexpr uint64_t kStreamBytes = 384 * kMiB;
constexpr size_t kRecordBytes = 1024;
constexpr int kProducers = 2;
constexpr char kGroup[] = "streaming durable, 1 KiB records";

absl::Status StreamOne(Log* log, uint64_t records) {
  absl::StatusOr<std::unique_ptr<Producer>> producer = log->NewProducer();
  if (!producer.ok()) return producer.status();
  const std::string payload(kRecordBytes, 's');
  for (uint64_t i = 0; i < records; ++i) {
    // The ticket is dropped: whoever streams asks for the last one's fate, or for all of them.
    absl::StatusOr<Ticket> ticket = (*producer)->AppendAsync(payload);
    if (!ticket.ok()) return ticket.status();
  }
  return (*producer)->WaitForAll();
}

// Returns bytes of payload per second, until all are durable.
absl::StatusOr<double> Stream(Log* log, uint64_t bytes) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<absl::Status> statuses(kProducers);
  std::vector<std::thread> threads;
  const uint64_t each = std::max<uint64_t>(1, bytes / kRecordBytes / kProducers);
  for (absl::Status& status : statuses) {
    threads.emplace_back([&, log] { status = StreamOne(log, each); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(each * kProducers * kRecordBytes) / elapsed.count();
}

absl::StatusOr<Figures> ReportStream(absl::StatusOr<double> bytes_per_s, Log* log) {
  if (!bytes_per_s.ok()) return bytes_per_s.status();
  Figures figures;
  figures.values["bytes_per_s"] = *bytes_per_s;
  figures.values["records_per_s"] = *bytes_per_s / kRecordBytes;
  const LogStats stats = log->stats();
  figures.values["recycled_segments"] = static_cast<double>(stats.recycled_segments);
  figures.values["bytes_per_group"] = stats.bytes_per_group.Mean();
  if (absl::Status status = log->Close(); !status.ok()) return status;
  return figures;
}

absl::StatusOr<Figures> Recycled(const Bench& bench, const std::string& directory) {
  const uint64_t segment = std::min(kSegmentBytes, bench.Scaled(kSegmentBytes) + kMiB);
  absl::StatusOr<std::unique_ptr<Log>> log = OpenRecycled(directory + "/log", segment);
  if (!log.ok()) return log.status();
  absl::StatusOr<double> rate;
  {
    const Trimmer trimmer(log->get());
    rate = Stream(log->get(), bench.Scaled(kStreamBytes));
  }
  return ReportStream(std::move(rate), log->get());
}

absl::StatusOr<Figures> Growing(const Bench& bench, const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory + "/log");
  if (!log.ok()) return log.status();
  return ReportStream(Stream(log->get(), bench.Scaled(kStreamBytes) / 2), log->get());
}

absl::StatusOr<Figures> Raw(RawWork::Place place, const Bench& bench,
                            const std::string& directory) {
  const RawWork work = {.place = place,
                        .way = RawWork::Way::kSynced,
                        .block_bytes = kMiB,
                        .file_bytes = 64 * kMiB,
                        .seconds = bench.seconds};
  absl::StatusOr<RawResult> result = MeasureRaw(work, directory + "/raw");
  if (!result.ok()) return result.status();
  Figures figures;
  figures.values["bytes_per_s"] = static_cast<double>(result->bytes) / result->seconds;
  return figures;
}

}  // namespace

void AddStreamProbes(Probes* probes) {
  const auto raw = [](RawWork::Place place) {
    return [place](const Bench& bench, const std::string& directory) {
      return Raw(place, bench, directory);
    };
  };
  const std::string log = "2 Producers, AppendAsync with kDurable; bytes of payload; ";
  probes->push_back({kGroup, "stream.millrace", "Millrace, recycled segments",
                     log + "trimmed as it goes", Recycled});
  probes->push_back({kGroup, "stream.raw", "raw 1 MiB overwrite + fdatasync",
                     "one thread, one file of 64 MiB", raw(RawWork::Place::kOverwrite)});
  probes->push_back({kGroup, "stream.growing", "Millrace, growing log",
                     log + "from an empty directory", Growing});
  probes->push_back({kGroup, "stream.raw_append", "raw 1 MiB append + fdatasync", "one thread",
                     raw(RawWork::Place::kAppend)});
}

}  // namespace millrace
