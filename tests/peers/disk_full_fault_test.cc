// Goal: a full disk is a state and no failure: what was accepted is held, nothing is
// acknowledged that is not safe, and all goes on by itself once there is space.
// Method: the peers' scripts of ENOSPC, once and for a while, on a simulated disk whose
// capacity is taken away and given back.

#include <errno.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"

namespace millrace {
namespace {

class DiskFullTest : public PeerLogTest {
 protected:
  // The bytes that the files have now: from here on there is no space.
  void TakeSpaceAway() {
    uint64_t bytes = 0;
    for (const std::string& name : disk_.FileNames("log")) {
      bytes += disk_.ReadFileBytes("log/" + name)->size();
    }
    disk_.SetCapacity(bytes);
  }
};

// LevelDB: one transient ENOSPC, after which 859 of 999 acknowledged records are lost.
TEST_F(DiskFullTest, OneRefusedWriteAnywhereCostsNoRecord) {
  for (const int error : {ENOSPC, EDQUOT, EFBIG}) {
    for (uint64_t first = 1; first <= 12; ++first) {
      SimFileSystem& disk = TakeFreshDisk({.seed = 1});
      Open();
      disk.AddRule({.op = FileOp::kWrite, .error = error, .name = "*.seg", .first = first});
      for (SequenceNumber s = 1; s <= 30; ++s) ASSERT_EQ(Append(Payload(s, 500)), s) << first;
      EXPECT_EQ(ReadByCursor(), "1..30");
      disk.KillProcess();
      log_ = nullptr;
      EXPECT_EQ(ReadBackOf(disk), "1..30") << error << " " << first;
    }
  }
}

// LevelDB: short write, then ENOSPC, after which 989 of 999 are lost.
TEST_F(DiskFullTest, AShortWriteBeforeTheRefusedOneCostsNoRecord) {
  for (uint64_t first = 1; first <= 12; ++first) {
    for (const uint64_t bytes : {1, 100, 511, 512}) {
      SimFileSystem& disk = TakeFreshDisk({.seed = 1});
      Open();
      disk.AddRule({.op = FileOp::kWrite,
                    .action = SimRule::Action::kShort,
                    .bytes = bytes,
                    .name = "*.seg",
                    .first = first});
      disk.AddRule({.op = FileOp::kWrite, .error = ENOSPC, .name = "*.seg", .first = first + 1});
      for (SequenceNumber s = 1; s <= 20; ++s) ASSERT_EQ(Append(Payload(s, 500)), s) << first;
      disk.KillProcess();
      log_ = nullptr;
      EXPECT_EQ(ReadBackOf(disk), "1..20") << first << " " << bytes;
    }
  }
}

// RocksDB error_handler_fs_test: WALWriteError.
TEST_F(DiskFullTest, AppendsAreHeldWithoutSpaceAndGoOnByThemselvesWithIt) {
  Open();
  AppendUpTo(5);
  // A new cursor would need a file of its own.
  auto reader = log_->OpenCursor("meanwhile").value();
  TakeSpaceAway();
  std::vector<Ticket> tickets;
  for (SequenceNumber s = 6; s <= 60; ++s) {
    auto ticket = log_->AppendAsync(expected_[s] = Payload(s, 900));
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    tickets.push_back(*std::move(ticket));
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(tickets.back().Wait(absl::Milliseconds(50)).status()));
  EXPECT_LT(log_->last_durable(), 60u);
  // What is there can be read meanwhile.
  const SequenceNumber durable = log_->last_durable();
  for (SequenceNumber s = 1; s <= durable; ++s) {
    const auto entry = reader->Next(absl::Seconds(50));
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->record.payload, expected_[s]);
  }
  disk_.SetCapacity(std::nullopt);
  for (size_t i = 0; i < tickets.size(); ++i) {
    const auto s = tickets[i].Wait(absl::Seconds(50));
    ASSERT_TRUE(s.ok()) << s.status();
    ASSERT_EQ(*s, 6 + i);
  }
  EXPECT_EQ(ReadByCursor("after"), "1..60");
  Close();
  EXPECT_EQ(ReadBack(), "1..60");
}

// RocksDB error_handler_fs_test: MultiCFWALWriteError.
TEST_F(DiskFullTest, BatchesOfManyThreadsAreHeldWholeAndEndOnce) {
  Open();
  AppendUpTo(5);
  disk_.AddRule({.op = FileOp::kWrite, .error = ENOSPC, .name = "*.seg", .count = 3});
  std::vector<std::thread> threads;
  std::vector<std::vector<SequenceNumber>> firsts(4);
  for (size_t t = 0; t < firsts.size(); ++t) {
    threads.emplace_back([this, t, &firsts] {
      const std::string payload(300, static_cast<char>('a' + t));
      const std::vector<NewRecord> batch(5, NewRecord{payload});
      for (int i = 0; i < 10; ++i) {
        const auto first = log_->AppendBatch(batch);
        ASSERT_TRUE(first.ok()) << first.status();
        firsts[t].push_back(*first);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.accepted, stats.acknowledged + stats.failed + stats.pending);
  Close();
  const std::vector<std::string> payloads = Payloads();
  ASSERT_EQ(payloads.size(), 5u + 4 * 10 * 5);
  for (size_t t = 0; t < firsts.size(); ++t) {
    for (const SequenceNumber first : firsts[t]) {
      for (SequenceNumber s = first; s < first + 5; ++s) {
        ASSERT_EQ(payloads[s - 1], std::string(300, static_cast<char>('a' + t)));
      }
    }
  }
}

}  // namespace
}  // namespace millrace
