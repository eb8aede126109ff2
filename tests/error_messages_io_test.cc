// Goal: where the disk fails, the error names the log or cursor, the operation, the file, the
// errno, and what to do about it, whichever public function meets it.
// Method: rows of which call of the simulated file system fails, and with what, in which public
// function, and what that must say.

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/error_row.h"
#include "wal/format.h"

namespace millrace {
namespace {

using Code = absl::StatusCode;

constexpr char kDevice[] = "check the device and the kernel's log";
constexpr char kFiles[] = "raise the limit on open files, or close some";
constexpr char kRight[] = "give this process the right to do it";
constexpr char kSpace[] = "free space, or raise the quota";

// Which call fails, and how.
SimRule Failing(FileOp op, std::string name, int error, uint64_t first = 1) {
  return {.op = op,
          .error = error,
          .name = std::move(name),
          .first = first,
          .count = SimRule::kForever};
}

class ErrorMessagesIoTest : public testing::Test {
 protected:
  struct Row {
    SimRule rule;
    std::function<absl::Status()> call;
    Code code;
    std::vector<std::string> says;
  };

  ErrorMessagesIoTest() { Renew(); }

  // Each row on a disk of its own, with what `prepare` leaves there.
  void ExpectRows(const std::function<void()>& prepare, const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.says[0]);
      Renew();
      prepare();
      disk_->AddRule(row.rule);
      ExpectError(row.call(), row.code, row.says);
      cursor_ = nullptr;
      reader_ = nullptr;
      log_ = nullptr;
    }
  }

  void Renew() {
    cursor_ = nullptr;
    reader_ = nullptr;
    log_ = nullptr;
    disk_ = std::make_unique<SimFileSystem>(SimOptions{.seed = 1});
    options_ = Options();
    options_.file_system = disk_.get();
    options_.idle_mark_delay = absl::Hours(1);
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
  }
  void Open() { log_ = Log::Open("/log", options_).value(); }
  void Append(int count = 5) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(log_->Append(std::string(1000, 'x')).ok());
  }
  void OpenWithCursor() {
    Open();
    cursor_ = log_->OpenCursor("c").value();
    Append();
  }
  // Leaves two segments as a crash does, so that the next open has to look.
  void Crash() {
    Open();
    Append(10);
    disk_->KillProcess();
    log_ = nullptr;
  }
  void OpenReader() {
    Open();
    Append(10);
    reader_ = LogReader::Open("/log", {.file_system = disk_.get()}).value();
  }
  absl::Status Reopen() { return Log::Open("/log", options_).status(); }
  absl::Status Commit() {
    if (absl::Status status = cursor_->Next().status(); !status.ok()) return status;
    if (absl::Status status = cursor_->Commit(cursor_->delivered()); !status.ok()) return status;
    return cursor_->Checkpoint();
  }

  std::unique_ptr<SimFileSystem> disk_;
  Options options_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Cursor> cursor_;
  std::unique_ptr<LogReader> reader_;
};

TEST_F(ErrorMessagesIoTest, OfCreating) {
  const auto open = [&] { return Reopen(); };
  const std::string segment = "00000000000000000001.seg";
  ExpectRows(
      [] {},
      {
          {Failing(FileOp::kMakeDirectory, "*", EACCES),
           open,
           Code::kPermissionDenied,
           {"log /log: open the directory: EACCES", kRight}},
          {Failing(FileOp::kCreate, "LOCK", EROFS),
           open,
           Code::kPermissionDenied,
           {"log /log: open LOCK: EROFS", "mount the file system for writing"}},
          {Failing(FileOp::kLock, "LOCK", ENOSYS),
           open,
           Code::kUnimplemented,
           {"log /log: lock LOCK: ENOSYS", "use a file system that can do it"}},
          {Failing(FileOp::kList, ".", EIO),
           open,
           Code::kInternal,
           {"log /log: list the log's directory: EIO (Input/output error)", kDevice}},
          {Failing(FileOp::kCreate, "LOG", EMFILE),
           open,
           Code::kResourceExhausted,
           {"log /log: open LOG: EMFILE", kFiles}},
          {Failing(FileOp::kWrite, "LOG", EDQUOT),
           open,
           Code::kResourceExhausted,
           {"log /log: write LOG at 4096: EDQUOT", kSpace}},
          {Failing(FileOp::kSync, "LOG", EIO),
           open,
           Code::kInternal,
           {"log /log: sync LOG: EIO", kDevice}},
          {Failing(FileOp::kDirectorySync, ".", EIO),
           open,
           Code::kInternal,
           {"log /log: sync directory of LOG: EIO", kDevice}},
          {Failing(FileOp::kCreate, "*.seg", ENFILE),
           open,
           Code::kResourceExhausted,
           {"log /log: create " + segment + ": ENFILE", kFiles}},
          {Failing(FileOp::kCreate, "*.seg", EEXIST),
           open,
           Code::kAlreadyExists,
           {"log /log: create 0000000000000000000", ".seg: EEXIST",
            "move away what bears that name"}},
          {Failing(FileOp::kWrite, "*.seg", ENOSPC),
           open,
           Code::kResourceExhausted,
           {"log /log: fill " + segment + " at 0: ENOSPC", kSpace}},
          {Failing(FileOp::kWrite, "*.seg", EFBIG, 2),
           open,
           Code::kResourceExhausted,
           {"log /log: write " + segment + " at 0: EFBIG", "raise the limit on the size of files"}},
          {Failing(FileOp::kSync, "*.seg", EIO),
           open,
           Code::kInternal,
           {"log /log: sync 0000000000000000000", ".seg: EIO", kDevice}},
          {Failing(FileOp::kDirectorySync, ".", EIO, 2),
           open,
           Code::kInternal,
           {"log /log: sync the log's directory: EIO", kDevice}},
      });
}

TEST_F(ErrorMessagesIoTest, OfRecovering) {
  const auto open = [&] { return Reopen(); };
  const std::string two = "00000000000000000002.seg";
  ExpectRows([&] { Crash(); }, {
                                   {Failing(FileOp::kOpenDirectory, "*", EACCES),
                                    open,
                                    Code::kPermissionDenied,
                                    {"log /log: open the directory: EACCES", kRight}},
                                   {Failing(FileOp::kList, ".", EIO, 2),
                                    open,
                                    Code::kInternal,
                                    {"log /log: list the log's directory: EIO", kDevice}},
                                   {Failing(FileOp::kOpen, two, EMFILE),
                                    open,
                                    Code::kResourceExhausted,
                                    {"log /log: open " + two + ": EMFILE", kFiles}},
                                   {Failing(FileOp::kOpen, two, EACCES, 2),
                                    open,
                                    Code::kPermissionDenied,
                                    {"log /log: open " + two + ": EACCES", kRight}},
                                   {Failing(FileOp::kStat, two, ENOMEM),
                                    open,
                                    Code::kResourceExhausted,
                                    {"log /log: stat " + two + ": ENOMEM", "free memory"}},
                                   {Failing(FileOp::kOpen, "LOG", EBUSY),
                                    open,
                                    Code::kUnavailable,
                                    {"log /log: open LOG: EBUSY", "try again"}},
                                   {Failing(FileOp::kStat, "LOG", EIO),
                                    open,
                                    Code::kInternal,
                                    {"log /log: stat LOG: EIO", kDevice}},
                               });
  ExpectRows(
      [&] {
        Crash();
        disk_->FlipBit("/log/00000000000000000001.seg", kFramesOffset + 100, 1);
        options_.recovery_policy = RecoveryPolicy::kStopAtFirstLoss;
      },
      {{Failing(FileOp::kRename, two, EPERM),
        open,
        Code::kPermissionDenied,
        {"log /log: set aside " + two + ": EPERM", kRight}}});
}

TEST_F(ErrorMessagesIoTest, OfAppendingFlushingAndClosing) {
  const std::string one = "00000000000000000001.seg";
  const std::string failed = "log /log has failed (close it, and open it again): ";
  const auto append = [&] { return log_->Append("x").status(); };
  const auto held = [&] {
    std::vector<Ticket> tickets;
    // As many as fill a segment, and those that may be prepared already.
    for (int i = 0; i < 33; ++i) {
      tickets.push_back(log_->AppendAsync(std::string(options_.segment_bytes / 8, 'x')).value());
    }
    log_ = nullptr;
    return tickets.back().Wait().status();
  };
  const std::vector<NewRecord> batch(2);
  ExpectRows(
      [&] { Open(); },
      {
          // Held until the log is destroyed.
          {Failing(FileOp::kWrite, "*.seg", ENOSPC),
           held,
           Code::kResourceExhausted,
           {failed + "write " + one + " at 8192: ENOSPC", kSpace}},
          {Failing(FileOp::kSync, "*.seg", EIO),
           append,
           Code::kInternal,
           {failed + "sync " + one + ": EIO (Input/output error)", kDevice}},
          {Failing(FileOp::kWrite, "*.seg", EIO),
           [&] { return log_->AppendBatch(batch).status(); },
           Code::kInternal,
           {failed + "write " + one + " at 8192: EIO", kDevice}},
          {Failing(FileOp::kWrite, "*.seg", EIO),
           [&] { return log_->AppendAsync("x").value().Wait().status(); },
           Code::kInternal,
           {failed + "write " + one + " at 8192: EIO", kDevice}},
          {Failing(FileOp::kWrite, "*.seg", EIO),
           [&] {
             absl::Status told;
             EXPECT_TRUE(
                 log_->AppendAsync("x", {}, [&](auto result) { told = result.status(); }).ok());
             EXPECT_FALSE(log_->Close().ok());
             return told;
           },
           Code::kInternal,
           {failed + "write " + one + " at 8192: EIO", kDevice}},
          {Failing(FileOp::kSync, "*.seg", EIO),
           [&] {
             EXPECT_TRUE(log_->Append("x", {.durability = Durability::kWritten}).ok());
             return log_->Flush();
           },
           Code::kInternal,
           {failed + "sync " + one + ": EIO", kDevice}},
          {Failing(FileOp::kWrite, "*.seg", EIO),
           [&] {
             EXPECT_FALSE(append().ok());
             return log_->WaitDurable(1);
           },
           Code::kInternal,
           {failed + "write " + one + " at 8192: EIO", kDevice}},
          {Failing(FileOp::kWrite, "*.seg", EIO),
           [&] {
             EXPECT_FALSE(append().ok());
             return log_->OpenCursor("c").status();
           },
           Code::kInternal,
           {failed + "write " + one + " at 8192: EIO", kDevice}},
          {Failing(FileOp::kWrite, "*.seg", EIO),
           [&] { return log_->Close(); },
           Code::kInternal,
           {failed + "write " + one + " at 8192: EIO", kDevice}},
      });
  ExpectRows(
      [&] {
        options_.segment_bytes = options_.initial_segment_bytes = 1 << 18;
        Open();
      },
      {{Failing(FileOp::kAllocate, "*.seg", ENOSPC),
        held,
        Code::kResourceExhausted,
        {failed + "allocate 0000000000000000000", " at 270336: ENOSPC", kSpace}},
       {Failing(FileOp::kCreate, "*.seg", EMFILE),
        held,
        Code::kResourceExhausted,
        {failed + "create 0000000000000000000", ": EMFILE", kFiles}}});
}

TEST_F(ErrorMessagesIoTest, OfAppendingWhileTheDiskIsFull) {
  ExpectRows(
      [&] {
        options_.when_disk_full = WhenDiskFull::kRefuse;
        Open();
      },
      {{Failing(FileOp::kWrite, "*.seg", ENOSPC),
        [&] {
          const Ticket held = log_->AppendAsync("held").value();
          while (!log_->stats().disk_full) std::this_thread::yield();
          return log_->Append("x").status();
        },
        Code::kResourceExhausted,
        {"log /log: there is no space for what was accepted before, and Options::when_disk_full is "
         "kRefuse",
         "free space, trim the log, or append again later"}}});
}

TEST_F(ErrorMessagesIoTest, OfTrimmingAndTruncating) {
  const std::string failed = "log /log has failed (close it, and open it again): ";
  const std::string one = "00000000000000000001.seg";
  const auto truncate = [&] { return log_->TruncateAfter(3); };
  const auto trim = [&] { return log_->TrimBefore(18); };
  ExpectRows(
      [&] {
        Open();
        Append(20);
      },
      {{Failing(FileOp::kSync, "*.seg", EIO),
        trim,
        Code::kInternal,
        {failed + "sync 0000000000000000000", ".seg: EIO", "; and going on in another segment: "}},
       {Failing(FileOp::kWrite, "*", ENOSPC),
        trim,
        Code::kResourceExhausted,
        {"log /log: write LOG at ", ": ENOSPC", kSpace}}});
  ExpectRows(
      [&] {
        Open();
        Append();
      },
      {{Failing(FileOp::kOpen, one, EMFILE),
        truncate,
        Code::kResourceExhausted,
        {"log /log: open " + one + ": EMFILE", kFiles}},
       {Failing(FileOp::kRead, one, ENOMEM),
        truncate,
        Code::kResourceExhausted,
        {"log /log: read " + one + " at ", "ENOMEM", "free memory"}},
       {Failing(FileOp::kWrite, "LOG", EIO),
        truncate,
        Code::kInternal,
        {failed + "write LOG at ", ": EIO", kDevice}}});
}

TEST_F(ErrorMessagesIoTest, OfCursors) {
  const auto open = [&] { return log_->OpenCursor("new").status(); };
  const auto remove = [&] { return log_->DeleteCursor("new"); };
  ExpectRows([&] { Open(); },
             {
                 {Failing(FileOp::kCreate, "new.cursor.new", EDQUOT),
                  open,
                  Code::kResourceExhausted,
                  {"log /log: open new.cursor.new: EDQUOT", kSpace}},
                 {Failing(FileOp::kStat, "new.cursor.new", EIO),
                  open,
                  Code::kInternal,
                  {"log /log: stat new.cursor.new: EIO", kDevice}},
                 {Failing(FileOp::kLock, "new.cursor.new", ENOSYS),
                  open,
                  Code::kUnimplemented,
                  {"log /log: lock new.cursor: ENOSYS", "use a file system that can do it"}},
                 {Failing(FileOp::kTruncate, "new.cursor.new", EIO),
                  open,
                  Code::kInternal,
                  {"log /log: truncate new.cursor.new: EIO", kDevice}},
                 {Failing(FileOp::kWrite, "new.cursor.new", ENOSPC),
                  open,
                  Code::kResourceExhausted,
                  {"log /log: write new.cursor.new at 4096: ENOSPC", kSpace}},
                 {Failing(FileOp::kRename, "new.cursor.new", EACCES),
                  open,
                  Code::kPermissionDenied,
                  {"log /log: rename new.cursor.new: EACCES", kRight}},
                 {Failing(FileOp::kDirectorySync, ".", EIO, 2),
                  open,
                  Code::kInternal,
                  {"log /log: sync directory of new.cursor: EIO", kDevice}},
             });
  ExpectRows(
      [&] {
        Open();
        log_->OpenCursor("new").value();
      },
      {
          {Failing(FileOp::kOpen, "new.cursor", EISDIR),
           open,
           Code::kInvalidArgument,
           {"log /log: open new.cursor: EISDIR", "check what stands at that path"}},
          {Failing(FileOp::kOpen, "new.cursor", EMFILE, 2),
           remove,
           Code::kResourceExhausted,
           {"log /log: open new.cursor: EMFILE", kFiles}},
          {Failing(FileOp::kStat, "new.cursor", EIO, 2),
           remove,
           Code::kInternal,
           {"log /log: stat new.cursor: EIO", kDevice}},
          {Failing(FileOp::kUnlink, "new.cursor", EROFS),
           remove,
           Code::kPermissionDenied,
           {"log /log: unlink new.cursor: EROFS", "mount the file system for writing"}},
          {Failing(FileOp::kDirectorySync, ".", EIO),
           remove,
           Code::kInternal,
           {"log /log: sync directory of new.cursor: EIO", kDevice}},
      });
  ExpectRows([&] { OpenWithCursor(); },
             {
                 {Failing(FileOp::kWrite, "c.cursor", ENOSPC),
                  [&] { return Commit(); },
                  Code::kResourceExhausted,
                  {"cursor c: write c.cursor at ", ": ENOSPC", kSpace}},
                 {Failing(FileOp::kSync, "c.cursor", EIO),
                  [&] { return Commit(); },
                  Code::kInternal,
                  {"cursor c: sync c.cursor: EIO", kDevice}},
                 {Failing(FileOp::kSync, "c.cursor", EIO),
                  [&] { return cursor_->Reset(3); },
                  Code::kInternal,
                  {"cursor c: sync c.cursor: EIO", kDevice}},
                 {Failing(FileOp::kSync, "c.cursor", EIO),
                  [&] {
                    EXPECT_TRUE(cursor_->Seek(3).ok() && cursor_->Commit(2).ok());
                    return log_->CheckpointCursors();
                  },
                  Code::kInternal,
                  {"log /log: sync c.cursor: EIO", kDevice}},
                 {Failing(FileOp::kOpen, "*.seg", EMFILE),
                  [&] { return cursor_->Next().status(); },
                  Code::kResourceExhausted,
                  {"cursor c: open 00000000000000000001.seg: EMFILE", kFiles}},
                 {Failing(FileOp::kRead, "*.seg", ENOMEM),
                  [&] { return cursor_->Next().status(); },
                  Code::kResourceExhausted,
                  {"cursor c: read 00000000000000000001.seg at 8192: ENOMEM"}},
                 {Failing(FileOp::kOpen, "*.seg", EMFILE),
                  [&] { return cursor_->Lag().status(); },
                  Code::kResourceExhausted,
                  {"cursor c: open 00000000000000000001.seg: EMFILE", kFiles}},
             });
}

TEST_F(ErrorMessagesIoTest, OfReadingFromOutside) {
  const std::string one = "00000000000000000001.seg";
  const auto open = [&] { return LogReader::Open("/log", {.file_system = disk_.get()}).status(); };
  const auto refresh = [&] { return reader_->Refresh(); };
  const auto walk = [&] { return reader_->WalkSegment(1, [](const FrameInfo&) {}); };
  ExpectRows([&] { OpenReader(); },
             {
                 {Failing(FileOp::kOpenDirectory, "*", EACCES),
                  open,
                  Code::kPermissionDenied,
                  {"open /log: EACCES", kRight}},
                 {Failing(FileOp::kOpen, one, EMFILE),
                  open,
                  Code::kResourceExhausted,
                  {"log /log: open " + one + ": EMFILE", kFiles}},
                 {Failing(FileOp::kList, ".", EIO),
                  refresh,
                  Code::kInternal,
                  {"log /log: list the log's directory: EIO", kDevice}},
                 {Failing(FileOp::kOpen, "LOG", EMFILE),
                  refresh,
                  Code::kResourceExhausted,
                  {"log /log: open LOG: EMFILE", kFiles}},
                 {Failing(FileOp::kOpen, "*.seg", EMFILE),
                  refresh,
                  Code::kResourceExhausted,
                  {"log /log: open 0000000000000000000", ".seg: EMFILE", kFiles}},
                 {Failing(FileOp::kOpen, one, EMFILE),
                  [&] { return reader_->Next().status(); },
                  Code::kResourceExhausted,
                  {"log /log: open " + one + ": EMFILE", kFiles}},
                 {Failing(FileOp::kList, ".", EIO),
                  [&] { return reader_->Segments().status(); },
                  Code::kInternal,
                  {"list /log: EIO", kDevice}},
                 {Failing(FileOp::kList, ".", EIO),
                  [&] { return reader_->Cursors().status(); },
                  Code::kInternal,
                  {"log /log: list the log's directory: EIO", kDevice}},
                 {Failing(FileOp::kOpen, "CURSORS", EMFILE),
                  [&] { return reader_->Cursors().status(); },
                  Code::kResourceExhausted,
                  {"log /log: open CURSORS: EMFILE", kFiles}},
                 {Failing(FileOp::kOpen, one, EACCES),
                  walk,
                  Code::kPermissionDenied,
                  {"log /log: open " + one + ": EACCES", kRight}},
                 {Failing(FileOp::kStat, one, EIO),
                  walk,
                  Code::kInternal,
                  {"log /log: stat " + one + ": EIO", kDevice}},
                 {Failing(FileOp::kRead, one, ENOMEM),
                  walk,
                  Code::kResourceExhausted,
                  {"log /log: read " + one + " at 8192: ENOMEM", "free memory"}},
             });
}

// --- Randomness -------------------------------------------------------------------------------

// Has no random bytes from some call on.
class WithoutRandom final : public FileSystem {
 public:
  WithoutRandom(FileSystem* target, int calls) : target_(target), left_(calls) {}
  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override {
    return target_->OpenDirectory(path, mode, directory);
  }
  IoResult Random(std::span<char> out) override {
    return left_-- > 0 ? target_->Random(out) : -ENOSYS;
  }
  uint64_t BootId() override { return target_->BootId(); }

 private:
  FileSystem* const target_;
  int left_;
};

TEST_F(ErrorMessagesIoTest, OfRandomBytes) {
  WithoutRandom none(disk_.get(), 0);
  options_.file_system = &none;
  ExpectError(Reopen(), Code::kUnimplemented,
              {"log /log: draw random bytes for the log's id: ENOSYS", "use a file system that"});
  WithoutRandom one(disk_.get(), 1);
  options_.file_system = &one;
  ExpectError(Reopen(), Code::kUnimplemented,
              {"log /log: draw random bytes for 0000000000000000000", ".seg: ENOSYS"});
}

}  // namespace
}  // namespace millrace
