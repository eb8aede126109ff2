#include "wal/event_dispatcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "wal/strings.h"

namespace millrace {
namespace {

// The dispatcher whose thread this thread is, if it is one.
thread_local const EventDispatcher* current_dispatcher = nullptr;

}  // namespace

EventDispatcher::EventDispatcher(std::string log, std::shared_ptr<EventListener> listener,
                                 SteadyClock clock)
    : log_(std::move(log)), listener_(std::move(listener)), clock_(clock) {}

EventDispatcher::~EventDispatcher() { Stop(kNoDeadline); }

absl::Status EventDispatcher::Start() {
  if (!enabled()) return absl::OkStatus();
  MutexLock lock(&thread_mu_);
  return thread_.Start("millrace-events", [this] { Run(); });
}

void EventDispatcher::Post(EventKind kind, std::string text, std::vector<Field> fields) {
  if (!enabled()) return;
  {
    MutexLock lock(&mu_);
    news_ = true;
    Rate& rate = rates_[static_cast<size_t>(kind)];
    const Deadline now = clock_();
    if (now >= rate.ends) {
      // Said before what comes after it. Where there is no room for it, it adds up.
      PushSuppressed(kind, rate);
      rate.ends = now + std::chrono::seconds(1);
      rate.shown = 0;
    }
    if (rate.shown < kPerSecond && Push(kind, std::move(text), std::move(fields))) {
      ++rate.shown;
    } else {
      ++rate.suppressed;
    }
  }
  sleeper_.WakeIfAsleep();
}

bool EventDispatcher::Push(EventKind kind, std::string text, std::vector<Field> fields) {
  if (waiting_.size() >= kMostWaiting) return false;
  waiting_.push_back({kind, std::move(text), std::move(fields), absl::Now()});
  return true;
}

// Without effect if none were suppressed. False if there is no room.
bool EventDispatcher::PushSuppressed(EventKind kind, Rate& rate) {
  if (rate.suppressed == 0) return true;
  const std::string_view name = Describe(kind).name;
  const bool pushed =
      Push(EventKind::kEventsSuppressed,
           absl::StrCat(rate.suppressed, " more ", ToAbsl(name),
                        rate.suppressed == 1 ? " event was" : " events were",
                        " not shown: at most ", kPerSecond,
                        " of one name are in a second, and none while ", kMostWaiting, " wait"),
           {{"event", std::string(name)}, {"count", absl::StrCat(rate.suppressed)}});
  if (pushed) rate.suppressed = 0;
  return pushed;
}

// The next event to be shown. If there is none, `due` says when to ask again; nullopt and
// Deadline::min() is the end.
std::optional<EventDispatcher::Waiting> EventDispatcher::Take(Deadline* due) {
  MutexLock lock(&mu_);
  *due = kNoDeadline;
  if (waiting_.empty()) {
    news_ = false;
    const Deadline now = clock_();
    for (size_t i = 0; i < kEventKinds; ++i) {
      Rate& rate = rates_[i];
      if (rate.suppressed == 0) continue;
      // Room there is: nothing waits, and kinds are fewer than what may wait.
      if (stopping_ || now >= rate.ends) {
        PushSuppressed(static_cast<EventKind>(i), rate);
      } else {
        *due = std::min(*due, rate.ends);
      }
    }
  }
  if (waiting_.empty()) {
    if (stopping_) *due = Deadline::min();
    return std::nullopt;
  }
  Waiting event = std::move(waiting_.front());
  waiting_.pop_front();
  return event;
}

void EventDispatcher::Run() {
  current_dispatcher = this;
  while (true) {
    Deadline due;
    const std::optional<Waiting> event = Take(&due);
    if (event.has_value()) {
      Show(*event);
      continue;
    }
    if (due == Deadline::min()) break;
    const auto has_news = [this] {
      MutexLock lock(&mu_);
      return news_;
    };
    sleeper_.Sleep(has_news, due);
  }
  // relaxed: says only that joining will not take long.
  ended_.store(true, std::memory_order_relaxed);
  ended_waiters_.Notify();
}

void EventDispatcher::Show(const Waiting& event) {
  const EventDescription& description = Describe(event.kind);
  std::vector<EventField> fields;
  fields.reserve(event.fields.size());
  for (const Field& field : event.fields) fields.push_back({field.name, field.value});
  Event shown;
  shown.severity = description.severity;
  shown.name = description.name;
  shown.log = log_;
  shown.text = event.text;
  shown.fields = fields;
  shown.time = event.time;
  listener_->OnEvent(shown);
}

bool EventDispatcher::IsCurrent() const { return current_dispatcher == this; }

bool EventDispatcher::Stop(Deadline deadline) {
  {
    MutexLock lock(&thread_mu_);
    if (!thread_.started()) return true;
  }
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    news_ = true;
  }
  sleeper_.Notify();
  // Without the lock, behind which another call would wait beyond its deadline.
  // relaxed: joining the thread orders what it did.
  const auto ended = [this] { return ended_.load(std::memory_order_relaxed); };
  if (!ended_waiters_.Await(ended, deadline)) return false;
  MutexLock lock(&thread_mu_);
  thread_.Join();
  return true;
}

}  // namespace millrace
