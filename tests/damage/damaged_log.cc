#include "tests/damage/damaged_log.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "millrace/log_reader.h"
#include "millrace/recovery_report.h"
#include "wal/record_reader.h"
#include "wal/segment_supply.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

// Follows what a reader and a report give, and compares it with what is due.
class DamageCheck {
 public:
  DamageCheck(const FlipLog& log, const Damage& damage, const Verdict& verdict)
      : log_(log), damage_(damage), verdict_(verdict) {
    reported_.resize(log.last());
  }

  void See(const Record& record) {
    const SequenceNumber s = record.sequence;
    if (s != next_) Wrong(absl::StrCat(s, " read for ", next_));
    if (s < 1 || s > log_.last() || !log_.records[s - 1].Equals(record)) {
      return Wrong(absl::StrCat("record ", s, " is not as it was appended"));
    }
    if (!verdict_.read[s - 1]) Wrong(absl::StrCat("record ", s, " is read, and damaged"));
    next_ = s + 1;
  }

  void SeeLost(const LostRange& lost) {
    if (lost.first != next_) Wrong(absl::StrCat(lost.ToString(), ", at ", next_));
    for (SequenceNumber s = lost.first; s <= lost.last; ++s) {
      if (s > log_.last() || !verdict_.lost[s - 1]) Wrong("not lost: " + lost.ToString());
    }
    next_ = lost.last + 1;
  }

  void SeeReport(const RecoveryReport& report) {
    bool newest = false;
    for (const LostRange& lost : report.lost) {
      const bool elsewhere = lost.segment != 0 && lost.segment != damage_.file->segment;
      if (elsewhere && lost.last <= verdict_.mark) Wrong("elsewhere: " + lost.ToString());
      if (lost.records() == 0) newest = newest || lost.begin == lost.end;
      const bool acknowledged = lost.acknowledgement == Acknowledgement::kAcknowledged;
      for (SequenceNumber s = lost.first; s <= lost.last; ++s) {
        if (s > log_.last() || reported_[s - 1]) return Wrong("reported twice: " + Text(report));
        if (acknowledged != (s <= verdict_.mark)) Wrong("acknowledgement: " + lost.ToString());
        reported_[s - 1] = true;
      }
    }
    if (reported_ != verdict_.lost) Wrong("reported as lost is not what is: " + Text(report));
    // Where numbers are known to be lost with it, these name it.
    const bool due = verdict_.newest_lost && verdict_.mark <= verdict_.last_read();
    if (newest != due) Wrong("the newest segment: " + Text(report));
  }

  // All that is to be read was read, and nothing else.
  std::string Finish() {
    if (next_ <= verdict_.last_read()) Wrong(absl::StrCat("reading ended before ", next_));
    return problem_;
  }

  void Wrong(const std::string& text) {
    if (problem_.empty()) problem_ = absl::StrCat(damage_.what, ": ", text);
  }

 private:
  static std::string Text(const RecoveryReport& report) { return "\n" + report.ToString(); }
  const FlipLog& log_;
  const Damage& damage_;
  const Verdict& verdict_;
  std::vector<bool> reported_;
  SequenceNumber next_ = 1;
  std::string problem_;
};

absl::StatusOr<std::unique_ptr<WalCore>> OpenCore(SimFileSystem& disk, RecoveryPolicy policy,
                                                  SegmentSupply* supply, RecoveryReport* report) {
  std::unique_ptr<Directory> directory;
  if (disk.OpenDirectory(kFlipDirectory, DirectoryMode::kMustExist, &directory) < 0) {
    return absl::InternalError("no directory");
  }
  Options options = FlipOptions();
  options.recovery_policy = policy;
  return WalCore::Open(disk, std::move(directory), options, supply, 1, report);
}

}  // namespace

std::string ReadDamaged(const FlipLog& log, const Damage& damage, const Verdict& verdict,
                        SimFileSystem& disk) {
  DamageCheck check(log, damage, verdict);
  LogReaderOptions options;
  options.file_system = &disk;
  options.scan = LogReaderOptions::Scan::kAll;
  options.limit = LogReaderOptions::Limit::kReadable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(kFlipDirectory, options);
  if (!reader.ok()) return absl::StrCat(damage.what, ": ", reader.status().ToString());
  check.SeeReport((*reader)->recovery());
  absl::StatusOr<Entry> entry = (*reader)->Next();
  for (; entry.ok(); entry = (*reader)->Next()) {
    if (entry->kind == Entry::Kind::kRecord) {
      check.See(entry->record);
    } else {
      check.SeeLost(entry->lost);
    }
  }
  if (!absl::IsOutOfRange(entry.status())) check.Wrong(entry.status().ToString());
  return check.Finish();
}

std::string OpenDamagedStrictly(const Damage& damage, const Verdict& verdict, SimFileSystem& disk) {
  const uint64_t before = disk.Hash();
  InlineSegmentSupply supply;
  RecoveryReport report;
  const auto core = OpenCore(disk, RecoveryPolicy::kStrict, &supply, &report);
  const bool as_due = verdict.Refused() ? absl::IsDataLoss(core.status()) : core.ok();
  if (!as_due) return absl::StrCat(damage.what, ": kStrict: ", core.status().ToString());
  if (verdict.Refused() && disk.Hash() != before) {
    return damage.what + ": kStrict refused and changed something";
  }
  return "";
}

std::string SalvageDamaged(const FlipLog& log, const Damage& damage, const Verdict& verdict,
                           SimFileSystem& disk) {
  InlineSegmentSupply supply;
  RecoveryReport report;
  DamageCheck check(log, damage, verdict);
  const auto core = OpenCore(disk, RecoveryPolicy::kSalvage, &supply, &report);
  if (!core.ok()) return absl::StrCat(damage.what, ": ", core.status().ToString());
  RecordReader reader((*core)->directory(), (*core)->log_id(), (*core)->segments()->Find(1), 1,
                      [] { return SequenceNumber{1}; });
  while (true) {
    switch (reader.Next((*core)->next_sequence() - 1)) {
      case RecordReader::Kind::kRecord:
        check.See(ToRecord(reader.record()));
        break;
      case RecordReader::Kind::kLost:
        check.SeeLost(reader.lost());
        break;
      case RecordReader::Kind::kError:
        check.Wrong(reader.status().ToString());
        return check.Finish();
      case RecordReader::Kind::kAtLimit:
        return check.Finish();
    }
  }
}

}  // namespace millrace
