#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "millrace/salvage.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/human.h"
#include "tools/millrace/output.h"
#include "tools/millrace/progress.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "salvage";

absl::StatusOr<SalvageReport> Salvage(const Invocation& invocation) {
  const bool output = invocation.Given("output");
  if (output && invocation.On("apply")) {
    return absl::InvalidArgumentError(
        "--output builds the log in another directory, and --apply in place; choose one");
  }
  const Progress::Mode mode =
      invocation.On("quiet") ? Progress::Mode::kQuiet : Progress::Mode::kIfTerminal;
  Progress progress(mode, "reading everything that is left", 0);
  progress.Show(0);
  SalvageOptions options;
  options.segment_bytes = invocation.Bytes("segment-bytes");
  if (output) return SalvageTo(invocation.directory(), invocation.Text("output"), options);
  return invocation.On("apply") ? SalvageInPlace(invocation.directory(), options)
                                : PlanSalvage(invocation.directory(), options);
}

std::string FileTable(const SalvageReport& report) {
  using Align = Table::Align;
  Table table({{"file"},
               {"is"},
               {"segment", Align::kRight},
               {"size", Align::kRight},
               {"placed", Align::kRight},
               {"trimmed", Align::kRight},
               {"unplaceable", Align::kRight}});
  for (const SalvagedFile& file : report.files) {
    table.Add({file.name, std::string(SalvagedFileKindName(file.kind)),
               file.segment == 0 ? "-" : absl::StrCat(file.segment),
               HumanBytes(static_cast<double>(file.bytes)), absl::StrCat(file.placed),
               absl::StrCat(file.trimmed), absl::StrCat(file.unplaceable)});
  }
  return table.Text();
}

std::string Names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string LostText(const SalvageReport& report) {
  std::string text;
  for (const LostRange& lost : report.lost) {
    absl::StrAppendFormat(&text, "lost           %s\n", lost.ToString());
  }
  return text;
}

std::string SoundText(const SalvageReport& report) {
  std::string text =
      absl::StrFormat("%s: the log is sound, %s can be read\n",
                      report.applied ? "what was interrupted is finished" : "nothing to salvage",
                      Counted(report.records, "record"));
  if (report.lost.empty()) return text;
  return text + "what was lost before stays lost, and readers are told so:\n" + LostText(report);
}

std::string Text(const Invocation& invocation, const SalvageReport& report) {
  if (!report.needed()) return SoundText(report);
  std::string text = absl::StrFormat("%s:\n", Counted(report.findings.size(), "finding"));
  for (const std::string& finding : report.findings) {
    absl::StrAppendFormat(&text, "  %s\n", finding);
  }
  absl::StrAppendFormat(&text, "\n%s\n", FileTable(report));
  absl::StrAppendFormat(
      &text, "%s  %s, %s of payload", report.applied ? "kept         " : "can be kept  ",
      Counted(report.records, "record"), HumanBytes(static_cast<double>(report.payload_bytes)));
  if (report.records > 0) {
    absl::StrAppendFormat(&text, ", of the numbers %d to %d", report.first, report.last);
  }
  text += "\n";
  text += LostText(report);
  if (report.unplaceable > 0) {
    absl::StrAppendFormat(&text, "without place  %s%s\n", Counted(report.unplaceable, "record"),
                          report.applied ? ", in " + report.unplaceable_file : "");
  }
  if (!report.cursors.empty()) {
    absl::StrAppendFormat(&text, "cursors        %s\n", Names(report.cursors));
  }
  if (!report.cursors_left_out.empty()) {
    absl::StrAppendFormat(&text, "not kept       cursors %s\n", Names(report.cursors_left_out));
  }
  if (!report.applied) {
    return text +
           "nothing was changed: --output=NEW builds a sound log there, --apply puts it in place "
           "of this one\n";
  }
  if (invocation.Given("output")) {
    return text + absl::StrFormat("the log is in %s, checked\n", invocation.Text("output"));
  }
  return text + absl::StrFormat("the log is sound, checked; the old files are kept: %s, *.aside\n",
                                Counted(report.set_aside.size(), "file"));
}

nlohmann::ordered_json Document(const Invocation& invocation, const SalvageReport& report) {
  nlohmann::ordered_json lost = nlohmann::ordered_json::array();
  for (const LostRange& range : report.lost) lost.push_back(LostJson(range));
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const SalvagedFile& file : report.files) {
    files.push_back({{"file", file.name},
                     {"is", std::string(SalvagedFileKindName(file.kind))},
                     {"segment", file.segment},
                     {"bytes", file.bytes},
                     {"header_lost", file.header_lost},
                     {"placed", file.placed},
                     {"trimmed", file.trimmed},
                     {"unplaceable", file.unplaceable}});
  }
  return {{"directory", invocation.directory()},
          {"needed", report.needed()},
          {"applied", report.applied},
          {"findings", report.findings},
          {"first", report.first},
          {"last", report.last},
          {"records", report.records},
          {"payload_bytes", report.payload_bytes},
          {"records_lost", report.records_lost()},
          {"lost", std::move(lost)},
          {"unplaceable", report.unplaceable},
          {"unplaceable_file", report.unplaceable_file},
          {"files", std::move(files)},
          {"cursors", report.cursors},
          {"cursors_left_out", report.cursors_left_out},
          {"set_aside", report.set_aside}};
}

ExitCode Run(const Invocation& invocation) {
  const absl::StatusOr<SalvageReport> report = Salvage(invocation);
  if (!report.ok()) return Fail(kName, report.status());
  Output output;
  output.Write(invocation.On("json") ? JsonLine(Document(invocation, *report))
                                     : Text(invocation, *report));
  output.Flush();
  if (!output.status().ok()) return Fail(kName, output.status());
  const bool whole =
      report->lost.empty() && report->unplaceable == 0 && report->cursors_left_out.empty();
  if (!report->needed() || (report->applied && whole)) return ExitCode::kFine;
  return ExitCode::kDamage;
}

}  // namespace

Command SalvageCommand() {
  using Kind = Flag::Kind;
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "build a sound log from what can be read of a damaged one",
      .description =
          "Says what is damaged, which records can be kept and which are lost; changes nothing "
          "unless --output or --apply is given. Files count as what their content shows them to "
          "be: segments that are misnamed, swapped, there twice or without their headers are put "
          "in their places, and the superblock is not needed. Every record that is kept has the "
          "number that it had. Intact records without a place in the log, as those of another "
          "log's files, go to unplaceable.jsonl beside the new log: an object a line, with file, "
          "reason, log_id, segment, offset, sequence, and payload_base64.\n"
          "With --apply all old files are kept, renamed to end in .aside; both take space until "
          "you delete those. If that is interrupted the log cannot be opened before the same "
          "command has been run again. No program may have the log open. The exit code is 2 if "
          "something is damaged, or was and could not be kept.",
      .flags = {{.name = "apply", .help = "put a sound log in place of the damaged one"},
                JsonFlag(),
                {.kind = Kind::kText,
                 .name = "output",
                 .argument = "NEW",
                 .help = "build a sound log in NEW, a directory that is new or empty; DIR stays as "
                         "it is"},
                {.name = "quiet",
                 .help = "do not show that it is at work; that is done only where standard error "
                         "is a terminal"},
                {.kind = Kind::kBytes,
                 .name = "segment-bytes",
                 .argument = "SIZE",
                 .standard = "64MiB",
                 .help = "bytes of records in a segment of the new log, 8KiB to 1GiB"}},
      .json = {{"directory", "as it was given"},
               {"needed", "whether anything is damaged"},
               {"applied", "whether a log was built"},
               {"findings", "what is damaged, a sentence each"},
               {"first", "the oldest record that was not trimmed"},
               {"last", "the newest number given"},
               {"records", "that are kept"},
               {"payload_bytes", "of these"},
               {"records_lost", "that cannot be read"},
               {"lost", "each such place, as in `millrace verify --json`"},
               {"unplaceable", "intact records without a place"},
               {"unplaceable_file", "where they are, in the new log's directory"},
               {"files", "file, is, segment, bytes, header_lost, placed, trimmed, unplaceable"},
               {"cursors", "whose checkpoints are kept"},
               {"cursors_left_out", "whose checkpoints are damaged or another log's"},
               {"set_aside", "new names of the old files"}},
      .examples = {{"millrace salvage /var/tmp/journal", "what is damaged, and what can be kept"},
                   {"millrace salvage --output=/var/tmp/sound /var/tmp/journal",
                    "keep it, elsewhere"}},
      .run = Run,
  };
}

}  // namespace millrace
