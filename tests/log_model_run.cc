#include "tests/log_model_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace millrace {
namespace {

// How many operations a difference is shown with.
constexpr size_t kShownNotes = 20;

// The log's I/O errors carry their errno; none of its other errors does.
bool IsIoError(const absl::Status& status) {
  return status.GetPayload("millrace.errno").has_value();
}

SimOptions DrawDisk(ModelChoices& choices) {
  SimOptions options;
  options.seed = 1 + choices.Below(uint64_t{1} << 32);
  using Entries = SimOptions::Entries;
  options.entries = choices.OneIn(2) ? Entries::kPrefix : Entries::kAnySubset;
  using NewEntry = SimOptions::NewEntry;
  options.new_entry = choices.OneIn(4) ? NewEntry::kSyncedWithFile : NewEntry::kNeedsDirectorySync;
  using FailedSync = SimOptions::FailedSync;
  options.failed_sync = choices.OneIn(2) ? FailedSync::kRevertsSize : FailedSync::kKeepsSize;
  options.overwrites_in_place = !choices.OneIn(4);
  return options;
}

const std::vector<ModelOperation>& AllOperations() {
  static const auto* const kAll = [] {
    auto* all = new std::vector<ModelOperation>;
    for (const auto& some :
         {AppendOperations(), TicketOperations(), BurstOperations(), LogOperations(),
          CursorOperations(), SeekOperations(), LifecycleOperations()}) {
      all->insert(all->end(), some.begin(), some.end());
    }
    return all;
  }();
  return *kAll;
}

uint64_t TotalWeight() {
  uint64_t total = 0;
  for (const ModelOperation& operation : AllOperations()) total += operation.weight;
  return total;
}

}  // namespace

namespace {

using Tally = ModelRun::Tally;

struct NamedTally {
  const char* name;
  uint64_t Tally::*count;
};

constexpr NamedTally kTallies[] = {
    {"openings", &Tally::openings},
    {"failed openings", &Tally::failed_openings},
    {"power cuts", &Tally::power_cuts},
    {"kills", &Tally::kills},
    {"failures", &Tally::failures},
    {"refused", &Tally::refused},
    {"dropped", &Tally::dropped},
    {"withdrawn", &Tally::withdrawn},
    {"timed out", &Tally::timed_out},
    {"trims", &Tally::trims},
    {"truncations", &Tally::truncations},
    {"trimmed entries", &Tally::trimmed_entries},
    {"truncated entries", &Tally::truncated_entries},
};

}  // namespace

void ModelRun::Tally::Add(const Tally& other) {
  for (const NamedTally& named : kTallies) this->*named.count += other.*named.count;
}

std::string ModelRun::Tally::Missing() const {
  std::string missing;
  for (const NamedTally& named : kTallies) {
    if (this->*named.count == 0) absl::StrAppend(&missing, named.name, "; ");
  }
  return missing;
}

std::string ModelRun::Tally::ToString() const {
  std::string text;
  for (const NamedTally& named : kTallies) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", this->*named.count, " ", named.name);
  }
  return text;
}

ModelRun::ModelRun(ModelChoices model_choices, ModelFault* model_fault)
    : choices(model_choices), disk(DrawDisk(choices)), fault(*model_fault) {
  fault.Arm(disk);
}

ModelRun::~ModelRun() {
  pending.clear();
  cursors.clear();
  producers.clear();
  log = nullptr;
}

std::optional<std::string> ModelRun::Run(uint64_t operations) {
  Note("open");
  Reopen(LogModel::Survivors::kAll);
  while (!differs() && performed_ < operations && !choices.exhausted()) Perform();
  if (!differs()) {
    Note("close and read everything");
    if (state == State::kOpen && !failure.has_value() && ExpectOk("Close", log->Close())) {
      model.KnowDurable(model.last());
    }
    const bool all = !failure.has_value();
    if (!differs()) Reopen(all ? LogModel::Survivors::kAll : LogModel::Survivors::kDurable);
    if (!differs()) ReadEverything();
  }
  if (differs()) return Report();
  return std::nullopt;
}

void ModelRun::Perform() {
  static const uint64_t kTotalWeight = TotalWeight();
  fault.Disturb(disk);
  uint64_t draw = choices.Below(kTotalWeight);
  const ModelOperation* chosen = nullptr;
  for (const ModelOperation& operation : AllOperations()) {
    chosen = &operation;
    if (draw < operation.weight) break;
    draw -= operation.weight;
  }
  NextStep(chosen->name);
  chosen->run(*this);
  if (!differs()) AfterOperation();
}

void ModelRun::NextStep(std::string_view name) {
  ++performed_;
  while (notes_.size() > kShownNotes) notes_.pop_front();
  Note(absl::StrCat("#", performed_, " ", std::string(name)));
}

void ModelRun::AfterOperation() {
  TakeCallbacks();
  if (differs()) return;
  if (!disk.powered()) {
    Note("the power went off");
    Reopen(LogModel::Survivors::kDurable);
  } else if (failure.has_value()) {
    if (++failed_operations_ < 1 + choices.Below(16)) return;
    if (choices.OneIn(2)) disk.CutPower();
    Note(disk.powered() ? "reopen after the failure" : "power cut after the failure");
    Reopen(LogModel::Survivors::kDurable);
  } else if (state == State::kClosed && choices.OneIn(6)) {
    Note("reopen after closing");
    Reopen(LogModel::Survivors::kAll);
  }
}

void ModelRun::Describe(std::string text) { notes_.back() += " " + text; }

void ModelRun::Differ(std::string expected, std::string found) {
  if (differs()) return;
  difference_ = absl::StrCat("expected: ", expected, "\nfound:    ", found);
}

std::string ModelRun::Report() const {
  return absl::StrCat("operation ", performed_, " differs\n", *difference_,
                      "\nthe last operations:\n  ", absl::StrJoin(notes_, "\n  "),
                      "\nthe last calls of the disk:\n", disk.Describe());
}

bool ModelRun::DiskExplains(const absl::Status& status) const {
  return disk_may_fail && IsIoError(status);
}

bool ModelRun::StateExplains(const absl::Status& status) {
  if (status.ok()) return false;
  // For good, with the first error.
  if (failure.has_value()) return status.code() == failure->code();
  if (state == State::kClosed) return absl::IsCancelled(status);
  if (!DiskExplains(status)) return false;
  Note(absl::StrCat("the log has failed: ", status.message()));
  failure = status;
  ++tally.failures;
  failed_operations_ = 0;
  return true;
}

bool ModelRun::ExpectOk(std::string_view call, const absl::Status& status) {
  if (status.ok()) return true;
  if (!StateExplains(status)) Differ(std::string(call) + " succeeds", status.ToString());
  return false;
}

bool ModelRun::ExpectCode(std::string_view call, const absl::Status& status,
                          absl::StatusCode code) {
  if (status.code() == code) return true;
  if (StateExplains(status)) return false;
  Differ(absl::StrCat(std::string(call), " returns ", absl::StatusCodeToString(code)),
         status.ToString());
  return false;
}

// --- Asynchronous results -----------------------------------------------------------

void ModelRun::TakeCallbacks() {
  for (auto& [id, result] : callbacks->Take()) {
    const uint64_t wanted = id;
    const auto found = std::find_if(pending.begin(), pending.end(), [&](const PendingResult& p) {
      return p.id == wanted && !p.ticket.has_value();
    });
    if (found == pending.end()) {
      return Differ("each callback is called once", absl::StrCat("a second call for id ", id));
    }
    Resolve(&*found, result);
    pending.erase(found);
  }
}

void ModelRun::Resolve(PendingResult* append, const absl::StatusOr<SequenceNumber>& result) {
  using Fate = PendingResult::Fate;
  const std::string what = absl::StrCat("the append of id ", append->id);
  if (append->fate == Fate::kDropped || append->fate == Fate::kWithdrawn) {
    const bool dropped = append->fate == Fate::kDropped;
    const auto code = dropped ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kCancelled;
    if (result.status().code() == code) return;
    return Differ(what + (dropped ? ", dropped, ends with ResourceExhausted"
                                  : ", withdrawn, ends with Cancelled"),
                  result.ok() ? absl::StrCat("number ", *result) : result.status().ToString());
  }
  const bool first_time = !std::exchange(append->resolved, true);
  if (!result.ok()) {
    ExpectOk(what, result.status());
    if (first_time) counters.failed += append->count;
    return;
  }
  if (first_time) counters.acknowledged += append->count;
  if (*result != append->first) {
    return Differ(absl::StrCat(what, " gets the number ", append->first), absl::StrCat(*result));
  }
  if (append->fate == Fate::kTruncated) return;
  const SequenceNumber last = append->first + append->count - 1;
  if (append->durability == Durability::kDurable) model.KnowDurable(last);
  if (append->durability == Durability::kWritten) model.KnowWritten(last);
}

void ModelRun::Withdrawn(SequenceNumber first, uint32_t count) {
  model.Withdraw(first, count);
  for (PendingResult& append : pending) {
    if (append.first > first && append.fate == PendingResult::Fate::kExpected) {
      append.first -= count;
    }
  }
  for (ModelProducer& producer : producers) {
    if (producer.last >= first + count) {
      producer.last -= count;
    } else if (producer.last >= first) {
      producer.last = first - 1;
    }
  }
}

}  // namespace millrace
