#ifndef MILLRACE_TESTS_MODEL_WEAK_MEMORY_H_
#define MILLRACE_TESTS_MODEL_WEAK_MEMORY_H_

// A view-based operational model of C++20 atomics, in the manner of the "promising" semantics
// without promises:
//
// - A location keeps every message ever written to it. A thread's view says, per location, the
// oldest
//   message that it may still read; a load picks any message from there on.
// - A release store attaches the thread's view to its message; an acquire load that picks the
// message
//   joins that view to its own. A relaxed store attaches the view of the last release fence; what
//   relaxed loads saw is joined at the next acquire fence.
// - A read-modify-write reads the last message and passes that message's view on with its own: the
//   release sequence.
// - A seq_cst fence exchanges views with one global view. A seq_cst store or load does so for its
//   own location.
//
// Left out, and why it is no loss here: loads never see stores that execute later (load buffering),
// which every proposed repair of the C++ model also rules out where values depend on each other;
// and a new message is always the last of its location (so 2+2W does not show), which matters only
// where plain stores of several threads race, and the queue has none. Both are pinned by litmus
// tests.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace millrace::model {

inline constexpr std::size_t kMostLocations = 32;
inline constexpr std::size_t kMostThreads = 6;

inline uint64_t Mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  hash *= 0xff51afd7ed558ccd;
  return hash ^ (hash >> 32);
}

inline bool Acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst || order == std::memory_order_consume;
}
inline bool Releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

// For each location, the oldest message that may be read.
class View {
 public:
  uint16_t operator[](std::size_t location) const { return oldest_[location]; }

  void Raise(std::size_t location, std::size_t message) {
    oldest_[location] = std::max(oldest_[location], static_cast<uint16_t>(message));
  }
  void Join(const View& other) {
    for (std::size_t i = 0; i < kMostLocations; ++i) {
      oldest_[i] = std::max(oldest_[i], other.oldest_[i]);
    }
  }
  uint64_t Hash(uint64_t hash) const {
    for (std::size_t i = 0; i < kMostLocations; ++i) {
      if (oldest_[i] != 0) hash = Mix(hash, (i << 16) | oldest_[i]);
    }
    return hash;
  }

 private:
  std::array<uint16_t, kMostLocations> oldest_{};
};

struct Message {
  uint64_t value;
  View view;
};

// What a thread knows of memory.
struct Knowledge {
  View current;      // bounds its loads; goes with its release stores
  View acquired;     // what its relaxed loads saw besides; joined at an acquire fence
  View released;     // as of its last release fence; goes with its relaxed stores
  uint64_t did = 0;  // hash of all that the thread did and saw

  void Clear() { *this = Knowledge(); }
  void Join(const Knowledge& other) {
    current.Join(other.current);
    acquired.Join(other.acquired);
  }
};

class Memory {
 public:
  void Clear() {
    for (std::size_t i = 0; i < locations_; ++i) history_[i].clear();
    locations_ = 0;
    sc_ = View();
  }

  std::size_t locations() const { return locations_; }
  bool full() const { return locations_ == kMostLocations; }

  // A new location, whose first message every thread may read.
  std::size_t Create(uint64_t value) {
    history_[locations_].push_back({value, View()});
    history_hash_[locations_] = 0;
    return locations_++;
  }

  std::size_t last(std::size_t location) const { return history_[location].size() - 1; }
  uint64_t value(std::size_t location, std::size_t message) const {
    return history_[location][message].value;
  }

  // The oldest message that a load may pick.
  std::size_t Oldest(const Knowledge& who, std::size_t location, std::memory_order order) const {
    std::size_t oldest = who.current[location];
    if (order == std::memory_order_seq_cst) oldest = std::max<std::size_t>(oldest, sc_[location]);
    return oldest;
  }

  void Read(Knowledge& who, std::size_t location, std::size_t message, std::memory_order order) {
    const View& view = history_[location][message].view;
    who.current.Raise(location, message);
    who.acquired.Raise(location, message);
    who.acquired.Join(view);
    if (Acquires(order)) who.current.Join(view);
    if (order == std::memory_order_seq_cst) sc_.Raise(location, message);
  }

  void Write(Knowledge& who, std::size_t location, uint64_t value, std::memory_order order) {
    Append(who, location, value, order, View());
  }

  // A read-modify-write: reads the last message.
  void Update(Knowledge& who, std::size_t location, uint64_t value, std::memory_order order) {
    std::size_t message = last(location);
    Read(who, location, message, order);
    Append(who, location, value, order, View(history_[location][message].view));
  }

  void Fence(Knowledge& who, std::memory_order order) {
    if (Acquires(order)) who.current.Join(who.acquired);
    if (order == std::memory_order_seq_cst) {
      who.current.Join(sc_);
      who.acquired.Join(sc_);
      sc_ = who.current;
    }
    if (Releases(order)) who.released = who.current;
  }

  uint64_t Hash() const {
    uint64_t hash = sc_.Hash(0);
    for (std::size_t i = 0; i < locations_; ++i) hash = Mix(hash, history_hash_[i]);
    return hash;
  }

 private:
  void Append(Knowledge& who, std::size_t location, uint64_t value, std::memory_order order,
              View view) {
    std::size_t message = history_[location].size();
    who.current.Raise(location, message);
    who.acquired.Raise(location, message);
    view.Join(Releases(order) ? who.current : who.released);
    view.Raise(location, message);
    if (order == std::memory_order_seq_cst) sc_.Raise(location, message);
    history_[location].push_back({value, view});
    // Not the value, which may be an address: who wrote it, having done what, says it all.
    history_hash_[location] = view.Hash(Mix(history_hash_[location], who.did));
  }

  std::array<std::vector<Message>, kMostLocations> history_;
  std::array<uint64_t, kMostLocations> history_hash_{};
  std::size_t locations_ = 0;
  View sc_;  // what every seq_cst fence so far has seen
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_WEAK_MEMORY_H_
