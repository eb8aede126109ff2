#ifndef MILLRACE_WAL_MEMORY_HOLD_H_
#define MILLRACE_WAL_MEMORY_HOLD_H_

namespace millrace {

// While this lives, an allocation for which the C++ library finds no memory waits in the calling
// thread until there is some, where elsewhere it throws `std::bad_alloc`: for a log's threads,
// which have nobody to throw it to and hold records that were accepted.
//
// The first one in a process installs a new-handler, for good. For other threads that does what the
// one before it did, or else throws. A program that installs another afterwards, and does not pass
// on to the one before, has `std::bad_alloc` thrown in the log's threads as well, which ends it.
//
// Not for `malloc`, which returns null at once.
class MemoryHold {
 public:
  MemoryHold();
  MemoryHold(const MemoryHold&) = delete;
  MemoryHold& operator=(const MemoryHold&) = delete;
  ~MemoryHold();
};

}  // namespace millrace

#endif  // MILLRACE_WAL_MEMORY_HOLD_H_
