// Goal: whatever allocation fails, in whichever thread: an append is refused or goes on; nothing
// hangs; and where the C++ library ends the process, as it does without exceptions, that is a crash
// like any other: what was acknowledged is there, and the log opens again. Method: this program
// defines malloc. For each way of using a log a child lets the k-th allocation fail, alone or with
// all after it, for each k until there are no more. The parent then opens the log.
// (tests/allocation_test has the callers' side of an append, allocation by allocation.)

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/event_listener.h"
#include "millrace/log.h"
#include "millrace/options.h"
#include "tests/temp_directory.h"

namespace {

enum class Whose : int { kNobodys, kCallers, kLogs, kAll };
enum class Which : int { kOne, kAllAfter };

std::atomic<Whose> failing{Whose::kNobodys};
std::atomic<Which> which{Which::kOne};
std::atomic<int64_t> left{0};  // allocations before the first that fails
thread_local bool is_caller = false;
// In other threads than the caller's no allocation above this many bytes succeeds.
std::atomic<size_t> most_bytes{SIZE_MAX};

// All relaxed: a test's switches, set before the calls that they are for.
bool MayAllocate(size_t bytes) {
  if (!is_caller && bytes > most_bytes.load(std::memory_order_relaxed)) return false;
  const Whose whose = failing.load(std::memory_order_relaxed);
  if (whose == Whose::kNobodys || (whose == Whose::kCallers && !is_caller) ||
      (whose == Whose::kLogs && is_caller)) {
    return true;
  }
  const int64_t before = left.fetch_sub(1, std::memory_order_relaxed);
  if (before > 0) return true;
  return before < 0 && which.load(std::memory_order_relaxed) == Which::kOne;
}

}  // namespace

// The C library's own, under the names that interposers may use.
extern "C" {

// pthread_create() insists that errno tells why.
static void* NoMemory() {
  errno = ENOMEM;
  return nullptr;
}

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) { return MayAllocate(bytes) ? __libc_malloc(bytes) : NoMemory(); }
void* calloc(size_t count, size_t bytes) {
  return MayAllocate(count * bytes) ? __libc_calloc(count, bytes) : NoMemory();
}
void* realloc(void* memory, size_t bytes) {
  return MayAllocate(bytes) ? __libc_realloc(memory, bytes) : NoMemory();
}
void* memalign(size_t alignment, size_t bytes) {
  return MayAllocate(bytes) ? __libc_memalign(alignment, bytes) : NoMemory();
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  return MayAllocate(bytes) ? __libc_memalign(alignment, bytes) : NoMemory();
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  *memory = MayAllocate(bytes) ? __libc_memalign(alignment, bytes) : nullptr;
  return *memory == nullptr ? ENOMEM : 0;
}

}  // extern "C"

namespace millrace {
namespace {

constexpr unsigned kHangSeconds = 120;
constexpr int64_t kMostAllocations = 3000;

// How one child ended.
enum class End { kUnaffected, kRefused, kAborted, kWrong };

struct Counts {
  int64_t tried = 0;
  int64_t refused = 0;
  int64_t aborted = 0;
  int64_t hung = 0;
  std::string wrong;
};

// What a child leaves for its parent.
struct Notes {
  std::atomic<uint64_t> acknowledged;
  std::atomic<bool> reached;  // the allocation that was to fail
};

class MemoryFailureTest : public testing::Test {
 public:
  using Use = std::function<absl::Status(MemoryFailureTest&)>;

  MemoryFailureTest() {
    notes_ = new (mmap(nullptr, sizeof(Notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0)) Notes;
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
  }
  ~MemoryFailureTest() override { munmap(notes_, sizeof(Notes)); }

  absl::Status Open() {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
    if (log.ok()) log_ = *std::move(log);
    return log.status();
  }
  absl::Status Append(size_t bytes) {
    const absl::StatusOr<SequenceNumber> sequence = log_->Append(std::string_view(payload_, bytes));
    // release: pairs with the acquire in Judge().
    if (sequence.ok()) notes_->acknowledged.store(*sequence, std::memory_order_release);
    return sequence.status();
  }

  // In a child: `prepare`, then `use` with a failing allocation.
  [[noreturn]] void Child(const Use& prepare, const Use& use, Whose whose, Which after, int64_t k) {
    alarm(kHangSeconds);
    std::freopen("/dev/null", "w", stderr);  // what terminate() says of bad_alloc
    is_caller = true;
    if (!prepare(*this).ok()) _exit(10);
    // relaxed: see MayAllocate().
    which.store(after, std::memory_order_relaxed);
    left.store(k, std::memory_order_relaxed);
    failing.store(whose, std::memory_order_relaxed);
    const absl::Status status = use(*this);
    failing.store(Whose::kNobodys, std::memory_order_relaxed);
    const bool reached = left.load(std::memory_order_relaxed) < 0;
    if (!reached) _exit(status.ok() ? 0 : 11);
    // The log goes on as if nothing had been.
    if (log_ == nullptr && !Open().ok()) _exit(12);
    for (int i = 0; i < 12; ++i) {
      if (!Append(900).ok()) _exit(13);
    }
    if (!log_->Close(absl::Seconds(60)).ok()) _exit(14);
    _exit(status.ok() ? 1 : 2);
  }

  // The log as the next process finds it.
  std::string Judge(const std::string& what) {
    const absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
    if (!log.ok()) return absl::StrCat(what, ": ", log.status().ToString());
    // acquire: pairs with the release in Append(); the child is gone.
    const uint64_t acknowledged = notes_->acknowledged.load(std::memory_order_acquire);
    if (!(*log)->recovery().lost.empty() || (*log)->last_durable() < acknowledged) {
      return absl::StrCat(what, ": ", acknowledged, " acknowledged\n",
                          (*log)->recovery().ToString());
    }
    return "";
  }

  Counts FailEach(const Use& prepare, const Use& use, Whose whose, Which after) {
    Counts counts;
    for (int64_t k = 0; k < kMostAllocations; ++k) {
      std::filesystem::remove_all(directory_);
      notes_->acknowledged.store(0, std::memory_order_release);  // release: as in Append()
      std::fflush(nullptr);
      const pid_t child = fork();
      if (child == 0) {
        // In a thread, under which nobody catches what the C++ library throws: GoogleTest would.
        std::thread([&] { Child(prepare, use, whose, after, k); }).join();
      }
      int status = -1;
      waitpid(child, &status, 0);
      if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) ++counts.hung;
      const bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
      if (status == 0) return counts;  // there is no k-th
      ++counts.tried;
      if (aborted) {
        ++counts.aborted;
      } else if (WIFEXITED(status) && WEXITSTATUS(status) <= 2) {
        counts.refused += WEXITSTATUS(status) == 2;
      } else {
        counts.wrong = absl::StrCat("allocation ", k, ": wait status ", status);
        return counts;
      }
      counts.wrong = Judge(absl::StrCat("allocation ", k));
      if (!counts.wrong.empty()) return counts;
    }
    counts.wrong = "too many allocations";
    return counts;
  }

  // Both ways of failing; what is allocated may not differ much from run to run.
  void ExpectNothingWorseThanACrash(const char* name, const Use& prepare, const Use& use,
                                    Whose whose) {
    for (const Which after : {Which::kOne, Which::kAllAfter}) {
      const Counts counts = FailEach(prepare, use, whose, after);
      EXPECT_EQ(counts.wrong, "") << name;
      std::printf(
          "%s, %s, %s: %lld allocations failed, %lld refused, %lld ended the process\n", name,
          whose == Whose::kAll    ? "any thread"
          : whose == Whose::kLogs ? "the log's threads"
                                  : "the caller",
          after == Which::kOne ? "one" : "all after it", static_cast<long long>(counts.tried),
          static_cast<long long>(counts.refused), static_cast<long long>(counts.aborted));
      total_aborted_ += counts.aborted;
      total_refused_ += counts.refused;
    }
  }

  static absl::Status Nothing(MemoryFailureTest&) { return absl::OkStatus(); }
  static absl::Status OpenIt(MemoryFailureTest& test) { return test.Open(); }
  static absl::Status OpenAndAppend(MemoryFailureTest& test) {
    absl::Status status = test.Open();
    for (int i = 0; i < 12 && status.ok(); ++i) status = test.Append(900);
    return status;
  }

  const TempDirectory temp_;
  const std::string directory_ = temp_.Sub("log");
  const std::string payload_storage_ = std::string(8000, 'x');
  const char* const payload_ = payload_storage_.data();
  Options options_;
  Notes* notes_ = nullptr;
  std::unique_ptr<Log> log_;
  int64_t total_aborted_ = 0;
  int64_t total_refused_ = 0;
};

class HeldText : public EventListener {
 public:
  void OnEvent(const Event& event) override {
    if (event.name == "disk_full") text = event.text;
  }
  std::string text;
};

// Whoever set a new-handler before is asked as before. The first test: once this process has opened
// a log, no child's handler comes before the library's.
TEST_F(MemoryFailureTest, HandlerOfTheProgramIsCalledForItsThreads) {
  ASSERT_EQ(std::get_new_handler(), nullptr);
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kHangSeconds);
    is_caller = true;
    std::set_new_handler([] { _exit(77); });
    if (!Open().ok() || !Append(900).ok()) _exit(10);
    left.store(0, std::memory_order_relaxed);  // relaxed: see MayAllocate()
    failing.store(Whose::kCallers, std::memory_order_relaxed);
    const std::string made(100, 'x');
    _exit(made.size() == 100 ? 11 : 12);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 77) << status;
}

TEST_F(MemoryFailureTest, DurableAppendIsRefusedOrGoesOn) {
  ExpectNothingWorseThanACrash(
      "durable append", OpenIt, [](MemoryFailureTest& test) { return test.Append(100); },
      Whose::kCallers);
  EXPECT_EQ(total_aborted_, 0) << "a caller's side of an append never ends the process";
}

TEST_F(MemoryFailureTest, LargeAppendIsRefusedOrGoesOn) {
  ExpectNothingWorseThanACrash(
      "append of 7 KB", OpenIt, [](MemoryFailureTest& test) { return test.Append(7000); },
      Whose::kCallers);
  EXPECT_EQ(total_aborted_, 0);
}

// They wait for memory, and no append is the worse for it.
TEST_F(MemoryFailureTest, LogsThreadsGoOnOnceThereIsMemory) {
  ExpectNothingWorseThanACrash(
      "12 appends, 2 segments", OpenIt,
      [](MemoryFailureTest& test) {
        std::thread memory_comes([] {
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
          failing.store(Whose::kNobodys, std::memory_order_relaxed);
        });
        absl::Status status;
        for (int i = 0; i < 12 && status.ok(); ++i) status = test.Append(900);
        memory_comes.join();
        return status;
      },
      Whose::kLogs);
  EXPECT_EQ(total_aborted_, 0) << "the log's threads end the process";
  EXPECT_EQ(total_refused_, 0) << "and appends fail";
}

// Without one it is as it was: operator new throws.
TEST_F(MemoryFailureTest, WithoutAHandlerOtherThreadsAreRefused) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(900).ok());
  is_caller = true;
  left.store(0, std::memory_order_relaxed);  // relaxed: see MayAllocate()
  failing.store(Whose::kCallers, std::memory_order_relaxed);
  char* const refused = new (std::nothrow) char[100];
  failing.store(Whose::kNobodys, std::memory_order_relaxed);
  EXPECT_EQ(refused, nullptr);
  delete[] refused;
  EXPECT_TRUE(log_->Close().ok());
}

// A buffer as large as a record is what may really be missing.
TEST_F(MemoryFailureTest, WriterHoldsARecordForWhichThereIsNoMemory) {
  is_caller = true;
  options_.segment_bytes = options_.initial_segment_bytes = 4 << 20;
  const auto held = std::make_shared<HeldText>();
  options_.event_listener = held;
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(log_->Append("small", {.durability = Durability::kWritten}).ok());
  most_bytes.store(100'000, std::memory_order_relaxed);  // relaxed: see MayAllocate()
  const absl::StatusOr<Ticket> large = log_->AppendAsync(std::string(500'000, 'l'));
  ASSERT_TRUE(large.ok()) << large.status();
  while (!log_->stats().disk_full) std::this_thread::yield();
  // What came before it is not held up for that.
  EXPECT_TRUE(log_->WaitDurable(1, absl::Seconds(30)).ok());
  EXPECT_FALSE(large->Done());
  most_bytes.store(SIZE_MAX, std::memory_order_relaxed);
  EXPECT_EQ(large->Wait(absl::Seconds(30)).value_or(0), 2u);
  EXPECT_TRUE(log_->Close().ok());
  log_ = nullptr;
  EXPECT_TRUE(
      absl::StrContains(held->text, "find memory for 500000 bytes more of 00000000000000000001"))
      << held->text;
  EXPECT_TRUE(absl::StrContains(held->text, "free memory")) << held->text;
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(log_->last_durable(), 2u);
  EXPECT_EQ(log_->recovery().outcome, RecoveryReport::Outcome::kClean);
}

TEST_F(MemoryFailureTest, FlushIsNothingWorseThanACrash) {
  ExpectNothingWorseThanACrash(
      "flush", OpenAndAppend, [](MemoryFailureTest& test) { return test.log_->Flush(); },
      Whose::kAll);
}

TEST_F(MemoryFailureTest, CursorIsNothingWorseThanACrash) {
  ExpectNothingWorseThanACrash(
      "cursor", OpenAndAppend,
      [](MemoryFailureTest& test) {
        const absl::StatusOr<std::unique_ptr<Cursor>> cursor = test.log_->OpenCursor("reader");
        if (!cursor.ok()) return cursor.status();
        for (int i = 0; i < 3; ++i) {
          const absl::StatusOr<Entry> entry = (*cursor)->Next(absl::Seconds(30));
          if (!entry.ok()) return entry.status();
        }
        absl::Status status = (*cursor)->Commit(3);
        return status.ok() ? (*cursor)->Checkpoint() : status;
      },
      Whose::kCallers);
}

TEST_F(MemoryFailureTest, MakingALogIsNothingWorseThanACrash) {
  ExpectNothingWorseThanACrash("making a log", Nothing, OpenIt, Whose::kAll);
}

}  // namespace
}  // namespace millrace
