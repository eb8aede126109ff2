// How long opening takes: a log of many segments that was closed in order, and one whose active
// segment a crash left as it was.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bench/compare/probes.h"
#include "bench/compare/raw_device.h"
#include "bench/compare/recycled_log.h"
#include "millrace/log.h"

namespace millrace {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kCrashedBytes = 128 * kMiB;
constexpr uint64_t kSmallSegment = 8 << 10;

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

absl::Status CopyFiles(const std::string& from, const std::string& to) {
  std::error_code error;
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError("cannot copy " + from + ": " + error.message());
}

// Never more than asked for: the goal is about so many.
uint64_t SegmentsOf(const Bench& bench, int segments) {
  return std::min(bench.Scaled(static_cast<uint64_t>(segments)), static_cast<uint64_t>(segments));
}

// A log of `segments` segments, closed in order. One record fills a segment.
absl::Status BuildSegments(const std::string& directory, uint64_t segments) {
  Options options;
  options.segment_bytes = kSmallSegment;
  options.initial_segment_bytes = kSmallSegment;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, options);
  if (!log.ok()) return log.status();
  while ((*log)->stats().segments < segments) {
    if (absl::Status status = FillLog(log->get(), 64 * kSmallSegment, kSmallSegment / 2);
        !status.ok()) {
      return status;
    }
  }
  return (*log)->Close();
}

absl::StatusOr<std::string> CleanLog(const Bench& bench, uint64_t segments) {
  return bench.Fixture(absl::StrCat("segments", segments), [&](const std::string& directory) {
    return BuildSegments(directory, segments);
  });
}

// What a kill leaves of a log whose one segment holds so many bytes: a copy of its files, taken
// while it is open.
absl::StatusOr<std::string> CrashedLog(const Bench& bench) {
  return bench.Fixture("crashed", [&](const std::string& directory) -> absl::Status {
    const std::string live = directory + ".live";
    const uint64_t bytes = bench.Scaled(kCrashedBytes);
    Options options;
    options.segment_bytes = 2 * kCrashedBytes;
    options.initial_segment_bytes = std::min(2 * bytes, 2 * kCrashedBytes);
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(live, options);
    if (!log.ok()) return log.status();
    absl::Status status = FillLog(log->get(), bytes * 3 / 4, 128);
    if (status.ok()) status = CopyFiles(live, directory);
    log->reset();
    std::error_code ignored;
    std::filesystem::remove_all(live, ignored);
    return status;
  });
}

absl::StatusOr<Figures> MeasureClean(const Bench& bench, int segments,
                                     const std::string& directory) {
  absl::StatusOr<std::string> clean = CleanLog(bench, SegmentsOf(bench, segments));
  if (!clean.ok()) return clean.status();
  const std::string copy = directory + "/log";
  if (absl::Status status = CopyFiles(*clean, copy); !status.ok()) return status;
  const Clock::time_point begin = Clock::now();
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(copy);
  const double seconds = SecondsSince(begin);
  if (!log.ok()) return log.status();
  Figures figures;
  figures.values["open_ns"] = seconds * 1e9;
  figures.values["segments"] = static_cast<double>((*log)->stats().segments);
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  return figures;
}

absl::StatusOr<Figures> MeasureTrim(const Bench& bench, int segments,
                                    const std::string& directory) {
  absl::StatusOr<std::string> clean = CleanLog(bench, SegmentsOf(bench, segments));
  if (!clean.ok()) return clean.status();
  const std::string copy = directory + "/log";
  if (absl::Status status = CopyFiles(*clean, copy); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(copy);
  if (!log.ok()) return log.status();
  const Clock::time_point begin = Clock::now();
  absl::Status status = (*log)->TrimBefore((*log)->last_durable() + 1);
  const double seconds = SecondsSince(begin);
  if (!status.ok()) return status;
  Figures figures;
  figures.values["trim_ns"] = seconds * 1e9;
  if (status = (*log)->Close(); !status.ok()) return status;
  return figures;
}

absl::StatusOr<Figures> MeasureCrashed(const Bench& bench, const std::string& directory) {
  absl::StatusOr<std::string> crashed = CrashedLog(bench);
  if (!crashed.ok()) return crashed.status();
  const std::string copy = directory + "/log";
  if (absl::Status status = CopyFiles(*crashed, copy); !status.ok()) return status;
  // Writing the copy back is not what is measured.
  if (absl::Status status = DropCached(copy); !status.ok()) return status;
  const Clock::time_point begin = Clock::now();
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(copy);
  const double seconds = SecondsSince(begin);
  if (!log.ok()) return log.status();
  if ((*log)->recovery().outcome != RecoveryReport::Outcome::kRecovered) {
    return absl::InternalError("the log was not taken for one that had crashed");
  }
  const auto bytes = static_cast<double>((*log)->stats().log_bytes);
  Figures figures;
  figures.values["open_ns"] = seconds * 1e9;
  figures.values["bytes_per_s"] = bytes / seconds;
  if (absl::Status status = (*log)->Close(); !status.ok()) return status;
  return figures;
}

absl::StatusOr<Figures> MeasureRawRead(const Bench& bench, const std::string& directory) {
  absl::StatusOr<std::string> crashed = CrashedLog(bench);
  if (!crashed.ok()) return crashed.status();
  const std::string copy = directory + "/log";
  if (absl::Status status = CopyFiles(*crashed, copy); !status.ok()) return status;
  if (absl::Status status = DropCached(copy); !status.ok()) return status;
  absl::StatusOr<RawResult> result = ReadFiles(copy);
  if (!result.ok()) return result.status();
  Figures figures;
  figures.values["bytes_per_s"] = static_cast<double>(result->bytes) / result->seconds;
  return figures;
}

}  // namespace

Probe OpenCleanProbe(const std::string& group, const std::string& name, int segments) {
  Probe probe = {.group = group, .name = name};
  probe.title = Counted(segments, "segment");
  probe.settings = "segments of 8 KiB, cached, closed in order";
  probe.run = [segments](const Bench& bench, const std::string& directory) {
    return MeasureClean(bench, segments, directory);
  };
  return probe;
}

Probe TrimProbe(const std::string& group, const std::string& name, int segments) {
  Probe probe = OpenCleanProbe(group, name, segments);
  probe.settings = "TrimBefore of all but the last of so many segments of 8 KiB";
  probe.run = [segments](const Bench& bench, const std::string& directory) {
    return MeasureTrim(bench, segments, directory);
  };
  return probe;
}

void AddOpenProbes(Probes* probes) {
  probes->push_back(OpenCleanProbe("open, clean", "open.clean", 1000));
  probes->push_back({"open, after a crash", "open.crashed", "Millrace",
                     "one segment of 96 MiB of 128-byte records, not in the page cache",
                     MeasureCrashed});
  probes->push_back({"open, after a crash", "open.raw", "raw read of the same files",
                     "not in the page cache, blocks of 1 MiB", MeasureRawRead});
}

}  // namespace millrace
