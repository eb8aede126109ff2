#ifndef MILLRACE_WAL_SEGMENT_LIST_H_
#define MILLRACE_WAL_SEGMENT_LIST_H_

#include <atomic>
#include <cstdint>
#include <forward_list>
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
  struct FileUse {
    // False once a write to the file, or a sync, has failed: it may be read, and is never
    // written again. Set by the writer, before it gives the node back.
    bool may_be_recycled = true;
  };

  // Where a segment ends, and what follows.
  struct Ending {
    uint64_t end = 0;         // of its frames
    SequenceNumber last = 0;  // its last record; first_sequence - 1 if it holds none
    std::shared_ptr<SegmentNode> next;
  };

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

  // The nodes after it that nobody else holds go one by one: left to the members, a
  // long chain would be destroyed by as deep a recursion. Each is given up through its
  // own count, and not taken where the count reads 1: that reading orders nothing
  // after what the last other holder did.
  ~SegmentNode() {
    static thread_local constinit std::vector<std::shared_ptr<SegmentNode>>* to_give_up = nullptr;
    if (to_give_up != nullptr) {
      for (Ending& ending : endings_) to_give_up->push_back(std::move(ending.next));
      return;
    }
    std::vector<std::shared_ptr<SegmentNode>> nodes;
    for (Ending& ending : endings_) nodes.push_back(std::move(ending.next));
    to_give_up = &nodes;
    while (!nodes.empty()) {
      std::shared_ptr<SegmentNode> node = std::move(nodes.back());
      nodes.pop_back();
      node.reset();
    }
    to_give_up = nullptr;
  }

  const uint64_t number;
  const uint64_t incarnation;
  // Of the first record here. May exceed the predecessor's last + 1: the numbers
  // between were lost and reported when this segment was begun.
  const SequenceNumber first_sequence;
  const std::shared_ptr<FileUse> file_use;

  // Ends the segment: its frames end at `end` with `last` (first_sequence - 1 if
  // it holds no record), and `next` follows. Called by the writer: when the next segment is
  // begun, and again if the log fails over to another one that takes records from this one,
  // with a lower end then.
  void Seal(uint64_t end, SequenceNumber last, std::shared_ptr<SegmentNode> next) {
    endings_.push_front({end, last, std::move(next)});
    // release: publishes what it points to, which never changes; pairs with the acquire in
    // ending().
    ending_.store(&endings_.front(), std::memory_order_release);
  }

  // Null while the segment is written to. What it points to is of one moment, and lives as long
  // as the node; a reader that finds damage looks whether there is another one meanwhile.
  const Ending* ending() const {
    // acquire: pairs with the release in Seal().
    return ending_.load(std::memory_order_acquire);
  }
  bool sealed() const { return ending() != nullptr; }
  // Of a sealed one; end() is 0 of another.
  uint64_t end() const {
    const Ending* ending = this->ending();
    return ending != nullptr ? ending->end : 0;
  }

  // Where the durable frames of an unsealed segment end, as far as known; for statistics.
  void PublishDurableEnd(uint64_t end) {
    // relaxed: a number to report; nothing is read through it.
    durable_end_.store(end, std::memory_order_relaxed);
  }
  uint64_t durable_end() const {
    // relaxed: as in PublishDurableEnd().
    return durable_end_.load(std::memory_order_relaxed);
  }

  SequenceNumber last_sequence() const { return ending()->last; }
  const std::shared_ptr<SegmentNode>& next() const { return ending()->next; }

 private:
  std::forward_list<Ending> endings_;  // the newest first
  std::atomic<const Ending*> ending_{nullptr};
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

  // The last segment whose first record is not after `s`; the first one if all are.
  std::shared_ptr<SegmentNode> Find(SequenceNumber s) const {
    std::shared_ptr<SegmentNode> node = First();
    while (node->sealed() && node->next()->first_sequence <= s) node = node->next();
    return node;
  }

  // What is found from now on is the chain from `first` on. Who holds a node of the
  // old one goes on in that.
  void Replace(std::shared_ptr<SegmentNode> first) {
    MutexLock lock(&mu_);
    first_.swap(first);
    ++replacements_;
  }
  // How often that was done: at least to the chain in which a node was found before.
  uint64_t replacements() const {
    MutexLock lock(&mu_);
    return replacements_;
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
    if (!dropped.empty()) dropped_before_ = first_->first_sequence;
    return dropped;
  }
  // What was given up, also while only the chain shows it so far.
  SequenceNumber dropped_before() const {
    MutexLock lock(&mu_);
    return dropped_before_;
  }

 private:
  mutable Mutex mu_;
  std::shared_ptr<SegmentNode> first_ ABSL_GUARDED_BY(mu_);
  uint64_t replacements_ ABSL_GUARDED_BY(mu_) = 0;
  SequenceNumber dropped_before_ ABSL_GUARDED_BY(mu_) = kNoSequence;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_LIST_H_
