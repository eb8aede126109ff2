// Goal: a batch is what its records are, with consecutive numbers, by every way to append;
// what cannot be one is refused with the limit that it breaks.
// Method: logs over the simulated disk; what was appended is read back by a cursor.

#include <future>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/held_log.h"

namespace millrace {
namespace {

class AppendBatchTest : public HeldLogTest {
 protected:
  // What AppendBatch with these options is refused for.
  absl::Status Refusal(const std::vector<NewRecord>& batch, const AppendOptions& options = {}) {
    const SequenceNumber before = log_->last_written();
    const absl::Status status = log_->AppendBatch(batch, options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_FALSE(MayHaveBeenAppended(status));
    EXPECT_TRUE(Names(status, "log /log: ")) << status;
    EXPECT_EQ(log_->AppendBatchAsync(batch, options).status(), status);
    EXPECT_EQ(log_->AppendBatchAsync(batch, options, [](auto) { ADD_FAILURE() << "called"; }),
              status);
    EXPECT_EQ(log_->last_written(), before);
    return status;
  }
};

TEST_F(AppendBatchTest, RecordsGetConsecutiveNumbersOfWhichTheFirstIsReturned) {
  Open();
  EXPECT_EQ(log_->Append("1").value(), 1u);
  const std::vector<NewRecord> three = {{.payload = "2"}, {.payload = "3"}, {.payload = "4"}};
  EXPECT_EQ(log_->AppendBatch(three).value(), 2u);
  EXPECT_EQ(log_->last_durable(), 4u);
  const std::vector<NewRecord> one = {{.payload = "5"}};
  EXPECT_EQ(log_->AppendBatch(one, {.durability = Durability::kWritten}).value(), 5u);
  EXPECT_EQ(log_->AppendBatch(one, {.durability = Durability::kBuffered}).value(), kNoSequence);
  EXPECT_EQ(log_->Append("7").value(), 7u);
  EXPECT_EQ(Reread(), (std::vector<std::string>{"1", "2", "3", "4", "5", "5", "7"}));
}

TEST_F(AppendBatchTest, EveryWayToAppendABatchGivesItsFirstNumber) {
  Open();
  auto producer = log_->NewProducer().value();
  const std::vector<NewRecord> two = {{.payload = "a"}, {.payload = "b"}};
  EXPECT_EQ(producer->AppendBatch(two).value(), 1u);
  EXPECT_EQ(log_->AppendBatchAsync(two)->Wait().value(), 3u);
  EXPECT_EQ(producer->AppendBatchAsync(two)->Wait().value(), 5u);
  std::promise<SequenceNumber> by_log;
  ASSERT_TRUE(log_->AppendBatchAsync(two, {}, [&](auto s) { by_log.set_value(s.value()); }).ok());
  EXPECT_EQ(by_log.get_future().get(), 7u);
  std::promise<SequenceNumber> by_producer;
  ASSERT_TRUE(
      producer->AppendBatchAsync(two, {}, [&](auto s) { by_producer.set_value(s.value()); }).ok());
  EXPECT_EQ(by_producer.get_future().get(), 9u);
  EXPECT_EQ(log_->AppendBatch(two, {.timeout = absl::Hours(1)}).value(), 11u);
  EXPECT_EQ(Reread().size(), 12u);
}

TEST_F(AppendBatchTest, KeysAttributesAndEmptyRecordsComeBackAsGiven) {
  Open();
  const std::string binary("\0\xff", 2);
  const std::vector<Attribute> attributes = {{"name", "value"}, {"", binary}};
  const std::vector<NewRecord> batch = {
      NewRecord(),
      {.payload = "payload", .key = "key"},
      {.payload = binary, .attributes = attributes},
      {.payload = "", .key = "", .attributes = attributes},
  };
  ASSERT_EQ(log_->AppendBatch(batch).value(), 1u);
  auto cursor = log_->OpenCursor("c").value();
  for (const NewRecord& expected : batch) {
    const Record record = cursor->Next().value().record;
    EXPECT_EQ(record.payload, expected.payload);
    EXPECT_EQ(record.key, expected.key);
    ASSERT_EQ(record.attributes.size(), expected.attributes.size());
    for (size_t i = 0; i < expected.attributes.size(); ++i) {
      EXPECT_EQ(record.attributes[i].name, expected.attributes[i].name);
      EXPECT_EQ(record.attributes[i].value, expected.attributes[i].value);
    }
  }
}

TEST_F(AppendBatchTest, EmptyBatchIsRefused) {
  Open();
  EXPECT_TRUE(Names(Refusal({}), "a batch of 0 records"));
}

TEST_F(AppendBatchTest, KeyOrAttributesInTheOptionsAreRefused) {
  Open();
  const std::vector<NewRecord> batch = {{.payload = "x"}};
  const std::vector<Attribute> attributes = {{"a", "b"}};
  EXPECT_TRUE(Names(Refusal(batch, {.key = "k"}), "NewRecord::key"));
  EXPECT_TRUE(Names(Refusal(batch, {.attributes = attributes}), "NewRecord::key and attributes"));
}

TEST_F(AppendBatchTest, AsManyRecordsAsAQuarterOfTheQueueFitAndOneMoreIsRefused) {
  options_.queue_records = 100;
  Open();
  ASSERT_EQ(log_->max_batch_records(), 25u);
  EXPECT_TRUE(log_->AppendBatch(std::vector<NewRecord>(25)).ok());
  const absl::Status status = Refusal(std::vector<NewRecord>(26));
  EXPECT_TRUE(Names(status, "a batch of 26 records is over the limit of 25")) << status;
  EXPECT_TRUE(Names(status, "Options::queue_records = 100")) << status;
}

TEST_F(AppendBatchTest, TheFormatBoundsTheRecordsOfABatch) {
  options_.queue_records = 1 << 22;
  Open();
  ASSERT_EQ(log_->max_batch_records(), 65535u);
  EXPECT_EQ(log_->AppendBatch(std::vector<NewRecord>(65535)).value(), 1u);
  EXPECT_EQ(log_->last_durable(), 65535u);
  EXPECT_TRUE(Names(Refusal(std::vector<NewRecord>(65536)), "which the format sets"));
}

TEST_F(AppendBatchTest, AsManyBytesAsFitOneSegmentFitAndOneMoreIsRefused) {
  options_.segment_bytes = options_.initial_segment_bytes = 8192;
  Open();
  // Beside the records, four bytes each.
  const std::string half((log_->max_payload_bytes() - 8) / 2, 'x');
  const std::string rest(log_->max_payload_bytes() - 8 - half.size(), 'y');
  EXPECT_TRUE(log_->AppendBatch(std::vector<NewRecord>{{.payload = half}, {.payload = rest}}).ok());
  const absl::Status status = Refusal({{.payload = half}, {.payload = rest + "z"}});
  EXPECT_TRUE(Names(status, "a batch of 2 records")) << status;
  EXPECT_TRUE(Names(status, "Options::segment_bytes = 8192")) << status;
  EXPECT_EQ(Reread(), (std::vector<std::string>{half, rest}));
}

TEST_F(AppendBatchTest, AQuarterOfTheQueuesBytesBoundsABatch) {
  options_.queue_bytes = 64 << 10;
  Open();
  const std::string payload(log_->max_payload_bytes() / 2, 'x');
  const absl::Status status = Refusal({{.payload = payload}, {.payload = payload}});
  EXPECT_TRUE(Names(status, "Options::queue_bytes = 65536")) << status;
}

TEST_F(AppendBatchTest, ABatchTakesTheSpaceOfItsRecords) {
  options_.queue_records = 64;
  Open();
  HoldWriter();
  const AppendOptions options = {.durability = Durability::kBuffered, .when_full = WhenFull::kFail};
  const std::vector<NewRecord> batch(16, NewRecord{.payload = "b"});
  // The plug takes one.
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(log_->AppendBatch(batch, options).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(log_->AppendBatch(batch, options).status()));
  EXPECT_EQ(log_->stats().refused_records, 16u);
  EXPECT_TRUE(log_->AppendBatch(std::span(batch).first(15), options).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(log_->TryAppend("x", options).status()));
  EXPECT_EQ(log_->stats().queue_records, 64u);
  ReleaseWriter();
  EXPECT_EQ(Reread().size(), 63u);
}

TEST_F(AppendBatchTest, FailedLogHasNoPartOfABatch) {
  Open();
  FailSegments(FileOp::kWrite);
  const absl::Status status = log_->AppendBatch(std::vector<NewRecord>(3)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(MayHaveBeenAppended(status));
  EXPECT_EQ(log_->last_written(), kNoSequence);
  const absl::Status later = log_->AppendBatch(std::vector<NewRecord>(3)).status();
  EXPECT_EQ(later.code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(MayHaveBeenAppended(later));
}

}  // namespace
}  // namespace millrace
