#ifndef MILLRACE_WAL_SEGMENT_LIST_H_
#define MILLRACE_WAL_SEGMENT_LIST_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "millrace/sequence.h"
#include "wal/mutex.h"

namespace millrace {

// One segment of the live chain, as readers see it. Holding a node pins its
// file: it may be deleted, but is not recycled, and the nodes after it stay.
class SegmentNode {
 public:
  // Tells the nodes apart that stand for the same use of the same file: a
  // truncation makes those of the segments that it keeps anew.
  struct FileUse {};

  SegmentNode(uint64_t number, uint64_t incarnation, SequenceNumber first_sequence)
      : SegmentNode(number, incarnation, first_sequence, std::make_shared<FileUse>()) {}
  SegmentNode(uint64_t number, uint64_t incarnation, SequenceNumber first_sequence,
              std::shared_ptr<FileUse> file_use)
      : number(number),
        incarnation(incarnation),
        first_sequence(first_sequence),
        file_use(std::move(file_use)) {}
  SegmentNode(const SegmentNode&) = delete;
  SegmentNode& operator=(const SegmentNode&) = delete;

  // Takes the nodes after it that nobody else holds one by one: left to the
  // members, a long chain would be destroyed by as deep a recursion.
  ~SegmentNode() {
    std::shared_ptr<SegmentNode> node = std::move(next_);
    while (node != nullptr && node.use_count() == 1) {
      std::shared_ptr<SegmentNode> after = std::move(node->next_);
      node = std::move(after);
    }
  }

  const uint64_t number;
  const uint64_t incarnation;
  // Of the first record here. May exceed the predecessor's last + 1: the numbers
  // between were lost and reported when this segment was begun.
  const SequenceNumber first_sequence;
  const std::shared_ptr<FileUse> file_use;

  // Ends the segment: its frames end at `end` with `last` (first_sequence - 1 if
  // it holds no record), and `next` follows. Called once, by the writer.
  void Seal(uint64_t end, SequenceNumber last, std::shared_ptr<SegmentNode> next) {
    end_ = end;
    last_ = last;
    next_ = std::move(next);
    // release: publishes end_, last_ and next_; pairs with the acquire in sealed().
    sealed_.store(true, std::memory_order_release);
  }

  // Once true, the three below are final.
  bool sealed() const {
    // acquire: pairs with the release in Seal().
    return sealed_.load(std::memory_order_acquire);
  }
  uint64_t end() const { return end_; }

  // Where the durable frames of an unsealed segment end, as far as known; for statistics.
  void PublishDurableEnd(uint64_t end) {
    // relaxed: a number to report; nothing is read through it.
    durable_end_.store(end, std::memory_order_relaxed);
  }
  uint64_t durable_end() const {
    // relaxed: as in PublishDurableEnd().
    return durable_end_.load(std::memory_order_relaxed);
  }

  SequenceNumber last_sequence() const { return last_; }
  const std::shared_ptr<SegmentNode>& next() const { return next_; }

 private:
  uint64_t end_ = 0;
  SequenceNumber last_ = 0;
  std::shared_ptr<SegmentNode> next_;
  std::atomic<bool> sealed_{false};
  std::atomic<uint64_t> durable_end_{0};
};

// The chain, oldest first. Readers that follow `next` take no lock; the lock is
// for those who look one up and for trimming, never for the writer.
class SegmentList {
 public:
  explicit SegmentList(std::shared_ptr<SegmentNode> first) : first_(std::move(first)) {}

  std::shared_ptr<SegmentNode> First() const {
    MutexLock lock(&mu_);
    return first_;
  }

  // A place in the chain, and which chain it is.
  struct Place {
    std::shared_ptr<SegmentNode> node;
    uint64_t truncations = 0;  // how often the chain was replaced
    // What the last one kept. A chain is replaced shortly before its truncation is published:
    // until then watermarks are those of the chain before, and hold here only up to this.
    SequenceNumber kept = kMaxSequence;
  };

  // The last segment whose first record is not after `s`; the first one if all are.
  Place FindPlace(SequenceNumber s) const {
    Place place;
    {
      MutexLock lock(&mu_);
      place = {first_, truncations_, kept_};
    }
    std::shared_ptr<SegmentNode>& node = place.node;
    while (node->sealed() && node->next()->first_sequence <= s) node = node->next();
    return place;
  }
  std::shared_ptr<SegmentNode> Find(SequenceNumber s) const { return FindPlace(s).node; }

  // What is found from now on is the chain from `first` on, in which a truncation kept the records
  // up to `kept`. Who holds a node of the old one goes on in that.
  void Replace(std::shared_ptr<SegmentNode> first, SequenceNumber kept) {
    MutexLock lock(&mu_);
    first_.swap(first);
    ++truncations_;
    kept_ = kept;
  }

  // Takes the sealed segments whose records are all below `s` off the front.
  // A node whose use count is then 1, all before it being alike, is not pinned.
  std::vector<std::shared_ptr<SegmentNode>> DropBefore(SequenceNumber s) {
    std::vector<std::shared_ptr<SegmentNode>> dropped;
    MutexLock lock(&mu_);
    while (first_->sealed() && first_->last_sequence() < s) {
      dropped.push_back(first_);
      first_ = first_->next();
    }
    return dropped;
  }

 private:
  mutable Mutex mu_;
  std::shared_ptr<SegmentNode> first_ ABSL_GUARDED_BY(mu_);
  uint64_t truncations_ ABSL_GUARDED_BY(mu_) = 0;
  SequenceNumber kept_ ABSL_GUARDED_BY(mu_) = kMaxSequence;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_LIST_H_
