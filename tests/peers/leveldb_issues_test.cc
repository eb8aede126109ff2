// Goal: the losses that users of LevelDB reported, and what its env_posix_test asks of its
// files, do not happen here.
// Method: each report's story told on a simulated disk, at every place where it can happen;
// file descriptors and threads on a real one.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "tests/temp_directory.h"
#include "wal/format.h"

namespace millrace {
namespace {

class LevelDbIssuesTest : public PeerLogTest {};

// LevelDB issue #1287: what is appended behind a torn tail is skipped together with it.
TEST_F(LevelDbIssuesTest, AppendAfterATornTailIsReadAfterTheNextOpening) {
  Open();
  AppendUpTo(5, 300);
  Kill();
  const Place last = PlaceOf(5);
  const std::string bytes = BytesOf(last.segment);
  const std::unique_ptr<SimFileSystem> before = disk_.Clone();
  for (uint64_t size = last.begin + 1; size < last.end; size += 5) {
    const std::unique_ptr<SimFileSystem> disk = before->Clone();
    disk->WriteFileBytes(PathOf(last.segment), bytes.substr(0, size));
    Options options = options_;
    options.file_system = disk.get();
    {
      const auto log = Log::Open("log", options).value();
      ASSERT_EQ(log->last_durable(), 4u) << size;
      ASSERT_EQ(log->Append("behind the tear").value(), 5u);
    }
    const auto log = Log::Open("log", options).value();
    ASSERT_EQ(log->recovery().lost.size(), 0u) << log->recovery().ToString();
    auto cursor = log->OpenCursor("c").value();
    for (SequenceNumber s = 1; s <= 4; ++s) ASSERT_EQ(cursor->Next()->record.sequence, s);
    ASSERT_EQ(cursor->Next()->record.payload, "behind the tear") << size;
  }
}

// LevelDB issue #251: a hole of zeros, and later records behind it that the disk had kept.
TEST_F(LevelDbIssuesTest, AHoleThenALaterFrameIsCutAboveTheMarkAndNamedBelowIt) {
  SegmentBuilder segment(Header(1, 1));
  AddGroup(segment, 0, 6, 600);
  const std::string bytes = segment.Bytes();
  for (SequenceNumber hole = 1; hole <= 5; ++hole) {
    for (SequenceNumber mark = 0; mark <= 6; ++mark) {
      std::string with_hole = bytes;
      const uint64_t begin = segment.FrameBegin(hole);
      with_hole.replace(begin, segment.FrameBegin(hole + 1) - begin,
                        segment.FrameBegin(hole + 1) - begin, '\0');
      Put(1, with_hole);
      PutSuperblock(OwnSuperblock(mark));
      const std::string before = hole == 1 ? "" : absl::StrCat("1..", hole - 1, " ");
      std::string expected = before;
      if (hole <= mark) {
        absl::StrAppend(&expected, "lost ", hole, "..", hole, " acknowledged zeroed ", hole + 1,
                        "..6");
      } else if (hole > 1) {
        expected.pop_back();
      }
      ASSERT_EQ(ReadBack(), expected) << "hole " << hole << " mark " << mark;
      Recover();
      ASSERT_EQ(report_.next_sequence, hole <= mark ? 7 : hole);
      ASSERT_EQ(report_.tail_records_dropped, hole <= mark ? 0 : 6 - hole);
    }
  }
}

// LevelDB issue #193: a new log file is written to before the old one's data is durable.
TEST_F(LevelDbIssuesTest, AnOldSegmentUnsyncedAndANewOneSyncedLoseASuffixOnly) {
  Open();
  SequenceNumber written = 0;
  std::vector<SequenceNumber> durable;
  uint64_t images = 0;
  while (Segments().size() < 6) {
    ++written;
    const bool sync = written % 7 == 0;
    Append(Payload(written, 900), sync ? Durability::kDurable : Durability::kWritten);
    if (sync) durable.push_back(written);
    const SequenceNumber acknowledged = durable.empty() ? 0 : durable.back();
    disk_.ForEachCrashImage(12, written, [&](SimFileSystem& image, ImageId id) {
      ++images;
      Options options = options_;
      options.file_system = &image;
      const auto log = Log::Open("log", options);
      ASSERT_TRUE(log.ok()) << log.status();
      const SequenceNumber last = (*log)->last_durable();
      ASSERT_GE(last, acknowledged) << "image " << id << " after " << written;
      auto cursor = (*log)->OpenCursor("c").value();
      for (SequenceNumber s = 1; s <= last; ++s) {
        const Entry entry = cursor->Next(absl::ZeroDuration()).value();
        ASSERT_EQ(entry.record.sequence, s) << "a hole, image " << id;
        ASSERT_EQ(entry.record.payload, Payload(s, 900));
      }
    });
  }
  EXPECT_GT(images, 250u);
}

// LevelDB issues #189, #195, #196: a file is there before its directory entry is durable, and the
// manifest is renamed before what it names is.
TEST_F(LevelDbIssuesTest, CreatingAndRotatingSurviveEveryLossOfDirectoryEntries) {
  // The threads of the log call too, beside each other.
  std::atomic<SequenceNumber> acknowledged_now{0};
  std::atomic<uint64_t> images{0};
  disk_.SetHook([&](const FileCall& call) {
    if (call.number == 0) return SimVerdict::kProceed;
    const SequenceNumber acknowledged = acknowledged_now;
    disk_.ForEachCrashImage(8, call.number, [&](SimFileSystem& image, ImageId id) {
      ++images;
      Options options = options_;
      options.file_system = &image;
      const auto log = Log::Open("log", options);
      ASSERT_TRUE(log.ok()) << log.status() << " image " << id << " of call " << call.number;
      ASSERT_GE((*log)->last_durable(), acknowledged) << "image " << id << " of " << call.number;
      ASSERT_EQ((*log)->recovery().records_lost(), 0u) << (*log)->recovery().ToString();
    });
    return SimVerdict::kProceed;
  });
  Open();
  for (SequenceNumber s = 1; s <= 24; ++s) {
    Append(Payload(s, 1000));
    acknowledged_now = s;
  }
  Close();
  disk_.SetHook(nullptr);
  EXPECT_GT(images, 300u);
}

// LevelDB issue #203: concurrent writers' records are interleaved inside one another.
TEST_F(LevelDbIssuesTest, ConcurrentAppendsNeverInterleaveInsideARecord) {
  options_.segment_bytes = 1 << 20;
  Open();
  std::vector<std::thread> threads;
  for (char name = 'a'; name < 'e'; ++name) {
    threads.emplace_back([this, name] {
      for (int i = 0; i < 300; ++i) {
        const size_t bytes = 1 + static_cast<size_t>(i * 37 % 3000);
        const Durability durability = i % 50 == 0 ? Durability::kDurable : Durability::kBuffered;
        EXPECT_TRUE(log_->Append(std::string(bytes, name), {.durability = durability}).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Close();
  std::map<char, int> next;
  for (const std::string& payload : Payloads()) {
    const int i = next[payload[0]]++;
    ASSERT_EQ(payload, std::string(1 + static_cast<size_t>(i * 37 % 3000), payload[0]));
  }
  for (char name = 'a'; name < 'e'; ++name) EXPECT_EQ(next[name], 300) << name;
}

// --- env_posix_test ---------------------------------------------------------------------

class LevelDbPosixTest : public testing::Test {
 protected:
  // The descriptors of this process that point into `directory`, with their close-on-exec flag.
  static std::vector<std::pair<std::string, bool>> Descriptors(const std::string& directory) {
    std::vector<std::pair<std::string, bool>> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
      if (error || !target.starts_with(directory)) continue;
      const int flags = fcntl(std::stoi(entry.path().filename().string()), F_GETFD);
      found.emplace_back(target, (flags & FD_CLOEXEC) != 0);
    }
    return found;
  }

  TempDirectory temp_;
};

// LevelDB env_posix_test: TestCloseOnExecSequentialFile, TestCloseOnExecRandomAccessFile,
// TestCloseOnExecWritableFile, TestCloseOnExecAppendableFile, TestCloseOnExecLockFile,
// TestCloseOnExecLogger.
TEST_F(LevelDbPosixTest, NoFileOfTheLogOutlivesAnExec) {
  const std::string directory = std::filesystem::canonical(temp_.path()).string();
  Options options;
  options.segment_bytes = options.initial_segment_bytes = 8192;
  const auto log = Log::Open(directory + "/log", options).value();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(log->Append(std::string(1000, 'x')).ok());
  // Cursors hold their own file, a segment, and together CURSORS.
  auto first = log->OpenCursor("first", {.checkpoint_records = 1}).value();
  auto second = log->OpenCursor("second", {.checkpoint_records = 1}).value();
  for (auto* cursor : {first.get(), second.get()}) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(cursor->Next().ok());
    ASSERT_TRUE(cursor->Commit(3).ok());
  }
  const auto reader = LogReader::Open(directory + "/log").value();
  ASSERT_TRUE(reader->Next().ok());
  const auto descriptors = Descriptors(directory);
  EXPECT_GE(descriptors.size(), 6u) << "lock, superblock, segments, cursors";
  for (const auto& [target, closes] : descriptors) EXPECT_TRUE(closes) << target;
}

// LevelDB env_posix_test: TestOpenOnRead.
TEST_F(LevelDbPosixTest, ManyReadersOfOneLogHoldFewDescriptorsEach) {
  const std::string directory = std::filesystem::canonical(temp_.path()).string();
  Options options;
  options.segment_bytes = options.initial_segment_bytes = 8192;
  const auto log = Log::Open(directory + "/log", options).value();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(log->Append(std::string(1000, 'x')).ok());
  constexpr size_t kReaders = 40;
  std::vector<std::unique_ptr<LogReader>> readers;
  const size_t before = Descriptors(directory).size();
  for (size_t i = 0; i < kReaders; ++i) {
    readers.push_back(LogReader::Open(directory + "/log").value());
    for (int n = 0; n < 90; ++n) ASSERT_TRUE(readers.back()->Next().ok());
  }
  EXPECT_LE(Descriptors(directory).size(), before + 3 * kReaders) << "not one for each segment";
  readers.clear();
  EXPECT_EQ(Descriptors(directory).size(), before);
}

}  // namespace
}  // namespace millrace
