#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/log_reader.h"
#include "tools/millrace/choices.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_printer.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "cat";

// Says on standard error why nothing is printed where --from is beyond the end.
void MentionTheEnd(const Invocation& invocation, const LogReader& reader) {
  const SequenceNumber from = invocation.Number("from");
  if (from <= reader.limit()) return;
  std::string held = "the log holds no records";
  if (reader.limit() >= reader.first_retained()) {
    held =
        absl::StrFormat("the log holds records %d to %d%s", reader.first_retained(), reader.limit(),
                        invocation.Text("upto") == "durable" ? " that are durable" : "");
  }
  Complain(kName, absl::StrFormat("--from is %d; %s, so that there is nothing to print%s", from,
                                  held, from == reader.limit() + 1 ? " yet" : ""));
}

ExitCode Run(const Invocation& invocation) {
  const absl::StatusOr<EntryStyle> style = EntryStyleOf(invocation);
  if (!style.ok()) return Fail(kName, style.status());
  LogReaderOptions options;
  options.limit = LimitOf(invocation);
  absl::StatusOr<std::unique_ptr<LogReader>> reader =
      LogReader::Open(invocation.directory(), options);
  if (!reader.ok()) return Fail(kName, reader.status());
  if (invocation.Given("from")) {
    const absl::Status status = (*reader)->Seek(invocation.Number("from"));
    if (!status.ok()) return Fail(kName, status);
    MentionTheEnd(invocation, **reader);
  }
  Output output;
  EntryPrinter printer(kName, *style, &output);
  const absl::Status status = printer.PrintAll(reader->get());
  return printer.Finish(status);
}

}  // namespace

Command CatCommand() {
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "print the records of a log",
      .description =
          "Reads without the log's lock and changes nothing, beside a program that appends or not. "
          "Records that are lost are named on standard error (with --json: in their place in the "
          "output), and the exit code is 2.",
      .flags =
          {FramingFlag("how payloads are printed: each with a newline behind it, or with 4 "
                       "bytes of length, little-endian, before it"),
           {.kind = Flag::Kind::kNumber,
            .name = "from",
            .argument = "N",
            .help =
                "begin at record N; without it, at the oldest one kept; beyond the end, nothing "
                "is printed, standard error says so, and the exit code is 0"},
           JsonFlag(),
           {.kind = Flag::Kind::kChoice,
            .name = "upto",
            .argument = "HOW",
            .standard = "readable",
            .help = "stop behind the last record that the log says is durable, or behind the "
                    "last one that is written, which may not survive a power cut",
            .choices = {"durable", "readable"}},
           WithSequenceFlag()},
      .json = EntryJsonKeys(),
      .examples = {{"millrace cat --from=1000 --json /var/tmp/journal | head",
                    "some, with all that is known of them"},
                   {"millrace cat --framing=length OLD | millrace append --framing=length NEW",
                    "copy payloads, whatever their bytes"}},
      .run = Run,
  };
}

}  // namespace millrace
