#include "tests/realfs/cut_workload.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "tests/log_oracle.h"

namespace millrace {
namespace {

constexpr SequenceNumber kRecordsKept = 40;  // behind the cursor's checkpoint

// The first error of any thread.
class FirstError {
 public:
  void Note(absl::Status status) {
    if (status.ok()) return;
    absl::MutexLock lock(&mutex_);
    if (status_.ok()) status_ = std::move(status);
  }
  bool ok() {
    absl::MutexLock lock(&mutex_);
    return status_.ok();
  }
  absl::Status Take() {
    absl::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

class Run {
 public:
  explicit Run(const CutWorkload& workload) : workload_(workload), oracle_(*workload.oracle) {}

  absl::Status Open() {
    Options options;
    options.file_system = workload_.file_system;
    options.initial_segment_bytes = 8192;
    options.segment_bytes = uint64_t{8192} << workload_.generation % 3;
    if (workload_.generation % 2 == 0) options.sync_policy.records = 16;
    options.idle_mark_delay = absl::Milliseconds(1 + workload_.seed % 8);
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(workload_.directory, options);
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    CursorOptions cursor_options;
    cursor_options.checkpoint_records = 20;
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = log_->OpenCursor("reader", cursor_options);
    if (!cursor.ok()) return cursor.status();
    cursor_ = *std::move(cursor);
    return absl::OkStatus();
  }

  absl::Status Work() {
    std::vector<std::thread> threads;
    for (uint32_t p = 0; p < kCutProducers; ++p) {
      threads.emplace_back([this, p] { error_.Note(Produce(p)); });
    }
    std::thread consumer([this] { error_.Note(Consume()); });
    for (std::thread& thread : threads) thread.join();
    // release: the producers are done; pairs with the acquire in Consume().
    produced_.store(true, std::memory_order_release);
    consumer.join();
    return error_.Take();
  }

  absl::Status Close() {
    cursor_.reset();
    return log_->Close();
  }

 private:
  uint64_t Position() const { return workload_.recording->position(); }
  bool GoOn() { return workload_.recording->HasRoom() && error_.ok(); }

  absl::Status Produce(uint32_t p) {
    CutOracle::ProducerNotes& notes = oracle_.producers[p];
    std::mt19937_64 random(workload_.seed * 31 + workload_.generation * kCutProducers + p);
    OracleContent content(workload_.seed);
    const uint64_t first = notes.issued;
    notes.acknowledged.resize(first);
    for (uint64_t i = 0; i < workload_.records_each && GoOn(); ++i) {
      const uint64_t largest = log_->max_payload_bytes() - 128;
      const uint64_t bytes = random() % 16 == 0  ? 0
                             : random() % 8 == 0 ? largest - random() % (largest / 4)
                                                 : kOracleHeaderBytes + random() % 600;
      content.Make({.producer = p,
                    .generation = workload_.generation,
                    .index = first + i,
                    .first_index = first,
                    .payload_bytes = static_cast<uint32_t>(bytes)});
      notes.issued = first + i + 1;
      notes.acknowledged.push_back({});
      const Durability durability = random() % 4 != 0   ? Durability::kDurable
                                    : random() % 2 != 0 ? Durability::kWritten
                                                        : Durability::kBuffered;
      const absl::StatusOr<SequenceNumber> sequence =
          log_->Append(content.payload(), content.options(durability));
      if (!sequence.ok()) return sequence.status();
      if (durability == Durability::kDurable) {
        notes.acknowledged.back() = {*sequence, Position()};
      }
      if (random() % 24 == 0) {
        const absl::Status flushed = log_->Flush();
        if (!flushed.ok()) return flushed;
        notes.flushed.push_back({notes.issued, Position()});
      }
    }
    return absl::OkStatus();
  }

  absl::Status Consume() {
    uint64_t seen = 0;
    // acquire: pairs with the release in Work().
    while (!produced_.load(std::memory_order_acquire)) {
      const absl::StatusOr<Entry> entry = cursor_->Next(absl::Milliseconds(5));
      if (absl::IsDeadlineExceeded(entry.status())) continue;
      if (!entry.ok()) return error_.ok() ? entry.status() : absl::OkStatus();
      if (entry->kind == Entry::Kind::kLost) {
        return absl::DataLossError("the cursor reports " + entry->lost.ToString());
      }
      if (++seen % 8 != 0) continue;
      const SequenceNumber delivered = cursor_->delivered();
      oracle_.commit_asked.push_back({delivered, Position()});
      const absl::Status committed = cursor_->Commit(delivered);
      if (!committed.ok()) return committed;
      const SequenceNumber checkpointed = cursor_->checkpointed();
      oracle_.checkpointed.push_back({checkpointed, Position()});
      if (seen % 32 != 0 || checkpointed <= kRecordsKept) continue;
      const SequenceNumber first_to_keep = checkpointed - kRecordsKept;
      oracle_.trim_asked.push_back({first_to_keep, Position()});
      const absl::Status trimmed = log_->TrimBefore(first_to_keep);
      if (!trimmed.ok()) return trimmed;
    }
    return absl::OkStatus();
  }

  const CutWorkload workload_;
  CutOracle& oracle_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Cursor> cursor_;
  FirstError error_;
  std::atomic<bool> produced_{false};
};

}  // namespace

absl::Status RunCutWorkload(const CutWorkload& workload) {
  Run run(workload);
  absl::Status status = run.Open();
  if (status.ok()) status = run.Work();
  if (status.ok()) status = run.Close();
  return status;
}

}  // namespace millrace
