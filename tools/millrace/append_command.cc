#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "millrace/producer.h"
#include "tools/millrace/choices.h"
#include "tools/millrace/command.h"
#include "tools/millrace/input.h"
#include "tools/millrace/interrupt.h"
#include "tools/millrace/mention_recovery.h"
#include "tools/millrace/output.h"
#include "wal/mutex.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "append";
constexpr uint64_t kMostProducers = 1024;

enum class AckForm : uint8_t { kNone, kText, kJson };

// One input that several producers take records from, each a record at a time: what one producer
// appends stands in the log in the order of the input.
class SharedInput {
 public:
  explicit SharedInput(RecordInput* input) : input_(input) {}

  // `line` is the number of the record in the input, from 1.
  RecordInput::Result Next(std::string* record, uint64_t* line) {
    MutexLock lock(&mu_);
    if (stopped_) return RecordInput::Result::kEnd;
    const RecordInput::Result result = input_->Next(record);
    *line = input_->records();
    return result;
  }

  void Stop() {
    MutexLock lock(&mu_);
    stopped_ = true;
  }

 private:
  Mutex mu_;
  RecordInput* const input_ ABSL_PT_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

// What became of the appends: told on the log's callback thread, read by all.
class Outcome {
 public:
  explicit Outcome(AckForm form) : form_(form) {}

  void Issued() {
    // relaxed: only decides when to flush, see Resolved().
    issued_.fetch_add(1, std::memory_order_relaxed);
  }

  // On the callback thread.
  void Resolved(uint64_t line, const absl::StatusOr<SequenceNumber>& sequence) {
    if (!sequence.ok()) {
      Failed(sequence.status());
      return;
    }
    if (first_ == kNoSequence) first_ = *sequence;
    last_ = *sequence;
    ++safe_;
    if (form_ == AckForm::kText) output_.Write(absl::StrFormat("%d\n", *sequence));
    if (form_ == AckForm::kJson) {
      output_.Write(absl::StrFormat("{\"line\":%d,\"sequence\":%d}\n", line, *sequence));
    }
    // While others are under way the output waits for them, so that it is written in large pieces.
    // relaxed: a stale value flushes once too often.
    if (safe_ >= issued_.load(std::memory_order_relaxed)) output_.Flush();
    if (output_.reader_gone() || !output_.status().ok()) {
      // relaxed: only stops the producers some time soon.
      stop_.store(true, std::memory_order_relaxed);
    }
  }

  void Failed(const absl::Status& status) {
    MutexLock lock(&mu_);
    if (error_.ok()) error_ = status;
    // relaxed: only stops the producers some time soon.
    stop_.store(true, std::memory_order_relaxed);
  }

  bool should_stop() const {
    // relaxed: nothing is read through it.
    return stop_.load(std::memory_order_relaxed);
  }

  absl::Status error() const {
    MutexLock lock(&mu_);
    return error_;
  }

  // The three below once the log is closed.
  Output& output() { return output_; }
  uint64_t safe() const { return safe_; }
  std::string Summary() const {
    if (safe_ == 0) return "no record appended";
    return absl::StrFormat("%d records appended, numbers %d to %d", safe_, first_, last_);
  }

 private:
  const AckForm form_;
  std::atomic<uint64_t> issued_{0};
  std::atomic<bool> stop_{false};
  Output output_;
  SequenceNumber first_ = kNoSequence;
  SequenceNumber last_ = kNoSequence;
  uint64_t safe_ = 0;
  mutable Mutex mu_;
  absl::Status error_ ABSL_GUARDED_BY(mu_);
};

struct AppendSettings {
  uint64_t producers = 1;
  Durability durability = Durability::kDurable;
  std::string key_separator;
};

// Appends what it takes from `input` until that ends or something fails.
void Produce(const AppendSettings& settings, Producer* producer, SharedInput* input,
             Outcome* outcome) {
  std::string record;
  uint64_t line = 0;
  while (!outcome->should_stop()) {
    const RecordInput::Result result = input->Next(&record, &line);
    if (result != RecordInput::Result::kRecord) break;
    AppendOptions options;
    options.durability = settings.durability;
    std::string_view payload = record;
    if (!settings.key_separator.empty()) {
      const size_t at = payload.find(settings.key_separator);
      if (at != std::string_view::npos) {
        options.key = payload.substr(0, at);
        payload.remove_prefix(at + settings.key_separator.size());
      }
    }
    outcome->Issued();
    const absl::Status accepted = producer->AppendAsync(
        payload, options, [outcome, line](const absl::StatusOr<SequenceNumber>& sequence) {
          outcome->Resolved(line, sequence);
        });
    if (!accepted.ok()) {
      outcome->Failed(accepted);
      break;
    }
  }
  input->Stop();
}

absl::Status ProduceFromAll(const AppendSettings& settings, Log* log, RecordInput* records,
                            Outcome* outcome) {
  std::vector<std::unique_ptr<Producer>> producers;
  for (uint64_t i = 0; i < settings.producers; ++i) {
    absl::StatusOr<std::unique_ptr<Producer>> producer = log->NewProducer();
    if (!producer.ok()) return producer.status();
    producers.push_back(*std::move(producer));
  }
  SharedInput input(records);
  std::vector<std::thread> threads;
  for (size_t i = 1; i < producers.size(); ++i) {
    threads.emplace_back([&, i] { Produce(settings, producers[i].get(), &input, outcome); });
  }
  Produce(settings, producers[0].get(), &input, outcome);
  for (std::thread& thread : threads) thread.join();
  return absl::OkStatus();
}

ExitCode Finish(absl::Status status, const RecordInput& input, Outcome* outcome) {
  outcome->output().Flush();
  if (status.ok()) status = outcome->error();
  if (status.ok()) status = input.status();
  if (status.ok()) status = outcome->output().status();
  if (!status.ok()) {
    Complain(kName, outcome->Summary());
    return Fail(kName, status);
  }
  if (outcome->output().reader_gone()) {
    Complain(kName, outcome->Summary() + "; stopped: nobody reads the output of --ack");
    return ExitCode::kIoError;
  }
  if (isatty(STDERR_FILENO) != 0) Complain(kName, outcome->Summary());
  return ExitCode::kFine;
}

ExitCode Run(const Invocation& invocation) {
  InterruptWatch interrupt;
  Options options;
  options.recovery_policy = PolicyOf(invocation);
  options.segment_bytes = invocation.Bytes("segment-bytes");
  options.initial_segment_bytes = std::min(options.initial_segment_bytes, options.segment_bytes);
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(invocation.directory(), options);
  if (!log.ok()) return Fail(kName, log.status());
  MentionRecovery(kName, (*log)->recovery());

  AckForm form = AckForm::kNone;
  if (invocation.On("ack")) form = invocation.On("json") ? AckForm::kJson : AckForm::kText;
  const AppendSettings settings = {invocation.Number("producers"), DurabilityOf(invocation),
                                   invocation.Text("key-separator")};
  Outcome outcome(form);
  RecordInput input(STDIN_FILENO, FramingOf(invocation), (*log)->max_payload_bytes(), &interrupt);
  absl::Status status = ProduceFromAll(settings, log->get(), &input, &outcome);
  const absl::Status closed = (*log)->Close();
  if (status.ok()) status = closed;
  return Finish(status, input, &outcome);
}

std::vector<Flag> Flags() {
  using Kind = Flag::Kind;
  return {
      {.name = "ack", .help = "print the number of each record, in order, once it is safe"},
      {.kind = Kind::kChoice,
       .name = "durability",
       .argument = "HOW",
       .standard = "durable",
       .help = "when a record is safe: in memory, when it survives this process, or a power cut",
       .choices = {"buffered", "written", "durable"}},
      FramingFlag("how records stand in the input: a line each, or behind 4 bytes of length, "
                  "little-endian"),
      JsonFlag(),
      {.kind = Kind::kText,
       .name = "key-separator",
       .argument = "TEXT",
       .help = "what stands before the first TEXT of a record becomes its key"},
      {.kind = Kind::kChoice,
       .name = "policy",
       .argument = "HOW",
       .standard = "salvage",
       .help =
           "about damage in the log: go on with all that can be read, refuse, or set aside what "
           "follows the first loss",
       .choices = {"salvage", "strict", "stop"}},
      {.kind = Kind::kNumber,
       .name = "producers",
       .argument = "N",
       .standard = "1",
       .help = "threads that append at once, each in the order of the input",
       .least = 1,
       .most = kMostProducers},
      {.kind = Kind::kBytes,
       .name = "segment-bytes",
       .argument = "SIZE",
       .standard = "64MiB",
       .help = "of records in one file, which also bounds a record"},
  };
}

}  // namespace

Command AppendCommand() {
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "append the records of standard input to a log",
      .description =
          "Creates the log if there is none, and recovers it after a crash, saying what it found. "
          "Ends when the input does, or on SIGINT or SIGTERM, after everything accepted is "
          "durable.",
      .flags = Flags(),
      .json = {{"line", "of --ack: the number of the record in the input, from 1"},
               {"sequence", "the number it has in the log"}},
      .examples = {{"journalctl -f -o cat | millrace append /var/tmp/journal", "log a stream"},
                   {"seq 1000 | millrace append --producers=8 --ack /tmp/numbers",
                    "eight threads, numbers printed once they are durable"}},
      .run = Run,
  };
}

}  // namespace millrace
