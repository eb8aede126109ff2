#include "tests/flip_log.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "wal/check.h"
#include "wal/format.h"
#include "wal/segment_name.h"
#include "wal/segment_supply.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

constexpr char kCursorFile[] = "audit.cursor";
constexpr std::string_view kCursorName = "audit";

void MustBeOk(const absl::Status& status) { WAL_CHECK(status.ok()); }

// Any bytes, none of them zero by rule.
std::string Payload(size_t bytes, uint64_t seed) {
  std::string payload(bytes, '\0');
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (char& c : payload) {
    state = state * 6364136223846793005 + 1442695040888963407;
    c = static_cast<char>(state >> 56);
  }
  return payload;
}

// --- Writing ------------------------------------------------------------------

class Builder {
 public:
  explicit Builder(uint64_t seed)
      : disk_(std::make_unique<SimFileSystem>(SimOptions{.seed = seed})) {
    std::unique_ptr<Directory> directory;
    WAL_CHECK_EQ(disk_->OpenDirectory(kFlipDirectory, DirectoryMode::kCreate, &directory), 0);
    RecoveryReport report;
    absl::StatusOr<std::unique_ptr<WalCore>> core =
        WalCore::Open(*disk_, std::move(directory), FlipOptions(), &supply_, now_ns_, &report);
    MustBeOk(core.status());
    core_ = *std::move(core);
  }

  void Add(FlipRecord record) {
    std::string body = Encode(record);
    const uint8_t flags = ExtrasOf(record) > 0 ? kHasExtras : 0;
    AddFrame(std::move(body), FrameType::kRecord, flags, 1);
    records_.push_back(std::move(record));
  }

  void AddBatch(std::vector<FlipRecord> batch) {
    std::string index;
    std::string bodies;
    for (const FlipRecord& record : batch) {
      const std::string body = Encode(record);
      uint32_t entry = static_cast<uint32_t>(body.size());
      if (ExtrasOf(record) > 0) entry |= kBatchEntryHasExtras;
      index.append(reinterpret_cast<const char*>(&entry), sizeof entry);
      bodies += body;
    }
    AddFrame(index + bodies, FrameType::kBatch, 0, static_cast<uint16_t>(batch.size()));
    for (FlipRecord& record : batch) records_.push_back(std::move(record));
  }

  // Ends a group and makes it durable.
  void EndGroup() {
    MustBeOk(core_->Write());
    MustBeOk(core_->Sync());
    bodies_.clear();
    now_ns_ += 1000;
    core_->SetTime(now_ns_);
  }

  void Idle() { MustBeOk(core_->WriteIdleMark()); }
  uint64_t rotations() const { return core_->counters().rotations; }
  SequenceNumber last() const { return records_.size(); }

  void WriteCursor(SequenceNumber committed) {
    std::string bytes(kBlockBytes + kSlotBytes, '\0');
    for (const int slot : {0, 1}) {
      CursorSlot cursor;
      cursor.log_id = core_->log_id();
      cursor.generation = 6 + slot;
      cursor.epoch = core_->epoch();
      cursor.committed = committed + slot;
      cursor.name = kCursorName;
      EncodeCursorSlot(cursor, slot,
                       std::span<char, kSlotBytes>(&bytes[slot * kBlockBytes], kSlotBytes));
    }
    disk_->WriteFileBytes(absl::StrCat(kFlipDirectory, "/", kCursorFile), bytes);
  }

  void End(FlipEnding ending) {
    if (ending == FlipEnding::kClosed) {
      MustBeOk(core_->Close());
    } else {
      disk_->KillProcess();
    }
    core_.reset();
  }

  std::unique_ptr<SimFileSystem> TakeDisk() { return std::move(disk_); }
  std::vector<FlipRecord> TakeRecords() { return std::move(records_); }

 private:
  static AppendOptions OptionsOf(const FlipRecord& record, std::vector<Attribute>* attributes) {
    for (const auto& [name, value] : record.attributes) attributes->push_back({name, value});
    AppendOptions options;
    if (record.key.has_value()) options.key = *record.key;
    options.attributes = *attributes;
    return options;
  }

  static uint64_t ExtrasOf(const FlipRecord& record) {
    std::vector<Attribute> attributes;
    return ExtrasBytes(OptionsOf(record, &attributes));
  }

  static std::string Encode(const FlipRecord& record) {
    std::vector<Attribute> attributes;
    const AppendOptions options = OptionsOf(record, &attributes);
    std::string body(ExtrasBytes(options), '\0');
    if (!body.empty()) EncodeExtras(options, body.data());
    return body + record.payload;
  }

  void AddFrame(std::string body, FrameType type, uint8_t flags, uint16_t count) {
    bodies_.push_back(std::make_unique<std::string>(std::move(body)));
    PendingFrame frame;
    frame.body = *bodies_.back();
    frame.body_checksum = BodyChecksum(core_->body_seed(), frame.body);
    frame.type = type;
    frame.flags = flags;
    frame.count = count;
    const absl::StatusOr<SequenceNumber> first = core_->Add(frame);
    MustBeOk(first.status());
    WAL_CHECK_EQ(*first, records_.size() + 1);
  }

  std::unique_ptr<SimFileSystem> disk_;
  InlineSegmentSupply supply_;
  int64_t now_ns_ = 1'700'000'000'000'000'000;
  std::unique_ptr<WalCore> core_;
  std::vector<FlipRecord> records_;
  std::vector<std::unique_ptr<std::string>> bodies_;  // of the group that gathers
};

FlipRecord Plain(size_t bytes, uint64_t seed) { return {.payload = Payload(bytes, seed)}; }

FlipRecord Rich(size_t bytes, uint64_t seed) {
  return {.key = absl::StrCat("key ", seed),
          .attributes = {{"origin", Payload(5, seed)}, {"", ""}},
          .payload = Payload(bytes, seed)};
}

// What one segment gets before the first idle mark, and after it.
void AddSomeGroups(Builder& log, uint64_t seed) {
  log.Add(Plain(0, seed));
  log.Add(Plain(13, seed));
  log.Add(Rich(40, seed));
  log.EndGroup();
  log.AddBatch({Plain(9, seed + 1), Rich(0, seed + 1), Plain(0, seed + 1)});
  log.Add(Plain(200, seed + 2));
  log.EndGroup();
}

// --- Walking ------------------------------------------------------------------

class Walker {
 public:
  explicit Walker(const SimFileSystem& disk) : disk_(disk) {}

  FlipFile Walk(const std::string& name) {
    file_ = FlipFile{};
    file_.path = absl::StrCat(kFlipDirectory, "/", name);
    bytes_ = *disk_.ReadFileBytes(file_.path);
    if (ParseSegmentName(name).has_value()) {
      WalkSegment(*ParseSegmentName(name));
    } else {
      WalkSlots(name == kCursorFile ? FlipRegion::kCursorSlot : FlipRegion::kSuperblockSlot);
    }
    WAL_CHECK(file_.ranges.empty() || file_.ranges.back().end == bytes_.size());
    return std::move(file_);
  }

 private:
  void Put(FlipRegion region, uint64_t end, SequenceNumber first = 0, SequenceNumber last = 0) {
    const uint64_t begin = file_.ranges.empty() ? 0 : file_.ranges.back().end;
    WAL_CHECK_LE(end, bytes_.size());
    if (end > begin) file_.ranges.push_back({region, begin, end, first, last});
  }

  void WalkSlots(FlipRegion region) {
    if (bytes_.empty()) return;
    Put(region, kSlotBytes);
    Put(FlipRegion::kBlockSlack, std::min<uint64_t>(kBlockBytes, bytes_.size()));
    if (bytes_.size() <= kBlockBytes) return;
    Put(region, kBlockBytes + kSlotBytes);
    Put(FlipRegion::kBlockSlack, bytes_.size());
  }

  void WalkSegment(uint64_t number) {
    file_.segment = number;
    SegmentHeader header;
    for (const int copy : {0, 1}) {
      const uint64_t begin = copy * kBlockBytes;
      const auto status = DecodeSegmentHeader(
          std::span<const char, kSegmentHeaderBytes>(&bytes_[begin], kSegmentHeaderBytes), copy,
          &header);
      WAL_CHECK(status == HeaderStatus::kValid);
      Put(FlipRegion::kHeaderCopy, begin + kSegmentHeaderBytes);
      Put(FlipRegion::kBlockSlack, begin + kBlockBytes);
    }
    if (header.state == SegmentState::kPrepared) {
      Put(FlipRegion::kPreparedFill, bytes_.size());
      return;
    }
    const uint64_t seed = SegmentSeed(header.log_id, header.number, header.incarnation);
    uint64_t at = kFramesOffset;
    while (at + kFrameHeaderBytes <= bytes_.size()) {
      FrameHeader frame;
      if (DecodeFrameHeader(&bytes_[at], seed, at, &frame) != FrameStatus::kValid) break;
      PutFrame(frame, at);
      at += FrameBytes(frame.body_bytes);
    }
    Put(FlipRegion::kBeyondEnd, bytes_.size());
  }

  void PutFrame(const FrameHeader& frame, uint64_t at) {
    const uint64_t body_end = at + kFrameHeaderBytes + frame.body_bytes;
    switch (frame.type) {
      case FrameType::kRecord:
      case FrameType::kBatch:
        Put(FlipRegion::kRecords, body_end, frame.sequence, frame.sequence + frame.count - 1);
        break;
      case FrameType::kGroup:
        Put(FlipRegion::kGroup, body_end);
        break;
      case FrameType::kIdleMark:
        Put(FlipRegion::kIdleMark, body_end);
        break;
      case FrameType::kFooter:
        Put(FlipRegion::kFooter, body_end);
        break;
      case FrameType::kPadding:
        Put(FlipRegion::kPaddingHeader, at + kFrameHeaderBytes);
        Put(FlipRegion::kPaddingBody, body_end);
        break;
    }
    Put(FlipRegion::kAlignment, at + FrameBytes(frame.body_bytes));
  }

  const SimFileSystem& disk_;
  FlipFile file_;
  std::string bytes_;
};

}  // namespace

std::string_view FlipRegionName(FlipRegion region) {
  static constexpr std::array<std::string_view, kFlipRegions> kNames = {
      "records",         "group",          "idle mark",    "footer",          "padding header",
      "padding body",    "alignment",      "header copy",  "superblock slot", "cursor slot",
      "rest of a block", "beyond the end", "prepared file"};
  return kNames[static_cast<size_t>(region)];
}

bool FlipRecord::Equals(const Record& record) const {
  if (record.payload != payload || record.key.has_value() != key.has_value()) return false;
  if (key.has_value() && *record.key != *key) return false;
  return std::equal(attributes.begin(), attributes.end(), record.attributes.begin(),
                    record.attributes.end(), [](const auto& mine, const Attribute& theirs) {
                      return mine.first == theirs.name && mine.second == theirs.value;
                    });
}

Options FlipOptions() {
  Options options;
  options.initial_segment_bytes = 8192;
  options.segment_bytes = 8192;
  return options;
}

FlipLog BuildFlipLog(FlipEnding ending, uint64_t seed) {
  Builder log(seed);
  for (uint64_t segment = 0; segment < 2; ++segment) {
    AddSomeGroups(log, 10 * segment + 1);
    log.Idle();
    AddSomeGroups(log, 10 * segment + 5);
    // Does not fit any more: the first record of the next segment.
    log.Add(Rich(3200, segment + 100));
    log.EndGroup();
    WAL_CHECK_EQ(log.rotations(), segment + 1);
  }
  log.AddBatch({Rich(50, 31), Plain(70, 32)});
  log.EndGroup();
  log.WriteCursor(log.last() / 2);
  if (ending == FlipEnding::kCrashed) log.Idle();
  log.End(ending);

  FlipLog built;
  built.disk = log.TakeDisk();
  built.records = log.TakeRecords();
  Walker walker(*built.disk);
  std::vector<std::string> names = built.disk->FileNames(kFlipDirectory);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) built.files.push_back(walker.Walk(name));
  return built;
}

}  // namespace millrace
