#include "bench/compare/probes.h"

namespace millrace {

Probes GoalProbes() {
  Probes probes;
  AddDeviceProbes(&probes);
  AddDurableProbes(&probes);
  AddPageCacheProbes(&probes);
  AddAppendCallProbes(&probes);
  AddStreamProbes(&probes);
  AddQueueProbes(&probes);
  AddReadProbes(&probes);
  AddTailProbes(&probes);
  AddOpenProbes(&probes);
  AddSteadyProbes(&probes);
  AddMemoryProbes(&probes);
  return probes;
}

}  // namespace millrace
