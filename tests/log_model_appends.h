#ifndef MILLRACE_LOG_MODEL_APPENDS_H_
#define MILLRACE_LOG_MODEL_APPENDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/log.h"
#include "tests/log_model_content.h"
#include "tests/log_model_run.h"

namespace millrace {

// One append as a run draws it: a record, or those of a batch, and how it is made.
struct DrawnAppend {
  uint64_t id = 0;
  std::vector<ModelContent> contents;
  std::vector<ModelBytes> bytes;
  AppendOptions options;              // of a record: its views are into `bytes`
  AppendOptions given;                // what the log gets: the same, but for a deliberate fault
  std::vector<NewRecord> records;     // of a batch, likewise
  ModelProducer* producer = nullptr;  // null: by the Log itself
  bool invalid = false;               // to be refused with InvalidArgument

  uint32_t count() const { return static_cast<uint32_t>(contents.size()); }
  std::string_view payload() const { return bytes.front().payload(); }
};

enum class Waits : uint8_t { kForResult, kForSpaceOnly };

DrawnAppend DrawRecord(ModelRun& run, Waits waits);
DrawnAppend DrawBatch(ModelRun& run, Waits waits);

// Those that a run may do while the writer is held.
std::span<const ModelOperation> RecordSteps();
std::span<const ModelOperation> TicketSteps();

// Compares what a blocking append returned, and enters it into the model.
void CheckAppend(ModelRun& run, const DrawnAppend& append, absl::StatusOr<SequenceNumber> result);
// As above, for one whose result is still to come: null if there will be none.
PendingResult* CheckAccepted(ModelRun& run, const DrawnAppend& append, const absl::Status& status);
// The callback of an append, for CallbackResults.
AppendCallback CallbackFor(ModelRun& run, const DrawnAppend& append);

}  // namespace millrace

#endif  // MILLRACE_LOG_MODEL_APPENDS_H_
