#ifndef MILLRACE_LOG_MODEL_CURSORS_H_
#define MILLRACE_LOG_MODEL_CURSORS_H_

#include "absl/status/status.h"
#include "millrace/cursor.h"
#include "tests/log_model_run.h"

namespace millrace {

// One of the open cursors, or, if there is none, one that is opened for it; null if that fails.
OpenModelCursor* PickCursor(ModelRun& run);

// Compares an entry with the one that must come next, and moves the model's cursor on.
void CheckEntry(ModelRun& run, const OpenModelCursor& open, const Entry& entry);
// Whether there may be no next entry now, or this error may stand in its place.
void CheckNoEntry(ModelRun& run, const OpenModelCursor& open, const absl::Status& status);
// Compares the three numbers that a cursor shows.
void CheckPosition(ModelRun& run, const OpenModelCursor& open);

}  // namespace millrace

#endif  // MILLRACE_LOG_MODEL_CURSORS_H_
