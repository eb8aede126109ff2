#ifndef MILLRACE_TESTS_MODEL_CHOICE_PATH_H_
#define MILLRACE_TESTS_MODEL_CHOICE_PATH_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace millrace::model {

// The choices of one execution, and the way from it to the next: depth first, all but the last
// choice replayed.
class ChoicePath {
 public:
  void Clear() { choices_.clear(); }
  void Rewind() { depth_ = 0; }
  bool empty() const { return choices_.empty(); }

  // True once all choices of the last execution were made again: what follows is new.
  bool OnNewGround() const { return depth_ == choices_.size(); }

  // One of 0 to count - 1.
  std::size_t Choose(std::size_t count) {
    if (count == 1) return 0;
    if (OnNewGround()) choices_.push_back({0, static_cast<uint32_t>(count)});
    return choices_[depth_++].chosen;
  }

  // Goes to the next execution. Returns false if there is none.
  bool Advance() {
    while (!choices_.empty() && choices_.back().chosen + 1 == choices_.back().count) {
      choices_.pop_back();
    }
    if (choices_.empty()) return false;
    ++choices_.back().chosen;
    return true;
  }

 private:
  struct Choice {
    uint32_t chosen;
    uint32_t count;
  };
  std::vector<Choice> choices_;
  std::size_t depth_ = 0;
};

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_CHOICE_PATH_H_
