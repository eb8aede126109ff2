#include "wal/memory_hold.h"

#include <ctime>
#include <new>
#include <string>  // std::__throw_bad_alloc, in libstdc++

namespace millrace {
namespace {

thread_local int holds = 0;

std::new_handler handler_before = nullptr;

// Called by operator new, which then tries again.
void OnNoMemory() {
  if (holds > 0) {
    const timespec pause = {.tv_sec = 0, .tv_nsec = 10'000'000};
    nanosleep(&pause, nullptr);
    return;
  }
  if (handler_before != nullptr) return handler_before();
  // What operator new does without a handler; this library is built without `throw`.
  std::__throw_bad_alloc();
}

bool Install() {
  handler_before = std::get_new_handler();
  std::set_new_handler(&OnNoMemory);
  return true;
}

}  // namespace

MemoryHold::MemoryHold() {
  static const bool installed = Install();
  static_cast<void>(installed);
  ++holds;
}

MemoryHold::~MemoryHold() { --holds; }

}  // namespace millrace
