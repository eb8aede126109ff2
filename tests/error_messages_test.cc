// Goal: whoever gets an error from a public function can act on it without reading our source: the
// message names what was wrong, the value, the bound, and what to do.
// Method: each error is provoked through the public interface; a row lists what its message must
// say.

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "tests/error_row.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

using Code = absl::StatusCode;

class ErrorMessagesTest : public testing::Test {
 protected:
  ErrorMessagesTest() : path_(temp_.Sub("log")) {}

  absl::Status OpenError(const Options& options) { return Log::Open(path_, options).status(); }
  std::unique_ptr<Log> Open(const Options& options = {}) {
    return Log::Open(path_, options).value();
  }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  void Overwrite(const std::string& name, const std::string& bytes) {
    std::ofstream(Path(name), std::ios::binary | std::ios::trunc) << bytes;
  }

  TempDirectory temp_;
  const std::string path_;
};

TEST_F(ErrorMessagesTest, OptionsOutOfBoundsNameFieldValueAndBound) {
  struct Row {
    std::function<void(Options*)> set;
    std::string field, value, bound;
  };
  const std::vector<Row> rows = {
      {[](Options* o) { o->segment_bytes = 8191; }, "segment_bytes", "8191",
       "raise it to at least 8192"},
      {[](Options* o) { o->segment_bytes = (1u << 30) + 1; }, "segment_bytes", "1073741825",
       "lower it to at most 1073741824"},
      {[](Options* o) { o->initial_segment_bytes = 1; }, "initial_segment_bytes", "1",
       "raise it to at least 8192"},
      {[](Options* o) {
         o->segment_bytes = 8192;
         o->initial_segment_bytes = 8193;
       },
       "initial_segment_bytes", "8193", "lower it to at most 8192 (segment_bytes)"},
      {[](Options* o) { o->queue_records = 63; }, "queue_records", "63", "raise it to at least 64"},
      {[](Options* o) { o->queue_records = (1u << 22) + 1; }, "queue_records", "4194305",
       "lower it to at most 4194304"},
      {[](Options* o) { o->queue_bytes = 65535; }, "queue_bytes", "65535",
       "raise it to at least 65536"},
      {[](Options* o) { o->queue_bytes = (uint64_t{1} << 38) + 1; }, "queue_bytes", "274877906945",
       "lower it to at most 274877906944"},
      {[](Options* o) { o->group_bytes = 4095; }, "group_bytes", "4095",
       "raise it to at least 4096"},
      {[](Options* o) { o->group_bytes = (64u << 20) + 1; }, "group_bytes", "67108865",
       "lower it to at most 67108864"},
      {[](Options* o) { o->wait_yields = 100'001; }, "wait_yields", "100001",
       "lower it to at most 100000"},
      {[](Options* o) { o->unsynced_bytes = 65535; }, "unsynced_bytes", "65535",
       "raise it to at least 65536"},
      {[](Options* o) { o->idle_mark_delay = absl::Microseconds(999); }, "idle_mark_delay", "999us",
       "set it to between 1ms and 8760h"},
      {[](Options* o) { o->idle_mark_delay = absl::InfiniteDuration(); }, "idle_mark_delay", "inf",
       "set it to between 1ms and 8760h"},
      {[](Options* o) { o->sync_policy.interval = absl::Seconds(-1); }, "sync_policy.interval",
       "-1s", "set it to between 0 and 8760h"},
      {[](Options* o) { o->create_mode = static_cast<CreateMode>(9); }, "create_mode", "9",
       "one of the enumerators"},
      {[](Options* o) { o->recovery_policy = static_cast<RecoveryPolicy>(9); }, "recovery_policy",
       "9", "one of the enumerators"},
  };
  for (const Row& row : rows) {
    Options options;
    row.set(&options);
    ExpectError(OpenError(options), Code::kInvalidArgument,
                {"Options::" + row.field + " is " + row.value + ": ", row.bound});
  }
  EXPECT_FALSE(std::filesystem::exists(path_))
      << "an option was refused after the directory was made";
}

TEST_F(ErrorMessagesTest, OpeningNamesTheDirectoryAndTheWayOut) {
  Options options;
  options.create_mode = CreateMode::kMustExist;
  ExpectError(OpenError(options), Code::kNotFound, {path_});
  std::filesystem::create_directory(path_);
  ExpectError(OpenError(options), Code::kNotFound,
              {path_, "holds no log", "kMustExist", "choose kCreateOrOpen"});
  const std::unique_ptr<Log> log = Open();
  ExpectError(OpenError({}), Code::kAborted, {path_, "locked", "close that one"});
  options.create_mode = CreateMode::kMustNotExist;
  ASSERT_TRUE(log->Close().ok());
  ExpectError(OpenError(options), Code::kAlreadyExists,
              {path_, "kMustNotExist", "another directory"});
  ExpectError(Log::Open(temp_.Sub("no/such/parent")).status(), Code::kNotFound,
              {temp_.Sub("no/such/parent"), "ENOENT"});
  Overwrite("file", "x");
  ExpectError(Log::Open(Path("file")).status(), Code::kInvalidArgument, {Path("file"), "ENOTDIR"});
}

TEST_F(ErrorMessagesTest, ARecordThatIsTooLargeNamesTheOptionThatBoundsIt) {
  Options options;
  options.segment_bytes = options.initial_segment_bytes = 8192;
  std::unique_ptr<Log> log = Open(options);
  const uint64_t most = log->max_payload_bytes();
  const std::string large(most + 1, 'x');
  ExpectError(log->Append(large).status(), Code::kInvalidArgument,
              {path_, std::to_string(most + 1) + " bytes", std::to_string(most),
               "Options::segment_bytes = 8192"});
  ASSERT_TRUE(log->Close().ok());
  log.reset();
  options.segment_bytes = uint64_t{1} << 20;
  options.queue_bytes = 65536;
  log = Open(options);
  const std::string larger(log->max_payload_bytes() + 1, 'x');
  ExpectError(log->NewProducer().value()->Append(larger).status(), Code::kInvalidArgument,
              {path_, std::to_string(larger.size()) + " bytes", "Options::queue_bytes"});
}

TEST_F(ErrorMessagesTest, ACursorsNameIsQuotedWithItsRules) {
  const std::unique_ptr<Log> log = Open();
  for (const std::string& name : {std::string(), std::string(".hidden"), std::string("a/b"),
                                  std::string("b c"), std::string(129, 'n')}) {
    ExpectError(log->OpenCursor(name).status(), Code::kInvalidArgument,
                {"cursor name \"" + name.substr(0, 128) + "\"",
                 "(" + std::to_string(name.size()) + " bytes)", "1 to 128", "'.', '_' and '-'"});
  }
}

TEST_F(ErrorMessagesTest, ACursorNamesItselfTheNumberAndTheBound) {
  const std::unique_ptr<Log> log = Open();
  ASSERT_TRUE(log->Append("x").ok());
  ExpectError(log->OpenCursor("billing", {.start = CursorStart::At(7)}).status(), Code::kOutOfRange,
              {"cursor billing", "record 7", "is 2", "start at that"});
  const std::unique_ptr<Cursor> cursor = log->OpenCursor("billing").value();
  ExpectError(log->OpenCursor("billing").status(), Code::kAborted,
              {"cursor billing is open elsewhere", "one opener"});
  ASSERT_TRUE(cursor->Next().ok());
  ExpectError(cursor->Commit(5), Code::kOutOfRange,
              {"cursor billing", "commit of 5", "delivered is 1"});
  ExpectError(cursor->Next(absl::ZeroDuration()).status(), Code::kDeadlineExceeded,
              {"cursor billing", "record 2 is not durable yet"});
}

TEST_F(ErrorMessagesTest, ACursorsFileIsNamedWithWhatToDoAboutIt) {
  const std::unique_ptr<Log> log = Open();
  ASSERT_TRUE(log->OpenCursor("a").ok());
  std::filesystem::copy_file(Path("a.cursor"), Path("copy.cursor"));
  ExpectError(log->OpenCursor("copy").status(), Code::kFailedPrecondition,
              {path_, "copy.cursor belongs to cursor a", "delete the cursor to start copy anew"});
  Overwrite("damaged.cursor", std::string(1000, 'x'));
  ExpectError(log->OpenCursor("damaged").status(), Code::kDataLoss,
              {path_, "damaged.cursor", "neither of its two slots is valid",
               "position of cursor damaged", "delete the cursor"});
  ASSERT_EQ(mkfifo(Path("pipe.cursor").c_str(), 0600), 0);
  ExpectError(log->OpenCursor("pipe").status(), Code::kInvalidArgument,
              {path_, "open pipe.cursor: EINVAL", "check what stands at that path"});
  std::filesystem::create_directory(Path("folder.cursor"));
  ExpectError(log->OpenCursor("folder").status(), Code::kInvalidArgument,
              {path_, "open folder.cursor: E", "check what stands"});
}

TEST_F(ErrorMessagesTest, ATrimNamesTheBoundOrTheCursorInItsWay) {
  const std::unique_ptr<Log> log = Open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(log->Append("x").ok());
  ExpectError(log->TrimBefore(9), Code::kOutOfRange,
              {"trim before 9", "up to 3 are durable", "trim less"});
  const std::unique_ptr<Cursor> cursor = log->OpenCursor("slow").value();
  ExpectError(log->TrimBefore(3), Code::kFailedPrecondition,
              {"trim before 3", "cursor slow", "only up to 0", "TrimMode::kForce"});
}

TEST_F(ErrorMessagesTest, AClosedLogIsNamedInEveryCall) {
  const std::unique_ptr<Log> log = Open();
  const std::unique_ptr<Producer> producer = log->NewProducer().value();
  const std::unique_ptr<Cursor> cursor = log->OpenCursor("c").value();
  ASSERT_TRUE(log->Close().ok());
  const std::vector<absl::Status> errors = {
      log->Append("x").status(),
      log->AppendAsync("x", {}, [](auto) {}),
      log->Flush(),
      log->NewProducer().status(),
      log->OpenCursor("d").status(),
      log->TrimBefore(1),
      producer->Append("x").status(),
      cursor->Next().status(),
  };
  for (const absl::Status& error : errors) {
    ExpectError(error, Code::kCancelled, {"log " + path_ + " is closed"});
  }
}

TEST_F(ErrorMessagesTest, ClosingInACallbackSaysWhyNot) {
  const std::unique_ptr<Log> log = Open();
  absl::Status closed;
  ASSERT_TRUE(log->AppendAsync("x", {}, [&](auto) { closed = log->Close(); }).ok());
  ASSERT_TRUE(log->Close().ok());
  ExpectError(closed, Code::kFailedPrecondition, {path_, "waits for callbacks"});
}

TEST_F(ErrorMessagesTest, TooManyProducersNameTheLimit) {
  const std::unique_ptr<Log> log = Open();
  std::vector<std::unique_ptr<Producer>> producers;
  absl::Status status;
  while (status.ok() && producers.size() < 5000) {
    absl::StatusOr<std::unique_ptr<Producer>> producer = log->NewProducer();
    status = producer.status();
    if (producer.ok()) producers.push_back(*std::move(producer));
  }
  EXPECT_EQ(producers.size(), 4096);
  ExpectError(status, Code::kResourceExhausted, {path_, "4096 producers", "destroy one"});
}

TEST_F(ErrorMessagesTest, AReaderNamesThePathAndTheLastRecord) {
  ExpectError(LogReader::Open(path_).status(), Code::kNotFound, {path_});
  std::filesystem::create_directory(path_);
  ExpectError(LogReader::Open(path_).status(), Code::kNotFound, {"no log in " + path_});
  const std::unique_ptr<Log> log = Open();
  ASSERT_TRUE(log->Append("x").ok());
  ASSERT_TRUE(log->Close().ok());
  const std::unique_ptr<LogReader> reader = LogReader::Open(path_).value();
  ASSERT_TRUE(reader->Next().ok());
  ExpectError(reader->Next().status(), Code::kOutOfRange, {path_, "ends with record 1"});
}

TEST_F(ErrorMessagesTest, ALossUnderKStrictIsNamedWithTheWaysOut) {
  {
    const std::unique_ptr<Log> log = Open();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(log->Append("payload").ok());
    ASSERT_TRUE(log->Close().ok());
  }
  const std::string segment = "00000000000000000001.seg";
  std::string bytes;
  {
    std::ifstream file(Path(segment), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  bytes.at(bytes.find("payload")) ^= 1;
  Overwrite(segment, bytes);
  Options options;
  options.recovery_policy = RecoveryPolicy::kStrict;
  ExpectError(OpenError(options), Code::kDataLoss,
              {path_, "record 1 (acknowledged): segment 1, bytes ", ": checksum",
               "nothing was changed", "kSalvage", "kStopAtFirstLoss"});
}

}  // namespace
}  // namespace millrace
