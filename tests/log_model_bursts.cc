// Appending faster than the disk: the queue fills up.

#include <condition_variable>
#include <memory>
#include <mutex>

#include "millrace/testing/file_call.h"
#include "tests/log_model_appends.h"
#include "tests/log_model_run.h"

namespace millrace {
namespace {

// Holds whoever writes to a segment or syncs one.
class WriterGate {
 public:
  void Pass() {
    std::unique_lock<std::mutex> lock(mu_);
    opened_.wait(lock, [this] { return open_; });
  }
  void Open() {
    const std::lock_guard<std::mutex> lock(mu_);
    open_ = true;
    opened_.notify_all();
  }

 private:
  std::mutex mu_;
  std::condition_variable opened_;
  bool open_ = false;
};

void RunBurst(ModelRun& run) {
  if (run.state != ModelRun::State::kOpen) return;
  const auto gate = std::make_shared<WriterGate>();
  run.disk.SetHook([gate](const FileCall& call) {
    const bool writes = call.op == FileOp::kWrite || call.op == FileOp::kSync;
    if (writes && call.name.ends_with(".seg")) gate->Pass();
    return SimVerdict::kProceed;
  });
  run.writer_held = true;
  const uint64_t appends = 20 + run.choices.Below(200);
  for (uint64_t i = 0; i < appends && !run.differs(); ++i) {
    const std::span<const ModelOperation> some =
        run.choices.OneIn(2) ? RecordSteps() : TicketSteps();
    const ModelOperation& step = some[run.choices.Below(some.size())];
    run.NextStep(step.name);
    step.run(run);
  }
  run.writer_held = false;
  gate->Open();
  run.disk.SetHook(nullptr);
}

constexpr ModelOperation kOperations[] = {
    {"hold the writer", 3, RunBurst},
};

}  // namespace

std::span<const ModelOperation> BurstOperations() { return kOperations; }

}  // namespace millrace
