#ifndef MILLRACE_TESTS_RECORDING_LISTENER_H_
#define MILLRACE_TESTS_RECORDING_LISTENER_H_

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "millrace/event_listener.h"

namespace millrace {

// Keeps every event that it is shown. Can be made to hold the thread that shows them.
//
// Thread-safe.
class RecordingListener : public EventListener {
 public:
  struct Shown {
    EventSeverity severity;
    std::string name;
    std::string log;
    std::string text;
    std::vector<std::string> field_names;  // in order
    std::map<std::string, std::string> fields;
    absl::Time time;
  };

  void OnEvent(const Event& event) override {
    Shown shown{event.severity,
                std::string(event.name),
                std::string(event.log),
                std::string(event.text),
                {},
                {},
                event.time};
    for (const EventField& field : event.fields) {
      shown.field_names.emplace_back(field.name);
      shown.fields.emplace(field.name, field.value);
    }
    std::unique_lock<std::mutex> lock(mu_);
    shown_.push_back(std::move(shown));
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
  }

  // From now on OnEvent() does not return, until LetGo().
  void Hold() {
    const std::lock_guard<std::mutex> lock(mu_);
    held_ = true;
  }
  void LetGo() {
    const std::lock_guard<std::mutex> lock(mu_);
    held_ = false;
    changed_.notify_all();
  }

  // Waits until `count` events were shown.
  void Await(size_t count) {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [this, count] { return shown_.size() >= count; });
  }

  // Waits until `count` events called `name` were shown. False if they are not in good time.
  bool AwaitNamed(const std::string& name, size_t count = 1) {
    std::unique_lock<std::mutex> lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      const auto is_named = [&](const Shown& shown) { return shown.name == name; };
      return static_cast<size_t>(std::count_if(shown_.begin(), shown_.end(), is_named)) >= count;
    });
  }

  std::vector<Shown> shown() const {
    const std::lock_guard<std::mutex> lock(mu_);
    return shown_;
  }

  // Those called `name`.
  std::vector<Shown> Named(const std::string& name) const {
    std::vector<Shown> named;
    for (Shown& event : shown()) {
      if (event.name == name) named.push_back(std::move(event));
    }
    return named;
  }

 private:
  mutable std::mutex mu_;
  std::condition_variable changed_;
  bool held_ = false;
  std::vector<Shown> shown_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_RECORDING_LISTENER_H_
