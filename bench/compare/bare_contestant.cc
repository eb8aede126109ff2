// A log without what makes it one: producers put records into a queue, one thread takes what has
// gathered, writes it, syncs, and tells those that wait. No format, no checksums, no order among
// producers, no segments, no recovery.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/compare/contestant.h"
#include "queue/moodycamel.h"

namespace millrace {
namespace {

constexpr size_t kMostRecordBytes = 128;
constexpr size_t kGroupBytes = size_t{1} << 20;
constexpr size_t kGroupRecords = kGroupBytes / kMostRecordBytes;
constexpr uint64_t kOverwrittenBytes = uint64_t{16} << 20;
constexpr int kYields = 200;                // before a thread sleeps: as Options::wait_yields
constexpr uint64_t kMostQueued = 64 << 10;  // without a sync: as many as fit Millrace's queue

class BareLog : public Contestant {
 public:
  explicit BareLog(Durability durability) : durable_(durability == Durability::kDurable) {}

  ~BareLog() override {
    Stop();
    if (fd_ >= 0) close(fd_);
  }

  std::string name() const override { return "bare group commit"; }
  std::string settings() const override {
    return durable_ ? "queue, one thread that overwrites, fdatasync, wake-ups; no format, no order"
                    : "queue, one thread that writes; no format, no order";
  }

  absl::Status Open(const std::string& directory) override {
    const std::string path = directory + "/bare";
    fd_ = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd_ < 0) return absl::ErrnoToStatus(errno, "open " + path);
    for (uint64_t at = 0; durable_ && at < kOverwrittenBytes; at += group_.size()) {
      if (absl::Status status = Write(at, group_.size()); !status.ok()) return status;
    }
    if (fdatasync(fd_) != 0) return absl::ErrnoToStatus(errno, "fdatasync");
    writer_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Appender>> NewAppender() override {
    return std::make_unique<BareAppender>(this);
  }

  absl::Status Drain() override {
    // relaxed: the appenders' threads were joined; what is written is only compared.
    while (written_.load(std::memory_order_relaxed) < appended_.load(std::memory_order_relaxed)) {
      std::this_thread::yield();
    }
    return absl::OkStatus();
  }

  std::optional<uint64_t> syncs() const override {
    // relaxed: a number to show.
    return syncs_.load(std::memory_order_relaxed);
  }

  absl::Status Close() override {
    Stop();
    const int fd = fd_;
    fd_ = -1;
    if (close(fd) != 0) return absl::ErrnoToStatus(errno, "close");
    return status_;
  }

 private:
  struct Item {
    std::array<char, kMostRecordBytes> bytes;
    uint32_t size = 0;
    std::atomic<int32_t>* told = nullptr;  // by whom it is waited for
  };

  class BareAppender : public Appender {
   public:
    explicit BareAppender(BareLog* log) : log_(log), token_(log->queue_) {}

    ~BareAppender() override {
      // relaxed: read after the threads were joined.
      log_->appended_.fetch_add(appended_, std::memory_order_relaxed);
    }

    absl::Status Append(std::string_view record) override {
      if (record.size() > kMostRecordBytes) return absl::InvalidArgumentError("too large");
      Item item;
      std::memcpy(item.bytes.data(), record.data(), record.size());
      item.size = static_cast<uint32_t>(record.size());
      // relaxed: nobody else has it yet.
      told_.store(0, std::memory_order_relaxed);
      if (log_->durable_) item.told = &told_;
      if (!log_->queue_.enqueue(token_, item)) return absl::ResourceExhaustedError("enqueue");
      ++appended_;
      log_->WakeWriter();
      if (log_->durable_) {
        // acquire, both: pair with the release in Run.
        for (int i = 0; i < kYields && told_.load(std::memory_order_acquire) == 0; ++i) {
          std::this_thread::yield();
        }
        told_.wait(0, std::memory_order_acquire);
      } else if (appended_ % 64 == 0) {
        while (log_->queue_.size_approx() > kMostQueued) std::this_thread::yield();
      }
      return absl::OkStatus();
    }

   private:
    BareLog* const log_;
    moodycamel::ProducerToken token_;
    std::atomic<int32_t> told_{0};
    uint64_t appended_ = 0;
  };

  // seq_cst, here and in Run: either the producer sees the writer asleep, or the writer the record.
  void WakeWriter() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_relaxed) == 0) return;
    asleep_.store(0, std::memory_order_seq_cst);
    asleep_.notify_one();
  }

  absl::Status Write(uint64_t at, size_t bytes) {
    const ssize_t written = pwrite(fd_, group_.data(), bytes, static_cast<off_t>(at));
    if (written < 0) return absl::ErrnoToStatus(errno, "pwrite");
    return static_cast<size_t>(written) == bytes ? absl::OkStatus()
                                                 : absl::DataLossError("short write");
  }

  // Takes what there is; sleeps where there is nothing. 0: the end.
  size_t Take(std::vector<Item>* items) {
    while (true) {
      size_t count = queue_.try_dequeue_bulk(items->begin(), items->size());
      if (count > 0) return count;
      if (stop_.load(std::memory_order_seq_cst)) return 0;
      asleep_.store(1, std::memory_order_seq_cst);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      count = queue_.try_dequeue_bulk(items->begin(), items->size());
      if (count == 0 && !stop_.load(std::memory_order_seq_cst)) {
        asleep_.wait(1, std::memory_order_seq_cst);
      }
      asleep_.store(0, std::memory_order_seq_cst);
      if (count > 0) return count;
    }
  }

  void Run() {
    std::vector<Item> items(kGroupRecords);
    uint64_t at = 0;
    while (const size_t count = Take(&items)) {
      size_t bytes = 0;
      for (size_t i = 0; i < count; ++i) {
        std::memcpy(&group_[bytes], items[i].bytes.data(), items[i].size);
        bytes += items[i].size;
      }
      if (durable_ && at + bytes > kOverwrittenBytes) at = 0;
      if (status_.ok()) status_ = Write(at, bytes);
      at += bytes;
      if (durable_) {
        if (fdatasync(fd_) != 0) status_.Update(absl::ErrnoToStatus(errno, "fdatasync"));
        // relaxed: numbers to show.
        syncs_.fetch_add(1, std::memory_order_relaxed);
      }
      written_.fetch_add(count, std::memory_order_relaxed);
      for (size_t i = 0; durable_ && i < count; ++i) {
        // release: pairs with the wait in Append.
        items[i].told->store(1, std::memory_order_release);
        items[i].told->notify_one();
      }
    }
  }

  void Stop() {
    if (!writer_.joinable()) return;
    stop_.store(true, std::memory_order_seq_cst);
    asleep_.store(0, std::memory_order_seq_cst);
    asleep_.notify_one();
    writer_.join();
  }

  const bool durable_;
  int fd_ = -1;
  moodycamel::ConcurrentQueue<Item> queue_;
  std::thread writer_;
  alignas(64) std::atomic<int32_t> asleep_{0};
  alignas(64) std::atomic<bool> stop_{false};
  std::atomic<uint64_t> appended_{0};
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> syncs_{0};
  std::vector<char> group_ = std::vector<char>(kGroupBytes);  // the writer's, once it runs
  absl::Status status_;                                       // likewise, until it was joined
};

}  // namespace

std::unique_ptr<Contestant> NewBareLog(Durability durability) {
  return std::make_unique<BareLog>(durability);
}

}  // namespace millrace
