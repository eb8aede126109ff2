#ifndef MILLRACE_TOOLS_MILLRACE_OUTPUT_H_
#define MILLRACE_TOOLS_MILLRACE_OUTPUT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tools/millrace/interrupt.h"

namespace millrace {

// Standard output, buffered, that knows when nobody reads it any more. Used by one thread at a
// time.
class Output {
 public:
  Output() = default;
  // While nobody reads, a signal that `interrupt` sees ends writing, as if the reader had gone. Not
  // owned.
  explicit Output(InterruptWatch* interrupt) : interrupt_(interrupt) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  // Writes what is buffered; errors are lost: call Flush to see them.
  ~Output();

  // False once writing has failed; nothing more is written then.
  bool Write(std::string_view bytes);
  bool Flush();

  // The reader has gone, as `head` does when it has enough: a reason to stop, not an error.
  bool reader_gone() const { return reader_gone_; }
  // OK also when the reader has gone.
  const absl::Status& status() const { return status_; }

 private:
  // The most that may be written now without waiting, and so without looking for signals.
  size_t Writable(size_t bytes);

  InterruptWatch* const interrupt_ = nullptr;
  std::string buffer_;
  bool reader_gone_ = false;
  absl::Status status_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_OUTPUT_H_
