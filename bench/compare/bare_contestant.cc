// A log without what makes it one: producers put records into a queue, a thread takes what has
// gathered, writes it, syncs, and tells those that wait. No format, no checksums, no order among
// producers, no segments, no recovery. Or several such threads, which take their groups one after
// the other, write them at once, past the page cache, and tell in the order in which they took. Or
// with what a log promises (BareWork::promises), each in the simplest way that does it.

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/compare/contestant.h"
#include "bench/compare/raw_file.h"
#include "queue/moodycamel.h"
#include "xxhash.h"

namespace millrace {
namespace {

constexpr size_t kMostRecordBytes = 128;
constexpr size_t kGroupBytes = size_t{1} << 20;
constexpr size_t kGroupRecords = kGroupBytes / kMostRecordBytes;
constexpr size_t kHeaderBytes = 32;  // with promises, before each record
constexpr size_t kGroupWithHeaders =
    kGroupBytes / kMostRecordBytes * (kMostRecordBytes + kHeaderBytes);
constexpr size_t kKeptGroups = (size_t{64} << 20) / kGroupWithHeaders;  // Options::unsynced_bytes
constexpr uint64_t kBlockBytes = 4096;                                  // of direct writes
constexpr uint64_t kOverwrittenBytes = uint64_t{16} << 20;
constexpr int kYields = 200;                // before a thread sleeps: as Options::wait_yields
constexpr uint64_t kMostQueued = 64 << 10;  // without a sync: as many as fit Millrace's queue

class BareLog : public Contestant {
 public:
  explicit BareLog(const BareWork& work)
      : durable_(work.durability == Durability::kDurable),
        direct_(work.direct_in_flight),
        promises_(work.promises) {}

  ~BareLog() override { Stop(); }

  std::string name() const override { return "bare group commit"; }
  std::string settings() const override {
    if (direct_ > 0) {
      return "queue, wake-ups; " + std::to_string(direct_) +
             " in turns that overwrite blocks of 4 KiB, O_DIRECT, RWF_DSYNC; no format, no order";
    }
    if (promises_) {
      return "queue, one thread that writes; order by a counter, a bound by another, checksums, 64 "
             "MiB kept until a sync; no segments, no recovery";
    }
    return durable_ ? "queue, one thread that overwrites, fdatasync, wake-ups; no format, no order"
                    : "queue, one thread that writes; no format, no order";
  }

  absl::Status Open(const std::string& directory) override {
    RawWork file;
    file.place = durable_ ? RawWork::Place::kOverwrite : RawWork::Place::kAppend;
    file.way = direct_ > 0 ? RawWork::Way::kDirectRing : RawWork::Way::kSynced;
    file.block_bytes = kGroupBytes;
    file.file_bytes = kOverwrittenBytes;
    absl::StatusOr<RawFile> prepared = PrepareRawFile(file, directory + "/bare");
    if (!prepared.ok()) return prepared.status();
    file_.emplace(*std::move(prepared));
    for (int i = 0; i < std::max(direct_, 1); ++i) writers_.emplace_back([this] { Run(); });
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
    file_.reset();
    return status_;
  }

 private:
  struct Item {
    std::array<char, kMostRecordBytes> bytes;
    uint32_t size = 0;
    uint64_t stamp = 0;                    // with promises
    uint64_t checksum = 0;                 // likewise
    std::atomic<int32_t>* told = nullptr;  // by whom it is waited for
  };

  // What one writer has taken.
  struct Group {
    std::vector<Item> items = std::vector<Item>(kGroupRecords);
    size_t count = 0;
    Block bytes = MakeBlock(kGroupBytes);
    char* framed = nullptr;  // with promises, what is written instead of `bytes`
    size_t size = 0;
    uint64_t at = 0;
    uint64_t number = 0;
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
      if (log_->promises_) {
        item.checksum = XXH3_64bits(item.bytes.data(), item.size);
        // relaxed: a bound. acq_rel: an order.
        log_->in_flight_.fetch_add(1, std::memory_order_relaxed);
        item.stamp = log_->stamps_.fetch_add(1, std::memory_order_acq_rel);
      }
      if (!log_->queue_.enqueue(token_, item)) return absl::ResourceExhaustedError("enqueue");
      ++appended_;
      log_->WakeWriter();
      if (log_->durable_) {
        // acquire, both: pair with the release in Tell.
        for (int i = 0; i < kYields && told_.load(std::memory_order_acquire) == 0; ++i) {
          std::this_thread::yield();
        }
        told_.wait(0, std::memory_order_acquire);
      } else if (appended_ % 64 == 0) {
        while (log_->Queued() > kMostQueued) std::this_thread::yield();
      }
      return absl::OkStatus();
    }

   private:
    BareLog* const log_;
    moodycamel::ProducerToken token_;
    std::atomic<int32_t> told_{0};
    uint64_t appended_ = 0;
  };

  uint64_t Queued() const {
    // relaxed: a bound.
    return promises_ ? in_flight_.load(std::memory_order_relaxed) : queue_.size_approx();
  }

  // seq_cst, here and in Take: either the producer sees the writer asleep, or the writer the
  // record.
  void WakeWriter() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_relaxed) == 0) return;
    asleep_.store(0, std::memory_order_seq_cst);
    asleep_.notify_one();
  }

  // Takes what there is; sleeps where there is nothing. False: the end.
  bool Take(Group* group) {
    const std::lock_guard<std::mutex> lock(turn_);
    while (true) {
      group->count = queue_.try_dequeue_bulk(group->items.begin(), group->items.size());
      if (group->count > 0) break;
      if (stop_.load(std::memory_order_seq_cst)) return false;
      asleep_.store(1, std::memory_order_seq_cst);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      group->count = queue_.try_dequeue_bulk(group->items.begin(), group->items.size());
      if (group->count == 0 && !stop_.load(std::memory_order_seq_cst)) {
        asleep_.wait(1, std::memory_order_seq_cst);
      }
      asleep_.store(0, std::memory_order_seq_cst);
      if (group->count > 0) break;
    }
    if (promises_) {
      Frame(group);
    } else {
      group->size = 0;
      for (size_t i = 0; i < group->count; ++i) {
        std::memcpy(&group->bytes[group->size], group->items[i].bytes.data(), group->items[i].size);
        group->size += group->items[i].size;
      }
    }
    if (direct_ > 0) group->size = (group->size + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    if (durable_ && next_ + group->size > kOverwrittenBytes) next_ = 0;
    group->at = next_;
    next_ += group->size;
    group->number = ++taken_;
    return true;
  }

  // In the order of the stamps, each behind a header, in memory that is kept.
  void Frame(Group* group) {
    // Whoever had drawn a stamp below one of these may have come to the queue since.
    if (group->count < group->items.size()) {
      group->count +=
          queue_.try_dequeue_bulk(group->items.begin() + static_cast<int64_t>(group->count),
                                  group->items.size() - group->count);
    }
    const auto by_stamp = [](const Item& a, const Item& b) { return a.stamp < b.stamp; };
    const auto end = group->items.begin() + static_cast<int64_t>(group->count);
    const auto [first, last] = std::minmax_element(group->items.begin(), end, by_stamp);
    const uint64_t base = first->stamp;
    order_.assign(last->stamp - base + 1, nullptr);
    for (auto item = group->items.begin(); item != end; ++item) order_[item->stamp - base] = &*item;
    kept_.resize(kKeptGroups);
    Block& bytes = kept_[taken_ % kKeptGroups];
    if (bytes == nullptr) bytes = MakeBlock(kGroupWithHeaders);
    char* out = bytes.get();
    for (const Item* item : order_) {
      if (item == nullptr) continue;
      const std::array<uint64_t, 3> header = {item->stamp, item->size, item->checksum};
      const uint64_t checksum = XXH3_64bits_withSeed(header.data(), sizeof header, item->stamp);
      std::memcpy(out, &checksum, sizeof checksum);
      std::memcpy(out + sizeof checksum, header.data(), sizeof header);
      std::memcpy(out + kHeaderBytes, item->bytes.data(), item->size);
      out += kHeaderBytes + item->size;
    }
    group->framed = bytes.get();
    group->size = static_cast<size_t>(out - bytes.get());
  }

  absl::Status Write(const Group& group) {
    iovec piece = {promises_ ? group.framed : group.bytes.get(), group.size};
    const ssize_t written =
        pwritev2(file_->fd(), &piece, 1, static_cast<off_t>(group.at), direct_ > 0 ? RWF_DSYNC : 0);
    if (written < 0) return absl::ErrnoToStatus(errno, "pwritev2");
    if (static_cast<size_t>(written) != group.size) return absl::DataLossError("short write");
    // Advice: the device gets to work, so that the sync finds little left.
    if (promises_) {
      sync_file_range(file_->fd(), static_cast<off_t>(group.at), static_cast<off_t>(group.size),
                      SYNC_FILE_RANGE_WRITE);
    }
    // The memory is used again.
    if (promises_ && group.number % kKeptGroups == 0 && fdatasync(file_->fd()) != 0) {
      return absl::ErrnoToStatus(errno, "fdatasync");
    }
    if (durable_ && direct_ == 0 && fdatasync(file_->fd()) != 0) {
      return absl::ErrnoToStatus(errno, "fdatasync");
    }
    return absl::OkStatus();
  }

  // In the order in which they were taken.
  void Tell(const Group& group, absl::Status status) {
    // acquire: pairs with the release below.
    while (told_.load(std::memory_order_acquire) != group.number - 1) std::this_thread::yield();
    status_.Update(std::move(status));
    // relaxed, both: numbers to show or compare.
    if (durable_) syncs_.fetch_add(1, std::memory_order_relaxed);
    written_.fetch_add(group.count, std::memory_order_relaxed);
    if (promises_) in_flight_.fetch_sub(group.count, std::memory_order_relaxed);
    for (size_t i = 0; durable_ && i < group.count; ++i) {
      // release: pairs with the wait in Append.
      group.items[i].told->store(1, std::memory_order_release);
      group.items[i].told->notify_one();
    }
    // release: gives status_ to the next.
    told_.store(group.number, std::memory_order_release);
  }

  void Run() {
    Group group;
    while (Take(&group)) Tell(group, Write(group));
  }

  void Stop() {
    stop_.store(true, std::memory_order_seq_cst);
    asleep_.store(0, std::memory_order_seq_cst);
    asleep_.notify_one();
    for (std::thread& writer : writers_) writer.join();
    writers_.clear();
  }

  const bool durable_;
  const int direct_;
  const bool promises_;
  std::optional<RawFile> file_;
  moodycamel::ConcurrentQueue<Item> queue_;
  std::vector<std::thread> writers_;
  std::mutex turn_;     // to take a group
  uint64_t next_ = 0;   // where its bytes go; whoever has the turn
  uint64_t taken_ = 0;  // groups; likewise
  std::vector<const Item*> order_;
  std::vector<Block> kept_;
  alignas(64) std::atomic<uint64_t> stamps_{0};
  alignas(64) std::atomic<uint64_t> in_flight_{0};
  alignas(64) std::atomic<int32_t> asleep_{0};
  alignas(64) std::atomic<bool> stop_{false};
  std::atomic<uint64_t> told_{0};  // groups
  std::atomic<uint64_t> appended_{0};
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> syncs_{0};
  absl::Status status_;  // whoever tells, until all were joined
};

}  // namespace

std::unique_ptr<Contestant> NewBareLog(const BareWork& work) {
  return std::make_unique<BareLog>(work);
}

}  // namespace millrace
