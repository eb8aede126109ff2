// Review A: the k-th call of each kind fails, once or for good, under a threaded log that rotates,
// trims and recycles; then the power goes, and everything acknowledged must be there.
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/sim_file_system.h"

namespace millrace {
namespace {

TEST(ReviewErrors, NothingAcknowledgedIsLost) {
  const FileOp ops[] = {
      FileOp::kWrite,  FileOp::kSync,   FileOp::kCreate,        FileOp::kOpen, FileOp::kAllocate,
      FileOp::kRename, FileOp::kUnlink, FileOp::kDirectorySync, FileOp::kStat, FileOp::kTruncate};
  int runs = 0, failed_logs = 0;
  for (FileOp op : ops) {
    for (uint64_t k = 1; k <= 40; k += (k < 12 ? 1 : 4)) {
      for (int mode = 0; mode < 4; ++mode) {
        SimFileSystem disk{SimOptions{.seed = k * 7 + mode}};
        Options options;
        options.file_system = &disk;
        options.segment_bytes = options.initial_segment_bytes = 8192;
        options.queue_bytes = 64 << 10;
        options.idle_mark_delay = absl::Milliseconds(1);
        std::map<SequenceNumber, std::string> acked;
        SequenceNumber trimmed = 1;
        {
          auto opened = Log::Open("log", options);
          ASSERT_TRUE(opened.ok());
          auto log = std::move(*opened);
          SimRule rule{.op = op};
          rule.first = k;
          rule.count = mode & 1 ? SimRule::kForever : 1;
          rule.error = mode & 2 ? ENOSPC : EIO;
          if (op == FileOp::kSync && mode == 0) rule.action = SimRule::Action::kLosePages;
          disk.AddRule(rule);
          for (int i = 0; i < 60; ++i) {
            std::string payload(100 + (i * 397 + k * 31) % 1900, static_cast<char>('a' + i % 26));
            log->Append(payload + "b", {.durability = Durability::kBuffered}).IgnoreError();
            auto s = log->Append(payload);
            if (s.ok()) acked[*s] = payload;
            if (i % 7 == 6 && log->last_durable() > 10) {
              const SequenceNumber to = log->last_durable() - 8;
              if (to > trimmed) trimmed = to;
              log->TrimBefore(to).IgnoreError();
            }
            if (i % 20 == 19) std::this_thread::sleep_for(std::chrono::milliseconds(2));
          }
          if (!log->Close().ok()) ++failed_logs;
        }
        disk.ClearRules();
        if (k % 2 == 0)
          disk.PowerOn(k * 1000 + mode);
        else
          disk.KillProcess();
        options.recovery_policy = RecoveryPolicy::kStrict;
        auto log = Log::Open("log", options);
        const std::string at =
            std::string(FileOpName(op)) + " " + std::to_string(k) + " mode " + std::to_string(mode);
        ASSERT_TRUE(log.ok()) << at << ": " << log.status() << "\n" << disk.Describe();
        EXPECT_LE((*log)->first_retained(), trimmed) << at;
        auto cursor = (*log)->OpenCursor("c").value();
        SequenceNumber next = (*log)->first_retained();
        while (true) {
          auto e = cursor->Next(absl::ZeroDuration());
          if (!e.ok()) break;
          ASSERT_EQ(e->kind, Entry::Kind::kRecord)
              << at << " lost " << e->lost.first << ".." << e->lost.last;
          ASSERT_EQ(e->record.sequence, next) << at;
          auto it = acked.find(next);
          if (it != acked.end()) ASSERT_EQ(it->second, e->record.payload) << at;
          ++next;
        }
        if (!acked.empty()) ASSERT_GT(next, acked.rbegin()->first) << at;
        ++runs;
      }
    }
  }
  std::printf("runs %d, logs that failed %d\n", runs, failed_logs);
}

}  // namespace
}  // namespace millrace
