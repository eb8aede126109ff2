// Goal: in the steady state a producer's thread neither allocates nor touches a
// mutex: one million buffered appends, and fewer that wait, do neither once.
// Method: this program defines malloc and pthread_mutex_lock, and what is like
// them, itself, and counts the calls of threads that ask for it. First the queue
// is filled to its bounds while the disk is held, so that all memory that load can
// ask for is there.

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/forwarding_file_system.h"
#include "tests/temp_directory.h"

namespace {

thread_local bool counting = false;
thread_local uint64_t allocations = 0;
thread_local uint64_t mutex_operations = 0;
// How many more allocations of this thread succeed.
thread_local uint64_t allocations_left = UINT64_MAX;

// Counts an allocation; false if it is to fail.
bool CountAllocation() {
  allocations += counting;
  if (allocations_left == UINT64_MAX) return true;
  if (allocations_left == 0) return false;
  --allocations_left;
  return true;
}
void CountMutexOperation() { mutex_operations += counting; }

template <class Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// The C library's own, under the names that interposers may use.
extern "C" {

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t bytes) { return CountAllocation() ? __libc_malloc(bytes) : nullptr; }
void* calloc(size_t count, size_t bytes) {
  return CountAllocation() ? __libc_calloc(count, bytes) : nullptr;
}
void* realloc(void* memory, size_t bytes) {
  return CountAllocation() ? __libc_realloc(memory, bytes) : nullptr;
}
void* memalign(size_t alignment, size_t bytes) {
  return CountAllocation() ? __libc_memalign(alignment, bytes) : nullptr;
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  return CountAllocation() ? __libc_memalign(alignment, bytes) : nullptr;
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  *memory = !CountAllocation() ? nullptr : __libc_memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  allocations += counting;  // to free takes the allocator's locks as well
  __libc_free(memory);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  CountMutexOperation();
  static auto* const real = Real<int(pthread_mutex_t*)>("pthread_mutex_lock");
  return real(mutex);
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) {
  CountMutexOperation();
  static auto* const real = Real<int(pthread_mutex_t*)>("pthread_mutex_trylock");
  return real(mutex);
}
int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until) {
  CountMutexOperation();
  static auto* const real = Real<int(pthread_mutex_t*, const timespec*)>("pthread_mutex_timedlock");
  return real(mutex, until);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  CountMutexOperation();
  static auto* const real = Real<int(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
  return real(lock);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  CountMutexOperation();
  static auto* const real = Real<int(pthread_rwlock_t*)>("pthread_rwlock_wrlock");
  return real(lock);
}
int pthread_spin_lock(pthread_spinlock_t* lock) {
  CountMutexOperation();
  static auto* const real = Real<int(pthread_spinlock_t*)>("pthread_spin_lock");
  return real(lock);
}

}  // extern "C"

namespace millrace {
namespace {

constexpr int kProducers = 4;
constexpr AppendOptions kBuffered{.durability = Durability::kBuffered};

// Counts in the calling thread, for as long as it lives.
class Counting {
 public:
  Counting() {
    allocations = mutex_operations = 0;
    counting = true;
  }
  ~Counting() { counting = false; }
};

TEST(AllocationTest, TheCountersCount) {
  std::mutex mutex;
  mutex.lock();  // looks the real function up, with a lock of its own
  mutex.unlock();
  const Counting count;
  int* volatile number = new int(1);
  void* volatile memory = std::malloc(100);
  delete number;
  std::free(memory);
  mutex.lock();
  mutex.unlock();
  EXPECT_EQ(allocations, 4u);
  EXPECT_EQ(mutex_operations, 1u);
}

// Opens a log, appends with a new Producer while this thread has no more memory
// than `allocations` allocations take, and again with memory. True if it failed.
bool FailsAfter(uint64_t allocations_that_succeed) {
  TempDirectory temp;
  auto log = Log::Open(temp.Sub("log")).value();
  const std::string payload(20000, 'x');
  allocations_left = allocations_that_succeed;
  auto producer = log->NewProducer();
  absl::Status status = producer.status();
  if (status.ok()) status = (*producer)->Append("small", kBuffered).status();
  const bool small = status.ok();
  if (status.ok()) status = (*producer)->AppendAsync("ticket", kBuffered).status();
  const bool ticket = status.ok();
  if (status.ok()) status = (*producer)->Append(payload, kBuffered).status();
  allocations_left = UINT64_MAX;
  EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
  // What failed has left nothing behind, neither a record nor credits taken.
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(log->Append(payload).ok());
  EXPECT_TRUE(log->Close(absl::Seconds(30)).ok());
  EXPECT_EQ(log->last_durable(), 10u + small + ticket + status.ok());
  return !status.ok();
}

TEST(AllocationTest, EachFailedAllocationIsAnErrorThatPasses) {
  uint64_t failed = 0;
  while (FailsAfter(failed)) ASSERT_LT(++failed, 100u);
  // The lane, its memory, the Producer, a ticket's cell, a chunk of each kind.
  EXPECT_GE(failed, 6u);
}

TEST(AllocationTest, FlushesUseTheirCellsAgain) {
  TempDirectory temp;
  Options options;
  options.idle_mark_delay = absl::Hours(1);
  auto log = Log::Open(temp.Sub("log"), options).value();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(log->Flush().ok());
  const Counting count;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(log->Flush().ok());
  EXPECT_LT(allocations, 10u);
}

enum class Way { kLog, kProducer, kBatch, kTicket, kInTime };

struct Load {
  const char* name;
  Durability durability;
  int appends;  // by all producers together
  Way way;
};

class SteadyAppendTest : public testing::TestWithParam<Load> {
 protected:
  SteadyAppendTest()
      : disk_(PosixFileSystem(), [this](const FileCall& call) {
          if (call.op == FileOp::kWrite && held_) {
            writer_arrived_ = true;
            held_.wait(true);
          }
          return std::optional<IoResult>();
        }) {}

  // Brings every lane that threads will use to the most elements it can hold: the
  // records are smaller than those of the load, so there are more of them.
  void FillEveryLane() {
    std::vector<std::unique_ptr<Producer>> lanes;
    for (int t = 0; t < kProducers; ++t) lanes.push_back(log_->NewProducer().value());
    for (auto& lane : lanes) {
      writer_arrived_ = false;
      held_ = true;
      ASSERT_TRUE(lane->Append("", kBuffered).ok());
      // What the writer has drained is not in the lane any more.
      while (!writer_arrived_) std::this_thread::yield();
      for (int i = 0; i < 2000; ++i) ASSERT_TRUE(lane->Append("", kBuffered).ok());
      held_ = false;
      held_.notify_all();
      ASSERT_TRUE(log_->Flush().ok());
    }
  }

  void Run(const Load& load) {
    all_allocations_ = all_mutex_operations_ = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < kProducers; ++t) {
      threads.emplace_back([&] { Produce(load); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  void Produce(const Load& load) {
    std::unique_ptr<Producer> producer;
    if (load.way != Way::kLog) producer = log_->NewProducer().value();
    const std::string payload(128, 'x');
    AppendOptions options = {.durability = load.durability, .key = "key"};
    if (load.way == Way::kInTime) options.timeout = absl::Hours(1);
    const std::vector<NewRecord> batch(4, NewRecord{.payload = payload, .key = "key"});
    auto append = [&] {
      switch (load.way) {
        case Way::kLog:
          return log_->Append(payload, options).ok();
        case Way::kBatch:
          return producer->AppendBatch(batch, {.durability = load.durability}).ok();
        case Way::kTicket: {
          const auto ticket = producer->AppendAsync(payload, options);
          return ticket.ok() && ticket->Wait().ok();
        }
        default:
          return producer->Append(payload, options).ok();
      }
    };
    // To know every part of the path, and to wait for space.
    for (int i = 0; i < load.appends / kProducers / 10; ++i) ASSERT_TRUE(append());
    bool ok = true;
    {
      const Counting count;
      for (int i = 0; i < load.appends / kProducers; ++i) ok &= append();
    }
    EXPECT_TRUE(ok);
    all_allocations_ += allocations;
    all_mutex_operations_ += mutex_operations;
  }

  TempDirectory temp_;
  std::atomic<bool> held_{false};
  std::atomic<bool> writer_arrived_{false};
  ForwardingFileSystem disk_;
  std::unique_ptr<Log> log_;
  std::atomic<uint64_t> all_allocations_{0};
  std::atomic<uint64_t> all_mutex_operations_{0};
};

TEST_P(SteadyAppendTest, NeitherAllocatesNorLocks) {
  const Load& load = GetParam();
  Options options;
  options.file_system = &disk_;
  options.queue_bytes = 512 << 10;
  options.idle_mark_delay = absl::Hours(1);  // keeps unused memory
  log_ = Log::Open(temp_.Sub("log"), options).value();
  FillEveryLane();
  // Memory grows to the largest backlog so far. A backlog that was larger than
  // ever before, by chance, is not yet the steady state: hence up to three runs.
  // Mutexes have no such excuse.
  for (int run = 1; run <= 3; ++run) {
    Run(load);
    EXPECT_EQ(all_mutex_operations_, 0u);
    if (all_allocations_ == 0 || HasFailure()) break;
    std::printf("run %d: %d allocations\n", run, static_cast<int>(all_allocations_));
  }
  EXPECT_EQ(all_allocations_, 0u);
  ASSERT_TRUE(log_->Close().ok());
}

INSTANTIATE_TEST_SUITE_P(
    Loads, SteadyAppendTest,
    testing::Values(Load{"BufferedProducer", Durability::kBuffered, 1000000, Way::kProducer},
                    Load{"BufferedLog", Durability::kBuffered, 1000000, Way::kLog},
                    Load{"BufferedBatch", Durability::kBuffered, 200000, Way::kBatch},
                    Load{"BufferedTicket", Durability::kBuffered, 40000, Way::kTicket},
                    Load{"WrittenProducer", Durability::kWritten, 100000, Way::kProducer},
                    Load{"WrittenLog", Durability::kWritten, 100000, Way::kLog},
                    Load{"WrittenBatch", Durability::kWritten, 40000, Way::kBatch},
                    Load{"WrittenTicket", Durability::kWritten, 40000, Way::kTicket},
                    Load{"WrittenInTime", Durability::kWritten, 40000, Way::kInTime},
                    Load{"DurableProducer", Durability::kDurable, 20000, Way::kProducer},
                    Load{"DurableLog", Durability::kDurable, 20000, Way::kLog},
                    Load{"DurableTicket", Durability::kDurable, 10000, Way::kTicket}),
    [](const testing::TestParamInfo<Load>& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace millrace
