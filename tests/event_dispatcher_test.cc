// Goal: every event that is posted is shown, in order, on a thread of its own, or is counted in
// one that is shown; and nobody who posts ever waits for the listener.
// Method: a listener that records and can be held; a clock that the test moves.

#include "wal/event_dispatcher.h"

#include <dirent.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/recording_listener.h"
#include "tests/under_sanitizer.h"

namespace millrace {
namespace {

// The clock of the tests that need one. Starts far from zero, as a real one does.
std::atomic<int64_t> clock_ms{1'000'000};
Deadline TestClock() { return Deadline(std::chrono::milliseconds(clock_ms.load())); }

// Threads of this process with that name.
int ThreadsNamed(const std::string& name) {
  int count = 0;
  DIR* directory = opendir("/proc/self/task");
  for (dirent* entry = readdir(directory); entry != nullptr; entry = readdir(directory)) {
    std::ifstream file(std::string("/proc/self/task/") + entry->d_name + "/comm");
    std::string line;
    if (std::getline(file, line) && line == name) ++count;
  }
  closedir(directory);
  return count;
}

uint64_t SuppressedOf(const RecordingListener& listener, const std::string& name) {
  uint64_t sum = 0;
  for (const auto& event : listener.Named("events_suppressed")) {
    if (event.fields.at("event") == name) sum += std::stoull(event.fields.at("count"));
  }
  return sum;
}

class EventDispatcherTest : public testing::Test {
 protected:
  void Start(EventDispatcher::SteadyClock clock) {
    dispatcher_ = std::make_unique<EventDispatcher>("the/log", listener_, clock);
    ASSERT_TRUE(dispatcher_->Start().ok());
  }
  void Post(EventKind kind, const std::string& text) { dispatcher_->Post(kind, text, {}); }
  void Stop() { ASSERT_TRUE(dispatcher_->Stop(kNoDeadline)); }

  const std::shared_ptr<RecordingListener> listener_ = std::make_shared<RecordingListener>();
  std::unique_ptr<EventDispatcher> dispatcher_;
};

TEST_F(EventDispatcherTest, ShowsWhatWasPostedWithAllThatBelongsToIt) {
  Start(&TestClock);
  const absl::Time before = absl::Now();
  dispatcher_->Post(EventKind::kTrimmed, "some text", {{"first_retained", "7"}, {"segments", "2"}});
  Stop();
  const auto shown = listener_->shown();
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_EQ(shown[0].severity, EventSeverity::kInfo);
  EXPECT_EQ(shown[0].name, "trimmed");
  EXPECT_EQ(shown[0].log, "the/log");
  EXPECT_EQ(shown[0].text, "some text");
  EXPECT_EQ(shown[0].field_names, (std::vector<std::string>{"first_retained", "segments"}));
  EXPECT_EQ(shown[0].fields.at("segments"), "2");
  EXPECT_GE(shown[0].time, before);
  EXPECT_LE(shown[0].time, absl::Now());
}

TEST_F(EventDispatcherTest, IsOneNamedThreadThatTheListenerCanBeToldBy) {
  struct Asker : EventListener {
    void OnEvent(const Event&) override { current = dispatcher->IsCurrent(); }
    EventDispatcher* dispatcher = nullptr;
    std::atomic<bool> current{false};
  };
  auto asker = std::make_shared<Asker>();
  EventDispatcher dispatcher("log", asker);
  EventDispatcher other("other", listener_);
  asker->dispatcher = &dispatcher;
  EXPECT_EQ(ThreadsNamed("millrace-events"), 0);
  ASSERT_TRUE(dispatcher.Start().ok());
  dispatcher.Post(EventKind::kOpened, "", {});
  while (ThreadsNamed("millrace-events") != 1) std::this_thread::yield();
  EXPECT_FALSE(dispatcher.IsCurrent());
  ASSERT_TRUE(dispatcher.Stop(kNoDeadline));
  EXPECT_TRUE(asker->current);
  EXPECT_EQ(ThreadsNamed("millrace-events"), 0);
}

TEST_F(EventDispatcherTest, WithoutAListenerThereIsNoThread) {
  EventDispatcher dispatcher("log", nullptr);
  ASSERT_TRUE(dispatcher.Start().ok());
  EXPECT_FALSE(dispatcher.enabled());
  for (int i = 0; i < 100; ++i) dispatcher.Post(EventKind::kOpened, "", {});
  EXPECT_EQ(ThreadsNamed("millrace-events"), 0);
  EXPECT_FALSE(dispatcher.IsCurrent());
  EXPECT_TRUE(dispatcher.Stop(kNoDeadline));
}

TEST_F(EventDispatcherTest, TenOfOneNameAreShownInASecondAndTheOthersCounted) {
  Start(&TestClock);
  for (int i = 0; i < 25; ++i) Post(EventKind::kSlowSync, std::to_string(i));
  for (int i = 0; i < 3; ++i) Post(EventKind::kTrimmed, "of another name");
  clock_ms += 999;
  Post(EventKind::kSlowSync, "still the same second");
  clock_ms += 1;
  Post(EventKind::kSlowSync, "the next");
  Stop();
  const auto slow = listener_->Named("slow_sync");
  ASSERT_EQ(slow.size(), 11u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(slow[i].text, std::to_string(i));
  EXPECT_EQ(slow[10].text, "the next");
  EXPECT_EQ(listener_->Named("trimmed").size(), 3u);
  const auto suppressed = listener_->Named("events_suppressed");
  ASSERT_EQ(suppressed.size(), 1u);
  EXPECT_EQ(suppressed[0].severity, EventSeverity::kWarning);
  EXPECT_EQ(suppressed[0].fields.at("event"), "slow_sync");
  EXPECT_EQ(suppressed[0].fields.at("count"), "16");
  EXPECT_NE(suppressed[0].text.find("16 more slow_sync events were not shown"), std::string::npos);
  // Between what it stands for and what came after.
  const auto shown = listener_->shown();
  EXPECT_EQ(shown.back().text, "the next");
  EXPECT_EQ(shown[shown.size() - 2].name, "events_suppressed");
}

TEST_F(EventDispatcherTest, SuppressedOnesAreSaidWhenTheirSecondEndsThoughNothingFollows) {
  Start(&std::chrono::steady_clock::now);
  const Deadline begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 12; ++i) Post(EventKind::kSlowSync, "");
  listener_->Await(11);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(990));
  EXPECT_EQ(SuppressedOf(*listener_, "slow_sync"), 2u);
  Stop();
}

TEST_F(EventDispatcherTest, StopSaysWhatWasSuppressed) {
  Start(&TestClock);
  for (int i = 0; i < 12; ++i) Post(EventKind::kSlowSync, "");
  for (int i = 0; i < 13; ++i) Post(EventKind::kCorruption, "");
  Stop();
  EXPECT_EQ(SuppressedOf(*listener_, "slow_sync"), 2u);
  EXPECT_EQ(SuppressedOf(*listener_, "corruption"), 3u);
  EXPECT_EQ(listener_->shown().size(), 22u);
}

TEST_F(EventDispatcherTest, AHeldListenerHoldsNobodyWhoPostsAndOverflowIsCounted) {
  Start(&TestClock);
  listener_->Hold();
  Post(EventKind::kOpened, "held");
  listener_->Await(1);
  uint64_t posted = 0;
  for (int second = 0; second < 150; ++second) {
    clock_ms += 1000;
    for (int i = 0; i < 8; ++i) Post(EventKind::kSlowSync, std::to_string(posted++));
  }
  listener_->LetGo();
  Stop();
  const auto slow = listener_->Named("slow_sync");
  EXPECT_EQ(slow.size(), EventDispatcher::kMostWaiting) << "the oldest are kept";
  for (size_t i = 0; i < slow.size(); ++i) EXPECT_EQ(slow[i].text, std::to_string(i));
  EXPECT_EQ(slow.size() + SuppressedOf(*listener_, "slow_sync"), posted);
}

TEST_F(EventDispatcherTest, StopGivesUpAtItsDeadlineAndCanBeCalledAgain) {
  Start(&TestClock);
  listener_->Hold();
  Post(EventKind::kOpened, "held");
  Post(EventKind::kClosed, "waits");
  listener_->Await(1);
  EXPECT_FALSE(dispatcher_->Stop(std::chrono::steady_clock::now() + std::chrono::milliseconds(5)));
  listener_->LetGo();
  Stop();
  EXPECT_EQ(listener_->shown().size(), 2u) << "what waited is shown first";
  EXPECT_TRUE(dispatcher_->Stop(kNoDeadline)) << "it has ended: nothing is left to do";
}

TEST_F(EventDispatcherTest, IsNotCalledAfterStop) {
  Start(&TestClock);
  Stop();
  Post(EventKind::kOpened, "too late");
  dispatcher_.reset();
  EXPECT_TRUE(listener_->shown().empty());
}

TEST_F(EventDispatcherTest, AListenerMayPost) {
  struct Poster : RecordingListener {
    void OnEvent(const Event& event) override {
      RecordingListener::OnEvent(event);
      if (event.name == "opened") dispatcher->Post(EventKind::kTrimmed, "from the listener", {});
    }
    EventDispatcher* dispatcher = nullptr;
  };
  auto poster = std::make_shared<Poster>();
  EventDispatcher dispatcher("log", poster);
  poster->dispatcher = &dispatcher;
  ASSERT_TRUE(dispatcher.Start().ok());
  dispatcher.Post(EventKind::kOpened, "", {});
  poster->Await(2);
  ASSERT_TRUE(dispatcher.Stop(kNoDeadline));
  EXPECT_EQ(poster->Named("trimmed").size(), 1u);
}

// Every event of every thread is shown or counted, those of one thread in their order.
TEST_F(EventDispatcherTest, ManyThreadsPostWithoutLoss) {
  constexpr int kThreads = 4;
  constexpr int kEach = kUnderSanitizer ? 2'000 : 20'000;
  Start(&TestClock);
  std::atomic<bool> done{false};
  std::thread time([&] {
    while (!done) clock_ms += 50;
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        dispatcher_->Post(static_cast<EventKind>(t), std::to_string(i), {});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done = true;
  time.join();
  Stop();
  for (int t = 0; t < kThreads; ++t) {
    const std::string name(Describe(static_cast<EventKind>(t)).name);
    const auto shown = listener_->Named(name);
    EXPECT_EQ(shown.size() + SuppressedOf(*listener_, name), static_cast<uint64_t>(kEach));
    int before = -1;
    for (const auto& event : shown) {
      EXPECT_GT(std::stoi(event.text), before);
      before = std::stoi(event.text);
    }
  }
}

}  // namespace
}  // namespace millrace
