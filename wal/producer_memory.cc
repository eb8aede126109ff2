#include "wal/producer_memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "wal/check.h"

namespace millrace {
namespace {

// Class i has (4 + i % 4) << (10 + i / 4) bytes: 4096, 5120, 6144, 7168, 8192, 10240, ...
constexpr uint64_t kSmallestClassBytes = 4096;

constexpr uint64_t ClassBytes(uint32_t size_class) {
  return uint64_t{4 + size_class % 4} << (10 + size_class / 4);
}

// The smallest class that holds `bytes`.
constexpr uint32_t ClassOf(uint64_t bytes) {
  if (bytes <= kSmallestClassBytes) return 0;
  const int octave = static_cast<int>(std::bit_width(bytes - 1)) - 13;
  const uint64_t step = uint64_t{1024} << octave;
  return static_cast<uint32_t>(4 * octave + static_cast<int>((bytes + step - 1) / step) - 4);
}

static_assert(ClassBytes(ClassOf(4097)) == 5120);
static_assert(ClassBytes(ClassOf(8192)) == 8192);
static_assert(ClassBytes(ClassOf(8193)) == 10240);
static_assert(ClassBytes(ClassOf(uint64_t{1} << 36)) == uint64_t{1} << 36);

constexpr uint32_t IndexOf(uint64_t head) { return static_cast<uint32_t>(head); }
constexpr uint64_t NextHead(uint64_t head, uint32_t index) {
  return (((head >> 32) + 1) << 32) | index;
}

}  // namespace

void MemoryChunk::Free(int32_t count) {
  // release: the last use of the records comes before their memory is used again; acquire: whoever
  // is last has seen all others' uses. Pairs with itself, Retire() and AllFreed().
  const int32_t left = outstanding_.fetch_sub(count, std::memory_order_acq_rel) - count;
  if (left == 0) pool_->Put(this);
}

ChunkPool::ChunkPool(uint64_t budget_bytes)
    : budget_bytes_(budget_bytes),
      entry_count_(static_cast<uint32_t>(
          std::clamp<uint64_t>(budget_bytes / kSmallestClassBytes, 64, kMostEntries))),
      entries_(new (std::nothrow) Entry[entry_count_]) {
  // Without entries every chunk goes straight back to the allocator.
  if (entries_ == nullptr) return;
  for (uint32_t i = 0; i < entry_count_; ++i) Push(vacant_, &entries_[i]);
}

ChunkPool::~ChunkPool() {
  Trim(0);
  WAL_CHECK_EQ(bytes(), 0u);
}

uint64_t ChunkPool::RoundUpToClass(uint64_t bytes) { return ClassBytes(ClassOf(bytes)); }

uint64_t ChunkPool::RoundDownToClass(uint64_t bytes) {
  const uint32_t size_class = ClassOf(bytes);
  if (ClassBytes(size_class) == bytes || size_class == 0) return ClassBytes(size_class);
  return ClassBytes(size_class - 1);
}

ChunkPool::Entry* ChunkPool::Pop(Stack& stack) {
  // acquire, all: shows the entry's link and chunk; pairs with release in Push().
  uint64_t head = stack.load(std::memory_order_acquire);
  while (IndexOf(head) != 0) {
    Entry* entry = &entries_[IndexOf(head) - 1];
    // relaxed: stale if another thread took the entry; then the tag differs and the exchange fails.
    const uint32_t next = entry->next.load(std::memory_order_relaxed);
    if (stack.compare_exchange_weak(head, NextHead(head, next), std::memory_order_acquire,
                                    std::memory_order_acquire)) {
      return entry;
    }
  }
  return nullptr;
}

void ChunkPool::Push(Stack& stack, Entry* entry) {
  const uint32_t index = static_cast<uint32_t>(entry - entries_.get()) + 1;
  // relaxed, all but the exchange that succeeds: it publishes the link, and fails if the head
  // moved.
  uint64_t head = stack.load(std::memory_order_relaxed);
  do {
    entry->next.store(IndexOf(head), std::memory_order_relaxed);
    // release: publishes the link, the chunk and all that was done with it; pairs with Pop().
  } while (!stack.compare_exchange_weak(head, NextHead(head, index), std::memory_order_release,
                                        std::memory_order_relaxed));
}

MemoryChunk* ChunkPool::TakeUnused(uint32_t size_class) {
  if (entries_ == nullptr) return nullptr;
  Entry* entry = Pop(stacks_[size_class]);
  if (entry == nullptr) return nullptr;
  MemoryChunk* chunk = entry->chunk;
  Push(vacant_, entry);
  // relaxed: an account; nothing is read through it.
  unused_bytes_.fetch_sub(ClassBytes(size_class), std::memory_order_relaxed);
  return chunk;
}

MemoryChunk* ChunkPool::Get(uint64_t bytes) {
  const uint32_t size_class = ClassOf(bytes);
  WAL_CHECK_LT(size_class, kClasses);
  MemoryChunk* chunk = TakeUnused(size_class);
  if (chunk != nullptr) {
    // relaxed: the chunk is this thread's alone.
    chunk->outstanding_.store(0, std::memory_order_relaxed);
    return chunk;
  }
  const uint64_t size = ClassBytes(size_class);
  // relaxed: an account; nothing is read through it.
  const uint64_t total = bytes_.fetch_add(size, std::memory_order_relaxed) + size;
  if (total > budget_bytes_) {
    const uint64_t excess = total - budget_bytes_;
    // relaxed: as above.
    const uint64_t unused = unused_bytes_.load(std::memory_order_relaxed);
    Trim(unused > excess ? unused - excess : 0);
  }
  void* memory = std::aligned_alloc(kCacheLineBytes, size);
  if (memory == nullptr) {
    // relaxed: as above.
    bytes_.fetch_sub(size, std::memory_order_relaxed);
    return nullptr;
  }
  return new (memory) MemoryChunk(this, size_class);
}

void ChunkPool::Put(MemoryChunk* chunk) {
  Entry* entry = entries_ == nullptr ? nullptr : Pop(vacant_);
  if (entry == nullptr) return Release(chunk);
  entry->chunk = chunk;
  // relaxed: an account; nothing is read through it.
  unused_bytes_.fetch_add(ClassBytes(chunk->size_class_), std::memory_order_relaxed);
  Push(stacks_[chunk->size_class_], entry);
}

void ChunkPool::Release(MemoryChunk* chunk) {
  const uint64_t size = ClassBytes(chunk->size_class_);
  chunk->~MemoryChunk();
  std::free(chunk);
  // relaxed: an account; nothing is read through it.
  bytes_.fetch_sub(size, std::memory_order_relaxed);
}

void ChunkPool::Trim(uint64_t keep_bytes) {
  for (uint32_t size_class = kClasses; size_class-- > 0;) {
    // relaxed: an account; nothing is read through it.
    while (unused_bytes_.load(std::memory_order_relaxed) > keep_bytes) {
      MemoryChunk* chunk = TakeUnused(size_class);
      if (chunk == nullptr) break;
      Release(chunk);
    }
  }
}

uint64_t ProducerMemory::Charge(uint64_t bytes) const {
  if (bytes > kMostSmallBytes) return ChunkPool::RoundUpToClass(bytes + overhead());
  bytes = Aligned(bytes);
  if (used_ + bytes <= capacity_ || AllFreed()) return bytes;
  return bytes + (capacity_ - used_);
}

void* ProducerMemory::Allocate(uint64_t bytes, MemoryChunk** chunk) {
  if (bytes > kMostSmallBytes) return AllocateAlone(bytes, chunk);
  bytes = Aligned(bytes);
  if (used_ + bytes > capacity_) {
    if (current_ != nullptr && bytes <= capacity_ && AllFreed()) {
      // relaxed: whoever freed is done with the chunk, as AllFreed() has seen.
      current_->outstanding_.store(0, std::memory_order_relaxed);
    } else {
      grown_ = grown_ || current_ != nullptr || bytes > kFirstChunkBytes / 4;
      const uint64_t size = grown_ ? kChunkBytes : kFirstChunkBytes;
      Retire();
      current_ = pool_->Get(size);
      if (current_ == nullptr) return nullptr;
      capacity_ = size - overhead();
    }
    used_ = 0;
    allocated_ = 0;
  }
  void* memory = current_->data() + used_;
  used_ += bytes;
  // The next record is likely to be as long as this one. Its lines were last read by the writer.
  PrefetchForWriting(current_->data() + used_,
                     current_->data() + std::min(used_ + bytes, capacity_));
  ++allocated_;
  *chunk = current_;
  return memory;
}

void* ProducerMemory::AllocateAlone(uint64_t bytes, MemoryChunk** chunk) {
  MemoryChunk* alone = pool_->Get(bytes + overhead());
  if (alone == nullptr) return nullptr;
  // relaxed: the chunk is this thread's alone until the record is handed over.
  alone->outstanding_.store(1, std::memory_order_relaxed);
  *chunk = alone;
  return alone->data();
}

bool ProducerMemory::AllFreed() const {
  // acquire: the last use of every record comes before the memory is used again; pairs with
  // MemoryChunk::Free().
  return current_ != nullptr &&
         current_->outstanding_.load(std::memory_order_acquire) == -allocated_;
}

void ProducerMemory::Retire() {
  if (current_ == nullptr) return;
  // acq_rel: as in MemoryChunk::Free(); this is the producer's share of the count.
  const int32_t left =
      current_->outstanding_.fetch_add(allocated_, std::memory_order_acq_rel) + allocated_;
  if (left == 0) pool_->Put(current_);
  current_ = nullptr;
  capacity_ = used_ = 0;
  allocated_ = 0;
}

}  // namespace millrace
