#include "wal/thread.h"

#include <signal.h>

#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "wal/check.h"

namespace millrace {
namespace {

thread_local bool is_ours = false;

struct StartArguments {
  const char* name;
  absl::AnyInvocable<void()> body;
};

void* Main(void* raw) {
  const std::unique_ptr<StartArguments> arguments(static_cast<StartArguments*>(raw));
  // The name is for people who look at the process: without it all works as well.
  pthread_setname_np(pthread_self(), arguments->name);
  is_ours = true;
  arguments->body();
  return nullptr;
}

}  // namespace

bool Thread::IsOurs() { return is_ours; }

Thread::~Thread() { WAL_CHECK(!started_); }

absl::Status Thread::Start(const char* name, absl::AnyInvocable<void()> body) {
  WAL_CHECK(!started_);
  WAL_CHECK_LE(std::strlen(name), 15u);
  auto arguments = std::make_unique<StartArguments>(StartArguments{name, std::move(body)});
  // A thread inherits its creator's mask: nothing can arrive before it blocks by itself.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  WAL_CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
  const int error = pthread_create(&thread_, nullptr, Main, arguments.get());
  WAL_CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  if (error != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start the thread ", name, ": ", strerrordesc_np(error),
                     "; raise the limit on threads, or free memory"));
  }
  // What Main() has got it frees.
  (void)arguments.release();
  started_ = true;
  return absl::OkStatus();
}

void Thread::Join() {
  if (!started_) return;
  WAL_CHECK_EQ(pthread_join(thread_, nullptr), 0);
  started_ = false;
}

}  // namespace millrace
