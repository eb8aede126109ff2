// Reading a log from its beginning, from the page cache: every record's checksums are verified.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bench/compare/contestant_probe.h"
#include "bench/compare/probes.h"
#include "bench/compare/raw_device.h"
#include "bench/compare/recycled_log.h"
#include "millrace/log.h"
#include "xxhash.h"

namespace millrace {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kPayloadBytes = 256 * kMiB;
constexpr size_t kFrameBytes = 32;  // that a record has beside its payload
constexpr size_t kReadMemory = 256 << 10;

// A log that was closed in order, and is in the page cache.
absl::StatusOr<std::string> LogToRead(const Bench& bench, size_t record_bytes) {
  return bench.Fixture(absl::StrCat("read", record_bytes), [&](const std::string& directory) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory);
    if (!log.ok()) return log.status();
    absl::Status status = FillLog(log->get(), bench.Scaled(kPayloadBytes), record_bytes);
    if (!status.ok()) return status;
    if (status = (*log)->Close(); !status.ok()) return status;
    return ReadFiles(directory).status();
  });
}

// Reads up to and including `last` and returns how many records that were.
using ReadAll = std::function<absl::StatusOr<uint64_t>(Cursor&, SequenceNumber last)>;

absl::StatusOr<uint64_t> ByNext(Cursor& cursor, SequenceNumber last) {
  uint64_t records = 0;
  while (cursor.delivered() < last) {
    absl::StatusOr<Entry> entry = cursor.Next();
    if (!entry.ok()) return entry.status();
    records += entry->kind == Entry::Kind::kRecord ? 1 : 0;
  }
  return records;
}

absl::StatusOr<uint64_t> ByBatch(Cursor& cursor, SequenceNumber last) {
  std::vector<char> memory(kReadMemory);
  std::vector<Entry> entries;
  uint64_t records = 0;
  while (cursor.delivered() < last) {
    entries.clear();
    absl::StatusOr<size_t> count = cursor.NextBatch(memory, &entries);
    if (!count.ok()) return count.status();
    records += *count;
  }
  return records;
}

absl::StatusOr<Figures> ReadLog(const Bench& bench, size_t record_bytes, const ReadAll& read_all) {
  absl::StatusOr<std::string> directory = LogToRead(bench, record_bytes);
  if (!directory.ok()) return directory.status();
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(*directory);
  if (!log.ok()) return log.status();
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = (*log)->OpenCursor("read");
  if (!cursor.ok()) return cursor.status();
  const SequenceNumber last = (*log)->last_durable();
  const auto begin = std::chrono::steady_clock::now();
  absl::StatusOr<uint64_t> records = read_all(**cursor, last);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  if (!records.ok()) return records.status();
  if (*records != last) return absl::DataLossError(absl::StrCat("read ", *records, " of ", last));
  cursor->reset();
  if (absl::Status status = (*log)->DeleteCursor("read"); !status.ok()) return status;
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  Figures figures;
  figures.values["records_per_s"] = static_cast<double>(*records) / elapsed.count();
  figures.values["passes_per_s"] = 1 / elapsed.count();
  return figures;
}

absl::StatusOr<Figures> ReadRaw(const Bench& bench, size_t record_bytes) {
  absl::StatusOr<std::string> directory = LogToRead(bench, record_bytes);
  if (!directory.ok()) return directory.status();
  absl::StatusOr<RawResult> result = ReadFiles(*directory);
  if (!result.ok()) return result.status();
  Figures figures;
  figures.values["bytes_per_s"] = static_cast<double>(result->bytes) / result->seconds;
  figures.values["passes_per_s"] = 1 / result->seconds;
  return figures;
}

// Reads the files and hashes each record's share of them, in two pieces as a frame has them: no log
// that verifies what it reads can be faster, with this hash.
absl::StatusOr<Figures> ReadAndHash(const Bench& bench, size_t record_bytes) {
  absl::StatusOr<std::string> directory = LogToRead(bench, record_bytes);
  if (!directory.ok()) return directory.status();
  const size_t frame_bytes = kFrameBytes + record_bytes;
  uint64_t records = 0;
  volatile uint64_t sink = 0;
  absl::StatusOr<RawResult> result = ReadFiles(*directory, [&](std::string_view block) {
    for (; block.size() >= frame_bytes; block.remove_prefix(frame_bytes)) {
      sink = sink + XXH3_64bits_withSeed(block.data(), kFrameBytes, records) +
             XXH3_64bits_withSeed(block.data() + kFrameBytes, record_bytes, 1);
      ++records;
    }
  });
  if (!result.ok()) return result.status();
  Figures figures;
  figures.values["records_per_s"] = static_cast<double>(records) / result->seconds;
  figures.values["passes_per_s"] = 1 / result->seconds;
  return figures;
}

void AddSize(size_t bytes, Probes* probes) {
  const std::string group = absl::StrCat("sequential read, ", bytes, "-byte records");
  const std::string name = absl::StrCat("read", bytes);
  const auto by = [bytes](ReadAll read_all) {
    return [bytes, read_all = std::move(read_all)](const Bench& bench, const std::string&) {
      return ReadLog(bench, bytes, read_all);
    };
  };
  probes->push_back({group, name + ".next", "Cursor::Next", "defaults, cached", by(ByNext)});
  probes->push_back({group, name + ".batch", "Cursor::NextBatch",
                     "defaults, cached; memory of 256 KiB", by(ByBatch)});
  probes->push_back(
      {group, name + ".raw", "raw read of the same files", "read in blocks of 1 MiB, cached",
       [bytes](const Bench& bench, const std::string&) { return ReadRaw(bench, bytes); }});
  probes->push_back(
      {group, name + ".hashed", "read and hash", "as raw, and XXH3 over each record and its header",
       [bytes](const Bench& bench, const std::string&) { return ReadAndHash(bench, bytes); }});
  DiskqueueWork work = {.kind = DiskqueueWork::Kind::kRead};
  work.record_bytes = bytes;
  work.sync_every = 0;
  work.records = 100'000;
  probes->push_back(DiskqueueProbe(group, name + ".diskqueue", work));
}

}  // namespace

void AddReadProbes(Probes* probes) {
  AddSize(128, probes);
  AddSize(1024, probes);
}

}  // namespace millrace
