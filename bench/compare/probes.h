#ifndef MILLRACE_BENCH_COMPARE_PROBES_H_
#define MILLRACE_BENCH_COMPARE_PROBES_H_

#include <string>
#include <vector>

#include "bench/compare/probe.h"
#include "nlohmann/json.hpp"

namespace millrace {

// What there is to measure, each in a source of its own. Each adds its probes, those of one
// group together. Names and figures are what goals.cc and the plots look for.
using Probes = std::vector<Probe>;

void AddDeviceProbes(Probes* probes);      // device_probes.cc
void AddDurableProbes(Probes* probes);     // durable_probes.cc
void AddPageCacheProbes(Probes* probes);   // page_cache_probes.cc
void AddAppendCallProbes(Probes* probes);  // append_call_probes.cc
void AddStreamProbes(Probes* probes);      // stream_probes.cc
void AddQueueProbes(Probes* probes);       // queue_probes.cc
void AddReadProbes(Probes* probes);        // read_probes.cc
void AddTailProbes(Probes* probes);        // tail_probes.cc
void AddOpenProbes(Probes* probes);        // open_probes.cc
void AddSteadyProbes(Probes* probes);      // steady_probes.cc
void AddMemoryProbes(Probes* probes);      // memory_probes.cc

// What the goals and the tables need.
Probes GoalProbes();

// The sweeps of the full run: sweep_probes.cc.
Probes SweepProbes();

// `readers` cursors beside durable producers: tail_probes.cc.
Probe ReadersProbe(const std::string& group, const std::string& name, int readers);
// Opening a clean log of `segments` segments, and trimming it: open_probes.cc.
Probe OpenCleanProbe(const std::string& group, const std::string& name, int segments);
Probe TrimProbe(const std::string& group, const std::string& name, int segments);

// The work of memory_probes.cc that wants a process of its own: "idle" or "busy".
absl::StatusOr<nlohmann::json> MeasureOwnMemory(const std::string& which,
                                                const std::string& directory);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_PROBES_H_
