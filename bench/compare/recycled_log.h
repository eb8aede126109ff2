#ifndef MILLRACE_BENCH_COMPARE_RECYCLED_LOG_H_
#define MILLRACE_BENCH_COMPARE_RECYCLED_LOG_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/log.h"

namespace millrace {

// Appends buffered records of `record_bytes` until `bytes` of them are written, and syncs.
absl::Status FillLog(Log* log, uint64_t bytes, size_t record_bytes);

// A log in its steady state: what it writes to are segments that were used and trimmed before.
// All its segments hold `segment_bytes`, and `options` what else is wanted.
absl::StatusOr<std::unique_ptr<Log>> OpenRecycled(const std::string& directory,
                                                  uint64_t segment_bytes, Options options = {});

// Keeps a log in its steady state: whenever it has begun another segment, trims all those before
// the one that was begun before. In a thread of its own until it is destroyed.
class Trimmer {
 public:
  explicit Trimmer(Log* log);
  ~Trimmer();
  Trimmer(const Trimmer&) = delete;
  Trimmer& operator=(const Trimmer&) = delete;

 private:
  void Run();

  Log* const log_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_RECYCLED_LOG_H_
