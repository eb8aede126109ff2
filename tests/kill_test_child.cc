#include "tests/kill_test_child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/file_system.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "millrace/producer.h"
#include "tests/kill_test_check.h"
#include "tests/kill_test_file_system.h"
#include "tests/kill_test_oracle.h"
#include "tests/log_oracle.h"

namespace millrace {
namespace {

constexpr int kFailedExit = 3;
constexpr uint64_t kAsynchronousAtOnce = 16;  // of one producer
constexpr SequenceNumber kRecordsKept = 200;  // behind the cursor's checkpoint
// Ahead of it: where syncs cost nothing producers would leave the consumer behind, and every
// check would take longer than the one before.
constexpr SequenceNumber kMostAhead = 10000;
constexpr SequenceNumber kRecordsPerTrim = 100;

[[noreturn]] void Fail(const std::string& text) {
  std::fprintf(stderr, "kill_test child: %s\n", text.c_str());
  std::fflush(stderr);
  _exit(kFailedExit);
}

void Expect(const absl::Status& status, const char* doing) {
  if (!status.ok()) Fail(absl::StrCat(doing, ": ", status.ToString()));
}

class Child {
 public:
  explicit Child(const KillChildArguments& arguments)
      : arguments_(arguments),
        oracle_(MapKillOracle(arguments.oracle)),
        file_system_(PosixFileSystem(), oracle_) {}

  void Open();
  void Check();
  [[noreturn]] void Append();

 private:
  void Produce(uint32_t p);
  void AppendOne(const OracleRecord& record, uint64_t choice, Producer* producer);
  void AppendAsynchronously(const OracleRecord& record, Durability durability, Producer* producer);
  void Consume();
  void Commit(Cursor& cursor);
  void Trim(SequenceNumber checkpointed);
  uint32_t PayloadBytes(std::mt19937_64& random) const;

  const KillChildArguments arguments_;
  KillOracle* const oracle_;
  KillFileSystem file_system_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Cursor> cursor_;
};

void Child::Open() {
  Options options;
  options.file_system = &file_system_;
  options.initial_segment_bytes = KillSegmentBytes(0);
  options.segment_bytes = KillSegmentBytes(arguments_.generation);
  if (arguments_.generation % 3 == 1) options.sync_policy.records = 64;
  if (arguments_.generation % 3 == 2) options.sync_policy.interval = absl::Milliseconds(2);
  if (arguments_.generation % 2 == 1) options.idle_mark_delay = absl::Milliseconds(1);

  KillNote& inside = oracle_->inside[static_cast<size_t>(KillWindow::kRecovery)];
  oracle_->phase.Write(static_cast<uint64_t>(KillPhase::kRecovering));
  inside.Write(1);
  const absl::Time begin = absl::Now();
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(arguments_.directory, options);
  inside.Write(0);
  oracle_->phase.Write(static_cast<uint64_t>(KillPhase::kChecking));
  Expect(log.status(), "Log::Open");
  oracle_->open_us.Write(static_cast<uint64_t>(absl::ToInt64Microseconds(absl::Now() - begin)));
  log_ = *std::move(log);
}

void Child::Check() {
  const RecoveryReport& report = log_->recovery();
  if (!report.lost.empty()) Fail("recovery reports a loss:\n" + report.ToString());
  const KillCheck check = CheckLog(arguments_.directory, *oracle_, arguments_.seed);
  if (!check.verdict.ok()) {
    Fail(absl::StrCat("after Log::Open: ", check.verdict.ToString(), "\n", report.ToString()));
  }
  if (report.next_sequence != report.last_recovered + 1) {
    Fail("numbers were passed over:\n" + report.ToString());
  }
  const SequenceNumber last = check.verdict.records == 0 ? check.first - 1 : check.last;
  if (report.last_recovered != last || report.first_retained != check.first) {
    Fail(absl::StrFormat("a reader finds %u to %u:\n%s", check.first, last, report.ToString()));
  }

  CursorOptions options;
  options.checkpoint_records = 50;
  options.checkpoint_interval = absl::Milliseconds(5);
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = log_->OpenCursor("reader", options);
  Expect(cursor.status(), "OpenCursor");
  cursor_ = *std::move(cursor);
  const SequenceNumber position = cursor_->committed();
  const SequenceNumber lowest = oracle_->checkpointed.Read();
  const SequenceNumber highest = oracle_->commit_asked.Read();
  if (position < lowest || position > highest) {
    Fail(absl::StrFormat("the cursor stands at %u, its checkpoint was %u, its commit %u", position,
                         lowest, highest));
  }
}

void Child::Append() {
  oracle_->phase.Write(static_cast<uint64_t>(KillPhase::kAppending));
  std::vector<std::thread> threads;
  for (uint32_t p = 0; p < kKillProducers; ++p) threads.emplace_back([this, p] { Produce(p); });
  Consume();
  Fail("the consumer came to an end");
}

uint32_t Child::PayloadBytes(std::mt19937_64& random) const {
  // Key, attribute and their lengths take some of the room.
  const uint64_t largest = log_->max_payload_bytes() - 128;
  const auto up_to = [&random, largest](uint64_t bytes) {
    return static_cast<uint32_t>(
        std::min(largest, kOracleHeaderBytes + random() % (bytes - kOracleHeaderBytes)));
  };
  const uint64_t percent = random() % 100;
  if (percent < 5) return 0;
  if (percent < 70) return up_to(256);
  if (percent < 92) return up_to(2048);
  if (percent < 98) return up_to(5000);
  return up_to(largest);
}

void Child::Produce(uint32_t p) {
  KillProducerNotes& notes = oracle_->producers[p];
  std::unique_ptr<Producer> producer;  // every other thread does without one
  if (p % 2 == 0) {
    absl::StatusOr<std::unique_ptr<Producer>> made = log_->NewProducer();
    Expect(made.status(), "NewProducer");
    producer = *std::move(made);
  }
  std::mt19937_64 random(arguments_.seed + arguments_.generation * kKillProducers + p);
  const uint64_t first = notes.issued.Read();
  for (uint64_t index = first; index < kKillMaxRecords; ++index) {
    while (log_->last_written() > oracle_->checkpointed.Read() + kMostAhead) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    notes.issued.Write(index + 1);
    AppendOne({.producer = p,
               .generation = arguments_.generation,
               .index = index,
               .first_index = first,
               .payload_bytes = PayloadBytes(random)},
              random(), producer.get());
    if (random() % 100 == 0) {
      Expect(log_->Flush(), "Flush");
      notes.kept.Write(index + 1);
    }
  }
  Fail("the oracle is full");
}

void Child::AppendOne(const OracleRecord& record, uint64_t choice, Producer* producer) {
  // Of ten: six durable, two written, one buffered; one durable or written
  // without waiting.
  const uint64_t kind = choice % 10;
  if (kind == 9) {
    AppendAsynchronously(record, choice % 3 == 0 ? Durability::kWritten : Durability::kDurable,
                         producer);
    return;
  }
  const Durability durability = kind < 6   ? Durability::kDurable
                                : kind < 8 ? Durability::kWritten
                                           : Durability::kBuffered;
  OracleContent content(arguments_.seed);
  content.Make(record);
  const AppendOptions options = content.options(durability);
  const absl::StatusOr<SequenceNumber> sequence = producer != nullptr
                                                      ? producer->Append(content.payload(), options)
                                                      : log_->Append(content.payload(), options);
  Expect(sequence.status(), "Append");
  if ((*sequence == kNoSequence) != (durability == Durability::kBuffered)) {
    Fail(absl::StrFormat("Append returned number %u", *sequence));
  }
  KillProducerNotes& notes = oracle_->producers[record.producer];
  // What is buffered dies with the process: no number, no promise.
  notes.Acknowledge(record.index, *sequence);
  notes.returned.Add(1);
}

void Child::AppendAsynchronously(const OracleRecord& record, Durability durability,
                                 Producer* producer) {
  KillProducerNotes& notes = oracle_->producers[record.producer];
  // `issued` counts this one.
  while (notes.issued.Read() - notes.returned.Read() - notes.called_back.Read() >
         kAsynchronousAtOnce) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  OracleContent content(arguments_.seed);
  content.Make(record);
  AppendCallback callback = [&notes,
                             index = record.index](absl::StatusOr<SequenceNumber> sequence) {
    Expect(sequence.status(), "AppendAsync's callback");
    notes.Acknowledge(index, *sequence);
    notes.called_back.Add(1);
  };
  const AppendOptions options = content.options(durability);
  Expect(producer != nullptr
             ? producer->AppendAsync(content.payload(), options, std::move(callback))
             : log_->AppendAsync(content.payload(), options, std::move(callback)),
         "AppendAsync");
}

void Child::Consume() {
  OracleContent content(arguments_.seed);
  SequenceNumber due = cursor_->committed() + 1;
  SequenceNumber trimmed = log_->first_retained();
  while (true) {
    const absl::StatusOr<Entry> entry = cursor_->Next(absl::Seconds(60));
    Expect(entry.status(), "Cursor::Next");
    if (entry->kind == Entry::Kind::kLost) Fail("the cursor reports " + entry->lost.ToString());
    if (entry->record.sequence != due) {
      Fail(absl::StrFormat("the cursor gave %u for %u", entry->record.sequence, due));
    }
    if (!content.Recognize(entry->record).has_value()) {
      Fail(absl::StrFormat("the cursor gave number %u bytes that nobody appended", due));
    }
    oracle_->delivered.Write(due);
    if (due % 8 == 0) Commit(*cursor_);
    if (due % 32 == 0 && cursor_->checkpointed() > trimmed + kRecordsKept + kRecordsPerTrim) {
      Trim(cursor_->checkpointed());
      trimmed = log_->first_retained();
    }
    ++due;
  }
}

void Child::Commit(Cursor& cursor) {
  oracle_->commit_asked.Write(cursor.delivered());
  Expect(cursor.Commit(cursor.delivered()), "Cursor::Commit");
  oracle_->checkpointed.Write(cursor.checkpointed());
}

void Child::Trim(SequenceNumber checkpointed) {
  const SequenceNumber first_to_keep = checkpointed + 1 - kRecordsKept;
  oracle_->trim_asked.Write(first_to_keep);
  Expect(log_->TrimBefore(first_to_keep), "TrimBefore");
  oracle_->trimmed.Write(log_->first_retained());
}

}  // namespace

void RunKillChild(const KillChildArguments& arguments) {
  // Not to outlive a parent that was itself killed.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Child child(arguments);
  child.Open();
  child.Check();
  child.Append();
}

}  // namespace millrace
