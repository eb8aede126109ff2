#include "tools/quickstart_demo/consumer.h"

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/log.h"

namespace millrace {
namespace {

constexpr uint64_t kCommitEvery = 64;

// Compares what a consumer is given with what was appended, and counts what does not fit.
class Comparer {
 public:
  Comparer(const Workload& workload, uint32_t consumer, Oracle* oracle)
      : workload_(workload),
        consumer_(consumer),
        oracle_(oracle),
        tally_(oracle->tally(consumer)),
        checkpoint_(tally_.checkpointed),
        previous_(workload.producers()) {}

  void Take(SequenceNumber sequence, std::string_view payload) {
    ++tally_.records;
    if (tally_.first_of_last_sitting == kNoSequence) tally_.first_of_last_sitting = sequence;
    const std::optional<Workload::Tag> tag = workload_.TagOf(payload);
    if (!tag || tag->index >= oracle_->issued(tag->producer)) {
      ++tally_.invented;
      return;
    }
    workload_.Make(*tag, &expected_);
    if (payload != expected_) ++tally_.altered;
    if (oracle_->sequence_of(*tag) != sequence) ++tally_.renumbered;
    CheckOrder(*tag);
    uint8_t& deliveries = oracle_->deliveries(consumer_, *tag);
    if (deliveries > 0) {
      ++tally_.repeated;
      // Within one sitting nothing may repeat; in the next, what followed the last checkpoint.
      const bool this_sitting = sequence <= highest_;
      if (this_sitting || sequence <= checkpoint_) ++tally_.repeated_too_early;
    }
    if (deliveries < UINT8_MAX) ++deliveries;
    highest_ = std::max(highest_, sequence);
  }

  void TakeLost(const LostRange& lost) { tally_.lost += lost.records(); }

 private:
  void CheckOrder(Workload::Tag tag) {
    std::optional<uint64_t>& previous = previous_[tag.producer];
    if (previous && tag.index != *previous + 1) ++tally_.out_of_order;
    previous = tag.index;
  }

  const Workload& workload_;
  const uint32_t consumer_;
  Oracle* const oracle_;
  Tally& tally_;
  const SequenceNumber checkpoint_;                // durable before this sitting
  std::vector<std::optional<uint64_t>> previous_;  // index of each producer's last record
  SequenceNumber highest_ = kNoSequence;           // of this sitting
  std::string expected_;
};

// Hands records on to a comparer, with one fault in the middle if that is asked for.
class Channel {
 public:
  Channel(const Workload& workload, Comparer* comparer, Sabotage sabotage, SequenceNumber middle)
      : workload_(workload), comparer_(comparer), sabotage_(sabotage), middle_(middle) {}

  void Take(SequenceNumber sequence, std::string_view payload) {
    if (sequence == middle_ && sabotage_ != Sabotage::kNone) {
      TakeFaulty(sequence, payload);
      return;
    }
    comparer_->Take(sequence, payload);
    if (held_ && SameProducer(*held_, payload)) {
      comparer_->Take(middle_, *held_);
      held_.reset();
    }
  }

 private:
  void TakeFaulty(SequenceNumber sequence, std::string_view payload) {
    std::string altered(payload);
    switch (sabotage_) {
      case Sabotage::kDropRecord:
        return;
      // Comes after its producer's next one.
      case Sabotage::kSwapRecords:
        held_ = payload;
        return;
      case Sabotage::kRepeatRecord:
        comparer_->Take(sequence, payload);
        break;
      case Sabotage::kAlterRecord:
        altered.back() ^= 1;
        break;
      case Sabotage::kInventRecord:
        comparer_->Take(sequence, "p0 0x0 nobody wrote this");
        break;
      case Sabotage::kNone:
      case Sabotage::kDamageLog:
        break;
    }
    comparer_->Take(sequence, altered);
  }

  bool SameProducer(std::string_view a, std::string_view b) const {
    const auto first = workload_.TagOf(a);
    const auto second = workload_.TagOf(b);
    return first && second && first->producer == second->producer;
  }

  const Workload& workload_;
  Comparer* const comparer_;
  const Sabotage sabotage_;
  const SequenceNumber middle_;
  std::optional<std::string> held_;
};

// One sitting of a consumer: reads on from the cursor's checkpoint up to and including `last`, and
// commits as it goes.
absl::Status Consume(Cursor* cursor, SequenceNumber last, Channel* channel, Comparer* comparer,
                     Tally* tally) {
  tally->first_of_last_sitting = kNoSequence;
  while (cursor->delivered() < last) {
    const absl::StatusOr<Entry> entry = cursor->Next(absl::Seconds(10));
    if (!entry.ok()) return entry.status();
    if (entry->kind == Entry::Kind::kLost) {
      comparer->TakeLost(entry->lost);
    } else {
      channel->Take(entry->record.sequence, entry->record.payload);
    }
    if (cursor->delivered() % kCommitEvery != 0) continue;
    if (absl::Status status = cursor->Commit(cursor->delivered()); !status.ok()) return status;
    tally->committed = cursor->committed();
    tally->checkpointed = cursor->checkpointed();
  }
  return absl::OkStatus();
}

// A consumer with its cursor, and what checks it.
struct Consumer {
  Consumer(const Workload& workload, uint32_t number, Sabotage sabotage, SequenceNumber middle,
           Oracle* oracle)
      : tally(&oracle->tally(number)),
        comparer(workload, number, oracle),
        channel(workload, &comparer, sabotage, middle) {}

  absl::Status Read(SequenceNumber last) {
    return Consume(cursor.get(), last, &channel, &comparer, tally);
  }

  Tally* tally;
  Comparer comparer;
  Channel channel;
  std::unique_ptr<Cursor> cursor;
};

absl::Status OpenCursorOf(Log* log, uint32_t number, Consumer* consumer) {
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = log->OpenCursor(kConsumerNames[number]);
  if (!cursor.ok()) return cursor.status();
  consumer->cursor = *std::move(cursor);
  return absl::OkStatus();
}

}  // namespace

absl::Status ConsumeAndDie(const std::string& directory, const Workload& workload,
                           double stop_share, Sabotage sabotage, Oracle* oracle) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory);
  if (!log.ok()) return log.status();
  const SequenceNumber last = (*log)->last_durable();
  const auto stop_after = static_cast<SequenceNumber>(stop_share * static_cast<double>(last));
  Consumer audit(workload, 0, sabotage, last / 2, oracle);
  Consumer billing(workload, 1, Sabotage::kNone, last / 2, oracle);
  if (absl::Status status = OpenCursorOf(log->get(), 0, &audit); !status.ok()) return status;
  if (absl::Status status = OpenCursorOf(log->get(), 1, &billing); !status.ok()) return status;
  absl::Status audited;
  std::thread thread([&] { audited = audit.Read(last); });
  absl::Status billed = billing.Read(stop_after);
  thread.join();
  if (!audited.ok()) return audited;
  if (!billed.ok()) return billed;
  // Here, before the cursors' destructors would write checkpoints.
  kill(getpid(), SIGKILL);
  return absl::InternalError("survived SIGKILL");
}

absl::Status ConsumeRest(const std::string& directory, const Workload& workload, Oracle* oracle) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory);
  if (!log.ok()) return log.status();
  absl::Status status;
  {
    const SequenceNumber last = (*log)->last_durable();
    Consumer billing(workload, 1, Sabotage::kNone, last / 2, oracle);
    status = OpenCursorOf(log->get(), 1, &billing);
    if (status.ok()) status = billing.Read(last);
  }
  const absl::Status closed = (*log)->Close();
  return status.ok() ? closed : status;
}

}  // namespace millrace
