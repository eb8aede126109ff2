#ifndef MILLRACE_TESTS_MODEL_FIBER_H_
#define MILLRACE_TESTS_MODEL_FIBER_H_

// Threads of execution that switch only when told to. ucontext starts one; from then on setjmp and
// longjmp switch, which unlike swapcontext make no system call. (Fortified longjmp refuses to leave
// one stack for another: compile with -U_FORTIFY_SOURCE.)

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <utility>

namespace millrace::model {

// One stack, used over and over: Start() abandons whatever ran on it before, without unwinding, so
// that what runs here must own nothing through its locals.
class Fiber {
 public:
  // The fiber of the calling thread of the operating system.
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Prepares the fiber to run `body(argument)`, which must end with a switch elsewhere for good.
  void Start(void (*body)(void*), void* argument) {
    body_ = body;
    argument_ = argument;
    state_ = stack_ == nullptr ? State::kNew : State::kAtEntry;
    if (stack_ != nullptr) return;
    stack_ = std::make_unique<char[]>(kStackBytes);
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_.get();
    context_.uc_stack.ss_size = kStackBytes;
    context_.uc_link = nullptr;
    std::size_t self = reinterpret_cast<std::size_t>(this);
    makecontext(&context_, reinterpret_cast<void (*)()>(&Enter), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
  }

  // Stops here and goes on in `next`; returns when some fiber switches back.
  void SwitchTo(Fiber& next) {
    if (_setjmp(point_) == 0) {
      State state = std::exchange(next.state_, State::kStopped);
      if (state == State::kNew) setcontext(&next.context_);
      _longjmp(state == State::kAtEntry ? next.entry_ : next.point_, 1);
    }
  }

 private:
  static constexpr std::size_t kStackBytes = 64 << 10;

  static void Enter(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<Fiber*>((std::size_t{high} << 32) | low);
    // Whoever starts this fiber anew comes back to here.
    _setjmp(self->entry_);
    self->body_(self->argument_);
    std::abort();
  }

  std::unique_ptr<char[]> stack_;
  ucontext_t context_{};
  jmp_buf entry_;
  jmp_buf point_;
  enum class State { kNew, kAtEntry, kStopped };
  State state_ = State::kStopped;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_FIBER_H_
