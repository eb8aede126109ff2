// Damages a valid log as the input says, or puts anything in its place, and
// recovers. It must not crash, hang or change anything it may not change; find the
// same twice; invent nothing; and, looking at all of it, name every record that it
// cannot return and no other. What is dear to check is checked for some inputs.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "fuzz/choice.h"
#include "fuzz/damaged_directory.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/fuzzed_cursors.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"
#include "wal/check.h"
#include "wal/recovery.h"
#include "wal/segment_name.h"
#include "wal/segment_reader.h"
#include "wal/segment_supply.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

constexpr char kDirectory[] = "log";

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
    WAL_CHECK(payload == DamagedPayload(sequence));  // nothing is invented
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
    if (absl::IsResourceExhausted(core.status())) return;  // the first opening took the last
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

// All of them, or one.
std::vector<RecoveryPolicy> Policies(Choice& choice) {
  using enum RecoveryPolicy;
  const RecoveryPolicy policies[] = {kSalvage, kStrict, kStopAtFirstLoss};
  const uint64_t one = choice.Below(std::size(policies));
  if (choice.all()) return {std::begin(policies), std::end(policies)};
  return {policies[one]};
}

// What recovery does with one policy, and what can be done with the log then.
void RecoverWith(SimFileSystem& disk, RecoveryPolicy policy, bool honest, Choice& choice) {
  const uint64_t before = disk.Hash();
  const Result first = RecoverOn(disk, {.policy = policy});
  if (first.log.ok()) CheckFiles(*first.log);
  if (choice.OneIn(4)) {
    const Result second = RecoverOn(disk, {.policy = policy});
    WAL_CHECK(first.log.status() == second.log.status());
    WAL_CHECK(first.report.ToString() == second.report.ToString());
  }
  WAL_CHECK(disk.Hash() == before);
  if (choice.OneIn(8) && honest) GoOn(*disk.Clone(), policy);
  if (choice.OneIn(16)) AppendAndReopen(*disk.Clone(), policy);
}

void RecoverEverything(const DamagedDirectory& damaged, Choice choice) {
  SimFileSystem disk{SimOptions{}};
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(kDirectory, DirectoryMode::kCreate, &directory) == 0);
  for (const auto& [name, bytes] : damaged.files) {
    disk.WriteFileBytes(std::string(kDirectory) + "/" + name, bytes);
  }

  if (choice.OneIn(8)) {
    const CursorPlaces places = Committed(*directory, DamagedLogId());
    OpenCursors(*disk.Clone(), kDirectory, DamagedLogId(), places);
  }
  const uint64_t before = disk.Hash();
  const Result all = RecoverOn(disk, {.scan = Scan::kAll});
  WAL_CHECK(disk.Hash() == before);
  if (all.log.ok()) CheckFiles(*all.log);
  if (all.log.ok() && damaged.honest) CheckContent(disk, all);
  WAL_CHECK(all.log.ok() || !damaged.honest);

  if (choice.OneIn(2)) {
    const uint64_t mutations = disk.MutatingCalls();
    const Result read_only = RecoverOn(disk, {.access = Access::kReadOnly, .scan = Scan::kAll});
    WAL_CHECK(disk.MutatingCalls() == mutations);
    WAL_CHECK(all.log.status() == read_only.log.status());
  }
  if (choice.OneIn(2)) {
    for (const RecoveryPolicy policy : Policies(choice)) {
      RecoverWith(disk, policy, damaged.honest, choice);
    }
  }
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  millrace::FuzzInput input(data, size);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  millrace::RecoverEverything(millrace::DamageLog(input), millrace::Choice(bytes));
  return 0;
}
