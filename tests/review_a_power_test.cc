// Review A: the power goes at every call of a threaded log that rotates, trims all and recycles.
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/sim_file_system.h"

namespace millrace {
namespace {

TEST(ReviewPower, NothingAcknowledgedIsLost) {
  int runs = 0;
  uint64_t recycled = 0;
  for (uint64_t n = 30; n < 900; n += 1) {
    SimFileSystem disk{SimOptions{.seed = n}};
    Options options;
    options.file_system = &disk;
    options.segment_bytes = options.initial_segment_bytes = 8192;
    options.queue_bytes = 64 << 10;
    options.idle_mark_delay = absl::Milliseconds(1);
    std::map<SequenceNumber, std::string> acked;
    std::mutex mu;
    std::atomic<SequenceNumber> trimmed{1};
    {
      auto log = Log::Open("log", options).value();
      disk.CrashAt(n % 450 + 1, static_cast<CrashMoment>(n % 3));
      std::vector<std::thread> threads;
      for (int t = 0; t < 2; ++t)
        threads.emplace_back([&, t] {
          for (int i = 0; i < 80; ++i) {
            std::string payload((i * 397 + n * 31 + t * 91) % 1500,
                                static_cast<char>('a' + i % 26));
            if (i % 3 == 0 &&
                !log->Append(payload + "b", {.durability = Durability::kBuffered}).ok())
              return;
            auto s = log->Append(payload);
            if (!s.ok()) return;
            std::lock_guard l(mu);
            acked[*s] = payload;
          }
        });
      threads.emplace_back([&] {
        for (int i = 0; i < 40; ++i) {
          const SequenceNumber to = log->last_durable() + (i % 2);
          if (to == 0) continue;
          if (to > trimmed) trimmed = to;
          if (!log->TrimBefore(to).ok()) return;
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
      });
      for (auto& t : threads) t.join();
      log->Close().IgnoreError();
      recycled += log->stats().recycled_segments;
    }
    if (disk.powered()) disk.CutPower();
    disk.PowerOn(n);
    options.recovery_policy = RecoveryPolicy::kStrict;
    auto log = Log::Open("log", options);
    ASSERT_TRUE(log.ok()) << n << ": " << log.status();
    EXPECT_LE((*log)->first_retained(), trimmed) << n;
    auto cursor = (*log)->OpenCursor("c").value();
    SequenceNumber next = (*log)->first_retained();
    while (true) {
      auto e = cursor->Next(absl::ZeroDuration());
      if (!e.ok()) break;
      ASSERT_EQ(e->kind, Entry::Kind::kRecord)
          << n << " lost " << e->lost.first << ".." << e->lost.last;
      ASSERT_EQ(e->record.sequence, next) << n;
      auto it = acked.find(next);
      if (it != acked.end()) ASSERT_EQ(it->second, e->record.payload) << n;
      ++next;
    }
    if (!acked.empty()) ASSERT_GT(next, acked.rbegin()->first) << n;
    ++runs;
  }
  std::printf("runs %d, recycled %d\n", runs, static_cast<int>(recycled));
}

}  // namespace
}  // namespace millrace
