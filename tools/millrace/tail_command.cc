#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_printer.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/flags.h"
#include "tools/millrace/interrupt.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "tail";

// How long a new record may stay unseen: each look costs a few reads of cached pages.
constexpr absl::Duration kLookInterval = absl::Milliseconds(20);

absl::Status Follow(LogReader* reader, EntryPrinter* printer) {
  InterruptWatch interrupt;
  while (true) {
    if (absl::Status status = printer->PrintAll(reader); !status.ok()) return status;
    if (printer->output_closed() || interrupt.Wait(kLookInterval)) return absl::OkStatus();
    if (absl::Status status = reader->Refresh(); !status.ok()) return status;
  }
}

ExitCode Run(const std::vector<std::string>& words) {
  const absl::StatusOr<EntryStyle> style = EntryStyleFlags();
  if (!style.ok()) return Fail(kName, style.status());
  LogReaderOptions options;
  options.limit = LogReaderOptions::Limit::kDurable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(words[0], options);
  if (!reader.ok()) return Fail(kName, reader.status());
  const uint64_t wanted = absl::GetFlag(FLAGS_n);
  const SequenceNumber last = (*reader)->limit();
  const SequenceNumber first = wanted > last ? 1 : last - wanted + 1;
  if (absl::Status status = (*reader)->Seek(first); !status.ok()) return Fail(kName, status);
  Output output;
  EntryPrinter printer(kName, *style, &output);
  const absl::Status status =
      absl::GetFlag(FLAGS_f) ? Follow(reader->get(), &printer) : printer.PrintAll(reader->get());
  return printer.Finish(status);
}

}  // namespace

Command TailCommand() {
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "print the last records of a log, and those that follow",
      .help =
          R"(Prints durable records only: what it shows is never taken back. A program that appends says so in
the log with its next write, or when it pauses, so that the newest records appear a moment late.
Ends on SIGINT or SIGTERM.

  -f                      wait for more
  -n N                    begin with the last N records (default 10)
  --with_sequence         print "number TAB payload"
  --framing=lines|length  a newline after each payload (default), or before it 4 bytes of length,
                          little-endian
  --json                  one object for each record, as in `millrace cat --json`
)",
      .flags = {"f", "framing", "json", "n", "with_sequence"},
      .run = Run,
  };
}

}  // namespace millrace
