// A key-value store whose write-ahead log is Millrace.
//
// Each transaction is one batch: after a crash all of it is there, or nothing. A checkpoint
// appends the whole table again and trims what is before: applying records twice does no harm,
// so a crash in the middle of one needs no care.
//
//   key_value_store DIRECTORY set KEY VALUE [KEY VALUE]... | delete KEY | get KEY | checkpoint

#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "millrace/log.h"

namespace {

class Store {
 public:
  // Key and new value; none: the key is deleted.
  using Change = std::pair<std::string, std::optional<std::string>>;

  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& directory) {
    std::unique_ptr<Store> store(new Store);
    millrace::Options options;
    // A change means nothing without those before it.
    options.recovery_policy = millrace::RecoveryPolicy::kStopAtFirstLoss;
    auto log = millrace::Log::Open(directory, options);
    if (!log.ok()) return log.status();
    store->log_ = *std::move(log);
    auto cursor = store->log_->OpenCursor("table");
    if (!cursor.ok()) return cursor.status();
    store->cursor_ = *std::move(cursor);
    absl::Status status = store->Replay();
    if (!status.ok()) return status;
    return store;
  }

  absl::Status Write(const std::vector<Change>& transaction) {
    // First the log, durably; then the table.
    std::vector<millrace::NewRecord> batch;
    for (const Change& change : transaction) batch.push_back(ToRecord(change));
    absl::StatusOr<millrace::SequenceNumber> first = log_->AppendBatch(batch);
    if (!first.ok()) return first.status();
    for (const Change& change : transaction) Apply(change.first, change.second);
    return absl::OkStatus();
  }

  std::optional<std::string> Get(const std::string& key) const {
    const auto found = table_.find(key);
    if (found == table_.end()) return std::nullopt;
    return found->second;
  }

  absl::Status Checkpoint() {
    absl::Status status = log_->Flush();
    if (!status.ok()) return status;
    const millrace::SequenceNumber first = log_->last_durable() + 1;
    millrace::AppendOptions buffered;
    buffered.durability = millrace::Durability::kBuffered;  // one sync for all, below
    for (const auto& [key, value] : table_) {
      const millrace::NewRecord record = {.payload = value, .key = key};
      status = log_->AppendBatch({&record, 1}, buffered).status();
      if (!status.ok()) return status;
    }
    status = log_->Flush();
    // The next Open begins here, and nothing holds back what is before any longer.
    if (status.ok()) status = cursor_->Reset(first);
    if (status.ok()) status = log_->TrimBefore(first);
    return status;
  }

  absl::Status Close() { return log_->Close(); }

 private:
  static constexpr millrace::Attribute kDeleted = {"deleted", ""};

  // Views of `change`.
  static millrace::NewRecord ToRecord(const Change& change) {
    const auto& [key, value] = change;
    if (!value.has_value()) return {.payload = "", .key = key, .attributes = {&kDeleted, 1}};
    return {.payload = *value, .key = key};
  }

  void Apply(const std::string& key, const std::optional<std::string>& value) {
    if (value.has_value()) {
      table_[key] = *value;
    } else {
      table_.erase(key);
    }
  }

  // Nothing is committed, so that the next Open replays the same records.
  absl::Status Replay() {
    while (true) {
      absl::StatusOr<millrace::Entry> entry = cursor_->Next(absl::ZeroDuration());
      if (absl::IsDeadlineExceeded(entry.status())) return absl::OkStatus();  // that is all
      if (!entry.ok()) return entry.status();
      if (entry->kind != millrace::Entry::Kind::kRecord) {
        return absl::DataLossError(absl::StrCat("changes are lost: ", entry->lost.ToString()));
      }
      const millrace::Record& record = entry->record;
      std::optional<std::string> value;
      if (record.attributes.empty()) value = std::string(record.payload);
      Apply(std::string(record.key.value()), value);
    }
  }

  std::map<std::string, std::string> table_;
  std::unique_ptr<millrace::Log> log_;
  std::unique_ptr<millrace::Cursor> cursor_;
};

absl::Status Run(Store& store, const std::vector<std::string>& args) {
  if (args[0] == "set" && args.size() >= 3 && args.size() % 2 == 1) {
    std::vector<Store::Change> transaction;
    for (size_t i = 1; i < args.size(); i += 2) transaction.emplace_back(args[i], args[i + 1]);
    return store.Write(transaction);
  }
  if (args[0] == "delete" && args.size() == 2) return store.Write({{args[1], std::nullopt}});
  if (args[0] == "checkpoint" && args.size() == 1) return store.Checkpoint();
  if (args[0] != "get" || args.size() != 2) return absl::InvalidArgumentError("unknown command");
  std::cout << store.Get(args[1]).value_or("(none)") << "\n";
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::cerr << "usage: see the first lines of the source\n", 1;
  auto store = Store::Open(argv[1]);
  if (!store.ok()) return std::cerr << store.status() << "\n", 3;
  absl::Status status = Run(**store, {argv + 2, argv + argc});
  status.Update((*store)->Close());
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 3;
}
