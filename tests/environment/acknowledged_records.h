#ifndef MILLRACE_ACKNOWLEDGED_RECORDS_H_
#define MILLRACE_ACKNOWLEDGED_RECORDS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/options.h"
#include "millrace/sequence.h"

namespace millrace {

// Appends numbered records of one size, durably, and keeps in mind which were acknowledged.
class AcknowledgedRecords {
 public:
  explicit AcknowledgedRecords(size_t payload_bytes = 1000) : payload_bytes_(payload_bytes) {}

  // How long an append may take from now on: a log whose disk is full may wait for space.
  void set_timeout(absl::Duration timeout) { options_.timeout = timeout; }

  absl::Status Append(Log& log) {
    const std::string payload = Payload(appended_++);
    const absl::StatusOr<SequenceNumber> sequence = log.Append(payload, options_);
    if (sequence.ok()) acknowledged_.emplace_back(*sequence, payload);
    return sequence.status();
  }
  // Until one fails or `count` have not.
  absl::Status AppendMany(Log& log, int count) {
    absl::Status status;
    for (int i = 0; i < count && status.ok(); ++i) status = Append(log);
    return status;
  }

  size_t size() const { return acknowledged_.size(); }

  // What is wrong with the log in `directory`, read from outside: an acknowledged record that is
  // not there as it was, out of order, or a loss. Empty if nothing.
  std::string Missing(const std::string& directory) const {
    LogReaderOptions options;
    options.limit = LogReaderOptions::Limit::kReadable;
    options.scan = LogReaderOptions::Scan::kAll;
    const absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(directory, options);
    if (!reader.ok()) return reader.status().ToString();
    size_t found = 0;
    SequenceNumber due = (*reader)->first_retained();
    while (found < acknowledged_.size() && acknowledged_[found].first < due) ++found;
    for (absl::StatusOr<Entry> entry = (*reader)->Next();; entry = (*reader)->Next()) {
      if (absl::IsOutOfRange(entry.status())) break;
      if (!entry.ok()) return entry.status().ToString();
      if (entry->kind != Entry::Kind::kRecord) return "lost: " + entry->lost.ToString();
      const Record& record = entry->record;
      if (record.sequence != due++) return absl::StrCat("a gap before ", record.sequence);
      if (found == acknowledged_.size() || acknowledged_[found].first != record.sequence) continue;
      if (acknowledged_[found++].second != record.payload) {
        return absl::StrCat("number ", record.sequence, " is another record");
      }
    }
    if (found == acknowledged_.size()) return "";
    return absl::StrCat("number ", acknowledged_[found].first, " was acknowledged and is gone");
  }

 private:
  std::string Payload(uint64_t i) const {
    std::string payload = absl::StrCat("record ", i, " ");
    payload.resize(payload_bytes_, static_cast<char>('a' + i % 26));
    return payload;
  }

  const size_t payload_bytes_;
  AppendOptions options_;
  uint64_t appended_ = 0;
  std::vector<std::pair<SequenceNumber, std::string>> acknowledged_;
};

}  // namespace millrace

#endif  // MILLRACE_ACKNOWLEDGED_RECORDS_H_
