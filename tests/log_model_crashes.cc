// Operations that end an opening of the log, or make the disk fail.

#include "absl/strings/str_cat.h"
#include "tests/log_model_run.h"

namespace millrace {
namespace {

using Survivors = LogModel::Survivors;

void RunClose(ModelRun& run) {
  if (run.state == ModelRun::State::kClosed) return;
  if (!run.ExpectOk("Close", run.log->Close())) return;
  run.state = ModelRun::State::kClosed;
  run.model.KnowDurable(run.model.last());
  if (run.log->last_durable() != run.model.last()) {
    run.Differ(absl::StrCat("closing makes all durable, up to ", run.model.last()),
               absl::StrCat(run.log->last_durable()));
  }
}

// Without Close: the destructor does it.
void RunDestroy(ModelRun& run) {
  if (run.failure.has_value() || run.disk_may_fail) return;
  run.model.KnowDurable(run.model.last());
  run.Reopen(Survivors::kAll);
}

void RunKill(ModelRun& run) {
  // After a failed sync the page cache may hold less than was written.
  const Survivors survivors =
      run.disk_may_fail || run.failure.has_value() ? Survivors::kDurable : Survivors::kWritten;
  run.disk_may_fail = true;
  ++run.tally.kills;
  run.disk.KillProcess();
  run.Reopen(survivors);
}

void RunPowerCut(ModelRun& run) {
  run.disk_may_fail = true;
  run.disk.CutPower();
  run.Reopen(Survivors::kDurable);
}

void RunArmCrash(ModelRun& run) {
  if (!run.disk_may_fail) run.ArmCrash();
}

void RunArmError(ModelRun& run) {
  if (!run.disk_may_fail) run.ArmError();
}

void RunSecondOpen(ModelRun& run) {
  if (run.state != ModelRun::State::kOpen || run.failure.has_value() || run.disk_may_fail) return;
  run.ExpectCode("opening a log that is open", Log::Open(kModelDirectory, run.options).status(),
                 absl::StatusCode::kAborted);
}

constexpr ModelOperation kOperations[] = {
    {"Close", 2, RunClose},
    {"destroy the log", 1, RunDestroy},
    {"kill", 2, RunKill},
    {"power cut", 2, RunPowerCut},
    {"arm a crash", 3, RunArmCrash},
    {"arm an error", 2, RunArmError},
    {"second open", 1, RunSecondOpen},
};

}  // namespace

std::span<const ModelOperation> LifecycleOperations() { return kOperations; }

}  // namespace millrace
