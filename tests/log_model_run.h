#ifndef MILLRACE_LOG_MODEL_RUN_H_
#define MILLRACE_LOG_MODEL_RUN_H_

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/log.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/log_model.h"
#include "tests/log_model_content.h"
#include "tests/log_model_fault.h"

namespace millrace {

// The directory in which the log lives on the simulated disk.
inline constexpr char kModelDirectory[] = "log";

// An append that was accepted, and whose result is still to come.
struct PendingResult {
  uint64_t id = 0;
  SequenceNumber first = kNoSequence;
  uint32_t count = 1;
  Durability durability = Durability::kDurable;
  enum class Fate : uint8_t {
    kExpected,
    kDropped,    // by WhenFull::kDropNewest
    kWithdrawn,  // by Ticket::Withdraw
    kTruncated,  // it had its number, which others have now
  } fate = Fate::kExpected;
  std::optional<Ticket> ticket;  // none: a callback
  bool resolved = false;
};

// What callbacks were told, in their order. Shared with them: they may outlive a run that failed.
class CallbackResults {
 public:
  using Result = std::pair<uint64_t, absl::StatusOr<SequenceNumber>>;
  void Add(uint64_t id, absl::StatusOr<SequenceNumber> result) {
    const std::lock_guard<std::mutex> lock(mu_);
    results_.emplace_back(id, std::move(result));
  }
  std::vector<Result> Take() {
    const std::lock_guard<std::mutex> lock(mu_);
    return std::exchange(results_, {});
  }

 private:
  std::mutex mu_;
  std::vector<Result> results_;
};

struct ModelProducer {
  std::unique_ptr<Producer> producer;
  SequenceNumber last = kNoSequence;  // of its records
};

struct OpenModelCursor {
  std::string name;
  CursorOptions options;
  std::unique_ptr<Cursor> cursor;
};

// One sequence of operations on a log and on its model, side by side: the state that operations
// share, and how they say that the two differ. The log's threads are real, the disk is not.
//
// Ends at the first difference. Not thread-safe.
class ModelRun {
 public:
  ModelRun(ModelChoices choices, ModelFault* fault);
  ModelRun(const ModelRun&) = delete;
  ModelRun& operator=(const ModelRun&) = delete;
  ~ModelRun();

  // Performs up to `operations` of them, then closes and reads everything. What differed, with the
  // operations that led there; nullopt if nothing did.
  std::optional<std::string> Run(uint64_t operations);
  uint64_t performed() const { return performed_; }

  // --- For operations -----------------------------------------------------------------

  ModelChoices choices;
  LogModel model;
  std::map<std::string, ModelCursor> model_cursors;
  SimFileSystem disk;
  ModelFault& fault;

  Options options;
  std::unique_ptr<Log> log;  // never null while operations run
  std::vector<ModelProducer> producers;
  std::vector<OpenModelCursor> cursors;
  std::list<PendingResult> pending;
  std::shared_ptr<CallbackResults> callbacks = std::make_shared<CallbackResults>();
  uint64_t next_id = 1;

  // Of this opening of the log; what LogStats must say.
  struct Counters {
    uint64_t accepted = 0;
    uint64_t acknowledged = 0;  // that somebody was told of
    uint64_t failed = 0;        // likewise
    uint64_t in_doubt = 0;      // that `accepted` may be too low by
    uint64_t withdrawn = 0;
    uint64_t dropped = 0;
  } counters;

  // How often what is rare has happened; for the test to see that it does.
  struct Tally {
    uint64_t openings = 0;
    uint64_t failed_openings = 0;
    uint64_t power_cuts = 0;
    uint64_t kills = 0;
    uint64_t failures = 0;
    uint64_t refused = 0;
    uint64_t dropped = 0;
    uint64_t withdrawn = 0;
    uint64_t timed_out = 0;
    uint64_t trims = 0;
    uint64_t truncations = 0;
    uint64_t trimmed_entries = 0;
    uint64_t truncated_entries = 0;
    void Add(const Tally& other);
    // The names of those that are 0.
    std::string Missing() const;
    std::string ToString() const;
  } tally;

  enum class State : uint8_t { kOpen, kClosed } state = State::kOpen;
  // The disk was told to fail, so calls may.
  bool disk_may_fail = false;
  std::optional<absl::Status> failure;  // the log's first error

  // The writer is held inside a call to the disk: what waits for it must give up in time.
  bool writer_held = false;

  // Says what the present operation does; shown if it, or one soon after, finds a difference.
  void Note(std::string text) { notes_.push_back(std::move(text)); }
  // Begins another operation inside of the present one.
  void NextStep(std::string_view name);
  // Adds to the last note.
  void Describe(std::string text);
  // Ends the run.
  void Differ(std::string expected, std::string found);
  bool differs() const { return difference_.has_value(); }

  // True if the disk was told to fail, and `status` is an I/O error.
  bool DiskExplains(const absl::Status& status) const;
  // True if the log's state explains the error of a call: it is closed, or has failed, or may.
  bool StateExplains(const absl::Status& status);
  // Compares the status of a call that should succeed, the state of the log aside.
  bool ExpectOk(std::string_view call, const absl::Status& status);
  bool ExpectCode(std::string_view call, const absl::Status& status, absl::StatusCode code);

  ModelCursor& ModelOf(const OpenModelCursor& cursor) { return model_cursors[cursor.name]; }
  // Judges what has been called back since.
  void TakeCallbacks();
  // Judges one result of an asynchronous append.
  void Resolve(PendingResult* append, const absl::StatusOr<SequenceNumber>& result);
  // The numbers from `first` on move up: their owner withdrew `count` before them.
  void Withdrawn(SequenceNumber first, uint32_t count);

  // --- Lifecycle ----------------------------------------------------------------------

  // Lets go of everything that was opened, and opens the log again.
  void Reopen(LogModel::Survivors survivors);
  void ReadEverything();
  // The power goes off at one of the next calls that change the disk.
  void ArmCrash();
  // One of the next calls that change the disk fails.
  void ArmError();

 private:
  void LetGo();
  void ResolveAll();
  void CloseCursors();
  void Perform();
  void AfterOperation();
  bool TryOpen(LogModel::Survivors* survivors);
  bool ExplainsFailedOpen(const absl::Status& status, LogModel::Survivors* survivors);
  void Calm();
  uint64_t ErrorHits() const;
  void Adopt(LogModel::Survivors survivors);
  Options DrawOptions();
  std::string Report() const;

  std::deque<std::string> notes_;
  std::optional<std::string> difference_;
  uint64_t performed_ = 0;
  uint64_t failed_operations_ = 0;  // since the log failed
  bool exists_ = false;             // the log, for certain
  bool crash_armed_ = false;
  std::optional<int> armed_error_;  // the disk's rule
};

// One kind of operation. `run` draws what to do, does it to both, and compares.
struct ModelOperation {
  std::string_view name;
  uint32_t weight;
  void (*run)(ModelRun&);
};

std::span<const ModelOperation> AppendOperations();
std::span<const ModelOperation> TicketOperations();
std::span<const ModelOperation> BurstOperations();
std::span<const ModelOperation> LogOperations();
std::span<const ModelOperation> CursorOperations();
std::span<const ModelOperation> SeekOperations();
std::span<const ModelOperation> LifecycleOperations();

}  // namespace millrace

#endif  // MILLRACE_LOG_MODEL_RUN_H_
