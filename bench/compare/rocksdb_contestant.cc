#include <memory>

#include "bench/compare/contestant.h"
#include "millrace/options.h"

#ifdef MILLRACE_HAS_ROCKSDB

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/slice.h"
#include "rocksdb/statistics.h"
#include "rocksdb/status.h"

namespace millrace {
namespace {

// Large enough that no memtable is flushed while a round runs: the log is what is measured.
constexpr size_t kMemtableBytes = size_t{512} << 20;

absl::Status FromRocksDb(const rocksdb::Status& status) {
  return status.ok() ? absl::OkStatus() : absl::UnknownError("RocksDB: " + status.ToString());
}

rocksdb::Slice ToSlice(std::string_view s) { return rocksdb::Slice(s.data(), s.size()); }

class RocksDbAppender : public Appender {
 public:
  RocksDbAppender(rocksdb::DB* db, Durability durability) : db_(db) {
    options_.sync = durability == Durability::kDurable;
  }

  absl::Status Append(std::string_view record) override {
    return FromRocksDb(db_->Put(options_, ToSlice(record.substr(0, kKeyBytes)),
                                ToSlice(record.substr(kKeyBytes))));
  }

 private:
  rocksdb::DB* const db_;
  rocksdb::WriteOptions options_;
};

class RocksDbContestant : public Contestant {
 public:
  explicit RocksDbContestant(Durability durability) : durability_(durability) {}

  std::string name() const override { return "RocksDB"; }

  std::string settings() const override {
    return "DB::Put, WriteOptions.sync as needed, write_buffer_size 512 MiB";
  }

  absl::Status Open(const std::string& directory) override {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = kMemtableBytes;
    options.disable_auto_compactions = true;
    options.statistics = rocksdb::CreateDBStatistics();
    // Counts of operations, which are all that is read, without timers in the path of a write.
    options.statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
    statistics_ = options.statistics;
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(options, directory + "/db", &db);
    db_.reset(db);
    syncs_before_ = statistics_->getTickerCount(rocksdb::WAL_FILE_SYNCED);
    return FromRocksDb(status);
  }

  absl::StatusOr<std::unique_ptr<Appender>> NewAppender() override {
    return std::make_unique<RocksDbAppender>(db_.get(), durability_);
  }

  // A Put returns after the write to its log.
  absl::Status Drain() override { return absl::OkStatus(); }

  std::optional<uint64_t> syncs() const override {
    return statistics_->getTickerCount(rocksdb::WAL_FILE_SYNCED) - syncs_before_;
  }

  absl::Status Close() override {
    // Nothing is kept: what is in the memtable need not be flushed to a table.
    absl::Status status = FromRocksDb(db_->Close());
    db_.reset();
    return status;
  }

 private:
  const Durability durability_;
  std::shared_ptr<rocksdb::Statistics> statistics_;
  std::unique_ptr<rocksdb::DB> db_;
  uint64_t syncs_before_ = 0;
};

}  // namespace

std::unique_ptr<Contestant> NewRocksDb(Durability durability) {
  return std::make_unique<RocksDbContestant>(durability);
}

}  // namespace millrace

#else

namespace millrace {

std::unique_ptr<Contestant> NewRocksDb(Durability) { return nullptr; }

}  // namespace millrace

#endif
