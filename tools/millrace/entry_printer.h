#ifndef MILLRACE_TOOLS_MILLRACE_ENTRY_PRINTER_H_
#define MILLRACE_TOOLS_MILLRACE_ENTRY_PRINTER_H_

#include <string_view>

#include "absl/status/status.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/output.h"

namespace millrace {

// Prints what a reader returns, records to the output and losses where they are seen.
class EntryPrinter {
 public:
  // `output` is not owned.
  EntryPrinter(std::string_view command, EntryStyle style, Output* output)
      : command_(command), style_(style), output_(output) {}

  // Prints all that `reader` has at present. OK also once the output takes no more: see
  // output_closed().
  absl::Status PrintAll(LogReader* reader);

  bool output_closed() const { return output_->reader_gone() || !output_->status().ok(); }

  // Flushes, complains about `status` or the output, and tells what to end with.
  ExitCode Finish(const absl::Status& status);

 private:
  void PrintLost(const LostRange& lost);

  const std::string_view command_;
  const EntryStyle style_;
  Output* const output_;
  bool damage_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_ENTRY_PRINTER_H_
