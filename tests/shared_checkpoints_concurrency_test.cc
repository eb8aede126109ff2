// Goal: threads that checkpoint at once share syncs, and none is told of a checkpoint before
// it is durable, while others truncate, open and close, and the log is closed.
// Method: a simulated disk behind a slow sync; run under ThreadSanitizer too.

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/forwarding_file_system.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/shared_cursors.h"
#include "wal/cursor_file.h"
#include "wal/shared_checkpoints.h"

namespace millrace {
namespace {

constexpr int kThreads = 16;

class SharedCheckpointsConcurrencyTest : public SharedCursors {
 protected:
  SharedCheckpointsConcurrencyTest()
      : slow_(&disk_, [this](const FileCall& call) -> std::optional<IoResult> {
          if (call.op == FileOp::kSync) {
            // relaxed: a count, read after the threads are joined.
            syncs_.fetch_add(1, std::memory_order_relaxed);
            std::this_thread::sleep_for(std::chrono::microseconds(200));
          }
          return std::nullopt;
        }) {
    shared_.reset();
    EXPECT_EQ(slow_.OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0);
    shared_ = *SharedCheckpoints::Open(slow_, *directory_, kLogId);
  }
  ~SharedCheckpointsConcurrencyTest() override {
    shared_.reset();
    directory_.reset();
  }

  std::atomic<uint64_t> syncs_ = 0;
  ForwardingFileSystem slow_;
};

TEST_F(SharedCheckpointsConcurrencyTest, ManyThreadsShareFewSyncs) {
  constexpr int kRounds = 100;
  std::vector<CursorPointer> files;
  for (int t = 0; t < kThreads; ++t) {
    files.push_back(Open(absl::StrCat("c", t)));
  }
  for (const CursorPointer& file : files) Write(*file, 1);
  // relaxed: no other thread is there.
  const uint64_t before = syncs_.load(std::memory_order_relaxed);
  std::vector<std::thread> threads;
  for (const CursorPointer& file : files) {
    threads.emplace_back([&file, this] {
      for (int i = 1; i <= kRounds; ++i) {
        Write(*file, 1 + i);
        EXPECT_EQ(file->checkpoint().committed, 1 + i);
        if (i % 20 != 0) continue;
        EXPECT_EQ(Stored(disk_, file->name()).checkpoint, At(1 + i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // relaxed: the threads are joined.
  const uint64_t syncs = syncs_.load(std::memory_order_relaxed) - before;
  EXPECT_LT(syncs, kThreads * kRounds / 4);
  EXPECT_GE(syncs, kRounds);
  files.clear();
}

TEST_F(SharedCheckpointsConcurrencyTest, WhatWasReportedDurableIsFoundWhateverOthersDo) {
  constexpr int kRounds = 30;
  std::vector<CursorPointer> files;
  for (int t = 0; t < 6; ++t) files.push_back(Open(absl::StrCat("c", t)));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= kRounds; ++i) Write(*files[t], 100 * i);
    });
  }
  // Two of them all at once, in both orders.
  for (const bool reversed : {false, true}) {
    threads.emplace_back([&, reversed] {
      for (int i = 1; i <= kRounds; ++i) {
        std::vector<CursorFile::Pending> pending = {{files[4].get(), At(100 * i)},
                                                    {files[5].get(), At(100 * i)}};
        if (reversed) std::swap(pending[0], pending[1]);
        EXPECT_TRUE(CursorFile::WriteAll(pending).ok());
      }
    });
  }
  threads.emplace_back([&] {
    for (uint64_t epoch = 2; epoch < 12; ++epoch) {
      for (const CursorPointer& file : files) EXPECT_TRUE(file->Clamp(epoch, 1500).ok());
    }
  });
  threads.emplace_back([&] {
    for (int i = 1; i <= kRounds; ++i) {
      const CursorPointer passing = Open(absl::StrCat("p", i % 3));
      Write(*passing, passing->checkpoint().committed + 1);
    }
  });
  threads.emplace_back([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    shared_->Close();
  });
  for (std::thread& thread : threads) thread.join();
  // Of epoch 1, all of it was truncated.
  for (const CursorPointer& file : files) {
    EXPECT_EQ(Stored(disk_, file->name()).checkpoint.committed, 1500);
    EXPECT_EQ(Stored(disk_, file->name()).checkpoint.epoch, 11);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Stored(disk_, absl::StrCat("p", i)).checkpoint.committed, kRounds / 3);
  }
}

}  // namespace
}  // namespace millrace
