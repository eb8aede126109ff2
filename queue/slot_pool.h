#ifndef MILLRACE_QUEUE_SLOT_POOL_H_
#define MILLRACE_QUEUE_SLOT_POOL_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#include "queue/atomics.h"
#include "queue/cache_line.h"

namespace millrace {

// Where a SlotPool keeps the pointer to a slot: in chunks of pointers, each twice as long as the
// one before it, so that the list of chunks is short however many slots there may be.
struct SlotChunks {
  static constexpr uint32_t kFirstEntries = 64;
  static constexpr uint32_t ChunkOf(uint32_t number) {
    return static_cast<uint32_t>(std::bit_width(number / kFirstEntries + 1)) - 1;
  }
  static constexpr uint32_t EntriesOf(uint32_t chunk) { return kFirstEntries << chunk; }
  static constexpr uint32_t EntryOf(uint32_t number) {
    return number - (EntriesOf(ChunkOf(number)) - kFirstEntries);
  }
};

// A lock-free pool of long-lived slots, each lent to one thread at a time. A thread that stops
// while it holds a slot blocks nobody: when none is free another is made, up to kMostSlots, for
// which no memory is reserved. What one borrower wrote to a slot the next one sees. Last in, first
// out, so that few borrowers touch few slots. Slots live as long as the pool.
//
//   SlotPool<Buffer> pool;
//   Buffer* buffer = pool.Acquire([] { return Buffer(kBufferBytes); });
//   ...
//   pool.Release(buffer);
//
// Thread-safe. Allocates only to make a slot.
template <class Slot, class Atomics = StdAtomics, uint32_t kMost = 4096>
class SlotPool {
 public:
  static constexpr uint32_t kMostSlots = kMost;

  SlotPool() = default;
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;

  // No slot may be lent out.
  ~SlotPool() {
    for (uint32_t i = 0; i < kChunks; ++i) {
      // relaxed: the caller has ordered every use of the pool before its end.
      Entry* chunk = chunks_[i].load(std::memory_order_relaxed);
      if (chunk == nullptr) continue;
      for (uint32_t k = 0; k < SlotChunks::EntriesOf(i); ++k)
        delete chunk[k].load(std::memory_order_relaxed);
      delete[] chunk;
    }
  }

  // Lends a free slot, or else a new one that `make()` returns. Returns null if no memory is left
  // or kMostSlots are lent out.
  template <class Make>
  Slot* Acquire(Make make) {
    // acquire: shows the next link and the contents of the slot; pairs with release in Release().
    uint64_t head = head_.load(Atomics::Orders::kPoolPop);
    while (IndexOf(head) != kNone) {
      Node* node = NodeAt(IndexOf(head));
      // relaxed: may be stale if another thread took the slot; then the tag has changed and the
      // exchange fails.
      uint32_t next = node->next.load(std::memory_order_relaxed);
      // acquire, both: as the load above.
      if (head_.compare_exchange_weak(head, Pack(TagOf(head) + 1, next), Atomics::Orders::kPoolPop,
                                      Atomics::Orders::kPoolPop)) {
        return &node->slot;
      }
    }
    return MakeSlot(make);
  }

  // Takes back a slot that Acquire() lent.
  void Release(Slot* slot) {
    // The slot is the first member of its node.
    Node* node = reinterpret_cast<Node*>(slot);
    // relaxed, both: the exchange publishes the link, and fails if the head was stale.
    uint64_t head = head_.load(std::memory_order_relaxed);
    do {
      node->next.store(IndexOf(head), std::memory_order_relaxed);
      // release: passes the contents to the next borrower; pairs with acquire in Acquire().
    } while (!head_.compare_exchange_weak(head, Pack(TagOf(head) + 1, node->index),
                                          Atomics::Orders::kPoolPush, std::memory_order_relaxed));
  }

  // Calls `visit(const Slot&)` for every slot that was made before, lent out or not, and perhaps
  // for some that are being made. Of a slot that is lent out only atomics may be read.
  template <class Visit>
  void ForEach(Visit visit) const {
    const uint32_t made = size();
    for (uint32_t number = 0; number < made; ++number) {
      // acquire, both: shows the chunk and the slot as they were made; pairs with release in
      // ChunkFor() and MakeSlot().
      const Entry* chunk = chunks_[SlotChunks::ChunkOf(number)].load(std::memory_order_acquire);
      if (chunk == nullptr) continue;
      const Node* node = chunk[SlotChunks::EntryOf(number)].load(std::memory_order_acquire);
      if (node != nullptr) visit(node->slot);
    }
  }

  // How many slots were made so far.
  uint32_t size() const {
    // relaxed: a number to report, or to go by.
    return made_.load(std::memory_order_relaxed);
  }

 private:
  template <class T>
  using Atomic = typename Atomics::template Atomic<T>;

  // On cache lines of its own: each borrower writes to its slot.
  struct alignas(kCacheLineBytes) Node {
    Slot slot;
    uint32_t index;
    Atomic<uint32_t> next;
  };

  using Entry = Atomic<Node*>;
  static constexpr uint32_t kChunks = SlotChunks::ChunkOf(kMostSlots - 1) + 1;
  static_assert(kMostSlots > 0 && kMostSlots <= uint32_t{1} << 30);

  // An index one higher than the slot's, so that a fresh head is zero and means none; and a tag
  // that every change raises, so that a head that was taken and put back in between is not mistaken
  // for the one that was read.
  static constexpr uint32_t kNone = 0;
  static uint32_t IndexOf(uint64_t head) { return static_cast<uint32_t>(head); }
  static uint32_t TagOf(uint64_t head) { return static_cast<uint32_t>(head >> 32); }
  static uint64_t Pack(uint32_t tag, uint32_t index) { return (uint64_t{tag} << 32) | index; }

  Node* NodeAt(uint32_t index) const {
    // relaxed, both: the index came through the head, which orders them after MakeSlot()'s stores.
    Entry* chunk = chunks_[SlotChunks::ChunkOf(index - 1)].load(std::memory_order_relaxed);
    return chunk[SlotChunks::EntryOf(index - 1)].load(std::memory_order_relaxed);
  }

  template <class Make>
  Slot* MakeSlot(Make make) {
    // relaxed, all: only hands out distinct numbers.
    uint32_t number = made_.load(std::memory_order_relaxed);
    if (number == kMostSlots) return nullptr;
    // All memory comes before the number: a number without its slot would be lost.
    Node* node = new (std::nothrow) Node{make(), 0, {}};
    if (node == nullptr) return nullptr;
    do {
      if (number == kMostSlots || ChunkFor(number) == nullptr) {
        delete node;
        return nullptr;
      }
    } while (!made_.compare_exchange_weak(number, number + 1, std::memory_order_relaxed,
                                          std::memory_order_relaxed));
    node->index = number + 1;
    // release: shows the slot to ForEach(); borrowers reach it through the head, once it was
    // released.
    ChunkFor(number)[SlotChunks::EntryOf(number)].store(node, std::memory_order_release);
    return &node->slot;
  }

  Entry* ChunkFor(uint32_t number) {
    const uint32_t index = SlotChunks::ChunkOf(number);
    // acquire: shows the chunk's own stores; pairs with release below.
    Entry* chunk = chunks_[index].load(std::memory_order_acquire);
    if (chunk != nullptr) return chunk;
    Entry* fresh = new (std::nothrow) Entry[SlotChunks::EntriesOf(index)]{};
    if (fresh == nullptr) return nullptr;
    // release: publishes the empty chunk; acquire: shows the one that another thread was faster
    // with.
    if (chunks_[index].compare_exchange_strong(chunk, fresh, std::memory_order_release,
                                               std::memory_order_acquire)) {
      return fresh;
    }
    delete[] fresh;
    return chunk;
  }

  // Written by all borrowers.
  alignas(kCacheLineBytes) Atomic<uint64_t> head_{0};
  // Written when a slot is made.
  alignas(kCacheLineBytes) Atomic<uint32_t> made_{0};
  std::array<Atomic<Entry*>, kChunks> chunks_{};
};

}  // namespace millrace

#endif  // MILLRACE_QUEUE_SLOT_POOL_H_
