#include "tests/kill_test_check.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/log_reader.h"

namespace millrace {
namespace {

void AddProblem(OracleVerdict* verdict, uint64_t* count, std::string text) {
  ++*count;
  verdict->problems.push_back(std::move(text));
}

}  // namespace

KillCheck CheckLog(const std::string& directory, const KillOracle& oracle, uint64_t seed) {
  KillCheck result;
  OracleVerdict& verdict = result.verdict;
  LogReaderOptions options;
  options.scan = LogReaderOptions::Scan::kAll;
  // A killed process leaves behind what was written, durable or not.
  options.limit = LogReaderOptions::Limit::kReadable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(directory, options);
  if (absl::IsNotFound(reader.status())) {
    result.verdict = OracleCheck(seed, Histories(oracle), 1).Finish();
    return result;
  }
  if (!reader.ok()) {
    AddProblem(&verdict, &verdict.gaps, reader.status().ToString());
    return result;
  }

  result.first = (*reader)->first_retained();
  OracleCheck check(seed, Histories(oracle), result.first);
  absl::StatusOr<Entry> entry = (*reader)->Next();
  for (; entry.ok(); entry = (*reader)->Next()) {
    if (entry->kind == Entry::Kind::kRecord) {
      check.See(entry->record);
      result.last = entry->record.sequence;
    } else {
      check.SeeLoss(entry->lost);
    }
  }
  verdict = check.Finish();
  if (!absl::IsOutOfRange(entry.status())) {
    AddProblem(&verdict, &verdict.gaps, entry.status().ToString());
  }
  for (const LostRange& lost : (*reader)->recovery().lost) {
    AddProblem(&verdict, &verdict.gaps, "reported by recovery: " + lost.ToString());
  }
  const SequenceNumber may_begin = std::max(oracle.trim_asked.Read(), SequenceNumber{1});
  if (result.first > may_begin) {
    AddProblem(&verdict, &verdict.lost_acknowledged,
               absl::StrFormat("begins at number %u, was trimmed before %u only", result.first,
                               may_begin));
  }
  return result;
}

}  // namespace millrace
