#include "millrace/recovery_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "wal/strings.h"

namespace millrace {
namespace {

std::string Line(std::string_view label, const std::string& text) {
  return absl::StrFormat("%-16s%s\n", ToAbsl(label), text);
}

std::string_view OutcomeName(RecoveryReport::Outcome outcome) {
  switch (outcome) {
    case RecoveryReport::Outcome::kCreated:
      return "created";
    case RecoveryReport::Outcome::kClean:
      return "clean: closed in order";
    case RecoveryReport::Outcome::kRecovered:
      return "recovered: not closed in order";
  }
  return "unknown";
}

std::string Records(SequenceNumber first, SequenceNumber last) {
  if (last < first) return "no records";
  if (first == last) return absl::StrCat("record ", first);
  return absl::StrCat("records ", first, "..", last);
}

// A damaged log can have thousands; the first ones show what kind of damage it is.
constexpr size_t kMaxListed = 100;

}  // namespace

std::string_view LossCauseName(LossCause cause) {
  switch (cause) {
    case LossCause::kChecksum:
      return "checksum";
    case LossCause::kZeroed:
      return "zeroed";
    case LossCause::kTruncated:
      return "truncated";
    case LossCause::kMissingSegment:
      return "missing segment";
    case LossCause::kForeignSegment:
      return "foreign segment";
    case LossCause::kUnreadable:
      return "unreadable";
    case LossCause::kInconsistent:
      return "inconsistent";
    case LossCause::kSetAside:
      return "set aside";
    case LossCause::kTrimmed:
      return "trimmed";
  }
  return "unknown";
}

std::string_view AcknowledgementName(Acknowledgement acknowledgement) {
  switch (acknowledgement) {
    case Acknowledgement::kAcknowledged:
      return "acknowledged";
    case Acknowledgement::kWritten:
      return "written";
    case Acknowledgement::kUnknown:
      return "acknowledgement unknown";
  }
  return "unknown";
}

std::string LostRange::ToString() const {
  std::string text = Records(first, last);
  if (records() > 0) {
    absl::StrAppend(&text, " (", ToAbsl(AcknowledgementName(acknowledgement)), ")");
  }
  absl::StrAppend(&text, ": ");
  if (segment != 0) absl::StrAppend(&text, "segment ", segment);
  if (begin != 0 || end != 0) {
    absl::StrAppend(&text, segment != 0 ? ", " : "", "bytes ", begin, "..");
    if (end != 0) absl::StrAppend(&text, end);
  }
  if (segment != 0 || begin != 0 || end != 0) absl::StrAppend(&text, ": ");
  return absl::StrCat(text, ToAbsl(LossCauseName(cause)));
}

uint64_t RecoveryReport::records_lost() const {
  uint64_t records = 0;
  for (const LostRange& range : lost) records += range.records();
  return records;
}

std::string RecoveryReport::ToString() const {
  std::string text = Line("outcome", std::string(OutcomeName(outcome)));
  text += Line("records", last_recovered < first_retained
                              ? "none"
                              : absl::StrCat(first_retained, "..", last_recovered));
  text += Line("next", absl::StrCat(next_sequence));
  text += Line("known durable", mark == kNoSequence ? "nothing" : absl::StrCat("up to ", mark));
  if (epoch > 1) text += Line("epoch", absl::StrCat(epoch));
  text += Line("segments", absl::StrCat(segments));
  text += Line("scanned", absl::StrCat(bytes_scanned, " bytes"));
  if (tail_segment != 0) {
    text += Line("tail cut",
                 absl::StrCat("segment ", tail_segment, " at ", tail_offset, ": ", tail_bytes,
                              " bytes, ", tail_records_dropped, " whole records behind a gap"));
  }
  text += Line("lost", lost.empty() ? "nothing"
                                    : absl::StrCat(records_lost(), " records in ", lost.size(),
                                                   lost.size() == 1 ? " place" : " places"));
  for (size_t i = 0; i < lost.size() && i < kMaxListed; ++i) text += Line("", lost[i].ToString());
  if (lost.size() > kMaxListed)
    text += Line("", absl::StrCat("... ", lost.size() - kMaxListed, " more"));
  for (size_t i = 0; i < ignored_files.size() && i < kMaxListed; ++i) {
    text += Line(i == 0 ? "ignored" : "", ignored_files[i]);
  }
  if (ignored_files.size() > kMaxListed) {
    text += Line("", absl::StrCat("... ", ignored_files.size() - kMaxListed, " more"));
  }
  if (!doubtful_file_system.empty()) {
    text +=
        Line("file system", doubtful_file_system + ": what it does at a power cut is not known");
  }
  return text;
}

}  // namespace millrace
