// Review A: the last segment number is an error, not the end of the process.
#include <cerrno>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/temp_directory.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

TEST(ReviewNumber, NumbersThatRunOutAreRefused) {
  TempDirectory temp;
  {
    auto log = Log::Open(temp.Sub("log")).value();
    ASSERT_TRUE(log->Append("x").ok());
  }
  std::ofstream(temp.Sub("log") + "/" + SegmentName(kMaxSegmentNumber - 1)).flush();
  Options options;
  options.segment_bytes = options.initial_segment_bytes = 8192;
  auto log = Log::Open(temp.Sub("log"), options);
  if (!log.ok()) {
    std::printf("refused: %s\n", log.status().ToString().c_str());
    return;
  }
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i)
    status = (*log)->Append(std::string(1000, 'y')).status();
  EXPECT_FALSE(status.ok());
}

}  // namespace
}  // namespace millrace
