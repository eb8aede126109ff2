#include "fuzz/valid_log.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "wal/check.h"
#include "wal/format.h"
#include "wal/segment_name.h"
#include "wal/stored_cursor.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

constexpr char kCursorFile[] = "audit.cursor";

void MustBeOk(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "cannot write a valid log: %s\n", status.ToString().c_str());
  std::abort();
}

AppendOptions OptionsOf(const ValidLogWriter::Content& record, Attribute* attribute) {
  AppendOptions options;
  if (!record.key.empty()) options.key = record.key;
  *attribute = {"a", record.attribute};
  if (!record.attribute.empty()) options.attributes = std::span(attribute, 1);
  return options;
}

std::string Encode(const ValidLogWriter::Content& record, bool* has_extras) {
  Attribute attribute;
  const AppendOptions options = OptionsOf(record, &attribute);
  std::string body(ExtrasBytes(options), '\0');
  *has_extras = !body.empty();
  if (!body.empty()) EncodeExtras(options, body.data());
  return body + record.payload;
}

// What was said of an epoch that the log has left counts up to the base of the live one.
struct Mark {
  uint64_t epoch = 0;
  SequenceNumber number = 0;
};

// Calls `visit` with the offset of each frame of a segment, its mark and its header, and first
// with 0 and the mark of the segment's header.
template <class Visit>
void WalkFrames(const std::string& bytes, Visit visit) {
  SegmentHeader header;
  const std::span<const char, kSegmentHeaderBytes> first(bytes.data(), kSegmentHeaderBytes);
  WAL_CHECK(DecodeSegmentHeader(first, 0, &header) == HeaderStatus::kValid);
  if (header.state != SegmentState::kActive) return;
  visit(0, Mark{header.epoch, header.mark}, FrameHeader());
  const uint64_t seed = SegmentSeed(header.log_id, header.number, header.incarnation);
  for (uint64_t at = kFramesOffset; at + kFrameHeaderBytes <= bytes.size();) {
    FrameHeader frame;
    if (DecodeFrameHeader(&bytes[at], seed, at, &frame) != FrameStatus::kValid) return;
    const bool has_mark = frame.type == FrameType::kGroup || frame.type == FrameType::kIdleMark ||
                          frame.type == FrameType::kFooter;
    const GroupBody group =
        has_mark ? DecodeGroupBody(&bytes[at + kFrameHeaderBytes]) : GroupBody();
    visit(at, Mark{group.epoch, group.mark}, frame);
    at += FrameBytes(frame.body_bytes);
  }
}

SequenceNumber Vouched(const std::string& name, const std::string& bytes, uint64_t epoch,
                       SequenceNumber epoch_base) {
  SequenceNumber highest = 0;
  const auto see = [&](Mark mark) {
    if (mark.epoch < epoch) mark.number = std::min(mark.number, epoch_base);
    highest = std::max(highest, mark.number);
  };
  if (ParseSegmentName(name).has_value()) {
    WalkFrames(bytes, [&](uint64_t, Mark mark, const FrameHeader&) { see(mark); });
  }
  for (const int slot : {0, 1}) {
    if (bytes.size() < slot * kBlockBytes + kSlotBytes) break;
    const std::span<const char, kSlotBytes> block(&bytes[slot * kBlockBytes], kSlotBytes);
    Superblock superblock;
    CursorSlot cursor;
    if (DecodeSuperblock(block, slot, &superblock) == HeaderStatus::kValid) {
      see({superblock.epoch, superblock.mark});
    }
    if (DecodeCursorSlot(block, slot, &cursor) == HeaderStatus::kValid) {
      see({cursor.epoch, cursor.committed});
    }
  }
  return highest;
}

}  // namespace

Options FuzzedLogOptions() {
  Options options;
  options.initial_segment_bytes = 8192;
  options.segment_bytes = 8192;
  return options;
}

absl::StatusOr<std::unique_ptr<WalCore>> OpenFuzzedLog(SimFileSystem& disk, RecoveryPolicy policy,
                                                       SegmentSupply* supply,
                                                       RecoveryReport* report) {
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(kFuzzedDirectory, DirectoryMode::kCreate, &directory) == 0);
  Options options = FuzzedLogOptions();
  options.recovery_policy = policy;
  return WalCore::Open(disk, std::move(directory), options, supply, /*now_ns=*/1, report);
}

ValidLogWriter::ValidLogWriter(uint64_t seed) {
  log_.disk = std::make_unique<SimFileSystem>(SimOptions{.seed = seed});
  RecoveryReport report;
  auto core = OpenFuzzedLog(*log_.disk, RecoveryPolicy::kStrict, &supply_, &report);
  MustBeOk(core.status());
  core_ = *std::move(core);
  core_->SetTime(now_ns_);
}

void ValidLogWriter::Note(const Content& record) {
  std::string line = absl::StrCat(next_++);
  if (!record.key.empty()) line += " key=" + record.key;
  if (!record.attribute.empty()) line += " a=" + record.attribute;
  log_.lines.push_back(line + " " + record.payload);
}

void ValidLogWriter::Add(const Content& record) {
  bool has_extras = false;
  std::string body = Encode(record, &has_extras);
  AddFrame(std::move(body), FrameType::kRecord, has_extras ? kHasExtras : 0, 1);
  Note(record);
}

void ValidLogWriter::AddBatch(const std::vector<Content>& records) {
  std::string index;
  std::string bodies;
  for (const Content& record : records) {
    bool has_extras = false;
    const std::string body = Encode(record, &has_extras);
    const uint32_t entry =
        static_cast<uint32_t>(body.size()) | (has_extras ? kBatchEntryHasExtras : 0);
    index.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    bodies += body;
  }
  AddFrame(index + bodies, FrameType::kBatch, 0, static_cast<uint16_t>(records.size()));
  for (const Content& record : records) Note(record);
}

void ValidLogWriter::AddFrame(std::string body, FrameType type, uint8_t flags, uint16_t count) {
  bodies_.push_back(std::make_unique<std::string>(std::move(body)));
  PendingFrame frame;
  frame.body = *bodies_.back();
  frame.body_checksum = BodyChecksum(core_->body_seed(), frame.body);
  frame.type = type;
  frame.flags = flags;
  frame.count = count;
  const absl::StatusOr<SequenceNumber> sequence = core_->Add(frame);
  MustBeOk(sequence.status());
  WAL_CHECK_EQ(*sequence, next_);
}

void ValidLogWriter::EndGroup() {
  MustBeOk(core_->Write());
  MustBeOk(core_->Sync());
  bodies_.clear();
  now_ns_ += 1000;
  core_->SetTime(now_ns_);
}

void ValidLogWriter::Idle() {
  EndGroup();
  MustBeOk(core_->WriteIdleMark());
}

void ValidLogWriter::TrimBefore(SequenceNumber first_to_keep) {
  EndGroup();
  MustBeOk(core_->TrimBefore(first_to_keep));
  core_->ReleaseTrimmed();
  const SequenceNumber first = core_->first_retained();
  log_.lines.erase(log_.lines.begin(), log_.lines.begin() + (first - log_.first));
  log_.first = first;
}

void ValidLogWriter::TruncateAfter(SequenceNumber last_to_keep) {
  EndGroup();
  const absl::Status status = core_->TruncateAfter(last_to_keep);
  if (absl::IsInvalidArgument(status)) return;  // inside a batch
  MustBeOk(status);
  core_->ReleaseTrimmed();
  log_.truncated = log_.truncated || last_to_keep + 1 < next_;
  log_.lines.resize(last_to_keep + 1 - log_.first);
  next_ = last_to_keep + 1;
}

std::string ValidLogWriter::SegmentBytes(uint64_t number) const {
  return log_.disk->ReadFileBytes(absl::StrCat(kFuzzedDirectory, "/", SegmentName(number)))
      .value_or("");
}

void ValidLogWriter::WriteCursor() {
  CursorSlot cursor;
  cursor.log_id = core_->log_id();
  cursor.generation = 4;
  cursor.epoch = core_->epoch();
  cursor.committed = next_ - 1;
  cursor.name = "audit";
  std::string bytes(kSlotBytes, '\0');
  EncodeCursorSlot(cursor, 0, std::span<char, kSlotBytes>(bytes.data(), kSlotBytes));
  log_.disk->WriteFileBytes(absl::StrCat(kFuzzedDirectory, "/", kCursorFile), bytes);
}

ValidLog ValidLogWriter::Finish(LogEnding ending) {
  if (ending == LogEnding::kIdle) {
    Idle();
  } else {
    EndGroup();
  }
  if (ending == LogEnding::kCursorFound) WriteCursor();
  if (ending == LogEnding::kClosed) {
    MustBeOk(core_->Close());
  } else {
    log_.disk->KillProcess();
  }
  const uint64_t epoch = core_->epoch();
  const SequenceNumber epoch_base = core_->epoch_base();
  core_.reset();
  for (const std::string& name : log_.disk->FileNames(kFuzzedDirectory)) {
    log_.files[name] = *log_.disk->ReadFileBytes(absl::StrCat(kFuzzedDirectory, "/", name));
    log_.vouches[name] = Vouched(name, log_.files[name], epoch, epoch_base);
  }
  return std::move(log_);
}

std::vector<FramePlace> FramesOf(const ValidLog& log) {
  std::vector<FramePlace> frames;
  for (const auto& [name, bytes] : log.files) {
    if (!ParseSegmentName(name).has_value()) continue;
    WalkFrames(bytes, [&, &file = name](uint64_t at, Mark, const FrameHeader& frame) {
      if (at > 0) frames.push_back({file, at, FrameBytes(frame.body_bytes)});
    });
  }
  return frames;
}

}  // namespace millrace
