#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/flags.h"
#include "tools/millrace/interrupt.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "verify";

struct Findings {
  RecoveryReport report;
  uint64_t records = 0;        // read, their checksums right
  uint64_t payload_bytes = 0;  // of these
  std::vector<LostRange> lost;
  absl::Duration elapsed;
};

// "reading: 42 %" on a terminal, rewritten in place.
class Progress {
 public:
  Progress() : shown_(isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }

  void Show(SequenceNumber first, SequenceNumber at, SequenceNumber last) {
    if (!shown_ || last < first) return;
    const absl::Time now = absl::Now();
    if (now - shown_at_ < absl::Milliseconds(100)) return;
    shown_at_ = now;
    const double share =
        static_cast<double>(at - first + 1) / static_cast<double>(last - first + 1);
    std::fprintf(stderr, "\rreading: %3.0f %%", 100 * share);
  }

 private:
  const bool shown_;
  absl::Time shown_at_ = absl::InfinitePast();
};

absl::Status ReadRecords(LogReader* reader, InterruptWatch* interrupt, Findings* findings) {
  constexpr uint64_t kEntriesPerLook = 1 << 14;
  Progress progress;
  for (uint64_t entries = 0;; ++entries) {
    if (entries % kEntriesPerLook == 0) {
      if (interrupt->Wait(absl::ZeroDuration())) return absl::CancelledError("interrupted");
      progress.Show(reader->first_retained(), reader->next(), reader->limit());
    }
    const absl::StatusOr<Entry> entry = reader->Next();
    if (absl::IsOutOfRange(entry.status())) return absl::OkStatus();
    if (!entry.ok()) return entry.status();
    if (entry->kind == Entry::Kind::kRecord) {
      ++findings->records;
      findings->payload_bytes += entry->record.payload.size();
    } else if (entry->lost.cause != LossCause::kTrimmed) {
      findings->lost.push_back(entry->lost);
    }
  }
}

// Adds what opening found and reading records did not meet: damage that no record stands in, and
// what lies beyond the last readable one.
void AddLost(const std::vector<LostRange>& found, std::vector<LostRange>* lost) {
  for (const LostRange& range : found) {
    const bool known = std::any_of(lost->begin(), lost->end(), [&](const LostRange& other) {
      if (range.records() == 0) return range.segment == other.segment && range.begin == other.begin;
      return other.first <= range.first && range.last <= other.last;
    });
    if (!known) lost->push_back(range);
  }
  std::stable_sort(lost->begin(), lost->end(),
                   [](const LostRange& a, const LostRange& b) { return a.first < b.first; });
}

absl::StatusOr<Findings> Verify(const std::string& directory) {
  InterruptWatch interrupt;
  const absl::Time start = absl::Now();
  Findings findings;
  LogReaderOptions options;
  options.limit = LogReaderOptions::Limit::kReadable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(directory, options);
  if (!reader.ok()) return reader.status();
  absl::Status status = ReadRecords(reader->get(), &interrupt, &findings);
  if (!status.ok()) return status;
  // A second time over every byte, now from the page cache: the log's own bookkeeping as well.
  options.scan = LogReaderOptions::Scan::kAll;
  reader = LogReader::Open(directory, options);
  if (!reader.ok()) return reader.status();
  findings.report = (*reader)->recovery();
  AddLost(findings.report.lost, &findings.lost);
  findings.elapsed = absl::Now() - start;
  return findings;
}

uint64_t RecordsLost(const Findings& findings) {
  uint64_t records = 0;
  for (const LostRange& lost : findings.lost) records += lost.records();
  return records;
}

std::string Text(const Findings& findings) {
  std::string text;
  for (const LostRange& lost : findings.lost)
    absl::StrAppendFormat(&text, "lost: %s\n", lost.ToString());
  const RecoveryReport& report = findings.report;
  if (report.tail_bytes > 0) {
    absl::StrAppendFormat(&text,
                          "torn tail: %d bytes in segment %d from byte %d on, never acknowledged\n",
                          report.tail_bytes, report.tail_segment, report.tail_offset);
  }
  for (const std::string& file : report.ignored_files) {
    absl::StrAppendFormat(&text, "ignored file: %s\n", file);
  }
  const double seconds = absl::ToDoubleSeconds(findings.elapsed);
  absl::StrAppendFormat(&text, "%d records read, %d payload bytes, %d segments, in %.2f s\n",
                        findings.records, findings.payload_bytes, report.segments, seconds);
  if (findings.lost.empty()) {
    text += "no damage\n";
  } else {
    absl::StrAppendFormat(&text, "DAMAGE: %d places, %d records lost\n", findings.lost.size(),
                          RecordsLost(findings));
  }
  return text;
}

nlohmann::ordered_json Document(const std::string& directory, const Findings& findings) {
  nlohmann::ordered_json lost = nlohmann::ordered_json::array();
  for (const LostRange& range : findings.lost) lost.push_back(LostJson(range));
  return {{"directory", directory},
          {"damaged", !findings.lost.empty()},
          {"records_read", findings.records},
          {"payload_bytes", findings.payload_bytes},
          {"records_lost", RecordsLost(findings)},
          {"lost", std::move(lost)},
          {"recovery", ReportJson(findings.report)}};
}

ExitCode Run(const std::vector<std::string>& words) {
  const absl::StatusOr<Findings> findings = Verify(words[0]);
  if (!findings.ok()) return Fail(kName, findings.status());
  Output output;
  output.Write(absl::GetFlag(FLAGS_json) ? JsonDocument(Document(words[0], *findings))
                                         : Text(*findings));
  output.Flush();
  if (!output.status().ok()) return Fail(kName, output.status());
  return findings->lost.empty() ? ExitCode::kFine : ExitCode::kDamage;
}

}  // namespace

Command VerifyCommand() {
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "read every byte of a log and name every record that is lost",
      .help =
          R"(Changes nothing; a program may go on appending. Names each loss by its sequence numbers, place and
cause, and whether the records had been acknowledged. An unacknowledged torn tail, as a crash leaves
it, is no damage. The exit code is 2 if there is damage.

  --json  one document
)",
      .flags = {"json"},
      .run = Run,
  };
}

}  // namespace millrace
