#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_printer.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/flags.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "cat";

ExitCode Run(const std::vector<std::string>& words) {
  const absl::StatusOr<EntryStyle> style = EntryStyleFlags();
  if (!style.ok()) return Fail(kName, style.status());
  const absl::StatusOr<LogReaderOptions::Limit> upto = UptoFlag();
  if (!upto.ok()) return Fail(kName, upto.status());
  LogReaderOptions options;
  options.limit = *upto;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(words[0], options);
  if (!reader.ok()) return Fail(kName, reader.status());
  if (const uint64_t from = absl::GetFlag(FLAGS_from); from > 0) {
    if (absl::Status status = (*reader)->Seek(from); !status.ok()) return Fail(kName, status);
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
      .help =
          R"(Reads without the log's lock and changes nothing, beside a program that appends or not. Records
that are lost are named on standard error (with --json: in their place in the output), and the exit
code is 2.

  --from=SEQUENCE          begin at this number (default: the first that is kept)
  --upto=readable|durable  also records that are written and may not survive a power cut (default),
                           or only those that the log says are durable
  --with_sequence          print "number TAB payload"
  --framing=lines|length   a newline after each payload (default), or before it 4 bytes of length,
                           little-endian
  --json                   one object for each record: sequence, time, key, attributes, payload
                           (payload_base64 where it is not UTF-8)
)",
      .flags = {"framing", "from", "json", "upto", "with_sequence"},
      .run = Run,
  };
}

}  // namespace millrace
