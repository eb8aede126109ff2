#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/compare/contestant.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "millrace/producer.h"

namespace millrace {
namespace {

class MillraceAppender : public Appender {
 public:
  MillraceAppender(std::unique_ptr<Producer> producer, Durability durability,
                   std::atomic<uint64_t>* total)
      : producer_(std::move(producer)), total_(total) {
    options_.durability = durability;
  }

  ~MillraceAppender() override {
    // relaxed: read after the threads were joined.
    total_->fetch_add(appended_, std::memory_order_relaxed);
  }

  absl::Status Append(std::string_view record) override {
    absl::StatusOr<SequenceNumber> sequence = producer_->Append(record, options_);
    if (!sequence.ok()) return sequence.status();
    ++appended_;
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<Producer> producer_;
  AppendOptions options_;
  uint64_t appended_ = 0;
  std::atomic<uint64_t>* total_;
};

class MillraceContestant : public Contestant {
 public:
  MillraceContestant(Durability durability, const Options& options)
      : durability_(durability), options_(options) {}
  MillraceContestant(Durability durability, Log* log)
      : durability_(durability),
        log_(log),
        written_before_(log->last_written()),
        syncs_before_(log->stats().syncs) {}

  std::string name() const override {
    switch (durability_) {
      case Durability::kBuffered:
        return "Millrace, buffered";
      case Durability::kWritten:
        return "Millrace, written";
      case Durability::kDurable:
        return "Millrace";
    }
    return "Millrace";
  }

  std::string settings() const override {
    const std::string defaults = "defaults, one Producer for each thread";
    switch (durability_) {
      case Durability::kBuffered:
        return defaults + "; timed until all is in the page cache";
      case Durability::kWritten:
        return defaults + "; each waits until the writer's thread has written its record";
      case Durability::kDurable:
        return defaults;
    }
    return defaults;
  }

  absl::Status Open(const std::string& directory) override {
    if (log_ != nullptr) return absl::OkStatus();
    // relaxed: no thread appends yet.
    appended_.store(0, std::memory_order_relaxed);
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory + "/log", options_);
    if (!log.ok()) return log.status();
    own_log_ = *std::move(log);
    log_ = own_log_.get();
    syncs_before_ = 0;
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Appender>> NewAppender() override {
    absl::StatusOr<std::unique_ptr<Producer>> producer = log_->NewProducer();
    if (!producer.ok()) return producer.status();
    return std::make_unique<MillraceAppender>(*std::move(producer), durability_, &appended_);
  }

  absl::Status Drain() override {
    // A fresh log numbers its records from 1.
    // relaxed: the appenders' threads were joined before.
    const uint64_t total = written_before_ + appended_.load(std::memory_order_relaxed);
    const absl::Time deadline = absl::Now() + absl::Minutes(1);
    while (log_->last_written() < total) {
      if (absl::Now() > deadline) return absl::DeadlineExceededError("records stay unwritten");
      absl::SleepFor(absl::Microseconds(50));
    }
    return absl::OkStatus();
  }

  std::optional<uint64_t> syncs() const override { return log_->stats().syncs - syncs_before_; }

  absl::Status Close() override {
    if (own_log_ == nullptr) return absl::OkStatus();
    absl::Status status = own_log_->Close();
    own_log_.reset();
    log_ = nullptr;
    return status;
  }

 private:
  const Durability durability_;
  const Options options_;
  std::unique_ptr<Log> own_log_;
  Log* log_ = nullptr;
  SequenceNumber written_before_ = 0;
  uint64_t syncs_before_ = 0;
  std::atomic<uint64_t> appended_{0};
};

}  // namespace

std::unique_ptr<Contestant> NewMillrace(Durability durability, const Options& options) {
  return std::make_unique<MillraceContestant>(durability, options);
}

std::unique_ptr<Contestant> NewMillraceOver(Log* log, Durability durability) {
  return std::make_unique<MillraceContestant>(durability, log);
}

}  // namespace millrace
