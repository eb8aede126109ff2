#ifndef MILLRACE_WAL_PRODUCER_MEMORY_H_
#define MILLRACE_WAL_PRODUCER_MEMORY_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "queue/cache_line.h"

namespace millrace {

class ChunkPool;

// A block of memory into which one producer puts records, one behind the other,
// and which others empty. It goes back to its pool when the producer is done
// with it and every record in it is freed; whoever is last sends it there.
class alignas(kCacheLineBytes) MemoryChunk {
 public:
  // Frees `count` records. Any thread; the last use of them by the caller.
  void Free(int32_t count);

 private:
  friend class ChunkPool;
  friend class ProducerMemory;

  explicit MemoryChunk(ChunkPool* pool, uint32_t size_class)
      : pool_(pool), size_class_(size_class) {}

  char* data() { return reinterpret_cast<char*>(this + 1); }

  ChunkPool* const pool_;
  const uint32_t size_class_;
  // While the producer fills the chunk: minus the records freed so far. Once it
  // is done: the records not yet freed.
  std::atomic<int32_t> outstanding_{0};
};

// The chunks of one log that no producer uses at the moment. Lock-free: a thread
// that stops inside delays nobody. Asks the allocator only when it has no chunk
// of the size wanted.
//
// Thread-safe.
class ChunkPool {
 public:
  // Whenever more than `budget_bytes` would exist, unused chunks are freed first.
  explicit ChunkPool(uint64_t budget_bytes);
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  // Every chunk must be back.
  ~ChunkPool();

  // Sizes are rounded up to one of four in each power of two, so that chunks can
  // be used again for other records. Both include the chunk's own header.
  static uint64_t RoundUpToClass(uint64_t bytes);
  static uint64_t RoundDownToClass(uint64_t bytes);

  // A chunk of RoundUpToClass(bytes). Null if there is no memory.
  MemoryChunk* Get(uint64_t bytes);
  void Put(MemoryChunk* chunk);

  // Frees unused chunks until at most `keep_bytes` of them are left.
  void Trim(uint64_t keep_bytes);

  // Of all chunks, in use or not.
  uint64_t bytes() const {
    // relaxed: a number to report.
    return bytes_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr uint32_t kClasses = 128;
  static constexpr uint32_t kMostEntries = 1 << 16;

  // Chunks in the pool hang on entries, which are never freed: a thread may look
  // at one that another has just taken.
  struct Entry {
    std::atomic<uint32_t> next{0};
    MemoryChunk* chunk = nullptr;
  };

  // A stack of entries: the index of the first, plus one, and above it a tag that
  // every change raises, so that a head which was taken and put back is not
  // mistaken for the one that was read.
  using Stack = std::atomic<uint64_t>;

  Entry* Pop(Stack& stack);
  void Push(Stack& stack, Entry* entry);
  MemoryChunk* TakeUnused(uint32_t size_class);
  void Release(MemoryChunk* chunk);

  const uint64_t budget_bytes_;
  const uint32_t entry_count_;
  std::unique_ptr<Entry[]> entries_;

  // Written by producers and by whoever frees, once a chunk.
  alignas(kCacheLineBytes) std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> unused_bytes_{0};
  Stack vacant_{0};  // entries without a chunk
  std::array<Stack, kClasses> stacks_{};
};

// Where one producer puts its records: bump allocation in chunks. The steady
// state allocates nothing and touches nobody else's memory.
//
// One thread at a time; records are freed through their chunk, by any thread.
class ProducerMemory {
 public:
  explicit ProducerMemory(ChunkPool* pool) : pool_(pool) {}
  ProducerMemory(const ProducerMemory&) = delete;
  ProducerMemory& operator=(const ProducerMemory&) = delete;
  ~ProducerMemory() { Retire(); }

  // What the next Allocate(bytes) takes from the log's bound on memory: the bytes
  // and what it leaves unused. At most RoundUpToClass(bytes + overhead()) or,
  // for small records, twice kMostSmallBytes.
  uint64_t Charge(uint64_t bytes) const;

  // Memory for one record, aligned to 16 bytes; null if there is none. `*chunk` is
  // where it is freed.
  void* Allocate(uint64_t bytes, MemoryChunk** chunk);

  // Beside the bytes of a record that has a chunk of its own.
  static constexpr uint64_t overhead() { return sizeof(MemoryChunk); }

  // Records up to this size share chunks.
  static constexpr uint64_t kMostSmallBytes = 4096;

 private:
  static constexpr uint64_t kFirstChunkBytes = 4096;
  static constexpr uint64_t kChunkBytes = 8192;
  static constexpr uint64_t kAlignment = 16;

  static uint64_t Aligned(uint64_t bytes) { return (bytes + kAlignment - 1) & ~(kAlignment - 1); }

  bool AllFreed() const;
  void Retire();
  void* AllocateAlone(uint64_t bytes, MemoryChunk** chunk);

  ChunkPool* const pool_;
  MemoryChunk* current_ = nullptr;
  uint64_t capacity_ = 0;  // of current_
  uint64_t used_ = 0;
  int32_t allocated_ = 0;  // records in current_
  bool grown_ = false;     // the first small chunk was not enough
};

}  // namespace millrace

#endif  // MILLRACE_WAL_PRODUCER_MEMORY_H_
