// Goal: producers' memory is reused, never while a record in it is in use; it
// stays small when idle and bounded under load.
// Method: the rules by example, then producers and a thread that frees, with
// every record's bytes checked before it is freed.

#include "wal/producer_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "queue/causal_queue.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

// Pools and queues are not on the stack: with detect_stack_use_after_return GCC's
// AddressSanitizer keeps no alignment of 64 there.

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;

struct Record {
  void* memory;
  MemoryChunk* chunk;
};

Record Allocate(ProducerMemory& memory, uint64_t bytes) {
  Record record;
  record.memory = memory.Allocate(bytes, &record.chunk);
  EXPECT_NE(record.memory, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(record.memory) % 16, 0u);
  std::memset(record.memory, 0xab, bytes);
  return record;
}

TEST(ProducerMemoryTest, SizesRoundUpByAtMostAQuarter) {
  for (uint64_t bytes = 1; bytes < 40 * kMiB; bytes += 1 + bytes / 7) {
    const uint64_t up = ChunkPool::RoundUpToClass(bytes);
    EXPECT_GE(up, bytes);
    if (bytes > 4 * kKiB) {
      EXPECT_LE(4 * up, 5 * bytes + 4) << bytes;
    }
    EXPECT_EQ(ChunkPool::RoundUpToClass(up), up);
    EXPECT_EQ(ChunkPool::RoundDownToClass(up), up);
    if (bytes >= 4 * kKiB) {
      EXPECT_LE(ChunkPool::RoundDownToClass(bytes), bytes);
    }
  }
}

TEST(ProducerMemoryTest, OneRecordAtATimeNeedsOneSmallChunk) {
  const auto pool = std::make_unique<ChunkPool>(kMiB);
  ProducerMemory memory(pool.get());
  for (int i = 0; i < 10000; ++i) Allocate(memory, 200).chunk->Free(1);
  EXPECT_EQ(pool->bytes(), 4 * kKiB);
}

TEST(ProducerMemoryTest, NoMemoryIsReusedWhileARecordInItIsInUse) {
  const auto pool = std::make_unique<ChunkPool>(kMiB);
  ProducerMemory memory(pool.get());
  const Record kept = Allocate(memory, 100);
  for (int i = 0; i < 10000; ++i) {
    const Record record = Allocate(memory, 100);
    EXPECT_NE(record.memory, kept.memory);
    record.chunk->Free(1);
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(static_cast<unsigned char*>(kept.memory)[i], 0xab);
  kept.chunk->Free(1);
}

TEST(ProducerMemoryTest, SteadyBacklogReusesTheSameChunks) {
  const auto pool = std::make_unique<ChunkPool>(8 * kMiB);
  ProducerMemory memory(pool.get());
  std::deque<Record> backlog;
  uint64_t after_warm_up = 0;
  for (int i = 0; i < 100000; ++i) {
    backlog.push_back(Allocate(memory, 64 + i % 300));
    if (backlog.size() > 1000) {
      backlog.front().chunk->Free(1);
      backlog.pop_front();
    }
    if (i == 20000) after_warm_up = pool->bytes();
  }
  EXPECT_EQ(pool->bytes(), after_warm_up);
  for (const Record& record : backlog) record.chunk->Free(1);
}

TEST(ProducerMemoryTest, LargeRecordsAreReusedBySize) {
  const auto pool = std::make_unique<ChunkPool>(8 * kMiB);
  ProducerMemory memory(pool.get());
  for (int i = 0; i < 1000; ++i) Allocate(memory, 100000 + i).chunk->Free(1);
  EXPECT_EQ(pool->bytes(), ChunkPool::RoundUpToClass(101000));
}

TEST(ProducerMemoryTest, ChargeCoversWhatIsTaken) {
  // The charges of all records in flight, and one chunk per producer, are all
  // the memory there is.
  const auto pool = std::make_unique<ChunkPool>(256 * kMiB);
  ProducerMemory memory(pool.get());
  std::mt19937_64 random(1);
  std::vector<Record> records;
  uint64_t charged = 0;
  for (int i = 0; i < 5000; ++i) {
    const uint64_t bytes = 1 + random() % (i % 10 == 0 ? 20000 : 4096);
    charged += memory.Charge(bytes);
    records.push_back(Allocate(memory, bytes));
  }
  const uint64_t headers = pool->bytes() / 64;  // at most 64 bytes in each 4096
  EXPECT_LE(pool->bytes(), charged + headers + 16 * kKiB);
  for (const Record& record : records) record.chunk->Free(1);
}

TEST(ProducerMemoryTest, TrimGivesUnusedMemoryBack) {
  const auto pool = std::make_unique<ChunkPool>(64 * kMiB);
  ProducerMemory memory(pool.get());
  std::vector<Record> records;
  for (int i = 0; i < 10000; ++i) records.push_back(Allocate(memory, 1000));
  for (const Record& record : records) record.chunk->Free(1);
  EXPECT_GT(pool->bytes(), 9 * kMiB);
  pool->Trim(128 * kKiB);
  EXPECT_LE(pool->bytes(), 128 * kKiB + 16 * kKiB);
}

TEST(ProducerMemoryTest, UnusedMemoryMakesRoomForOtherSizes) {
  const auto pool = std::make_unique<ChunkPool>(2 * kMiB);
  ProducerMemory memory(pool.get());
  for (uint64_t bytes = 5000; bytes < kMiB; bytes += 1000) {
    Allocate(memory, bytes).chunk->Free(1);
    EXPECT_LE(pool->bytes(), 2 * kMiB);
  }
}

TEST(ProducerMemoryTest, SixtyFourProducersStayWithinTheirBound) {
  // Every producer in turn uses all that the queue's credits allow.
  constexpr uint64_t kQueueBytes = 4 * kMiB;
  const auto pool = std::make_unique<ChunkPool>(kQueueBytes + kMiB);
  std::vector<std::unique_ptr<ProducerMemory>> producers;
  uint64_t most = 0;
  for (int p = 0; p < 64; ++p) {
    producers.push_back(std::make_unique<ProducerMemory>(pool.get()));
    std::vector<Record> records;
    uint64_t charged = 0;
    for (int i = 0;; ++i) {
      const uint64_t bytes = 100 + (i * 37 + p * 911) % 9000;
      const uint64_t charge = producers.back()->Charge(bytes);
      if (charged + charge > kQueueBytes) break;
      charged += charge;
      records.push_back(Allocate(*producers.back(), bytes));
    }
    most = std::max(most, pool->bytes());
    for (const Record& record : records) record.chunk->Free(1);
  }
  EXPECT_LE(most, kQueueBytes + 2 * kMiB);
}

TEST(ProducerMemoryTest, BytesHoldWhileOtherThreadsFree) {
  constexpr uint32_t kRecords = kUnderSanitizer ? 20000 : 200000;
  constexpr int kProducers = 3;
  struct Item {
    MemoryChunk* chunk;
    uint32_t bytes;
    unsigned char fill;
    unsigned char data[1];
  };
  const auto pool = std::make_unique<ChunkPool>(kMiB);
  const auto queue = std::make_unique<CausalQueue<Item*>>(Limits{.records = 512, .bytes = kMiB});
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; ++p) {
    threads.emplace_back([&, p] {
      ProducerMemory memory(pool.get());
      auto lane = queue->MakeProducer();
      std::mt19937_64 random(p);
      for (uint32_t i = 0; i < kRecords; ++i) {
        const uint32_t bytes = random() % 1000 == 0 ? 9000 : 1 + random() % 200;
        ASSERT_EQ(queue->Admit(lane, 1, 0, kNoDeadline), Admission::kAdmitted);
        MemoryChunk* chunk;
        auto* item = static_cast<Item*>(memory.Allocate(sizeof(Item) + bytes, &chunk));
        item->chunk = chunk;
        item->bytes = bytes;
        item->fill = static_cast<unsigned char>(i * 31 + p);
        std::memset(item->data, item->fill, bytes);
        ASSERT_TRUE(queue->Enqueue(lane, item));
      }
    });
  }
  uint64_t wrong = 0;
  std::vector<Item*> items;
  for (uint64_t taken = 0; taken < uint64_t{kProducers} * kRecords; taken += items.size()) {
    queue->WaitForWork(kNoDeadline);
    items.clear();
    queue->Drain(&items);
    for (Item* item : items) {
      for (uint32_t k = 0; k < item->bytes; ++k) wrong += item->data[k] != item->fill;
      item->chunk->Free(1);
    }
    queue->Return(static_cast<uint32_t>(items.size()), 0);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace millrace
