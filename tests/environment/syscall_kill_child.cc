#include "tests/environment/syscall_kill_child.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "tests/kill_test_oracle.h"
#include "tests/log_oracle.h"

namespace millrace {
namespace {

constexpr int kFailedExit = 3;
constexpr SequenceNumber kRecordsKept = 12;
constexpr uint32_t kRounds = 6;

[[noreturn]] void Fail(const std::string& text) {
  std::fprintf(stderr, "syscall_kill_test child: %s\n", text.c_str());
  std::fflush(stderr);
  _exit(kFailedExit);
}

void Expect(const absl::Status& status, const char* doing) {
  if (!status.ok()) Fail(absl::StrCat(doing, ": ", status.ToString()));
}

class Child {
 public:
  explicit Child(const SyscallKillArguments& arguments)
      : arguments_(arguments), oracle_(MapKillOracle(arguments.oracle)), content_(arguments.seed) {
    for (uint32_t p = 0; p < kKillProducers; ++p) first_[p] = oracle_->producers[p].issued.Read();
  }

  void Run() {
    Open();
    // Before anything is added: or every generation that dies before its first trim would have one
    // more segment to open than the one before, and one more call.
    Consume();
    for (uint32_t round = 0; round < kRounds; ++round) {
      Append(0, 200 + 90 * round, Durability::kDurable);
      Append(1, 900 + 400 * round, Durability::kWritten);
      AppendAsynchronously(2, 60);
      AppendAsynchronously(2, 0);
      Append(1, 0, Durability::kWritten);
      Append(0, 40, Durability::kDurable);
      if (round % 2 == 1) Consume();
    }
    cursor_.reset();
    Expect(log_->Close(), "Close");
  }

 private:
  void Open() {
    Options options;
    options.initial_segment_bytes = options.segment_bytes = 8192;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(arguments_.directory, options);
    Expect(log.status(), "Log::Open");
    log_ = *std::move(log);
    if (!log_->recovery().lost.empty()) Fail(log_->recovery().ToString());
    CursorOptions cursor_options;
    cursor_options.checkpoint_records = 4;
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = log_->OpenCursor("reader", cursor_options);
    Expect(cursor.status(), "OpenCursor");
    cursor_ = *std::move(cursor);
    const SequenceNumber position = cursor_->committed();
    if (position < oracle_->checkpointed.Read() || position > oracle_->commit_asked.Read()) {
      Fail(absl::StrCat("the cursor stands at ", position, ", its checkpoint was ",
                        oracle_->checkpointed.Read(), ", its commit ",
                        oracle_->commit_asked.Read()));
    }
  }

  uint64_t Issue(uint32_t p, uint32_t bytes) {
    KillProducerNotes& notes = oracle_->producers[p];
    const uint64_t index = notes.issued.Read();
    notes.issued.Write(index + 1);
    content_.Make({.producer = p,
                   .generation = arguments_.generation,
                   .index = index,
                   .first_index = first_[p],
                   .payload_bytes = bytes});
    return index;
  }

  void Append(uint32_t p, uint32_t bytes, Durability durability) {
    const uint64_t index = Issue(p, bytes);
    const absl::StatusOr<SequenceNumber> sequence =
        log_->Append(content_.payload(), content_.options(durability));
    Expect(sequence.status(), "Append");
    oracle_->producers[p].Acknowledge(index, *sequence);
  }

  void AppendAsynchronously(uint32_t p, uint32_t bytes) {
    const uint64_t index = Issue(p, bytes);
    KillProducerNotes& notes = oracle_->producers[p];
    Expect(log_->AppendAsync(content_.payload(), content_.options(Durability::kDurable),
                             [&notes, index](absl::StatusOr<SequenceNumber> sequence) {
                               Expect(sequence.status(), "AppendAsync's callback");
                               notes.Acknowledge(index, *sequence);
                             }),
           "AppendAsync");
  }

  void Consume() {
    const SequenceNumber end = log_->last_durable();
    while (cursor_->delivered() < end) {
      const absl::StatusOr<Entry> entry = cursor_->Next(absl::Seconds(60));
      Expect(entry.status(), "Cursor::Next");
      if (entry->kind == Entry::Kind::kLost) Fail("the cursor reports " + entry->lost.ToString());
      if (!content_.Recognize(entry->record).has_value()) {
        Fail(absl::StrCat("number ", entry->record.sequence, " holds bytes that nobody appended"));
      }
    }
    oracle_->commit_asked.Write(cursor_->delivered());
    Expect(cursor_->Commit(cursor_->delivered()), "Cursor::Commit");
    Expect(cursor_->Checkpoint(), "Cursor::Checkpoint");
    oracle_->checkpointed.Write(cursor_->checkpointed());
    if (cursor_->checkpointed() <= kRecordsKept) return;
    oracle_->trim_asked.Write(cursor_->checkpointed() - kRecordsKept);
    Expect(log_->TrimBefore(cursor_->checkpointed() - kRecordsKept), "TrimBefore");
  }

  const SyscallKillArguments arguments_;
  KillOracle* const oracle_;
  OracleContent content_;
  uint64_t first_[kKillProducers] = {};
  std::unique_ptr<Log> log_;
  std::unique_ptr<Cursor> cursor_;
};

}  // namespace

void RunSyscallKillChild(const SyscallKillArguments& arguments) {
  Child(arguments).Run();
  _exit(0);
}

}  // namespace millrace
