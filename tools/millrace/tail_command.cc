#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_printer.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/interrupt.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "tail";

// How long a new record may stay unseen: each look costs a few reads of cached pages.
constexpr absl::Duration kLookInterval = absl::Milliseconds(20);

absl::Status Follow(LogReader* reader, InterruptWatch* interrupt, EntryPrinter* printer) {
  while (true) {
    if (absl::Status status = printer->PrintAll(reader); !status.ok()) return status;
    if (printer->output_closed() || interrupt->Wait(kLookInterval)) return absl::OkStatus();
    if (absl::Status status = reader->Refresh(); !status.ok()) return status;
  }
}

ExitCode Run(const Invocation& invocation) {
  const absl::StatusOr<EntryStyle> style = EntryStyleOf(invocation);
  if (!style.ok()) return Fail(kName, style.status());
  LogReaderOptions options;
  options.limit = LogReaderOptions::Limit::kDurable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader =
      LogReader::Open(invocation.directory(), options);
  if (!reader.ok()) return Fail(kName, reader.status());
  const uint64_t wanted = invocation.Number("n");
  const SequenceNumber last = (*reader)->limit();
  const SequenceNumber first = wanted > last ? 1 : last - wanted + 1;
  if (absl::Status status = (*reader)->Seek(first); !status.ok()) return Fail(kName, status);
  if (!invocation.On("f")) {
    Output output;
    EntryPrinter printer(kName, *style, &output);
    const absl::Status status = printer.PrintAll(reader->get());
    return printer.Finish(status);
  }
  InterruptWatch interrupt;
  Output output(&interrupt);
  EntryPrinter printer(kName, *style, &output);
  const absl::Status status = Follow(reader->get(), &interrupt, &printer);
  return printer.Finish(status);
}

}  // namespace

Command TailCommand() {
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "print the last records of a log, and those that follow",
      .description =
          "Prints durable records only: what it shows is never taken back. A program that appends "
          "says in the log what is durable with its next write, or when it pauses, so that the "
          "newest records appear a moment late. With -f it ends on SIGINT or SIGTERM.",
      .flags = {{.name = "f", .help = "wait for more"},
                FramingFlag("how payloads are printed: each with a newline behind it, or with 4 "
                            "bytes of length, little-endian, before it"),
                JsonFlag(),
                {.kind = Flag::Kind::kNumber,
                 .name = "n",
                 .argument = "N",
                 .standard = "10",
                 .help = "begin with the last N records"},
                WithSequenceFlag()},
      .json = EntryJsonKeys(),
      .examples = {{"millrace tail -f /var/tmp/journal", "follow a log"},
                   {"millrace tail -n 0 -f --json /var/tmp/journal | jq .payload",
                    "what is appended from now on"}},
      .run = Run,
  };
}

}  // namespace millrace
