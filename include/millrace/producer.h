#ifndef MILLRACE_PRODUCER_H_
#define MILLRACE_PRODUCER_H_

#include <memory>
#include <span>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/language.h"
#include "millrace/options.h"
#include "millrace/sequence.h"
#include "millrace/ticket.h"

namespace millrace {

class LogCore;
class ProducerSlot;

// Called once with the record's sequence number or the error that kept it from
// being as durable as was asked. Runs on the log's callback thread.
using AppendCallback = absl::AnyInvocable<void(absl::StatusOr<SequenceNumber>) &&>;

// The fast way to append: one thread's own lane into a log's queue. Log::Append
// borrows such a lane for each call; a Producer keeps one, which saves two
// contended atomic operations a record.
//
//   std::unique_ptr<Producer> producer = log->NewProducer().value();
//   absl::StatusOr<SequenceNumber> s = producer->Append("payload");
//
// Used by one thread at a time; handing it to another thread needs the caller's
// own synchronisation. It may outlive the Log: calls then return Cancelled.
class Producer {
 public:
  Producer(std::shared_ptr<LogCore> core, ProducerSlot* slot);
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  ~Producer();

  // Same contracts as in Log.
  absl::StatusOr<SequenceNumber> Append(std::string_view payload,
                                        const AppendOptions& options = {});
  absl::StatusOr<SequenceNumber> TryAppend(std::string_view payload, AppendOptions options = {});
  absl::StatusOr<SequenceNumber> AppendBatch(std::span<const NewRecord> records,
                                             const AppendOptions& options = {});
  absl::Status AppendAsync(std::string_view payload, const AppendOptions& options,
                           AppendCallback callback);
  absl::Status AppendBatchAsync(std::span<const NewRecord> records, const AppendOptions& options,
                                AppendCallback callback);
  absl::StatusOr<Ticket> AppendAsync(std::string_view payload, const AppendOptions& options = {});
  absl::StatusOr<Ticket> AppendBatchAsync(std::span<const NewRecord> records,
                                          const AppendOptions& options = {});

  // Waits until everything that this producer appended before is as durable as
  // `options` say, and makes it so. Ok says that all of it is in the log, but for what
  // was dropped or withdrawn. Callbacks may still be under way.
  //
  // Errors: as Log::Flush.
  absl::Status WaitForAll(const FlushOptions& options = {});

 private:
  std::shared_ptr<LogCore> core_;
  ProducerSlot* slot_;
};

}  // namespace millrace

#endif  // MILLRACE_PRODUCER_H_
