#ifndef MILLRACE_WAL_GROUP_GATHERING_H_
#define MILLRACE_WAL_GROUP_GATHERING_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "queue/atomics.h"

namespace millrace {

// Whether the writer waits a little before it begins a group, for threads that it has just told
// that their records are durable: most append another at once. Begun without them, the next sync
// carries few records, and they wait for it and for their own. Measured with 8 and 64 such threads,
// waiting gave 15 % more records a second.
//
// It waits while they keep coming, at most half a sync and 0.1 ms from one to the next, less where
// few were told, and in all no longer than a sync. Where none came it does not try again for a
// while: with threads that have other things to do waiting costs some microseconds now and then.
//
// Without a clock. Not thread-safe.
class GroupGathering {
 public:
  using Duration = Deadline::duration;

  // One sync took so long.
  void Synced(Duration took) { sync_ = sync_ == Duration::zero() ? took : (7 * sync_ + took) / 8; }

  // `told` threads are told now, while `waiting` records wait already.
  void Told(uint64_t told, uint64_t waiting) {
    if (told == 0) return;
    if (pauses_ > 0) {
      --pauses_;
      return;
    }
    // Where many were told half of all make a group: the others come during its sync.
    const uint64_t wanted = told < kMany ? waiting + told : (waiting + told) / 2;
    if (waiting >= wanted) return;
    present_ = waiting;
    wanted_ = wanted;
    quiet_ = std::min({sync_ / 2, kMostQuiet, kFirst + kEach * static_cast<int64_t>(told)});
  }

  // Begins to wait. False if there is nobody to wait for.
  bool Begin(Deadline now) {
    if (wanted_ == 0) return false;
    came_ = false;
    quiet_until_ = now + quiet_;
    until_ = now + std::min(sync_, kMost);
    return true;
  }

  // Whether to wait on, now that `waiting` records wait.
  bool Waits(uint64_t waiting, Deadline now) {
    if (waiting > present_) {
      came_ = true;
      quiet_until_ = now + quiet_;
    }
    present_ = waiting;
    if (waiting < wanted_ && now < std::min(quiet_until_, until_)) return true;
    wanted_ = 0;
    pause_ = came_ ? 0 : std::min(2 * pause_ + 1, kMostPauses);
    pauses_ = pause_;
    return false;
  }

 private:
  // From here on what so many threads do between two appends takes the processors longer than a
  // sync.
  static constexpr uint64_t kMany = 96;
  // How soon threads run depends on the processors, and on how many there are, not on the disk.
  static constexpr Duration kFirst = std::chrono::microseconds(10);
  static constexpr Duration kEach = std::chrono::microseconds(12);
  static constexpr Duration kMostQuiet = std::chrono::microseconds(100);
  static constexpr Duration kMost = std::chrono::milliseconds(1);
  static constexpr int kMostPauses = 63;  // groups

  Duration sync_ = Duration::zero();  // a moving mean
  uint64_t wanted_ = 0;               // 0: nobody is waited for
  uint64_t present_ = 0;
  Duration quiet_ = Duration::zero();  // without anybody coming
  bool came_ = false;
  Deadline quiet_until_;
  Deadline until_;
  int pause_ = 0;   // how many groups were passed over the last time
  int pauses_ = 0;  // how many are still to be
};

}  // namespace millrace

#endif  // MILLRACE_WAL_GROUP_GATHERING_H_
