#include "tests/realfs/cut_check.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"

namespace millrace {
namespace {

constexpr std::string_view kAfterwards = "appended after the power cut";

class Check {
 public:
  Check(const std::string& directory, FileSystem* file_system, const CutExpectation& expected,
        uint64_t seed)
      : directory_(directory), file_system_(file_system), expected_(expected), seed_(seed) {}

  CutCheck Run() {
    ReadAll(/*appended=*/std::nullopt);
    if (result_.verdict.ok()) OpenAndAppend();
    return std::move(result_);
  }

 private:
  void Problem(uint64_t* count, std::string text) {
    ++*count;
    result_.verdict.problems.push_back(std::move(text));
  }
  bool Expect(const absl::Status& status, const char* doing) {
    if (status.ok()) return true;
    Problem(&result_.verdict.gaps, absl::StrCat(doing, ": ", status.ToString()));
    return false;
  }

  // What follows a hole above the mark is named as it is cut, for it may have been acknowledged;
  // the oracle knows that it was not.
  void ExpectNoLoss(const RecoveryReport& report) {
    for (const LostRange& lost : report.lost) {
      if (lost.acknowledgement == Acknowledgement::kUnknown) continue;
      Problem(&result_.verdict.gaps, "reported by recovery: " + lost.ToString());
    }
  }

  bool Promised() const {
    for (const ProducerHistory& history : expected_.histories) {
      if (history.kept > 0) return true;
      for (const SequenceNumber s : history.acknowledged) {
        if (s != kNoSequence) return true;
      }
    }
    return false;
  }

  void ReadAll(std::optional<SequenceNumber> appended) {
    LogReaderOptions options;
    options.file_system = file_system_;
    options.scan = LogReaderOptions::Scan::kAll;
    options.limit = LogReaderOptions::Limit::kReadable;
    const absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(directory_, options);
    // Cut before its first sync there may be no log; nothing was promised then.
    if (absl::IsNotFound(reader.status()) && !Promised()) return;
    if (!Expect(reader.status(), "LogReader::Open")) return;
    LogReader& log = **reader;
    const RecoveryReport& report = log.recovery();
    ExpectNoLoss(report);
    result_.first = log.first_retained();
    OracleCheck check(seed_, expected_.histories, result_.first);
    absl::StatusOr<Entry> entry = log.Next();
    for (; entry.ok(); entry = log.Next()) {
      if (entry->kind != Entry::Kind::kRecord) {
        check.SeeLoss(entry->lost);
      } else if (appended == entry->record.sequence && entry->record.payload == kAfterwards) {
        appended = kNoSequence;
      } else {
        check.See(entry->record);
        result_.last = entry->record.sequence;
      }
    }
    OracleVerdict verdict = check.Finish();
    if (verdict.lost_acknowledged > 0 && report.lost.empty()) {
      result_.silent += verdict.lost_acknowledged;
    }
    for (std::string& problem : result_.verdict.problems) verdict.problems.push_back(problem);
    verdict.gaps += result_.verdict.gaps;
    result_.verdict = std::move(verdict);
    if (!absl::IsOutOfRange(entry.status())) Expect(entry.status(), "LogReader::Next");
    if (appended.value_or(kNoSequence) != kNoSequence) {
      Problem(&result_.verdict.lost_acknowledged,
              absl::StrFormat("number %u, appended after the power cut, is gone", *appended));
    }
    if (result_.first > expected_.highest_trim) {
      Problem(&result_.verdict.lost_acknowledged,
              absl::StrFormat("begins at number %u, was trimmed before %u only", result_.first,
                              expected_.highest_trim));
    }
    CheckCursor(log);
  }

  void CheckCursor(LogReader& log) {
    const absl::StatusOr<std::vector<CursorInfo>> cursors = log.Cursors();
    if (!Expect(cursors.status(), "LogReader::Cursors")) return;
    SequenceNumber found = kNoSequence;
    for (const CursorInfo& cursor : *cursors) {
      // A cursor without a checkpoint may have been cut while it was made.
      if (cursor.state == CursorInfo::State::kValid) found = cursor.checkpointed;
    }
    if (found < expected_.lowest_checkpoint || found > expected_.highest_commit) {
      Problem(&result_.verdict.lost_acknowledged,
              absl::StrFormat("the cursor stands at %u, its checkpoint was %u, its commit %u",
                              found, expected_.lowest_checkpoint, expected_.highest_commit));
    }
  }

  void OpenAndAppend() {
    const SequenceNumber first = result_.first;
    const SequenceNumber last = result_.last;
    std::optional<SequenceNumber> appended;
    {
      Options options;
      options.file_system = file_system_;
      const absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options);
      if (!Expect(log.status(), "Log::Open")) return;
      const RecoveryReport& report = (*log)->recovery();
      const SequenceNumber end = std::max(last, first - 1);
      ExpectNoLoss(report);
      if (report.next_sequence != end + 1 || report.last_recovered != end ||
          report.first_retained != first) {
        Problem(&result_.verdict.gaps,
                absl::StrFormat("a reader finds %u to %u:\n%s", first, last, report.ToString()));
      }
      const absl::StatusOr<SequenceNumber> sequence = (*log)->Append(kAfterwards);
      if (!Expect(sequence.status(), "Append")) return;
      appended = *sequence;
      if (*sequence != end + 1) {
        Problem(&result_.verdict.reordered,
                absl::StrFormat("the next record got number %u, due was %u", *sequence, end + 1));
      }
      if (!Expect((*log)->Close(), "Close")) return;
    }
    ReadAll(appended);
  }

  const std::string directory_;
  FileSystem* const file_system_;
  const CutExpectation& expected_;
  const uint64_t seed_;
  CutCheck result_;
};

}  // namespace

CutCheck CheckAfterCut(const std::string& directory, FileSystem* file_system,
                       const CutExpectation& expected, uint64_t seed) {
  return Check(directory, file_system, expected, seed).Run();
}

}  // namespace millrace
