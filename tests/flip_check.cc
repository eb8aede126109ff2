#include "tests/flip_check.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "millrace/cursor.h"
#include "millrace/log_reader.h"
#include "millrace/options.h"
#include "millrace/recovery_report.h"
#include "wal/format.h"
#include "wal/record_reader.h"
#include "wal/segment_supply.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

// Follows what a reader gives, in order; says what is wrong with it.
class Reading {
 public:
  Reading(const FlipLog& log, const Flip& flip) : log_(log), flip_(flip) {}

  void See(const Record& record) {
    if (record.sequence != next_) Wrong(absl::StrFormat("%u read for %u", record.sequence, next_));
    const bool known = record.sequence >= 1 && record.sequence <= log_.last();
    if (!known || !log_.records[record.sequence - 1].Equals(record)) {
      Wrong(absl::StrFormat("record %u is not as it was appended", record.sequence));
    }
    next_ = record.sequence + 1;
  }

  void SeeLost(const LostRange& lost) {
    CheckLost(lost);
    if (lost.first != next_) Wrong(absl::StrFormat("%s, at %u", lost.ToString(), next_));
    next_ = lost.last + 1;
    ++losses_;
  }

  // What recovery names, in addition. It names every loss only if it reads all.
  enum class Report : uint8_t { kNamesAll, kMayNameFewer };
  void SeeReport(const RecoveryReport& report, Report kind) {
    uint64_t named = 0;
    for (const LostRange& lost : report.lost) {
      if (lost.records() == 0) {
        CheckBookkeeping(lost);
        continue;
      }
      CheckLost(lost);
      ++named;
    }
    const uint64_t expected = flip_.LosesRecords() ? 1 : 0;
    if (named > expected || (kind == Report::kNamesAll && named < expected)) {
      Wrong("the report names something else:\n" + report.ToString());
    }
  }

  void Failed(const absl::Status& status) { Wrong(status.ToString()); }

  std::string Finish() {
    if (next_ != log_.last() + 1) Wrong(absl::StrFormat("%u is neither read nor lost", next_));
    if (losses_ != (flip_.LosesRecords() ? 1u : 0u)) {
      Wrong(absl::StrFormat("%u losses are read", losses_));
    }
    return problem_;
  }

 private:
  void CheckLost(const LostRange& lost) {
    const FlipRange& range = *flip_.range;
    const bool exact = flip_.LosesRecords() && lost.first == range.first &&
                       lost.last == range.last && lost.segment == flip_.file->segment;
    if (!exact) Wrong("another loss: " + lost.ToString());
    if (lost.begin > flip_.offset || (lost.end != 0 && lost.end <= flip_.offset)) {
      Wrong("at another place: " + lost.ToString());
    }
    if (lost.acknowledgement != Acknowledgement::kAcknowledged) {
      Wrong("not known as acknowledged: " + lost.ToString());
    }
  }

  void CheckBookkeeping(const LostRange& lost) {
    const bool there = lost.segment == flip_.file->segment && lost.begin <= flip_.offset &&
                       (lost.end == 0 || lost.end > flip_.offset);
    if (flip_.LosesRecords() || !there) Wrong("bookkeeping elsewhere: " + lost.ToString());
  }

  void Wrong(const std::string& text) {
    if (problem_.empty()) problem_ = absl::StrCat(flip_.ToString(), ": ", text);
  }

  const FlipLog& log_;
  const Flip& flip_;
  SequenceNumber next_ = 1;
  uint64_t losses_ = 0;
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

std::string ReadThrough(WalCore& core, Reading& reading, SequenceNumber limit) {
  RecordReader reader(core.directory(), core.log_id(), core.segments()->Find(1), 1,
                      [] { return SequenceNumber{1}; });
  while (true) {
    switch (reader.Next(limit)) {
      case RecordReader::Kind::kRecord:
        reading.See(ToRecord(reader.record()));
        break;
      case RecordReader::Kind::kLost: {
        LostRange lost = reader.lost();
        lost.acknowledgement = Acknowledgement::kAcknowledged;  // up to the reader's owner
        reading.SeeLost(lost);
        break;
      }
      case RecordReader::Kind::kError:
        reading.Failed(reader.status());
        return reading.Finish();
      case RecordReader::Kind::kAtLimit:
        return reading.Finish();
    }
  }
}

}  // namespace

std::string Flip::ToString() const {
  return absl::StrFormat("%s byte %u bit %d (%s)", file->path, offset, bit,
                         std::string(FlipRegionName(range->region)));
}

std::string ReadFlipped(const FlipLog& log, const Flip& flip, SimFileSystem& disk) {
  Reading reading(log, flip);
  LogReaderOptions options;
  options.file_system = &disk;
  options.scan = LogReaderOptions::Scan::kAll;
  options.limit = LogReaderOptions::Limit::kReadable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(kFlipDirectory, options);
  if (!reader.ok()) {
    reading.Failed(reader.status());
    return reading.Finish();
  }
  reading.SeeReport((*reader)->recovery(), Reading::Report::kNamesAll);
  absl::StatusOr<Entry> entry = (*reader)->Next();
  for (; entry.ok(); entry = (*reader)->Next()) {
    if (entry->kind == Entry::Kind::kRecord) {
      reading.See(entry->record);
    } else {
      reading.SeeLost(entry->lost);
    }
  }
  if (!absl::IsOutOfRange(entry.status())) reading.Failed(entry.status());
  return reading.Finish();
}

std::string SalvageFlipped(const FlipLog& log, const Flip& flip, SimFileSystem& disk) {
  InlineSegmentSupply supply;
  RecoveryReport report;
  Reading reading(log, flip);
  auto core = OpenCore(disk, RecoveryPolicy::kSalvage, &supply, &report);
  if (!core.ok()) {
    reading.Failed(core.status());
    return reading.Finish();
  }
  if ((*core)->next_sequence() != log.last() + 1) {
    return absl::StrCat(flip.ToString(), ": goes on with ", (*core)->next_sequence());
  }
  reading.SeeReport(report, Reading::Report::kMayNameFewer);
  std::string problem = ReadThrough(**core, reading, log.last());
  if (!problem.empty()) return problem;

  PendingFrame frame;
  frame.body = "one more";
  frame.body_checksum = BodyChecksum((*core)->body_seed(), frame.body);
  const absl::StatusOr<SequenceNumber> added = (*core)->Add(frame);
  if (!added.ok() || *added != log.last() + 1) return flip.ToString() + ": cannot go on";
  if (absl::Status status = (*core)->Close(); !status.ok()) return status.ToString();
  FlipLog longer;
  longer.records = log.records;
  longer.records.push_back({.payload = "one more"});
  // In the segments of before nothing was changed: the same bit is still flipped.
  return ReadFlipped(longer, flip, disk);
}

std::string OpenFlippedStrictly(const Flip& flip, SimFileSystem& disk) {
  const uint64_t before = disk.Hash();
  InlineSegmentSupply supply;
  RecoveryReport report;
  const auto core = OpenCore(disk, RecoveryPolicy::kStrict, &supply, &report);
  const bool as_due = flip.LosesRecords() ? absl::IsDataLoss(core.status()) : core.ok();
  if (!as_due) return absl::StrCat(flip.ToString(), ": kStrict: ", core.status().ToString());
  if (flip.LosesRecords() && disk.Hash() != before) {
    return absl::StrCat(flip.ToString(), ": kStrict refused and changed something");
  }
  return "";
}

std::string StopAtFlipped(const FlipLog& log, const Flip& flip, SimFileSystem& disk) {
  InlineSegmentSupply supply;
  RecoveryReport report;
  const auto core = OpenCore(disk, RecoveryPolicy::kStopAtFirstLoss, &supply, &report);
  const auto wrong = [&](const std::string& text) {
    return absl::StrCat(flip.ToString(), ": kStopAtFirstLoss: ", text, "\n", report.ToString());
  };
  if (!core.ok()) return wrong(core.status().ToString());
  // Numbers that were given to records are not given to others.
  if ((*core)->next_sequence() != log.last() + 1) return wrong("gives numbers anew");

  const SequenceNumber first_lost = flip.LosesRecords() ? flip.range->first : log.last() + 1;
  SequenceNumber next = first_lost;
  for (const LostRange& lost : report.lost) {
    if (lost.records() == 0) continue;
    const bool damaged = lost.first == first_lost;
    const SequenceNumber last = damaged ? flip.range->last : lost.last;
    const bool as_due = lost.first == next && lost.last == last &&
                        (lost.cause == LossCause::kSetAside) != damaged &&
                        lost.acknowledgement == Acknowledgement::kAcknowledged;
    if (!as_due) return wrong("names another loss");
    next = lost.last + 1;
  }
  if (next != log.last() + 1) return wrong("does not name all that is lost");

  RecordReader reader((*core)->directory(), (*core)->log_id(), (*core)->segments()->Find(1), 1,
                      [] { return SequenceNumber{1}; });
  for (SequenceNumber s = 1; s < first_lost; ++s) {
    const bool kept = reader.Next(log.last()) == RecordReader::Kind::kRecord &&
                      reader.record().sequence == s &&
                      log.records[s - 1].Equals(ToRecord(reader.record()));
    if (!kept) return wrong(absl::StrCat("has not kept record ", s));
  }
  while (true) {
    const RecordReader::Kind kind = reader.Next(log.last());
    if (kind == RecordReader::Kind::kAtLimit) return "";
    if (kind != RecordReader::Kind::kLost) return wrong("goes on behind the loss");
  }
}

}  // namespace millrace
