#ifndef MILLRACE_LOG_MODEL_FAULT_H_
#define MILLRACE_LOG_MODEL_FAULT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "millrace/options.h"
#include "millrace/sequence.h"
#include "millrace/stats.h"
#include "millrace/testing/sim_file_system.h"

namespace millrace {

// A place for a deliberate fault between a ModelRun and the log, or below the log. As it stands
// here it changes nothing; tests/model_faults.h has those that the model must find.
class ModelFault {
 public:
  ModelFault() = default;
  ModelFault(const ModelFault&) = delete;
  ModelFault& operator=(const ModelFault&) = delete;
  virtual ~ModelFault() = default;

  // After the disk's rules were cleared.
  virtual void Arm(SimFileSystem& /*disk*/) {}
  // Before each operation.
  virtual void Disturb(SimFileSystem& /*disk*/) {}

  virtual void BeforeAppend(AppendOptions* /*options*/) {}
  virtual void BeforeBatch(std::vector<NewRecord>* /*records*/) {}
  virtual void AfterAppend(absl::StatusOr<SequenceNumber>* /*result*/) {}
  virtual void AfterStats(LogStats* /*stats*/) {}

  // What is done in place of a call: true to leave it out and report success.
  virtual bool SwallowsCheckpoint() { return false; }
  virtual bool SwallowsTruncation() { return false; }
  // Whether the next entry is to be read twice, of which the first is never shown.
  virtual bool SkipsEntry() { return false; }
};

}  // namespace millrace

#endif  // MILLRACE_LOG_MODEL_FAULT_H_
