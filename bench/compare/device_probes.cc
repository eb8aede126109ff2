// What the device and the file system allow, with nothing of a log in between.

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "bench/compare/probes.h"
#include "bench/compare/raw_device.h"

namespace millrace {
namespace {

using Place = RawWork::Place;
using Way = RawWork::Way;

constexpr uint64_t kMiB = uint64_t{1} << 20;

std::string PlaceName(Place place) {
  switch (place) {
    case Place::kAppend:
      return "appending";
    case Place::kAllocated:
      return "fallocated";
    case Place::kOverwrite:
      return "overwriting";
  }
  return "";
}

std::string WayName(Way way) {
  switch (way) {
    case Way::kSynced:
      return "write + fdatasync";
    case Way::kDirect:
      return "O_DIRECT|O_DSYNC";
    case Way::kCached:
      return "write";
    case Way::kDirectRing:
      return "io_uring RWF_DSYNC";
  }
  return "";
}

std::string SizeName(size_t bytes) {
  return bytes >= kMiB ? absl::StrCat(bytes / kMiB, " MiB") : absl::StrCat(bytes / 1024, " KiB");
}

Probe RawProbe(const std::string& name, RawWork work, uint64_t total_bytes = 0) {
  Probe probe = {.group = "raw device", .name = "device." + name};
  probe.title =
      absl::StrCat(SizeName(work.block_bytes), " ", WayName(work.way), ", ",
                   work.way == Way::kDirectRing ? absl::StrCat(work.in_flight, " in flight")
                                                : PlaceName(work.place));
  probe.settings = "one thread, one file";
  probe.run = [work, total_bytes](const Bench& bench,
                                  const std::string& directory) -> absl::StatusOr<Figures> {
    RawWork ours = work;
    // A third: there are many of them, and they vary little.
    ours.seconds = bench.seconds / 3;
    if (total_bytes != 0) ours.total_bytes = bench.Scaled(total_bytes);
    if (ours.place == Place::kAllocated) ours.file_bytes = bench.Scaled(256 * kMiB);
    if (ours.place == Place::kAllocated && ours.block_bytes >= kMiB) {
      ours.total_bytes = ours.file_bytes / 2;
    }
    absl::StatusOr<RawResult> result = MeasureRaw(ours, directory + "/raw");
    if (!result.ok()) return result.status();
    Figures figures;
    figures.values["writes_per_s"] = static_cast<double>(result->writes) / result->seconds;
    figures.values["bytes_per_s"] = static_cast<double>(result->bytes) / result->seconds;
    figures.AddLatency("write", result->latency);
    return figures;
  };
  return probe;
}

}  // namespace

void AddDeviceProbes(Probes* probes) {
  for (const Way way : {Way::kSynced, Way::kDirect}) {
    const std::string prefix = way == Way::kSynced ? "sync4k." : "direct4k.";
    for (const Place place : {Place::kAppend, Place::kAllocated, Place::kOverwrite}) {
      probes->push_back(RawProbe(prefix + PlaceName(place), {.place = place, .way = way}));
    }
  }
  for (const int in_flight : {1, 2, 4, 8}) {
    probes->push_back(
        RawProbe(absl::StrCat("ring4k.", in_flight),
                 {.place = Place::kOverwrite, .way = Way::kDirectRing, .in_flight = in_flight}));
  }
  for (const Place place : {Place::kAppend, Place::kAllocated, Place::kOverwrite}) {
    probes->push_back(RawProbe(
        "sync1m." + PlaceName(place),
        {.place = place, .way = Way::kSynced, .block_bytes = kMiB, .file_bytes = 64 * kMiB}));
  }
  probes->push_back(RawProbe("direct1m.overwriting", {.place = Place::kOverwrite,
                                                      .way = Way::kDirect,
                                                      .block_bytes = kMiB,
                                                      .file_bytes = 64 * kMiB}));
  probes->push_back(RawProbe(
      "cached1m", {.place = Place::kAppend, .way = Way::kCached, .block_bytes = kMiB}, 256 * kMiB));
}

}  // namespace millrace
