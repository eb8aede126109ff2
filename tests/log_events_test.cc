// Goal: every event has the name, the severity and the fields that its table promises, and a
// text with what happened, the value, and what to do; and the rare ones come when they should,
// neither less nor more often.
// Method: posts each one; drives the two watches and the meter by hand.

#include "wal/log_events.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/recording_listener.h"
#include "wal/core_meter.h"
#include "wal/lagging_cursor_watch.h"
#include "wal/queue_full_watch.h"

namespace millrace {
namespace {

using Shown = RecordingListener::Shown;

Deadline At(int64_t ms) { return Deadline(std::chrono::milliseconds(ms)); }

std::vector<Shown> EventsOf(const std::function<void(LogEvents&)>& happen) {
  auto listener = std::make_shared<RecordingListener>();
  EventDispatcher dispatcher("log", listener);
  EXPECT_TRUE(dispatcher.Start().ok());
  LogEvents events(&dispatcher);
  happen(events);
  EXPECT_TRUE(dispatcher.Stop(kNoDeadline));
  return listener->shown();
}

struct Expected {
  EventKind kind;
  std::function<void(LogEvents&)> happen;
  std::vector<std::string> values;  // of the fields, in order
  std::string text;
};

LostRange SomeLoss() {
  LostRange lost;
  lost.first = 7;
  lost.last = 9;
  lost.segment = 3;
  lost.begin = 8192;
  lost.end = 8704;
  return lost;
}

std::vector<Expected> EveryEvent() {
  const absl::Status error = absl::UnknownError("sync of segment 4: EIO");
  const std::string said = error.ToString();
  return {
      {EventKind::kSegmentRotated,
       [](LogEvents& e) { e.SegmentRotated(4, 17, 65536); },
       {"4", "17", "65536"},
       "segment 4 is full: 65536 bytes from record 17 on"},
      {EventKind::kTrimmed,
       [](LogEvents& e) { e.Trimmed(100, 3); },
       {"100", "3"},
       "trimmed 3 segments; the oldest record is now 100"},
      {EventKind::kTruncated,
       [](LogEvents& e) { e.Truncated(50, 2, 8); },
       {"50", "2", "8"},
       "truncated after record 50: 8 records dropped, epoch 2 begins"},
      {EventKind::kSlowSync,
       [](LogEvents& e) { e.SlowSync(absl::Milliseconds(1500), 4096, absl::Seconds(1)); },
       {"1500000", "4096"},
       "a sync of 4096 bytes took 1.5s, over Options::slow_sync = 1s: look at what else uses the "
       "disk, and at its health"},
      {EventKind::kQueueFull,
       [](LogEvents& e) { e.QueueFull(1, 2, 3); },
       {"1", "2", "3"},
       "the queue was full: 1 appends waited, 2 records were refused, 3 dropped; raise "
       "Options::queue_records and queue_bytes for bursts, append less or sync less often for a "
       "lasting load"},
      {EventKind::kCursorLagging,
       [](LogEvents& e) { e.CursorLagging("mail", 10, 999, 500); },
       {"mail", "10", "999"},
       "cursor mail is 10 records behind, in 999 bytes of segments, over "
       "Options::lagging_cursor_bytes = 500: let it consume and checkpoint, or delete it; it "
       "holds trimming back"},
      {EventKind::kCursorSetBack,
       [](LogEvents& e) { e.CursorSetBack("mail", 60, 50); },
       {"mail", "60", "50"},
       "cursor mail was set back from 60 to 50: the records between were truncated; undo what "
       "they had caused"},
      {EventKind::kCorruption,
       [](LogEvents& e) { e.Corruption("mail", SomeLoss()); },
       {"mail", "7", "9", "3", "checksum"},
       "cursor mail met damage: " + SomeLoss().ToString() +
           "; run `millrace verify` on the log, and check the disk"},
      {EventKind::kCheckpointFailed,
       [error](LogEvents& e) { e.CheckpointFailed("mail", error); },
       {"mail", said},
       "the checkpoint of cursor mail failed: " + said +
           "; after a restart records since its last one come again"},
      {EventKind::kCheckpointsLost,
       [error](LogEvents& e) { e.CheckpointsLost("CURSORS", error); },
       {"CURSORS", said},
       "checkpoints in CURSORS cannot be used: " + said +
           "; cursors go on from earlier ones, and records come again"},
      {EventKind::kLogFailed,
       [error](LogEvents& e) { e.LogFailed(error); },
       {said},
       "the log failed and accepts nothing more: " + said +
           "; mend the cause, then close the log and open it again"},
      {EventKind::kClosed,
       [](LogEvents& e) { e.Closed(12, absl::OkStatus()); },
       {"12", ""},
       "closed in order; the last durable record is 12"},
      {EventKind::kClosed,
       [error](LogEvents& e) { e.Closed(12, error); },
       {"12", said},
       "closed after an error: " + said + "; the last durable record is 12"},
  };
}

TEST(LogEventsTest, EachHasItsNameItsSeverityItsFieldsAndItsText) {
  for (const Expected& expected : EveryEvent()) {
    const EventDescription& description = Describe(expected.kind);
    SCOPED_TRACE(std::string(description.name));
    const std::vector<Shown> shown = EventsOf(expected.happen);
    ASSERT_EQ(shown.size(), 1u);
    EXPECT_EQ(shown[0].name, description.name);
    EXPECT_EQ(shown[0].severity, description.severity);
    EXPECT_EQ(absl::StrJoin(shown[0].field_names, ", "), std::string(description.fields));
    std::vector<std::string> values;
    for (const std::string& name : shown[0].field_names) {
      values.push_back(shown[0].fields.at(name));
    }
    EXPECT_EQ(values, expected.values);
    EXPECT_EQ(shown[0].text, expected.text);
  }
}

TEST(LogEventsTest, NothingHappensWithoutAListener) {
  EventDispatcher dispatcher("log", nullptr);
  ASSERT_TRUE(dispatcher.Start().ok());
  LogEvents events(&dispatcher);
  for (const Expected& expected : EveryEvent()) expected.happen(events);
  events.Opened(RecoveryReport());
}

TEST(LogEventsTest, AnOrderlyOpenIsOneEvent) {
  RecoveryReport report;
  report.outcome = RecoveryReport::Outcome::kClean;
  report.first_retained = 3;
  report.last_recovered = 9;
  report.next_sequence = 10;
  report.epoch = 2;
  const std::vector<Shown> shown = EventsOf([&](LogEvents& e) { e.Opened(report); });
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_EQ(absl::StrJoin(shown[0].field_names, ", "),
            std::string(Describe(EventKind::kOpened).fields));
  EXPECT_EQ(shown[0].fields.at("outcome"), "clean");
  EXPECT_EQ(shown[0].fields.at("first"), "3");
  EXPECT_EQ(shown[0].fields.at("last"), "9");
  EXPECT_EQ(shown[0].fields.at("epoch"), "2");
  EXPECT_EQ(shown[0].text, "opened (clean): records 3..9, the next is 10");
}

TEST(LogEventsTest, AnOpenThatCutOrLostSomethingSaysSo) {
  RecoveryReport report;
  report.outcome = RecoveryReport::Outcome::kRecovered;
  report.tail_bytes = 17;
  report.lost = {SomeLoss(), SomeLoss()};
  const std::vector<Shown> shown = EventsOf([&](LogEvents& e) { e.Opened(report); });
  ASSERT_EQ(shown.size(), 4u);
  EXPECT_EQ(shown[0].fields.at("outcome"), "recovered");
  EXPECT_EQ(shown[1].name, "recovered");
  EXPECT_EQ(absl::StrJoin(shown[1].field_names, ", "),
            std::string(Describe(EventKind::kRecovered).fields));
  EXPECT_EQ(shown[1].fields.at("lost_records"), "6");
  EXPECT_EQ(shown[1].fields.at("tail_bytes"), "17");
  EXPECT_EQ(shown[2].name, "records_lost");
  EXPECT_EQ(shown[2].severity, EventSeverity::kError);
  EXPECT_EQ(absl::StrJoin(shown[2].field_names, ", "),
            std::string(Describe(EventKind::kRecordsLost).fields));
  EXPECT_EQ(shown[2].fields.at("cause"), "checksum");
  EXPECT_NE(shown[2].text.find("7..9"), std::string::npos);
}

TEST(QueueFullWatchTest, IsSaidAtOnceAndThenOnceASecond) {
  QueueFullWatch watch;
  EXPECT_FALSE(watch.Look(At(0), 0, 0, 0).has_value());
  EXPECT_EQ(watch.due(), kNoDeadline);
  const auto first = watch.Look(At(5), 1, 2, 3);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->waited, 1u);
  EXPECT_EQ(first->refused, 2u);
  EXPECT_EQ(first->dropped, 3u);
  EXPECT_FALSE(watch.Look(At(6), 1, 2, 3).has_value()) << "nothing new";
  EXPECT_EQ(watch.due(), kNoDeadline);
  EXPECT_FALSE(watch.Look(At(7), 4, 2, 3).has_value()) << "too soon";
  EXPECT_EQ(watch.due(), At(1005)) << "to be said then, even if nothing else happens";
  const auto second = watch.Look(At(1005), 4, 2, 4);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->waited, 3u);
  EXPECT_EQ(second->refused, 0u);
  EXPECT_EQ(second->dropped, 1u);
  EXPECT_EQ(watch.due(), kNoDeadline);
}

TEST(QueueFullWatchTest, WhatIsNotSaidYetIsSaidAtTheEnd) {
  QueueFullWatch watch;
  EXPECT_FALSE(watch.LookForTheLastTime(0, 0, 0).has_value());
  ASSERT_TRUE(watch.Look(At(5), 1, 0, 0).has_value());
  const auto last = watch.LookForTheLastTime(3, 0, 0);
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->waited, 2u);
}

CursorStatus Behind(const std::string& name, uint64_t bytes) {
  CursorStatus status;
  status.name = name;
  status.lag_bytes = bytes;
  return status;
}

TEST(LaggingCursorWatchTest, IsSaidWhenTheBoundIsPassedAndWheneverTheLagDoubles) {
  LaggingCursorWatch watch(100);
  EXPECT_TRUE(watch.Look({Behind("a", 100), Behind("b", 0)}).empty());
  ASSERT_EQ(watch.Look({Behind("a", 101), Behind("b", 5)}).size(), 1u);
  EXPECT_TRUE(watch.Look({Behind("a", 201)}).empty());
  const auto doubled = watch.Look({Behind("a", 202), Behind("b", 300)});
  ASSERT_EQ(doubled.size(), 2u);
  EXPECT_EQ(doubled[0].name, "a");
  EXPECT_EQ(doubled[0].lag_bytes, 202u);
  EXPECT_EQ(doubled[1].name, "b");
}

TEST(LaggingCursorWatchTest, BeginsAnewOnceACursorHasCaughtUpOrIsGone) {
  LaggingCursorWatch watch(100);
  ASSERT_EQ(watch.Look({Behind("a", 101), Behind("b", 101)}).size(), 2u);
  EXPECT_TRUE(watch.Look({Behind("a", 50)}).empty());
  EXPECT_EQ(watch.Look({Behind("a", 101), Behind("b", 101)}).size(), 2u);
}

TEST(LaggingCursorWatchTest, ABoundOfZeroSaysNothing) {
  LaggingCursorWatch watch(0);
  EXPECT_TRUE(watch.Look({Behind("a", UINT64_MAX)}).empty());
}

int64_t meter_ms = 0;
Deadline MeterClock() { return At(meter_ms); }

TEST(CoreMeterTest, MeasuresWritesSyncsAndRotations) {
  auto stats = std::make_unique<StatsRecorder>();
  const std::vector<Shown> shown = EventsOf([&](LogEvents& events) {
    CoreMeter meter(stats.get(), &events, absl::Milliseconds(10), &MeterClock);
    meter.WriteBegins();
    meter_ms += 2;
    meter.WriteEnded(3, 400);
    meter.SyncBegins();
    meter_ms += 10;
    meter.SyncEnded(SyncReason::kFlush, 400);
    meter.SyncBegins();
    meter_ms += 11;
    meter.SyncEnded(SyncReason::kClose, 500);
    EXPECT_FALSE(meter.TakeRotated());
    meter.Rotated(1, 2, 3);
    EXPECT_TRUE(meter.TakeRotated());
    EXPECT_FALSE(meter.TakeRotated());
  });
  LogStats filled;
  stats->Fill(At(0), &filled);
  EXPECT_EQ(filled.write_ns.sum, 2'000'000u);
  EXPECT_EQ(filled.records_per_group.sum, 3u);
  EXPECT_EQ(filled.bytes_per_group.sum, 400u);
  EXPECT_EQ(filled.sync_ns.sum, 21'000'000u);
  EXPECT_EQ(filled.sync_reasons.flush, 1u);
  EXPECT_EQ(filled.sync_reasons.close, 1u);
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[0].name, "slow_sync") << "of the one that took longer than the bound";
  EXPECT_EQ(shown[0].fields.at("microseconds"), "11000");
  EXPECT_EQ(shown[0].fields.at("bytes"), "500");
  EXPECT_EQ(shown[1].name, "segment_rotated");
}

TEST(CoreMeterTest, AnInfiniteBoundMakesNoSyncSlow) {
  auto stats = std::make_unique<StatsRecorder>();
  const std::vector<Shown> shown = EventsOf([&](LogEvents& events) {
    CoreMeter meter(stats.get(), &events, absl::InfiniteDuration(), &MeterClock);
    meter.SyncBegins();
    meter_ms += int64_t{1000} * 3600 * 24 * 365;
    meter.SyncEnded(SyncReason::kFlush, 1);
  });
  EXPECT_TRUE(shown.empty());
}

}  // namespace
}  // namespace millrace
