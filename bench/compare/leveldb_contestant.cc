#include <memory>

#include "bench/compare/contestant.h"
#include "millrace/options.h"

#ifdef MILLRACE_HAS_LEVELDB

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "leveldb/db.h"
#include "leveldb/env.h"
#include "leveldb/options.h"
#include "leveldb/slice.h"
#include "leveldb/status.h"

namespace millrace {
namespace {

// Large enough that no memtable is flushed while a round runs: the log is what is measured.
constexpr size_t kMemtableBytes = size_t{512} << 20;

absl::Status FromLevelDb(const leveldb::Status& status) {
  return status.ok() ? absl::OkStatus() : absl::UnknownError("LevelDB: " + status.ToString());
}

leveldb::Slice ToSlice(std::string_view s) { return leveldb::Slice(s.data(), s.size()); }

// Passes on to the file that it counts the syncs of.
class CountingFile : public leveldb::WritableFile {
 public:
  CountingFile(leveldb::WritableFile* file, std::atomic<uint64_t>* syncs)
      : file_(file), syncs_(syncs) {}

  leveldb::Status Append(const leveldb::Slice& data) override { return file_->Append(data); }
  leveldb::Status Close() override { return file_->Close(); }
  leveldb::Status Flush() override { return file_->Flush(); }
  leveldb::Status Sync() override {
    // relaxed: a count, nothing else is read through it.
    syncs_->fetch_add(1, std::memory_order_relaxed);
    return file_->Sync();
  }

 private:
  std::unique_ptr<leveldb::WritableFile> file_;
  std::atomic<uint64_t>* const syncs_;
};

class CountingEnv : public leveldb::EnvWrapper {
 public:
  CountingEnv() : leveldb::EnvWrapper(leveldb::Env::Default()) {}

  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override {
    leveldb::WritableFile* inner = nullptr;
    leveldb::Status status = target()->NewWritableFile(name, &inner);
    if (status.ok()) *file = new CountingFile(inner, &syncs_);
    return status;
  }

  // relaxed: a count.
  uint64_t syncs() const { return syncs_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> syncs_{0};
};

class LevelDbAppender : public Appender {
 public:
  LevelDbAppender(leveldb::DB* db, Durability durability) : db_(db) {
    options_.sync = durability == Durability::kDurable;
  }

  absl::Status Append(std::string_view record) override {
    return FromLevelDb(db_->Put(options_, ToSlice(record.substr(0, kKeyBytes)),
                                ToSlice(record.substr(kKeyBytes))));
  }

 private:
  leveldb::DB* const db_;
  leveldb::WriteOptions options_;
};

class LevelDbContestant : public Contestant {
 public:
  explicit LevelDbContestant(Durability durability) : durability_(durability) {}

  std::string name() const override { return "LevelDB"; }

  std::string settings() const override {
    return "DB::Put, WriteOptions.sync as needed, write_buffer_size 512 MiB";
  }

  absl::Status Open(const std::string& directory) override {
    env_ = std::make_unique<CountingEnv>();
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = kMemtableBytes;
    options.env = env_.get();
    leveldb::DB* db = nullptr;
    const leveldb::Status status = leveldb::DB::Open(options, directory + "/db", &db);
    db_.reset(db);
    syncs_before_ = env_->syncs();
    return FromLevelDb(status);
  }

  absl::StatusOr<std::unique_ptr<Appender>> NewAppender() override {
    return std::make_unique<LevelDbAppender>(db_.get(), durability_);
  }

  // A Put returns after the write to its log.
  absl::Status Drain() override { return absl::OkStatus(); }
  std::optional<uint64_t> syncs() const override { return env_->syncs() - syncs_before_; }

  absl::Status Close() override {
    db_.reset();
    return absl::OkStatus();
  }

 private:
  const Durability durability_;
  std::unique_ptr<CountingEnv> env_;  // outlives db_
  std::unique_ptr<leveldb::DB> db_;
  uint64_t syncs_before_ = 0;
};

}  // namespace

std::unique_ptr<Contestant> NewLevelDb(Durability durability) {
  return std::make_unique<LevelDbContestant>(durability);
}

}  // namespace millrace

#else

namespace millrace {

std::unique_ptr<Contestant> NewLevelDb(Durability) { return nullptr; }

}  // namespace millrace

#endif
