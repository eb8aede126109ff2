#ifndef MILLRACE_CURSOR_FIXTURE_H_
#define MILLRACE_CURSOR_FIXTURE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/cursor.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/fake_log_writer.h"
#include "wal/cursor_context.h"
#include "wal/cursor_events.h"
#include "wal/cursor_file.h"
#include "wal/cursor_registry.h"
#include "wal/cursor_state.h"
#include "wal/fork_guard.h"
#include "wal/mutex.h"
#include "wal/strings.h"

namespace millrace {

inline constexpr absl::Duration kNow = absl::ZeroDuration();

// A cursor beside a writer in the test's hands.
class CursorTest : public testing::Test {
 protected:
  CursorTest() : disk_({.seed = 1}) {
    std::unique_ptr<Directory> directory;
    EXPECT_EQ(disk_.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
    directory_ = std::move(directory);
    writer_ = std::make_unique<FakeWriter>(*directory_);
    EXPECT_TRUE(RegisterCursors(*directory_, kLogId, {}, *registry_).ok());
  }

  CursorContext Context() {
    CursorContext context;
    context.directory = directory_;
    context.log_id = kLogId;
    context.segments = writer_->segments;
    context.watermark = writer_->watermark;
    context.registry = registry_;
    context.process = std::make_shared<ForkGuard>();
    context.events = events_;
    return context;
  }

  absl::StatusOr<std::unique_ptr<Cursor>> Open(const CursorOptions& options = {}) {
    return OpenCursor(Context(), "c", options);
  }
  std::unique_ptr<Cursor> MustOpen(const CursorOptions& options = {}) {
    auto cursor = Open(options);
    EXPECT_TRUE(cursor.ok()) << cursor.status();
    return *std::move(cursor);
  }

  // Fills segments of 20 records, in groups of ten.
  void AppendTens(SequenceNumber last) {
    for (SequenceNumber s = writer_->watermark->last_written() + 10; s <= last; s += 10) {
      writer_->AppendTo(s);
    }
  }

  // What comes next, now.
  static Entry MustNext(Cursor& cursor) {
    auto entry = cursor.Next(kNow);
    EXPECT_TRUE(entry.ok()) << entry.status();
    return entry.ok() ? *std::move(entry) : Entry();
  }
  static void ExpectTruncated(Cursor& cursor, SequenceNumber after) {
    const Entry entry = MustNext(cursor);
    EXPECT_EQ(entry.kind, Entry::Kind::kTruncated);
    EXPECT_EQ(entry.truncated_after, after);
    EXPECT_LE(cursor.delivered(), after);
    EXPECT_LE(cursor.committed(), after);
  }
  static void ExpectEnd(Cursor& cursor) {
    const absl::Status status = cursor.Next(kNow).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  }

  // What the cursor's file says.
  CursorCheckpoint OnDisk(const std::string& name = "c") {
    const auto cursors = ReadCursors(*directory_);
    EXPECT_TRUE(cursors.ok());
    for (const StoredCursor& cursor : *cursors) {
      if (cursor.name == name) return cursor.checkpoint;
    }
    ADD_FAILURE() << "no file of cursor " << name;
    return {};
  }

  // Expects the records first..last, in order, there now.
  static void ExpectRecords(Cursor& cursor, SequenceNumber first, SequenceNumber last,
                            const std::string& suffix = "") {
    for (SequenceNumber s = first; s <= last; ++s) {
      const auto entry = cursor.Next(kNow);
      ASSERT_TRUE(entry.ok()) << s << ": " << entry.status();
      ASSERT_EQ(entry->kind, Entry::Kind::kRecord) << s;
      EXPECT_EQ(entry->record.sequence, s);
      EXPECT_EQ(entry->record.payload, Payload(s) + suffix);
      EXPECT_EQ(cursor.delivered(), s);
    }
  }

  // What the owner of the log hears.
  class Events : public CursorEvents {
   public:
    void Lost(std::string_view cursor, const LostRange& lost) override {
      MutexLock lock(&mu_);
      text_ += absl::StrCat(ToAbsl(cursor), " lost ", lost.first, "..", lost.last, "; ");
    }
    void SetBack(std::string_view cursor, SequenceNumber from, SequenceNumber to) override {
      MutexLock lock(&mu_);
      text_ += absl::StrCat(ToAbsl(cursor), " set back ", from, " to ", to, "; ");
    }
    void CheckpointFailed(std::string_view cursor, const absl::Status& /*status*/) override {
      MutexLock lock(&mu_);
      text_ += absl::StrCat(ToAbsl(cursor), " failed; ");
    }
    std::string text() const {
      MutexLock lock(&mu_);
      return text_;
    }

   private:
    mutable Mutex mu_;
    std::string text_ ABSL_GUARDED_BY(mu_);
  };

  SimFileSystem disk_;
  std::shared_ptr<Directory> directory_;
  std::unique_ptr<FakeWriter> writer_;
  std::shared_ptr<CursorRegistry> registry_ = std::make_shared<CursorRegistry>();
  std::shared_ptr<Events> events_ = std::make_shared<Events>();
};

}  // namespace millrace

#endif  // MILLRACE_CURSOR_FIXTURE_H_
