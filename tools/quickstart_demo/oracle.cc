#include "tools/quickstart_demo/oracle.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"

namespace millrace {
namespace {

constexpr size_t kLine = 64;

constexpr size_t RoundToLine(size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

}  // namespace

// Atomics work between processes only if they are lock-free; zeros are their empty state.
static_assert(std::atomic<uint64_t>::is_always_lock_free);

int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

absl::StatusOr<std::unique_ptr<Oracle>> Oracle::Create(const std::string& path,
                                                       const Workload& workload) {
  const auto records = static_cast<size_t>(workload.records());
  const size_t bytes = RoundToLine(sizeof(Header)) + workload.producers() * sizeof(Lane) +
                       records * (sizeof(std::atomic<SequenceNumber>) + kConsumers);
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, "create " + path);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    return absl::ErrnoToStatus(errno, "set the size of " + path);
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "map " + path);
  return std::unique_ptr<Oracle>(new Oracle(static_cast<char*>(memory), bytes, workload));
}

Oracle::Oracle(char* memory, size_t bytes, const Workload& workload)
    : memory_(memory),
      bytes_(bytes),
      producers_(workload.producers()),
      per_producer_(workload.per_producer()) {
  char* at = memory;
  header_ = reinterpret_cast<Header*>(at);
  at += RoundToLine(sizeof(Header));
  lanes_ = reinterpret_cast<Lane*>(at);
  at += producers_ * sizeof(Lane);
  sequences_ = reinterpret_cast<std::atomic<SequenceNumber>*>(at);
  at += workload.records() * sizeof(*sequences_);
  deliveries_ = reinterpret_cast<uint8_t*>(at);
}

Oracle::~Oracle() { munmap(memory_, bytes_); }

void Oracle::Issue(Workload::Tag tag) {
  // relaxed: counted before the append begins, in the same thread; other processes read it once
  // this one has ended, or only to see how far it is.
  lanes_[tag.producer].issued.store(tag.index + 1, std::memory_order_relaxed);
}

void Oracle::Acknowledge(Workload::Tag tag, SequenceNumber sequence, uint64_t nanoseconds) {
  Adopt(tag, sequence);
  lanes_[tag.producer].latency.Record(nanoseconds);
}

void Oracle::Adopt(Workload::Tag tag, SequenceNumber sequence) {
  // relaxed: published by the release below.
  sequences_[PlaceOf(tag)].store(sequence, std::memory_order_relaxed);
  // release: who sees the count also sees the numbers; pairs with the acquire in acknowledged().
  lanes_[tag.producer].acknowledged.store(tag.index + 1, std::memory_order_release);
}

uint64_t Oracle::issued(uint32_t producer) const {
  // relaxed: see Issue().
  return lanes_[producer].issued.load(std::memory_order_relaxed);
}

uint64_t Oracle::acknowledged(uint32_t producer) const {
  // acquire: pairs with the release in Adopt().
  return lanes_[producer].acknowledged.load(std::memory_order_acquire);
}

uint64_t Oracle::total_issued() const {
  uint64_t total = 0;
  for (uint32_t p = 0; p < producers_; ++p) total += issued(p);
  return total;
}

uint64_t Oracle::total_acknowledged() const {
  uint64_t total = 0;
  for (uint32_t p = 0; p < producers_; ++p) total += acknowledged(p);
  return total;
}

SequenceNumber Oracle::sequence_of(Workload::Tag tag) const {
  // relaxed: who asks has seen acknowledged(), or the end of the process that stored it.
  return sequences_[PlaceOf(tag)].load(std::memory_order_relaxed);
}

LatencyHistogram& Oracle::latency(uint32_t producer) { return lanes_[producer].latency; }

uint64_t& Oracle::recovered(uint32_t producer) { return lanes_[producer].recovered; }

uint8_t& Oracle::deliveries(uint32_t consumer, Workload::Tag tag) {
  return deliveries_[consumer * per_producer_ * producers_ + PlaceOf(tag)];
}

}  // namespace millrace
