#include "tests/crash_oracle.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "wal/record_reader.h"
#include "wal/stored_cursor.h"

namespace millrace {
namespace {

std::string Named(const char* clause, SequenceNumber s, const char* what) {
  return absl::StrCat(clause, ": record ", s, " ", what);
}

PendingFrame Frame(const std::string& body, uint64_t body_seed) {
  PendingFrame frame;
  frame.body = body;
  frame.body_checksum = BodyChecksum(body_seed, body);
  return frame;
}

}  // namespace

void CrashOracle::Accepted(SequenceNumber first, std::vector<std::string> payloads) {
  ASSERT_LE(first, entries_.size() + 1) << "the log left numbers out";
  ASSERT_GT(first, acknowledged_) << "the log gave an acknowledged number again";
  entries_.resize(first - 1);
  const SequenceNumber batch_last = first + payloads.size() - 1;
  for (std::string& payload : payloads) entries_.push_back({std::move(payload), batch_last});
}

void CrashOracle::Acknowledged(SequenceNumber s) {
  ASSERT_LE(s, entries_.size());
  acknowledged_ = std::max(acknowledged_, s);
}

void CrashOracle::TruncationReturned() {
  ASSERT_TRUE(truncating_.has_value());
  for (SequenceNumber s = *truncating_ + 1; s <= entries_.size(); ++s) {
    dropped_.emplace(s, std::move(entries_[s - 1].payload));
  }
  entries_.resize(*truncating_);
  acknowledged_ = *truncating_;
  truncating_.reset();
  ++truncations_;
}

std::optional<std::string> CrashOracle::Check(const Recovered& recovered) const {
  if (!truncating_.has_value()) return CheckRecords(recovered);
  CrashOracle after = *this;
  after.TruncationReturned();
  const std::optional<std::string> as_dropped = after.CheckRecords(recovered);
  if (!as_dropped.has_value()) return std::nullopt;
  const std::optional<std::string> as_kept = CheckRecords(recovered);
  if (!as_kept.has_value()) return std::nullopt;
  return absl::StrCat("while truncating after ", *truncating_, ": if it took effect, ", *as_dropped,
                      "; if not, ", *as_kept);
}

std::optional<std::string> CrashOracle::CheckRecords(const Recovered& recovered) const {
  if (recovered.first > std::max<SequenceNumber>(trim_, 1)) {
    return Named("C1", recovered.first - 1, "is gone and was never given up");
  }
  const SequenceNumber last = recovered.first + recovered.payloads.size() - 1;
  if (std::optional<std::string> wrong = CheckLosses(recovered, last)) return wrong;
  for (SequenceNumber s = recovered.first; s <= last; ++s) {
    if (std::optional<std::string> wrong = CheckPayload(recovered, s)) return wrong;
  }
  const bool ends_with_record = last >= recovered.first && last > 0 && last <= entries_.size();
  if (ends_with_record && entries_[last - 1].batch_last != last) {
    return Named("C5", last, "survived without the rest of its batch");
  }
  return CheckCursors(recovered);
}

std::optional<std::string> CrashOracle::CheckPayload(const Recovered& recovered,
                                                     SequenceNumber s) const {
  if (recovered.lost.contains(s)) return std::nullopt;
  const std::string& payload = recovered.payloads[s - recovered.first];
  if (s <= entries_.size() && payload == entries_[s - 1].payload) return std::nullopt;
  const auto [begin, end] = dropped_.equal_range(s);
  if (std::any_of(begin, end, [&](const auto& entry) { return entry.second == payload; })) {
    return Named("C3", s, "was dropped by a truncation and is back");
  }
  return Named("C3", s,
               s > entries_.size() ? "was never accepted" : "has other bytes than were accepted");
}

std::optional<std::string> CrashOracle::CheckLosses(const Recovered& recovered,
                                                    SequenceNumber last) const {
  if (harm_beside_ == 0) {
    if (last < acknowledged_) return Named("C1", last + 1, "was acknowledged and is lost");
    if (!recovered.lost.empty())
      return Named("C2", *recovered.lost.begin(), "is missed by a reader");
    for (const LostRange& lost : recovered.report.lost) {
      if (lost.acknowledgement != Acknowledgement::kAcknowledged) continue;
      return absl::StrCat("C9: reported lost: ", lost.ToString());
    }
    return std::nullopt;
  }
  if (last >= acknowledged_) return std::nullopt;
  // What is gone first, a record or a batch, may begin in a sector that was not harmed.
  uint64_t bytes = 0;
  for (SequenceNumber s = entries_[last].batch_last + 1; s <= acknowledged_; ++s) {
    bytes += entries_[s - 1].payload.size();
  }
  if (bytes <= harm_beside_) return std::nullopt;
  return Named("C1", last + 1, "and more is lost than shared a sector with what was written");
}

std::optional<std::string> CrashOracle::CheckCursors(const Recovered& recovered) const {
  for (const auto& [name, bounds] : cursors_) {
    const auto found =
        std::find_if(recovered.cursors.begin(), recovered.cursors.end(),
                     [&name = name](const auto& cursor) { return cursor.first == name; });
    if (found == recovered.cursors.end()) {
      if (bounds.durable) return absl::StrCat("C11: cursor ", name, " is gone");
      continue;
    }
    const SequenceNumber committed = found->second;
    if (committed < bounds.lowest || committed > bounds.highest) {
      return absl::StrCat("C11: cursor ", name, " is at ", committed, ", not from ", bounds.lowest,
                          " to ", bounds.highest);
    }
    if (recovered.first > committed + 1) {
      return absl::StrCat("C12: cursor ", name, " is at ", committed, ", and records from ",
                          recovered.first, " on are left");
    }
  }
  return std::nullopt;
}

void CrashOracle::CheckpointBegun(const std::string& cursor, SequenceNumber committed) {
  CursorBounds& bounds = cursors_[cursor];
  if (!bounds.durable) bounds.lowest = committed;
  ASSERT_GE(committed, bounds.highest);
  bounds.highest = committed;
}

void CrashOracle::CheckpointReturned(const std::string& cursor) {
  CursorBounds& bounds = cursors_[cursor];
  bounds.lowest = bounds.highest;
  bounds.durable = true;
}

uint64_t CrashOracle::Digest() const {
  uint64_t digest = 0;
  const auto add = [&digest](uint64_t value) {
    digest = (digest ^ value) * 0x9E3779B97F4A7C15;
    digest ^= digest >> 29;
  };
  for (const uint64_t value : {acknowledged_, last(), trim_, harm_beside_, truncations_})
    add(value);
  add(truncating_.has_value() ? *truncating_ + 1 : 0);
  for (const auto& [name, bounds] : cursors_) {
    for (const uint64_t value : {uint64_t{bounds.durable}, bounds.lowest, bounds.highest})
      add(value);
  }
  return digest;
}

namespace {

// Reads all records into `recovered`. Returns an error message if that fails.
std::optional<std::string> ReadRecords(WalCore& core, CrashOracle::Recovered* recovered) {
  const SequenceNumber first = core.first_retained();
  const SequenceNumber limit = core.last_durable();
  recovered->first = first;
  RecordReader reader(core.directory(), core.log_id(), core.segments()->Find(first), first,
                      [first] { return first; });
  while (true) {
    const RecordReader::Kind kind = reader.Next(limit);
    if (kind == RecordReader::Kind::kAtLimit) return std::nullopt;
    if (kind == RecordReader::Kind::kError) return reader.status().ToString();
    const SequenceNumber expected = first + recovered->payloads.size();
    if (kind == RecordReader::Kind::kLost) {
      if (reader.lost().first != expected)
        return Named("C9", expected, "is not what is named lost");
      for (SequenceNumber s = expected; s <= reader.lost().last; ++s) {
        recovered->payloads.emplace_back();
        recovered->lost.insert(s);
      }
      continue;
    }
    if (reader.record().sequence != expected) return Named("C3", expected, "is out of order");
    recovered->payloads.emplace_back(reader.record().record.payload);
  }
}

std::optional<std::string> AppendProbes(WalCore& core, const std::string& probe,
                                        const CrashOracle::Recovered& recovered) {
  absl::StatusOr<SequenceNumber> s = core.Add(Frame(probe, core.body_seed()));
  if (!s.ok()) return s.status().ToString();
  if (!core.Write().ok() || !core.Sync().ok()) return "the probe was not written";
  if (*s != recovered.first + recovered.payloads.size()) {
    return absl::StrCat("C2: the next number is ", *s, " after ", recovered.payloads.size(),
                        " records from ", recovered.first, " on");
  }
  const std::string unsynced = UnsyncedProbe(probe);
  if (!core.Add(Frame(unsynced, core.body_seed())).ok() || !core.Write().ok()) {
    return "the second probe was not written";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> RecoverAll(SimFileSystem& disk, const Options& options,
                                      const std::string& probe, CrashOracle::Recovered* recovered) {
  std::unique_ptr<Directory> directory;
  const IoResult opened = disk.OpenDirectory(kSimDirectory, DirectoryMode::kCreate, &directory);
  if (opened < 0) return absl::StrCat("open directory: ", opened);
  Options reopen = options;
  reopen.create_mode = CreateMode::kCreateOrOpen;
  InlineSegmentSupply supply;
  absl::StatusOr<std::unique_ptr<WalCore>> core =
      WalCore::Open(disk, std::move(directory), reopen, &supply, 0, &recovered->report);
  if (!core.ok()) return absl::StrCat("C10: does not open: ", core.status().ToString());

  if (std::optional<std::string> wrong = ReadRecords(**core, recovered)) return wrong;
  const absl::StatusOr<std::vector<StoredCursor>> cursors = ReadCursors((*core)->directory());
  if (!cursors.ok()) return cursors.status().ToString();
  for (const StoredCursor& cursor : *cursors) {
    if (!cursor.BelongsTo((*core)->log_id())) continue;
    recovered->cursors.emplace_back(cursor.name, cursor.checkpoint.committed);
  }
  if (probe.empty()) return std::nullopt;
  return AppendProbes(**core, probe, *recovered);
}

void SimLog::Open() {
  std::unique_ptr<Directory> directory;
  ASSERT_GE(disk_.OpenDirectory(kSimDirectory, DirectoryMode::kCreate, &directory), 0);
  RecoveryReport report;
  auto core = WalCore::Open(disk_, std::move(directory), options_, &supply_, 1'000'000, &report);
  ASSERT_TRUE(core.ok()) << core.status() << "\n" << disk_.Describe();
  core_ = std::move(*core);
  ASSERT_GE(core_->last_durable(), oracle_.acknowledged());
  // What a recovery has shown is as good as acknowledged.
  oracle_.Acknowledged(core_->last_durable());
}

std::string SimLog::NextPayload(size_t bytes) {
  std::string payload = absl::StrCat("append ", ++appends_, " ");
  // Zeros and repeated words inside: what a scan could mistake for free space or
  // for frames.
  while (payload.size() < bytes) {
    payload.append(appends_ % 3 == 0 ? std::string(16, '\0') : absl::StrCat(appends_, "."));
  }
  payload.resize(bytes);
  return payload;
}

void SimLog::Append(size_t bytes, Durability durability) {
  const std::string payload = NextPayload(bytes);
  bodies_.push_back(payload);
  PendingFrame frame = Frame(bodies_.back(), core_->body_seed());
  frame.durability = durability;
  const SequenceNumber expected = core_->next_sequence();
  // Told before: writing may begin inside Add.
  oracle_.Accepted(expected, {payload});
  absl::StatusOr<SequenceNumber> s = core_->Add(frame);
  ASSERT_TRUE(s.ok()) << s.status();
  ASSERT_EQ(*s, expected);
}

void SimLog::AppendBatch(std::vector<size_t> sizes) {
  std::vector<std::string> payloads;
  for (size_t bytes : sizes) payloads.push_back(NextPayload(bytes));
  std::string body(4 * payloads.size(), '\0');
  for (size_t i = 0; i < payloads.size(); ++i) {
    const auto bytes = static_cast<uint32_t>(payloads[i].size());
    std::memcpy(&body[4 * i], &bytes, sizeof bytes);
    body += payloads[i];
  }
  const auto count = static_cast<uint16_t>(payloads.size());
  bodies_.push_back(std::move(body));
  PendingFrame frame = Frame(bodies_.back(), core_->body_seed());
  frame.type = FrameType::kBatch;
  frame.count = count;
  oracle_.Accepted(core_->next_sequence(), std::move(payloads));
  ASSERT_TRUE(core_->Add(frame).ok());
}

void SimLog::Write() {
  ASSERT_TRUE(core_->Write().ok()) << core_->status();
  bodies_.clear();
}

void SimLog::Sync() {
  ASSERT_TRUE(core_->Sync().ok()) << core_->status();
  oracle_.Acknowledged(core_->last_durable());
}

void SimLog::Commit() {
  Write();
  Sync();
}

void SimLog::IdleMark() { ASSERT_TRUE(core_->WriteIdleMark().ok()) << core_->status(); }

void SimLog::Trim(SequenceNumber first_to_keep) {
  oracle_.TrimRequested(first_to_keep);
  ASSERT_TRUE(core_->TrimBefore(first_to_keep).ok()) << core_->status();
  core_->ReleaseTrimmed();
  oracle_.Acknowledged(core_->last_durable());
}

void SimLog::Truncate(SequenceNumber last_to_keep) {
  oracle_.TruncationBegun(last_to_keep);
  const absl::Status status = core_->TruncateAfter(last_to_keep);
  ASSERT_TRUE(status.ok()) << status;
  bodies_.clear();
  oracle_.TruncationReturned();
  core_->ReleaseTrimmed();
}

void SimLog::Checkpoint(const std::string& cursor, SequenceNumber committed) {
  oracle_.CheckpointBegun(cursor, committed);
  CursorCheckpoint checkpoint;
  checkpoint.epoch = core_->epoch();
  checkpoint.committed = committed;
  std::unique_ptr<CursorFile>& file = cursors_[cursor];
  if (file == nullptr) {
    auto opened = CursorFile::Open(core_->directory(), core_->log_id(), cursor, checkpoint);
    ASSERT_TRUE(opened.ok()) << opened.status();
    file = std::move(*opened);
  }
  if (file->checkpoint().committed != committed) {
    const absl::Status status = file->Write(checkpoint);
    ASSERT_TRUE(status.ok()) << status;
  }
  oracle_.CheckpointReturned(cursor);
}

void SimLog::Close() {
  cursors_.clear();
  ASSERT_TRUE(core_->Close().ok()) << core_->status();
  oracle_.Acknowledged(core_->last_durable());
  core_.reset();
}

void SimLog::Kill() {
  disk_.KillProcess();
  cursors_.clear();
  core_.reset();
  bodies_.clear();
}

}  // namespace millrace
