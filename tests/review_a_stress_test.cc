// Review A: everything at once, closed from several threads at a random moment. For
// ThreadSanitizer.
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/sim_file_system.h"

namespace millrace {
namespace {

TEST(ReviewStress, EveryAppendResolvesOnceAndClosingIsClean) {
  for (int round = 0; round < 40; ++round) {
    SimFileSystem disk{SimOptions{.seed = static_cast<uint64_t>(round + 1)}};
    if (round % 4 == 3) {
      disk.AddRule({.op = FileOp::kSync,
                    .action = SimRule::Action::kLosePages,
                    .error = EIO,
                    .name = "*.seg",
                    .first = 200,
                    .count = 1});
    }
    Options options;
    options.file_system = &disk;
    options.segment_bytes = options.initial_segment_bytes = 8192;
    options.queue_bytes = 64 << 10;
    options.queue_records = 64;
    options.idle_mark_delay = absl::Milliseconds(1);
    if (round % 2) options.sync_policy.interval = absl::Milliseconds(1);
    std::shared_ptr<Log> log = Log::Open("log", options).value();
    std::atomic<uint64_t> accepted{0}, called{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<Producer>> kept(3);
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(round * 10 + t);
        auto made = log->NewProducer();
        if (!made.ok()) return;
        auto producer = std::move(*made);
        while (true) {
          absl::Status status;
          const std::string payload(random() % 3000, 'x');
          const AppendOptions how{.durability = static_cast<Durability>(random() % 3)};
          switch (random() % 4) {
            case 0:
              status = producer->Append(payload, how).status();
              if (how.durability == Durability::kBuffered) break;
              break;
            case 1:
              status = log->Flush();
              break;
            case 2:
              status = log->Append(payload, how).status();
              break;
            default: {
              Log* raw = log.get();
              status = producer->AppendAsync(payload, how, [raw, &called, &accepted](auto) {
                ++called;
                if (called % 5 == 0 &&
                    raw->AppendAsync("inner", {}, [&called](auto) { ++called; }).ok())
                  ++accepted;
              });
              if (status.ok()) ++accepted;
            }
          }
          if (!status.ok() && !absl::IsResourceExhausted(status)) break;
        }
        kept[t] = std::move(producer);
      });
    }
    threads.emplace_back([&] {
      while (true) {
        auto cursor = log->OpenCursor("c");
        if (!cursor.ok()) break;
        for (int i = 0; i < 50; ++i) {
          auto e = (*cursor)->Next(absl::Milliseconds(1));
          if (e.ok() && e->kind == Entry::Kind::kRecord)
            (*cursor)->Commit(e->record.sequence).IgnoreError();
          if (e.ok() && e->kind == Entry::Kind::kLost && e->lost.cause != LossCause::kTrimmed)
            ADD_FAILURE() << "lost " << e->lost.first << ".." << e->lost.last << " cause "
                          << static_cast<int>(e->lost.cause) << " round " << round;
        }
      }
    });
    threads.emplace_back([&] {
      uint64_t n = 0;
      while (true) {
        const absl::Status s = log->TrimBefore(log->last_durable() + 1, TrimMode::kForce);
        if (absl::IsCancelled(s) || (!s.ok() && !absl::IsOutOfRange(s))) break;
        if (++n % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + round));
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        while (absl::IsDeadlineExceeded(
            log->Close(t ? absl::InfiniteDuration() : absl::Milliseconds(1)))) {
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(accepted.load(), called.load()) << round;
    log.reset();
    kept.clear();
  }
}

}  // namespace
}  // namespace millrace
