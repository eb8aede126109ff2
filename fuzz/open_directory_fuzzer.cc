// Damages a valid log as the input says, or puts anything in its place, and
// recovers. It must not crash, hang or change anything it may not change; find the
// same twice; invent nothing; and, looking at all of it, name every record that it
// cannot return and no other.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "fuzz/fuzzed_cursors.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"
#include "wal/check.h"
#include "wal/recovery.h"
#include "wal/segment_name.h"
#include "wal/segment_reader.h"
#include "wal/segment_supply.h"
#include "wal/stored_cursor.h"
#include "wal/superblock.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

constexpr char kDirectory[] = "log";
constexpr int kSegments = 3;
constexpr int kRecords = 4;  // in each

LogId FuzzLogId() {
  LogId id;
  id.fill('d');
  return id;
}

std::string Payload(SequenceNumber s) {
  return "payload of " + std::to_string(s) + " " + std::string(s * 7, 'p');
}

using Files = std::map<std::string, std::string>;

SegmentHeader Header(uint64_t number, const Predecessor& predecessor) {
  SegmentHeader header;
  header.log_id = FuzzLogId();
  header.number = number;
  header.incarnation = 70 + number;
  header.first_sequence = predecessor.last_sequence + 1;
  header.mark = predecessor.last_sequence;
  header.capacity = kFramesOffset + 16384;
  header.predecessor = predecessor;
  return header;
}

Superblock BaseSuperblock() {
  Superblock superblock;
  superblock.log_id = FuzzLogId();
  superblock.generation = 2;
  superblock.mark = kSegments * kRecords;
  superblock.highest_segment = 8;
  return superblock;
}

std::string SuperblockFileBytes(const Superblock& superblock) {
  std::string bytes(2 * kBlockBytes, '\0');
  EncodeSuperblock(superblock, 0, std::span<char, kSlotBytes>(bytes.data(), kSlotBytes));
  return bytes;
}

// Twelve records in three segments, the last closed in order or torn.
Files ValidLog(bool closed) {
  Files files;
  Predecessor predecessor;
  for (uint64_t number = 1; number <= kSegments; ++number) {
    SegmentBuilder segment(Header(number, predecessor));
    segment.Group(predecessor.last_sequence);
    for (int i = 0; i < kRecords; ++i) segment.Record(Payload(segment.next()));
    predecessor = segment.AsPredecessor();
    if (number == kSegments && closed) segment.Footer();
    if (number == kSegments && !closed) segment.IdleMark();
    files[SegmentName(number)] = segment.Bytes();
  }
  files[std::string(kSuperblockName)] = SuperblockFileBytes(BaseSuperblock());
  return files;
}

std::string FileName(uint64_t which) {
  if (which % 16 == 15) return std::string(kSharedCheckpointsName);
  switch (which % 8) {
    case 6:
      return std::string(kSuperblockName);
    case 7:
      return "c.cursor";
    default:
      return SegmentName(which % 8 + 1);
  }
}

// Sets one field of a header or superblock, with checksums that hold.
void Forge(FuzzInput& input, Files& files) {
  const std::string name = FileName(input.Number(1));
  const uint64_t field = input.Number(1) % 11;
  // No log begins so many epochs that they would run out.
  const uint64_t value = input.Number(8) >> (field == 1 || field == 2 ? 1 : 0);
  if (name == kSuperblockName) {
    Superblock superblock = BaseSuperblock();
    uint64_t* const fields[] = {&superblock.generation,      &superblock.epoch,
                                &superblock.epoch_base,      &superblock.first_retained,
                                &superblock.highest_segment, &superblock.mark};
    *fields[field % 6] = value;
    files[name] = SuperblockFileBytes(superblock);
    return;
  }
  if (name == kSharedCheckpointsName || name == "c.cursor") {
    ForgeCursor(FuzzLogId(), field, value, files[name]);
    return;
  }
  std::string& bytes = files[name];
  if (bytes.size() < kFramesOffset) return;
  SegmentHeader header;
  const std::span<const char, kSegmentHeaderBytes> first(bytes.data(), kSegmentHeaderBytes);
  if (DecodeSegmentHeader(first, 0, &header) != HeaderStatus::kValid) return;
  Predecessor& p = header.predecessor;
  uint64_t* const fields[] = {&header.number,
                              &header.incarnation,
                              &header.epoch,
                              &header.first_sequence,
                              &header.mark,
                              &header.first_retained,
                              &header.capacity,
                              &p.number,
                              &p.incarnation,
                              &p.last_sequence,
                              &p.cut};
  *fields[field] = value;
  for (int copy = 0; copy < 2; ++copy) {
    EncodeSegmentHeader(header, copy,
                        std::span<char, kSegmentHeaderBytes>(bytes.data() + copy * kBlockBytes,
                                                             kSegmentHeaderBytes));
  }
}

// Applies one edit. True if it was honest damage, which forges nothing.
bool Edit(FuzzInput& input, Files& files) {
  const uint64_t kind = input.Number(1) % 8;
  if (kind == 7) {
    Forge(input, files);
    return false;
  }
  std::string& bytes = files[FileName(input.Number(1))];
  const uint64_t offset = bytes.empty() ? 0 : input.Number(2) % bytes.size();
  switch (kind) {
    case 0:
      if (!bytes.empty()) bytes[offset] ^= static_cast<char>(1 << input.Number(1) % 8);
      break;
    case 1: {
      const std::string over = input.Bytes(input.Number(1));
      if (!bytes.empty()) bytes.replace(offset, over.size(), over);
      break;
    }
    case 2:
      bytes.resize(offset);
      break;
    case 3:
      bytes.append(input.Number(2), static_cast<char>(input.Number(1)));
      break;
    case 4:
      files.erase(FileName(input.Number(1)));
      break;
    case 5: {
      const std::string copy = bytes;
      files[FileName(input.Number(1))] = copy;
      break;
    }
    case 6:
      bytes.replace(offset, std::min<uint64_t>(bytes.size() - offset, input.Number(2)),
                    input.Number(2) % 20'000, '\0');
      break;
  }
  return true;
}

// Every record of the chain that can be read, and the ranges that cannot.
struct Content {
  std::map<SequenceNumber, std::string> records;
  std::set<SequenceNumber> lost;
};

Content ReadChain(SimFileSystem& disk, const RecoveredLog& log) {
  Content content;
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory) == 0);
  SequenceNumber expected = log.first_retained;
  const auto lose = [&](SequenceNumber first, SequenceNumber last) {
    // Forged numbers may span everything.
    for (SequenceNumber s = first; s <= last && s - first < 1000; ++s) content.lost.insert(s);
  };
  for (const ChainSegment& segment : log.chain) {
    if (segment.first_sequence > expected) lose(expected, segment.first_sequence - 1);
    std::unique_ptr<File> file;
    const std::string name = SegmentName(segment.number);
    WAL_CHECK(directory->Open(name, OpenMode::kRead, &file) == 0);
    SegmentReader reader(file.get(), log.log_id, segment.number, segment.incarnation);
    reader.Seek(kFramesOffset, segment.first_sequence);
    while (true) {
      const SegmentReader::Step step = reader.Next(segment.end, segment.last_sequence);
      if (step.kind == SegmentReader::Kind::kLost) {
        lose(step.lost.first, step.lost.last);
      } else if (step.kind != SegmentReader::Kind::kFrame) {
        break;
      } else if (step.header.type == FrameType::kRecord) {
        content.records[step.header.sequence] = std::string(step.body());
      }
    }
    if (reader.next_sequence() <= segment.last_sequence) {
      lose(reader.next_sequence(), segment.last_sequence);
    }
    expected = segment.last_sequence + 1;
  }
  if (expected < log.next_sequence) lose(expected, log.next_sequence - 1);
  return content;
}

struct Result {
  absl::StatusOr<RecoveredLog> log = RecoveredLog();
  RecoveryReport report;
};

Result RecoverOn(SimFileSystem& disk, const RecoveryOptions& options) {
  Result result;
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(kDirectory, DirectoryMode::kCreate, &directory) == 0);
  result.log = Recover(disk, *directory, options, &result.report);
  return result;
}

// What holds for honest damage only: nobody can forge a checksum by accident.
void CheckContent(SimFileSystem& disk, const Result& result) {
  const Content content = ReadChain(disk, *result.log);
  for (const auto& [sequence, payload] : content.records) {
    WAL_CHECK(payload == Payload(sequence));  // nothing is invented
    WAL_CHECK(!content.lost.contains(sequence));
    WAL_CHECK(sequence < result.log->next_sequence);
  }
  std::set<SequenceNumber> reported;
  for (const LostRange& range : result.report.lost) {
    for (SequenceNumber s = range.first; s <= range.last; ++s) {
      WAL_CHECK(reported.insert(s).second);  // named once
      WAL_CHECK(!content.records.contains(s));
    }
  }
  for (const SequenceNumber s : content.lost) WAL_CHECK(reported.contains(s));
}

void CheckFiles(const RecoveredLog& log) {
  std::set<std::string> going(log.removable.begin(), log.removable.end());
  going.insert(log.set_aside.begin(), log.set_aside.end());
  WAL_CHECK(going.size() == log.removable.size() + log.set_aside.size());
  uint64_t last_number = 0;
  SequenceNumber last = 0;
  for (const ChainSegment& segment : log.chain) {
    WAL_CHECK(!going.contains(SegmentName(segment.number)));
    WAL_CHECK(segment.number > last_number);
    WAL_CHECK(segment.first_sequence > last);
    WAL_CHECK(segment.last_sequence >= segment.first_sequence);
    last_number = segment.number;
    last = segment.last_sequence;
  }
  WAL_CHECK(log.next_segment > last_number);
  WAL_CHECK(log.next_sequence > last);
}

std::set<SequenceNumber> LostNumbers(const RecoveryReport& report) {
  std::set<SequenceNumber> lost;
  for (const LostRange& range : report.lost) {
    for (SequenceNumber s = range.first; s <= range.last; ++s) lost.insert(s);
  }
  return lost;
}

// Does what an open does with what recovery found, and recovers again: the same
// records are there.
void GoOn(SimFileSystem& disk, const RecoveryPolicy policy) {
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory) == 0);
  const Result before = RecoverOn(disk, {.policy = policy, .scan = Scan::kAll});
  if (!before.log.ok()) return;
  const RecoveredLog& log = *before.log;
  const Content content = ReadChain(disk, log);
  SegmentHeader header;
  header.log_id = log.log_id;
  header.number = log.next_segment;
  header.incarnation = 4711;
  header.epoch = log.epoch + (log.starts_new_epoch ? 1 : 0);
  header.first_sequence = log.next_sequence;
  header.mark = log.next_sequence - 1;
  header.first_retained = log.first_retained;
  header.capacity = kFramesOffset + 16384;
  header.predecessor = log.predecessor;
  WriteFile(*directory, SegmentName(header.number), SegmentBuilder(header).Bytes());
  for (const std::string& name : log.removable) WAL_CHECK(directory->Unlink(name) == 0);
  for (const std::string& name : log.set_aside) {
    WAL_CHECK(directory->Rename(name, name + ".aside") == 0);
  }

  const Result after = RecoverOn(disk, {.scan = Scan::kAll});
  WAL_CHECK(after.log.ok());
  WAL_CHECK(after.log->next_sequence == log.next_sequence);
  WAL_CHECK(after.log->predecessor == log.predecessor);
  WAL_CHECK(ReadChain(disk, *after.log).records == content.records);
  // Once numbers above the mark are given again they are no loss any more.
  for (const SequenceNumber s : LostNumbers(after.report)) WAL_CHECK(s < log.next_sequence);
  for (const SequenceNumber s : LostNumbers(before.report)) {
    WAL_CHECK(s >= log.next_sequence || LostNumbers(after.report).contains(s));
  }
}

// Opens the log, if it can be, appends a record, and finds it in the log that is opened next.
void AppendAndReopen(SimFileSystem& disk, const RecoveryPolicy policy) {
  Options open_options;
  open_options.initial_segment_bytes = 8192;
  open_options.segment_bytes = 8192;
  open_options.recovery_policy = policy;
  SequenceNumber expected = 0;
  for (int opening = 0; opening < 2; ++opening) {
    std::unique_ptr<Directory> directory;
    WAL_CHECK(disk.OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory) == 0);
    InlineSegmentSupply supply;
    RecoveryReport report;
    const auto core = WalCore::Open(disk, std::move(directory), open_options, &supply, 1, &report);
    // Refused, with kStrict each time; or forged numbers have run out.
    if (!core.ok() && (opening == 0 || policy == RecoveryPolicy::kStrict)) return;
    WAL_CHECK(core.ok());
    WAL_CHECK(opening == 0 || (*core)->next_sequence() == expected);
    PendingFrame frame;
    frame.body = "one more";
    frame.body_checksum = BodyChecksum((*core)->body_seed(), frame.body);
    const auto added = (*core)->Add(frame);
    if (!added.ok()) return;  // forged numbers have run out
    expected = *added + 1;
    WAL_CHECK(opening == 0 ? (*core)->Write().ok() && (*core)->Sync().ok() : (*core)->Close().ok());
  }
  const Result result = RecoverOn(disk, {.scan = Scan::kAll});
  WAL_CHECK(result.log.ok() && result.log->next_sequence == expected);
  const Content content = ReadChain(disk, *result.log);
  WAL_CHECK(content.records.at(expected - 1) == "one more");
  WAL_CHECK(content.records.at(expected - 2) == "one more");
}

void RecoverEverything(const Files& files, bool honest) {
  SimFileSystem disk{SimOptions{}};
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(kDirectory, DirectoryMode::kCreate, &directory) == 0);
  for (const auto& [name, bytes] : files) WriteFile(*directory, name, bytes);

  OpenCursors(*disk.Clone(), kDirectory, FuzzLogId());
  const uint64_t before = disk.Hash();
  const uint64_t mutations = disk.MutatingCalls();
  const Result read_only = RecoverOn(disk, {.access = Access::kReadOnly, .scan = Scan::kAll});
  WAL_CHECK(disk.MutatingCalls() == mutations);
  const Result all = RecoverOn(disk, {.scan = Scan::kAll});
  WAL_CHECK(all.log.status() == read_only.log.status());
  if (all.log.ok()) CheckFiles(*all.log);
  if (all.log.ok() && honest) CheckContent(disk, all);
  WAL_CHECK(all.log.ok() || !honest);

  for (const RecoveryPolicy policy :
       {RecoveryPolicy::kSalvage, RecoveryPolicy::kStrict, RecoveryPolicy::kStopAtFirstLoss}) {
    const Result first = RecoverOn(disk, {.policy = policy});
    const Result second = RecoverOn(disk, {.policy = policy});
    WAL_CHECK(first.log.status() == second.log.status());
    WAL_CHECK(first.report.ToString() == second.report.ToString());
    if (first.log.ok()) CheckFiles(*first.log);
    WAL_CHECK(disk.Hash() == before);
    if (honest) GoOn(*disk.Clone(), policy);
    AppendAndReopen(*disk.Clone(), policy);
  }
}

}  // namespace
}  // namespace millrace

// The first byte says how the log ended; edits follow.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  millrace::FuzzInput input(data + 1, size - 1);
  millrace::Files files = millrace::ValidLog(data[0] % 2 == 0);
  bool honest = true;
  for (int edits = 0; edits < 32 && !input.empty(); ++edits) {
    if (!millrace::Edit(input, files)) honest = false;
  }
  millrace::RecoverEverything(files, honest);
  return 0;
}
