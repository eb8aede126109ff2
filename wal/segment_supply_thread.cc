#include "wal/segment_supply_thread.h"

#include <utility>

#include "wal/check.h"
#include "wal/memory_hold.h"
#include "wal/segment_name.h"

namespace millrace {

ThreadedSegmentSupply::~ThreadedSegmentSupply() { WAL_CHECK(factory_ == nullptr); }

bool ThreadedSegmentSupply::StartThread() {
  return thread_.started() || thread_.Start("millrace-prep", [this] { Run(); }).ok();
}

void ThreadedSegmentSupply::Run() {
  const MemoryHold hold;
  // acquire: shows the last wishes; pairs with release in Detach().
  while (!stopping_.load(std::memory_order_acquire)) {
    Serve();
    // Whatever comes is announced by Notify(); there is nothing to search.
    sleeper_.Sleep([] { return false; }, kNoDeadline);
  }
}

// Does what is asked for. In the thread, or in the caller's if there is none.
void ThreadedSegmentSupply::Serve() {
  std::optional<Wish> wish;
  std::vector<std::shared_ptr<SegmentNode>> trimmed;
  {
    MutexLock lock(&mu_);
    wish.swap(wish_);
    trimmed.swap(trimmed_);
  }
  MutexLock work(&work_mu_);
  // Trimmed ones first: the wish may be met from them.
  if (!trimmed.empty()) retired_.Add(std::move(trimmed), *factory_);
  CountRetired();
  if (!wish.has_value()) return;
  absl::StatusOr<PreparedSegment> segment =
      retired_.Prepare(*factory_, wish->file_bytes, wish->fill);
  CountRetired();
  if (segment.ok()) {
    MutexLock lock(&mu_);
    // relaxed: a number to report.
    prepared_bytes_.store(segment->file_bytes, std::memory_order_relaxed);
    prepared_ = std::move(*segment);
  }
  // An error shows again, and counts, when the segment is taken: Take() tries by itself.
  // relaxed: the mutex passes the segment on.
  preparing_.store(false, std::memory_order_relaxed);
  prepared_waiters_.Notify();
}

void ThreadedSegmentSupply::CountRetired() {
  // relaxed: a number to report.
  retired_bytes_.store(retired_.bytes(), std::memory_order_relaxed);
}

absl::StatusOr<PreparedSegment> ThreadedSegmentSupply::Take(uint64_t file_bytes, Fill fill) {
  WAL_CHECK(factory_ != nullptr);
  // relaxed, both: the mutex passes the segment on.
  const bool waits = preparing_.load(std::memory_order_relaxed);
  if (waits) {
    prepared_waiters_.Await([this] { return !preparing_.load(std::memory_order_relaxed); },
                            kNoDeadline);
  }
  {
    MutexLock lock(&mu_);
    if (prepared_.has_value()) {
      // relaxed: a number to report.
      if (!waits) ready_segments_.fetch_add(1, std::memory_order_relaxed);
      PreparedSegment segment = std::move(*prepared_);
      prepared_.reset();
      // relaxed: a number to report.
      prepared_bytes_.store(0, std::memory_order_relaxed);
      return segment;
    }
  }
  MutexLock work(&work_mu_);
  absl::StatusOr<PreparedSegment> segment = retired_.Prepare(*factory_, file_bytes, fill);
  CountRetired();
  return segment;
}

void ThreadedSegmentSupply::Expect(uint64_t file_bytes, Fill fill) {
  WAL_CHECK(factory_ != nullptr);
  {
    MutexLock lock(&mu_);
    if (prepared_.has_value() || wish_.has_value()) return;
    wish_ = Wish{file_bytes, fill};
    // relaxed: this thread alone asks and waits; the mutex orders it before Serve().
    preparing_.store(true, std::memory_order_relaxed);
  }
  if (StartThread()) {
    sleeper_.Notify();
  } else {
    Serve();
  }
}

void ThreadedSegmentSupply::Retire(std::vector<std::shared_ptr<SegmentNode>> nodes) {
  WAL_CHECK(factory_ != nullptr);
  {
    MutexLock lock(&mu_);
    for (std::shared_ptr<SegmentNode>& node : nodes) trimmed_.push_back(std::move(node));
  }
  if (StartThread()) {
    sleeper_.Notify();
  } else {
    Serve();
  }
}

void ThreadedSegmentSupply::Detach() {
  if (factory_ == nullptr) return;
  if (thread_.started()) {
    // release: orders the last wishes before it; pairs with acquire in Run().
    stopping_.store(true, std::memory_order_release);
    sleeper_.Notify();
    thread_.Join();
  }
  MutexLock work(&work_mu_);
  {
    MutexLock lock(&mu_);
    wish_.reset();
    if (!trimmed_.empty()) retired_.Add(std::move(trimmed_), *factory_);
    if (prepared_.has_value()) factory_->Remove(SegmentName(prepared_->number)).IgnoreError();
    prepared_.reset();
    // relaxed: a number to report.
    prepared_bytes_.store(0, std::memory_order_relaxed);
  }
  retired_.Clear(*factory_);
  CountRetired();
  factory_ = nullptr;
}

}  // namespace millrace
