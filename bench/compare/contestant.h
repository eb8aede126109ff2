#ifndef MILLRACE_BENCH_COMPARE_CONTESTANT_H_
#define MILLRACE_BENCH_COMPARE_CONTESTANT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/options.h"

namespace millrace {

class Log;

// One thread's way into a contestant. Used by one thread.
class Appender {
 public:
  Appender() = default;
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;
  virtual ~Appender() = default;

  // Returns once `record` is as safe as the contestant was opened for. The first 8 bytes differ
  // from record to record; key-value stores take them as the key.
  virtual absl::Status Append(std::string_view record) = 0;
};

// A log, or a store that writes one, under the same measurement as all others.
class Contestant {
 public:
  Contestant() = default;
  Contestant(const Contestant&) = delete;
  Contestant& operator=(const Contestant&) = delete;
  virtual ~Contestant() = default;

  virtual std::string name() const = 0;
  // The settings that differ from the defaults, for the printed table.
  virtual std::string settings() const = 0;

  // Begins anew in `directory`, which exists and is empty.
  virtual absl::Status Open(const std::string& directory) = 0;
  // Thread-safe. Appenders end before Close.
  virtual absl::StatusOr<std::unique_ptr<Appender>> NewAppender() = 0;
  // Returns once everything appended has left this process's memory.
  virtual absl::Status Drain() = 0;
  // Syncs of the log's data since Open; nullopt where the contestant does not tell.
  virtual std::optional<uint64_t> syncs() const = 0;
  virtual absl::Status Close() = 0;
};

inline constexpr uint64_t kKeyBytes = 8;

// With the default options, or with those that `options` has.
std::unique_ptr<Contestant> NewMillrace(Durability durability, const Options& options = {});
// Over a log that is open, and stays so: Open and Close do nothing. Not owned; nobody else appends
// meanwhile.
std::unique_ptr<Contestant> NewMillraceOver(Log* log, Durability durability);
// kDurable: WriteOptions.sync; else without. Null where the peer was not compiled in.
std::unique_ptr<Contestant> NewLevelDb(Durability durability);
std::unique_ptr<Contestant> NewRocksDb(Durability durability);
// One file, one thread: write and fdatasync for each record. What the device allows without a
// group.
std::unique_ptr<Contestant> NewRawLoop();
// A queue, a thread that writes and syncs what has gathered, wake-ups, and nothing else. Records of
// at most 128 bytes.
struct BareWork {
  Durability durability = Durability::kDurable;  // kDurable or kBuffered
  // Of kDurable. 0: one write at a time and fdatasync; else so many at once, past the page cache.
  int direct_in_flight = 0;
  // Of kBuffered. Also what a log promises beside: an order among producers, a bound on what is in
  // flight, checksums of each record and its header, and what a failed sync may take away in
  // memory.
  bool promises = false;
};
std::unique_ptr<Contestant> NewBareLog(const BareWork& work);

}  // namespace millrace

#endif  // MILLRACE_BENCH_COMPARE_CONTESTANT_H_
