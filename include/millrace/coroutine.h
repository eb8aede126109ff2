#ifndef MILLRACE_COROUTINE_H_
#define MILLRACE_COROUTINE_H_

#include <coroutine>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/options.h"
#include "millrace/producer.h"
#include "millrace/sequence.h"

namespace millrace {

// Awaits an append in a coroutine, whatever its task type:
//
//   absl::StatusOr<SequenceNumber> s = co_await millrace::AwaitAppend(*log, "payload");
//
// The coroutine goes on, on the log's callback thread, when the record is as durable as was
// asked; so it must not block there, and must not close the log. If the append is refused it
// goes on at once. `Appender` is a Log or a Producer; it, and the bytes of the
// record, must live until the append was accepted, which is before co_await suspends.
//
// Costs what AppendAsync with a callback does. Nobody who does not include this header pays.
template <class Appender>
class AwaitAppend {
 public:
  AwaitAppend(Appender& appender, std::string_view payload, const AppendOptions& options = {})
      : appender_(appender), payload_(payload), options_(options) {}

  bool await_ready() const { return false; }

  bool await_suspend(std::coroutine_handle<> coroutine) {
    // Once the append is accepted, this object may be gone before AppendAsync returns.
    absl::Status status = appender_.AppendAsync(
        payload_, options_, [this, coroutine](absl::StatusOr<SequenceNumber> result) {
          result_ = std::move(result);
          coroutine.resume();
        });
    if (status.ok()) return true;
    result_ = std::move(status);
    return false;
  }

  absl::StatusOr<SequenceNumber> await_resume() { return std::move(result_); }

 private:
  Appender& appender_;
  const std::string_view payload_;
  const AppendOptions options_;
  absl::StatusOr<SequenceNumber> result_ = absl::UnknownError("not awaited");
};

}  // namespace millrace

#endif  // MILLRACE_COROUTINE_H_
