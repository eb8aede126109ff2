#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/log_reader.h"
#include "tools/millrace/choices.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_printer.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "cat";

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
      .flags = {FramingFlag("how payloads are printed: each with a newline behind it, or with 4 "
                            "bytes of length, little-endian, before it"),
                {.kind = Flag::Kind::kNumber,
                 .name = "from",
                 .argument = "N",
                 .help = "begin at record N; without it, at the oldest one kept"},
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
