// Goal: Log does what its header says: opening and its modes, options and their
// bounds, each durability, limits, flush, trim, stats, close and what comes after.
// Method: a real directory; what was appended is read back through cursors, in
// the same log and after opening it again.

#include "millrace/log.h"

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

constexpr Durability kAll[] = {Durability::kBuffered, Durability::kWritten, Durability::kDurable};

bool Contains(const absl::Status& status, const std::string& text) {
  return std::string(status.message()).find(text) != std::string::npos;
}

class LogTest : public testing::Test {
 protected:
  void Open() {
    log_ = nullptr;
    auto log = Log::Open(directory_, options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
  }
  absl::Status OpenError() { return Log::Open(directory_, options_).status(); }

  SequenceNumber Append(std::string_view payload, Durability durability = Durability::kDurable) {
    auto sequence = log_->Append(payload, {.durability = durability});
    EXPECT_TRUE(sequence.ok()) << sequence.status();
    return sequence.value_or(kNoSequence);
  }

  // Everything durable, as "number:payload".
  std::vector<std::string> ReadAll() {
    std::vector<std::string> read;
    auto cursor = log_->OpenCursor("reader" + std::to_string(++readers_));
    EXPECT_TRUE(cursor.ok()) << cursor.status();
    while (cursor.ok()) {
      auto entry = (*cursor)->Next(absl::ZeroDuration());
      if (!entry.ok()) {
        EXPECT_TRUE(absl::IsDeadlineExceeded(entry.status())) << entry.status();
        break;
      }
      EXPECT_EQ(entry->kind, Entry::Kind::kRecord) << entry->lost.ToString();
      read.push_back(std::to_string(entry->record.sequence) + ":" +
                     std::string(entry->record.payload));
    }
    return read;
  }

  TempDirectory temp_;
  const std::string directory_ = temp_.Sub("log");
  Options options_;
  std::unique_ptr<Log> log_;
  int readers_ = 0;
};

// --- Opening --------------------------------------------------------------------

TEST_F(LogTest, OpenCreatesAnEmptyLog) {
  Open();
  EXPECT_EQ(log_->recovery().outcome, RecoveryReport::Outcome::kCreated);
  EXPECT_EQ(log_->directory(), directory_);
  EXPECT_EQ(log_->last_written(), kNoSequence);
  EXPECT_EQ(log_->last_durable(), kNoSequence);
  EXPECT_EQ(log_->first_retained(), 1u);
  EXPECT_TRUE(ReadAll().empty());
}

TEST_F(LogTest, DirectoryIsForItsOwnerOnly) {
  Open();
  struct stat info;
  ASSERT_EQ(stat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(LogTest, SecondOpenIsRefusedUntilTheFirstIsClosed) {
  Open();
  EXPECT_TRUE(absl::IsAborted(OpenError())) << OpenError();
  EXPECT_TRUE(Contains(OpenError(), directory_));
  ASSERT_TRUE(log_->Close().ok());
  EXPECT_TRUE(OpenError().ok()) << OpenError();
}

TEST_F(LogTest, MustExistRefusesWhatIsNotThere) {
  options_.create_mode = CreateMode::kMustExist;
  EXPECT_TRUE(absl::IsNotFound(OpenError())) << OpenError();
  ASSERT_EQ(mkdir(directory_.c_str(), 0700), 0);
  EXPECT_TRUE(absl::IsNotFound(OpenError())) << OpenError();
  EXPECT_TRUE(Contains(OpenError(), directory_)) << OpenError();
  options_.create_mode = CreateMode::kCreateOrOpen;
  Open();
  options_.create_mode = CreateMode::kMustExist;
  Open();
}

TEST_F(LogTest, MustNotExistRefusesWhatIsThere) {
  options_.create_mode = CreateMode::kMustNotExist;
  Open();
  Append("x");
  log_ = nullptr;
  EXPECT_TRUE(absl::IsAlreadyExists(OpenError())) << OpenError();
}

TEST_F(LogTest, ParentMustExist) {
  const absl::Status status = Log::Open(directory_ + "/a/b").status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

TEST_F(LogTest, ClosedLogOpensClean) {
  Open();
  Append("one");
  Append("two", Durability::kBuffered);
  Open();
  EXPECT_EQ(log_->recovery().outcome, RecoveryReport::Outcome::kClean);
  EXPECT_EQ(log_->recovery().next_sequence, 3u);
  EXPECT_EQ(Append("three"), 3u);
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"1:one", "2:two", "3:three"}));
}

// --- Options --------------------------------------------------------------------

struct BadOption {
  const char* field;
  const char* bound;  // as the message must state it
  std::function<void(Options&)> set;
};

class LogOptionsTest : public LogTest, public testing::WithParamInterface<BadOption> {};

TEST_P(LogOptionsTest, ValueOutOfBoundsIsNamedWithItsBound) {
  GetParam().set(options_);
  const absl::Status status = OpenError();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(Contains(status, std::string("Options::") + GetParam().field + " ")) << status;
  EXPECT_TRUE(Contains(status, GetParam().bound)) << status;
  EXPECT_NE(access(directory_.c_str(), F_OK), 0) << "something was created";
}

INSTANTIATE_TEST_SUITE_P(
    Fields, LogOptionsTest,
    testing::Values(
        BadOption{"create_mode", "enumerators",
                  [](Options& o) { o.create_mode = static_cast<CreateMode>(3); }},
        BadOption{"recovery_policy", "enumerators",
                  [](Options& o) { o.recovery_policy = static_cast<RecoveryPolicy>(9); }},
        BadOption{"segment_bytes", "8192", [](Options& o) { o.segment_bytes = 8191; }},
        BadOption{"segment_bytes", "1073741824",
                  [](Options& o) { o.segment_bytes = (1 << 30) + 1; }},
        BadOption{"initial_segment_bytes", "8192",
                  [](Options& o) { o.initial_segment_bytes = 8191; }},
        BadOption{"initial_segment_bytes", "segment_bytes",
                  [](Options& o) { o.initial_segment_bytes = o.segment_bytes + 1; }},
        BadOption{"queue_records", "64", [](Options& o) { o.queue_records = 63; }},
        BadOption{"queue_records", "4194304", [](Options& o) { o.queue_records = 4194305; }},
        BadOption{"queue_bytes", "65536", [](Options& o) { o.queue_bytes = 65535; }},
        BadOption{"queue_bytes", "274877906944",
                  [](Options& o) { o.queue_bytes = (uint64_t{1} << 38) + 1; }},
        BadOption{"group_bytes", "4096", [](Options& o) { o.group_bytes = 4095; }},
        BadOption{"group_bytes", "67108864", [](Options& o) { o.group_bytes = 67108865; }},
        BadOption{"wait_yields", "100000", [](Options& o) { o.wait_yields = 100'001; }},
        BadOption{"unsynced_bytes", "65536", [](Options& o) { o.unsynced_bytes = 65535; }},
        BadOption{"sync_policy.interval", "between 0",
                  [](Options& o) { o.sync_policy.interval = absl::Nanoseconds(-1); }},
        BadOption{"sync_policy.interval", "8760h",
                  [](Options& o) { o.sync_policy.interval = absl::InfiniteDuration(); }},
        BadOption{"idle_mark_delay", "1ms",
                  [](Options& o) { o.idle_mark_delay = absl::Microseconds(999); }},
        BadOption{"idle_mark_delay", "8760h",
                  [](Options& o) { o.idle_mark_delay = absl::InfiniteDuration(); }}));

TEST_F(LogTest, SmallestOptionsWork) {
  options_.segment_bytes = options_.initial_segment_bytes = 8192;
  options_.queue_records = 64;
  options_.queue_bytes = 65536;
  options_.group_bytes = 4096;
  options_.unsynced_bytes = 65536;
  options_.idle_mark_delay = absl::Milliseconds(1);
  Open();
  std::vector<std::string> expected;
  for (int i = 1; i <= 300; ++i) {
    const std::string payload(i * 7, static_cast<char>('a' + i % 26));
    Append(payload, kAll[i % 3]);
    expected.push_back(std::to_string(i) + ":" + payload);
  }
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_GT(log_->stats().rotations, 10u);
  EXPECT_EQ(ReadAll(), expected);
}

// --- Appending ------------------------------------------------------------------

TEST_F(LogTest, EveryDurabilityIsReadBackAfterReopening) {
  Open();
  for (int i = 0; i < 30; ++i) Append("r" + std::to_string(i + 1), kAll[i % 3]);
  Open();
  const std::vector<std::string> read = ReadAll();
  ASSERT_EQ(read.size(), 30u);
  for (int i = 1; i <= 30; ++i) {
    EXPECT_EQ(read[i - 1], std::to_string(i) + ":r" + std::to_string(i));
  }
}

TEST_F(LogTest, EmptyPayloadIsARecord) {
  Open();
  EXPECT_EQ(Append(""), 1u);
  EXPECT_EQ(Append(std::string_view()), 2u);
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"1:", "2:"}));
}

TEST_F(LogTest, KeyAndAttributesComeBackAsGiven) {
  Open();
  const Attribute attributes[] = {{"name", "value"}, {"", std::string_view("\0\n", 2)}};
  ASSERT_TRUE(log_->Append("payload", {.key = "key", .attributes = attributes}).ok());
  ASSERT_TRUE(log_->Append("no key", {.attributes = attributes}).ok());
  ASSERT_TRUE(log_->Append("empty key", {.key = ""}).ok());
  auto cursor = log_->OpenCursor("c").value();
  Entry entry = cursor->Next().value();
  EXPECT_EQ(entry.record.payload, "payload");
  EXPECT_EQ(entry.record.key, "key");
  ASSERT_EQ(entry.record.attributes.size(), 2u);
  EXPECT_EQ(entry.record.attributes[0].name, "name");
  EXPECT_EQ(entry.record.attributes[0].value, "value");
  EXPECT_EQ(entry.record.attributes[1].value, std::string_view("\0\n", 2));
  entry = cursor->Next().value();
  EXPECT_FALSE(entry.record.key.has_value());
  EXPECT_EQ(entry.record.attributes.size(), 2u);
  entry = cursor->Next().value();
  EXPECT_EQ(entry.record.key, "");
  EXPECT_TRUE(entry.record.attributes.empty());
}

TEST_F(LogTest, LargestPayloadFitsAndOneMoreByteIsRefused) {
  for (const char* limit : {"segment_bytes", "queue_bytes"}) {
    if (limit == std::string_view("segment_bytes")) {
      options_.segment_bytes = options_.initial_segment_bytes = 20000;
    } else {
      options_ = Options();
      options_.queue_bytes = 100000;
    }
    Open();
    const std::string most(log_->max_payload_bytes(), 'x');
    for (Durability durability : kAll) Append(most, durability);
    const absl::Status status = log_->Append(most + "x").status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(Contains(status, limit)) << status;
    EXPECT_TRUE(Contains(status, std::to_string(most.size()))) << status;
    // What a key takes counts as well.
    EXPECT_TRUE(absl::IsInvalidArgument(log_->Append(most, {.key = "k"}).status()));
    ASSERT_TRUE(log_->Flush().ok());
  }
  EXPECT_EQ(ReadAll().size(), 6u);
}

TEST_F(LogTest, FlushMakesBufferedRecordsDurable) {
  Open();
  for (int i = 0; i < 100; ++i) Append("x", Durability::kBuffered);
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_EQ(log_->last_durable(), 100u);
  EXPECT_EQ(log_->last_written(), 100u);
}

TEST_F(LogTest, StatsCountWhatWasDone) {
  Open();
  for (int i = 0; i < 10; ++i) Append("payload");
  const LogStats stats = log_->stats();
  EXPECT_EQ(stats.records, 10u);
  EXPECT_EQ(stats.groups, 10u);
  EXPECT_GE(stats.syncs, 10u);
  EXPECT_GT(stats.bytes_written, 10 * sizeof("payload"));
}

TEST_F(LogTest, RotationUsesSegmentsPreparedAhead) {
  options_.segment_bytes = options_.initial_segment_bytes = 64 << 10;
  Open();
  const std::string payload(1000, 'x');
  // On a busy machine the thread that prepares may come too late for quite some of them.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  LogStats stats;
  while ((stats = log_->stats()).prepared_segments == 0 && absl::Now() < deadline) {
    for (int i = 0; i < 500; ++i) Append(payload, Durability::kWritten);
  }
  EXPECT_GT(stats.rotations, 2u);
  EXPECT_GT(stats.prepared_segments, 0u);
  EXPECT_LT(stats.prepared_segments, stats.rotations);  // never before the first
}

// --- Trimming -------------------------------------------------------------------

class LogTrimTest : public LogTest {
 protected:
  void SetUp() override {
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
    Open();
    for (int i = 0; i < 100; ++i) Append(std::string(1000, 'x'));
  }
};

TEST_F(LogTrimTest, TrimGivesUpWholeSegments) {
  ASSERT_TRUE(log_->TrimBefore(50).ok());
  EXPECT_LE(log_->first_retained(), 50u);
  EXPECT_GT(log_->first_retained(), 30u);
  const SequenceNumber first = log_->first_retained();
  Open();
  EXPECT_EQ(log_->first_retained(), first);
  EXPECT_EQ(ReadAll().size(), 101 - first);
}

TEST_F(LogTrimTest, TrimmedSegmentsAreRecycled) {
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(log_->TrimBefore(Append(std::string(1000, 'x'))).ok());
  }
  EXPECT_GT(log_->stats().recycled_segments, 5u);
}

TEST_F(LogTrimTest, TrimBeyondTheDurableEndIsOutOfRange) {
  EXPECT_TRUE(log_->TrimBefore(101).ok());
  const absl::Status status = log_->TrimBefore(102);
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  EXPECT_TRUE(Contains(status, "102")) << status;
}

TEST_F(LogTrimTest, CursorHoldsTrimmingBackUnlessForced) {
  auto cursor = log_->OpenCursor("slow").value();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(cursor->Next().ok());
  ASSERT_TRUE(cursor->Commit(20).ok());
  ASSERT_TRUE(cursor->Checkpoint().ok());
  EXPECT_TRUE(log_->TrimBefore(21).ok());
  const absl::Status status = log_->TrimBefore(22);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(Contains(status, "slow")) << status;
  EXPECT_LE(log_->first_retained(), 21u);
  EXPECT_TRUE(log_->TrimBefore(90, TrimMode::kForce).ok());
  EXPECT_GT(log_->first_retained(), 21u);
}

TEST_F(LogTrimTest, ClosedCursorHoldsTrimmingBackAfterReopening) {
  log_->OpenCursor("gone").value().reset();
  Open();
  const absl::Status status = log_->TrimBefore(50);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(Contains(status, "gone")) << status;
}

}  // namespace
}  // namespace millrace
