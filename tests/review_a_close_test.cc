// Review A: the deadline of one Close holds while another Close waits for a callback.
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

TEST(ReviewClose, DeadlineHoldsBesideAnotherClose) {
  TempDirectory temp;
  auto log = Log::Open(temp.Sub("log")).value();
  std::atomic<bool> running{false};
  std::atomic<bool> go{false};
  ASSERT_TRUE(log->AppendAsync("x", {},
                               [&](auto) {
                                 running = true;
                                 running.notify_all();
                                 go.wait(false);
                               })
                  .ok());
  running.wait(false);
  std::thread patient([&] { log->Close().IgnoreError(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  auto hurried = std::async(std::launch::async, [&] { return log->Close(absl::Milliseconds(50)); });
  const bool in_time = hurried.wait_for(std::chrono::seconds(3)) == std::future_status::ready;
  EXPECT_TRUE(in_time) << "Close(50 ms) has not returned after 3 s";
  go = true;
  go.notify_all();
  patient.join();
  const absl::Status status = hurried.get();
  if (in_time) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  }
}

}  // namespace
}  // namespace millrace
