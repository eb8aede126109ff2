#ifndef MILLRACE_COROUTINE_H_
#define MILLRACE_COROUTINE_H_

#include "millrace/language.h"
// First, since <coroutine> has an error of its own for older languages, which misleads.
#include <atomic>
#include <coroutine>
#include <cstdint>
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
// The coroutine goes on when the record is as durable as was asked: on the log's callback
// thread, so it must not block there, and must not close the log; or at once, in the
// awaiting thread, if the append is refused or done already. `Appender` is a Log or a Producer;
// it, and the bytes of the record, must live until the coroutine is suspended.
//
// Costs what AppendAsync with a callback does. Nobody who does not include this header pays.
template <class Appender>
class AwaitAppend {
 public:
  AwaitAppend(Appender& appender, std::string_view payload, const AppendOptions& options = {})
      : appender_(appender), payload_(payload), options_(options) {}

  bool await_ready() const { return false; }

  bool await_suspend(std::coroutine_handle<> coroutine) {
    absl::Status status = appender_.AppendAsync(
        payload_, options_, [this, coroutine](absl::StatusOr<SequenceNumber> result) {
          result_ = std::move(result);
          if (IsSecond()) coroutine.resume();
        });
    if (!status.ok()) {
      result_ = std::move(status);
      return false;
    }
    // Resumed only once AppendAsync has returned: the coroutine may append through the same
    // Producer again, or end its life. Once this has suspended, this object may be gone.
    return !IsSecond();
  }

  absl::StatusOr<SequenceNumber> await_resume() { return std::move(result_); }

 private:
  // Of the callback and the awaiting thread, the second goes on with the coroutine.
  bool IsSecond() {
    // acq_rel: shows the second what the first did, the result above all; pairs with itself.
    return came_.exchange(1, std::memory_order_acq_rel) != 0;
  }

  Appender& appender_;
  const std::string_view payload_;
  const AppendOptions options_;
  absl::StatusOr<SequenceNumber> result_ = absl::UnknownError("not awaited");
  std::atomic<uint32_t> came_{0};
};

}  // namespace millrace

#endif  // MILLRACE_COROUTINE_H_
