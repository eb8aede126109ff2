#ifndef MILLRACE_WAL_APPEND_QUEUE_H_
#define MILLRACE_WAL_APPEND_QUEUE_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "millrace/options.h"
#include "millrace/producer.h"
#include "millrace/sequence.h"
#include "queue/atomics.h"
#include "queue/cache_line.h"
#include "queue/causal_queue.h"
#include "wal/completion.h"
#include "wal/format.h"
#include "wal/producer_memory.h"

namespace millrace {

// The places inside an append at which a test can hold a producer.
enum class AppendStep : uint8_t {
  kBorrowed,  // has a slot of the log
  kAdmitted,  // has credits
  kCopied,    // the record is complete in memory
  kBeforeStamp,
  kAfterStamp,
  kAfterEnqueue,
  kBeforeWake,
  kAfterNotify,
  kEnqueued,  // about to wait or to return
};

// For tests: called by every thread that appends to any log. Null in production,
// which costs a load and a branch that is always predicted.
using AppendHook = void (*)(AppendStep);
inline constinit std::atomic<AppendHook> append_hook{nullptr};

inline void AtAppendStep(AppendStep step) {
  // acquire: shows what the test prepared before it set the hook.
  const AppendHook hook = append_hook.load(std::memory_order_acquire);
  if (__builtin_expect(hook != nullptr, 0)) hook(step);
}

// The queue's atomics, with its own steps passed on.
struct AppendAtomics : StdAtomics {
  static void Step(EnqueueStep step) {
    AtAppendStep(static_cast<AppendStep>(static_cast<int>(AppendStep::kBeforeStamp) +
                                         static_cast<int>(step)));
  }
};
static_assert(static_cast<int>(AppendStep::kAfterNotify) -
                  static_cast<int>(AppendStep::kBeforeStamp) ==
              static_cast<int>(EnqueueStep::kAfterNotify));

class TicketCell;

// One record, batch, flush or truncation on its way from a producer to the writer. A record or
// batch lives in the producer's memory, in front of its body; a flush in its ticket's cell; a
// truncation with its caller.
struct PendingAppend {
  enum class Kind : uint8_t {
    kRecords,
    kFlush,     // everything before it is to become as durable as it says
    kTruncate,  // a TruncateCommand
    kDropped,   // given up by its producer: no record, only a callback to be told
  };
  // Who is told how it ended.
  enum class Answer : uint8_t {
    kNobody,
    kThread,    // `completion`: the thread that waits
    kTicket,    // `ticket`
    kCallback,  // this is a CallbackAppend
  };

  uint32_t body_bytes = 0;
  uint16_t count = 1;  // records, and credits; without meaning for others
  uint8_t flags = 0;
  FrameType type = FrameType::kRecord;
  Kind kind = Kind::kRecords;
  Answer answer = Answer::kNobody;
  Durability durability = Durability::kDurable;
  // When it was accepted, in us of the steady clock, which wraps; 0: not measured.
  uint32_t accepted_us = 0;
  const char* body = nullptr;
  uint64_t body_checksum = 0;
  uint64_t charged_bytes = 0;    // credits
  MemoryChunk* chunk = nullptr;  // where it is freed; null: not there
  union {
    Completion* completion = nullptr;
    TicketCell* ticket;
  };
  SequenceNumber sequence = kNoSequence;  // of its first record, once it has one
};
static_assert(sizeof(PendingAppend) <= kCacheLineBytes);

// An append whose result goes to a callback. It failed, with the log, if it has no
// sequence number in the end.
struct CallbackAppend : PendingAppend {
  AppendCallback callback;
  CallbackAppend* next = nullptr;
};

// The result of a flush or truncation that went well: it has no number of its own, and kNoSequence
// says that the log has failed.
inline constexpr SequenceNumber kDoneWithoutNumber = kMaxSequence;

// Everything after a record is to be dropped. Its caller waits, and reads `status` if the log
// has not failed.
struct TruncateCommand : PendingAppend {
  SequenceNumber last_to_keep = kNoSequence;
  absl::Status status;
};

using AppendQueue = CausalQueue<PendingAppend*, AppendAtomics>;

// What arrays of the queue and the writer take for each append in flight, beside its memory: four
// elements of 16 bytes (in its producer's part, as found, and in order, with as much to spare) and
// two pointers (drained, and waiting for a sync).
inline constexpr uint64_t kArrayBytesPerAppend = uint64_t{4} * 16 + uint64_t{2} * 8;

// Gives back what finished appends held: their memory, then their credits. Both
// are shared between threads, so it does so once for many.
//
// Not thread-safe.
class AppendReleaser {
 public:
  explicit AppendReleaser(AppendQueue* queue) : queue_(queue) {}

  // `append` is gone when this returns.
  void Add(PendingAppend* append) {
    if (append->kind == PendingAppend::Kind::kRecords) {
      records_ += append->count;
      bytes_ += append->charged_bytes;
    } else {
      ++markers_;
    }
    if (append->chunk == nullptr) return;
    if (append->chunk != chunk_) FreeChunk();
    chunk_ = append->chunk;
    ++in_chunk_;
  }

  // Records and markers whose credits are to be given back with the next Flush().
  uint64_t held() const { return uint64_t{records_} + markers_; }

  void Flush() {
    FreeChunk();
    if (records_ != 0) queue_->Return(records_, bytes_);
    if (markers_ != 0) queue_->ReturnMarkers(markers_);
    records_ = markers_ = 0;
    bytes_ = 0;
  }

 private:
  void FreeChunk() {
    if (in_chunk_ != 0) chunk_->Free(in_chunk_);
    in_chunk_ = 0;
  }

  AppendQueue* const queue_;
  uint32_t records_ = 0;
  uint32_t markers_ = 0;
  uint64_t bytes_ = 0;
  MemoryChunk* chunk_ = nullptr;
  int32_t in_chunk_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_APPEND_QUEUE_H_
