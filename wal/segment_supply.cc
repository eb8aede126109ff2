#include "wal/segment_supply.h"

#include <atomic>
#include <utility>

#include "wal/check.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

// One being prepared from, one for the time after: more would only hold disk.
constexpr size_t kMaxWaiting = 2;

}  // namespace

void RetiredSegments::Add(std::vector<std::shared_ptr<SegmentNode>> nodes,
                          SegmentFactory& factory) {
  for (std::shared_ptr<SegmentNode>& node : nodes) waiting_.push_back(std::move(node));
  bool removed = false;
  while (waiting_.size() > kMaxWaiting) {
    // The file may go even while a reader has it open; it then reads on.
    factory.Remove(SegmentName(waiting_.front()->number)).IgnoreError();
    waiting_.pop_front();
    removed = true;
  }
  if (removed) factory.SyncDirectoryEntries().IgnoreError();
}

absl::StatusOr<PreparedSegment> RetiredSegments::Prepare(SegmentFactory& factory,
                                                         uint64_t file_bytes, Fill fill) {
  while (!waiting_.empty()) {
    // A reader of an older segment would come to this one through its node, so
    // only the oldest may be judged by its own use count.
    if (waiting_.front().use_count() != 1) break;
    // A reader may hold the node that stood for the same file before a truncation.
    if (waiting_.front()->file_use.use_count() != 1) break;
    // acquire: use_count() is a relaxed load; pairs with the release in which the
    // last reader gave up its pointer, after its last read of the file.
    std::atomic_thread_fence(std::memory_order_acquire);
    const uint64_t number = waiting_.front()->number;
    const bool may_be_recycled = waiting_.front()->file_use->may_be_recycled;
    waiting_.pop_front();
    if (may_be_recycled) {
      absl::StatusOr<PreparedSegment> recycled = factory.Recycle(number, file_bytes);
      if (recycled.ok()) return recycled;
    }
    factory.Remove(SegmentName(number)).IgnoreError();
  }
  return factory.Create(file_bytes, fill);
}

uint64_t RetiredSegments::bytes() const {
  uint64_t bytes = 0;
  for (const std::shared_ptr<SegmentNode>& node : waiting_) bytes += node->end();
  return bytes;
}

void RetiredSegments::Clear(SegmentFactory& factory) {
  for (const std::shared_ptr<SegmentNode>& node : waiting_) {
    factory.Remove(SegmentName(node->number)).IgnoreError();
  }
  waiting_.clear();
}

void InlineSegmentSupply::Detach() {
  if (factory_ == nullptr) return;
  retired_.Clear(*factory_);
  if (prepared_.has_value()) factory_->Remove(SegmentName(prepared_->number)).IgnoreError();
  prepared_.reset();
  factory_ = nullptr;
}

absl::StatusOr<PreparedSegment> InlineSegmentSupply::Take(uint64_t file_bytes, Fill fill) {
  WAL_CHECK(factory_ != nullptr);
  if (prepared_.has_value()) {
    PreparedSegment segment = std::move(*prepared_);
    prepared_.reset();
    return segment;
  }
  return retired_.Prepare(*factory_, file_bytes, fill);
}

void InlineSegmentSupply::Expect(uint64_t file_bytes, Fill fill) {
  WAL_CHECK(factory_ != nullptr);
  if (prepared_.has_value()) return;
  absl::StatusOr<PreparedSegment> segment = retired_.Prepare(*factory_, file_bytes, fill);
  // An error shows again, and counts, when the segment is taken.
  if (segment.ok()) prepared_ = std::move(*segment);
}

void InlineSegmentSupply::Retire(std::vector<std::shared_ptr<SegmentNode>> nodes) {
  WAL_CHECK(factory_ != nullptr);
  retired_.Add(std::move(nodes), *factory_);
}

}  // namespace millrace
