#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/human.h"
#include "tools/millrace/interrupt.h"
#include "tools/millrace/output.h"
#include "tools/millrace/picture.h"
#include "tools/millrace/progress.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "verify";

struct Findings {
  RecoveryReport report;
  bool locked = false;         // a program has the log open
  uint64_t records = 0;        // read, their checksums right
  uint64_t payload_bytes = 0;  // of these
  std::vector<LostRange> lost;
  uint64_t cursors = 0;
  std::vector<std::string> damaged_cursors;
  absl::Duration elapsed;
};

// How many bytes of frames a reader has passed: within a segment it is taken that all records are
// of one size.
class Place {
 public:
  explicit Place(const std::vector<SegmentInfo>& segments) {
    for (const SegmentInfo& segment : segments) {
      if (!HoldsRecords(segment)) continue;
      segments_.push_back(segment);
      total_ += segment.frames_end;
    }
  }

  uint64_t total() const { return total_; }

  // `next` never goes down from call to call.
  uint64_t Before(SequenceNumber next) {
    while (at_ < segments_.size() && segments_[at_].last < next) {
      passed_ += segments_[at_].frames_end;
      ++at_;
    }
    if (at_ == segments_.size() || next <= segments_[at_].first) return passed_;
    const SegmentInfo& segment = segments_[at_];
    const double share = static_cast<double>(next - segment.first) /
                         static_cast<double>(segment.last - segment.first + 1);
    return passed_ + static_cast<uint64_t>(share * static_cast<double>(segment.frames_end));
  }

 private:
  std::vector<SegmentInfo> segments_;
  uint64_t total_ = 0;
  size_t at_ = 0;
  uint64_t passed_ = 0;
};

absl::Status ReadRecords(LogReader* reader, Progress::Mode mode, Findings* findings) {
  constexpr uint64_t kEntriesPerLook = 1 << 12;
  const absl::StatusOr<std::vector<SegmentInfo>> segments = reader->Segments();
  if (!segments.ok()) return segments.status();
  InterruptWatch interrupt;
  Place place(*segments);
  Progress progress(mode, "reading records", place.total());
  for (uint64_t entries = 0;; ++entries) {
    if (entries % kEntriesPerLook == 0) {
      if (interrupt.Wait(absl::ZeroDuration())) {
        return absl::CancelledError(absl::StrFormat(
            "interrupted before record %d of %d; nothing was changed, and what was not read is not "
            "known to be sound",
            reader->next(), reader->limit()));
      }
      progress.Show(place.Before(reader->next()));
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

absl::Status CheckCursors(LogReader* reader, Findings* findings) {
  const absl::StatusOr<std::vector<CursorInfo>> cursors = reader->Cursors();
  if (!cursors.ok()) return cursors.status();
  findings->cursors = cursors->size();
  for (const CursorInfo& cursor : *cursors) {
    if (cursor.state == CursorInfo::State::kDamaged) {
      findings->damaged_cursors.push_back(cursor.name);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Findings> Verify(const std::string& directory, Progress::Mode mode) {
  const absl::Time start = absl::Now();
  Findings findings;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = OpenReader(directory);
  if (!reader.ok()) return reader.status();
  absl::Status status = ReadRecords(reader->get(), mode, &findings);
  if (!status.ok()) return status;
  {
    // A second time over every byte, now from the page cache: the log's own bookkeeping as well.
    // Cannot be watched, but a signal ends it.
    Progress progress(mode, "checking what stands between them", 0);
    progress.Show(0);
    LogReaderOptions options;
    options.limit = LogReaderOptions::Limit::kReadable;
    options.scan = LogReaderOptions::Scan::kAll;
    reader = LogReader::Open(directory, options);
  }
  if (!reader.ok()) return reader.status();
  findings.report = (*reader)->recovery();
  AddLost(findings.report.lost, &findings.lost);
  if (status = CheckCursors(reader->get(), &findings); !status.ok()) return status;
  const absl::StatusOr<Picture> picture = LookAt(directory, reader->get());
  if (!picture.ok()) return picture.status();
  findings.locked = picture->locked;
  findings.elapsed = absl::Now() - start;
  return findings;
}

bool Damaged(const Findings& findings) {
  return !findings.lost.empty() || !findings.damaged_cursors.empty();
}

uint64_t RecordsLost(const Findings& findings) {
  uint64_t records = 0;
  for (const LostRange& lost : findings.lost) records += lost.records();
  return records;
}

uint64_t AcknowledgedLost(const Findings& findings) {
  uint64_t records = 0;
  for (const LostRange& lost : findings.lost) {
    if (lost.acknowledgement == Acknowledgement::kAcknowledged) records += lost.records();
  }
  return records;
}

std::string Text(const Findings& findings) {
  std::string text;
  for (const LostRange& lost : findings.lost)
    absl::StrAppendFormat(&text, "lost: %s\n", lost.ToString());
  const RecoveryReport& report = findings.report;
  if (report.tail_bytes > 0) {
    text +=
        findings.locked
            ? absl::StrFormat("in progress: %s, which a program was writing\n", TailText(report))
            : absl::StrFormat("torn tail: %s, never acknowledged\n", TailText(report));
  }
  for (const std::string& file : report.ignored_files) {
    absl::StrAppendFormat(&text, "ignored file: %s\n", file);
  }
  for (const std::string& name : findings.damaged_cursors) {
    absl::StrAppendFormat(
        &text,
        "cursor %s: its checkpoint is damaged; `millrace cursor delete --force` removes it\n",
        name);
  }
  absl::StrAppendFormat(
      &text, "%s read, %s of payload, in %s and %s; took %s\n", Counted(findings.records, "record"),
      HumanBytes(static_cast<double>(findings.payload_bytes)), Counted(report.segments, "segment"),
      Counted(findings.cursors, "cursor"), HumanDuration(findings.elapsed));
  if (!Damaged(findings)) return text + "no damage: every record that was promised is there\n";
  absl::StrAppendFormat(&text, "DAMAGE: %s, %s lost",
                        Counted(findings.lost.size() + findings.damaged_cursors.size(), "place"),
                        Counted(RecordsLost(findings), "record"));
  if (const uint64_t promised = AcknowledgedLost(findings); promised > 0) {
    absl::StrAppendFormat(&text, ", %d of them acknowledged", promised);
  }
  return text + "; all others can be read\n";
}

nlohmann::ordered_json Document(const std::string& directory, const Findings& findings) {
  nlohmann::ordered_json lost = nlohmann::ordered_json::array();
  for (const LostRange& range : findings.lost) lost.push_back(LostJson(range));
  return {{"directory", directory},
          {"damaged", Damaged(findings)},
          {"records_read", findings.records},
          {"payload_bytes", findings.payload_bytes},
          {"records_lost", RecordsLost(findings)},
          {"lost", std::move(lost)},
          {"damaged_cursors", findings.damaged_cursors},
          {"recovery", ReportJson(findings.report)}};
}

ExitCode Run(const Invocation& invocation) {
  const Progress::Mode mode =
      invocation.On("quiet") ? Progress::Mode::kQuiet : Progress::Mode::kIfTerminal;
  const absl::StatusOr<Findings> findings = Verify(invocation.directory(), mode);
  if (!findings.ok()) return Fail(kName, findings.status());
  Output output;
  output.Write(invocation.On("json") ? JsonLine(Document(invocation.directory(), *findings))
                                     : Text(*findings));
  output.Flush();
  if (!output.status().ok()) return Fail(kName, output.status());
  return Damaged(*findings) ? ExitCode::kDamage : ExitCode::kFine;
}

}  // namespace

Command VerifyCommand() {
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "read every byte of a log and name every record that is lost",
      .description =
          "Changes nothing; a program may go on appending. Names each loss by its sequence "
          "numbers, "
          "place and cause, and says whether the records had been acknowledged. A torn tail that "
          "was "
          "never acknowledged, as a crash leaves it, is no damage. The exit code is 2 if there is "
          "damage.",
      .flags = {JsonFlag(),
                {.name = "quiet",
                 .help =
                     "do not show how far it has come; that is done only where standard error is "
                     "a terminal"}},
      .json = {{"directory", "as it was given"},
               {"damaged", "whether anything was"},
               {"records_read", "whose checksums are right"},
               {"payload_bytes", "of these"},
               {"records_lost", "how many"},
               {"lost",
                "first, last, records, segment, begin, end (bytes of the segment), cause, "
                "acknowledgement of each loss"},
               {"damaged_cursors", "names of those whose checkpoints cannot be read"},
               {"recovery", "what opening the log as a whole found"}},
      .examples = {{"millrace verify /var/tmp/journal || mail -s damaged root", "from cron"},
                   {"millrace dump --segment=3 --offset=8192 /var/tmp/journal",
                    "look at the place of a loss"}},
      .run = Run,
  };
}

}  // namespace millrace
