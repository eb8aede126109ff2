// Goal: a coroutine awaits appends with any task type, in turn or many at once, and gets what
// Append would have returned, however fast the log is.
// Method: a small task type; a log over the simulated disk.

#include "millrace/coroutine.h"

#include <atomic>
#include <coroutine>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/held_log.h"
#include "tests/step_gate.h"

namespace millrace {
namespace {

// Runs at once up to its first wait; whoever destroys it waits for its end.
class Task {
 public:
  struct promise_type {
    Task get_return_object() { return Task(&done); }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept {
      // The frame ends with this: what is waited on lives elsewhere.
      const std::shared_ptr<std::atomic<bool>> end = done;
      end->store(true, std::memory_order_release);
      end->notify_all();
      return {};
    }
    void return_void() {}
    void unhandled_exception() {}

    std::shared_ptr<std::atomic<bool>> done = std::make_shared<std::atomic<bool>>(false);
  };

  ~Task() { Join(); }
  Task(Task&&) = default;
  void Join() {
    if (done_ != nullptr) done_->wait(false, std::memory_order_acquire);
  }
  bool done() const { return done_->load(std::memory_order_acquire); }

 private:
  explicit Task(std::shared_ptr<std::atomic<bool>>* done) : done_(*done) {}
  std::shared_ptr<std::atomic<bool>> done_;
};

using CoroutineTest = HeldLogTest;

template <class Appender>
Task AppendInTurn(Appender& appender, int count, std::vector<SequenceNumber>* numbers) {
  for (int i = 0; i < count; ++i) {
    AppendOptions options;
    options.durability = static_cast<Durability>(i % 3);
    const auto sequence = co_await AwaitAppend(appender, "x", options);
    EXPECT_TRUE(sequence.ok()) << sequence.status();
    numbers->push_back(sequence.value_or(kNoSequence));
  }
}

TEST_F(CoroutineTest, AwaitsEachAppendInTurn) {
  constexpr int kAppends = 3000;
  Open();
  std::vector<SequenceNumber> numbers;
  AppendInTurn(*log_, kAppends, &numbers).Join();
  // The second append may begin on another thread before the first call has returned.
  auto producer = log_->NewProducer().value();
  AppendInTurn(*producer, kAppends, &numbers).Join();
  ASSERT_EQ(numbers.size(), 2u * kAppends);
  for (int i = 0; i < 2 * kAppends; ++i) EXPECT_EQ(numbers[i], static_cast<SequenceNumber>(i + 1));
}

TEST_F(CoroutineTest, ManyCoroutinesAwaitAtOnce) {
  constexpr int kTasks = 100;
  Open();
  std::vector<std::vector<SequenceNumber>> numbers(kTasks);
  {
    std::vector<Task> tasks;
    for (int i = 0; i < kTasks; ++i) tasks.push_back(AppendInTurn(*log_, 20, &numbers[i]));
  }
  std::vector<bool> seen(kTasks * 20 + 1);
  for (const auto& of_task : numbers) {
    ASSERT_EQ(of_task.size(), 20u);
    for (SequenceNumber s : of_task) {
      ASSERT_LE(s, seen.size() - 1);
      EXPECT_FALSE(seen[s]);
      seen[s] = true;
    }
  }
}

Task AppendOne(Log& log, std::string payload, absl::StatusOr<SequenceNumber>* result) {
  *result = co_await AwaitAppend(log, payload);
}

TEST_F(CoroutineTest, RefusedAppendGoesOnAtOnce) {
  Open();
  absl::StatusOr<SequenceNumber> result = kNoSequence;
  const Task task = AppendOne(*log_, std::string(log_->max_payload_bytes() + 1, 'x'), &result);
  EXPECT_TRUE(task.done());
  EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
}

TEST_F(CoroutineTest, FailureOfTheLogIsTheResult) {
  Open();
  FailSegments(FileOp::kWrite);
  absl::StatusOr<SequenceNumber> result = kNoSequence;
  AppendOne(*log_, "x", &result).Join();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(MayHaveBeenAppended(result.status()));
}

Task AppendAndNote(Producer& producer, std::atomic<std::thread::id>* after) {
  EXPECT_TRUE((co_await AwaitAppend(producer, "x")).ok());
  after->store(std::this_thread::get_id());
}

// The callback comes while the awaiting thread is still inside AppendAsync: it must go on there,
// since on another thread it could use the Producer a second time.
TEST_F(CoroutineTest, NeverGoesOnBeforeTheAppendHasReturned) {
  Open();
  auto producer = log_->NewProducer().value();
  std::atomic<std::thread::id> after{};
  StepGate gate(AppendStep::kEnqueued);
  std::thread awaiting([&] {
    StepGate::HoldThisThread();
    const Task task = AppendAndNote(*producer, &after);
    EXPECT_TRUE(task.done());
    EXPECT_EQ(after.load(), std::this_thread::get_id());
  });
  gate.AwaitArrival();
  ASSERT_TRUE(log_->WaitDurable(1).ok());
  std::atomic<bool> called{false};
  ASSERT_TRUE(log_->AppendAsync("behind it", {}, [&](auto) { called = true; }).ok());
  ASSERT_TRUE(Eventually([&] { return called.load(); }));
  EXPECT_EQ(after.load(), std::thread::id());
  gate.Open();
  awaiting.join();
}

}  // namespace
}  // namespace millrace
