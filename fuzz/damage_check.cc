#include "fuzz/damage_check.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "millrace/log_reader.h"
#include "tests/independent_reader.h"
#include "tests/reader_lines.h"
#include "wal/check.h"
#include "wal/format.h"

namespace millrace {
namespace {

constexpr std::string_view kOneMore = "one more";

std::string PathOf(const std::string& name) { return absl::StrCat(kFuzzedDirectory, "/", name); }

std::unique_ptr<SimFileSystem> DamagedDisk(const ValidLog& log,
                                           const std::map<std::string, std::string>& files) {
  std::unique_ptr<SimFileSystem> disk = log.disk->Clone();
  for (const auto& [name, bytes] : log.files) {
    if (files.count(name) == 0) disk->DeleteFile(PathOf(name));
  }
  for (const auto& [name, bytes] : files) {
    const auto before = log.files.find(name);
    if (before == log.files.end() || before->second != bytes) {
      disk->WriteFileBytes(PathOf(name), bytes);
    }
  }
  return disk;
}

bool IsLost(const std::string& line) {
  return line.ends_with(" lost") && line.find(' ') + 5 == line.size();
}

[[noreturn]] void Fail(const char* what, const std::vector<std::string>& lines,
                       const std::string& detail) {
  std::fprintf(stderr, "check failed: %s\n%s\n", what, detail.c_str());
  for (const std::string& line : lines) std::fprintf(stderr, "  %.60s\n", line.c_str());
  std::abort();
}

// What every reading of the log must show.
void CheckLines(const ValidLog& log, const std::map<std::string, std::string>& files,
                const std::vector<std::string>& lines) {
  SequenceNumber vouched = 0;
  for (const auto& [name, number] : log.vouches) {
    const auto now = files.find(name);
    if (now != files.end() && now->second == log.files.at(name))
      vouched = std::max(vouched, number);
  }
  const bool dropped_may_return =
      log.truncated && (files.count("LOG") == 0 || files.at("LOG") != log.files.at("LOG"));
  // Where nothing says any more what was trimmed, it is named as lost or found again.
  SequenceNumber next = 0;
  for (const std::string& line : lines) {
    const SequenceNumber number = std::stoull(line);
    if (next != 0 && number != next) Fail("a number is passed over", lines, line);
    next = number + 1;
    if (IsLost(line) || dropped_may_return || number < log.first) continue;
    if (number > log.last() || log.lines[number - log.first] != line) {
      Fail("a record is not as it was appended", lines, line);
    }
  }
  if (vouched >= log.first && next <= vouched) {
    Fail("the log ends before what a whole file vouches for", lines, absl::StrCat(vouched));
  }
  if (!lines.empty() && std::stoull(lines.front()) > log.first) {
    Fail("the log begins too late", lines, absl::StrCat(log.first));
  }
}

void CheckIndependently(const std::map<std::string, std::string>& files,
                        const std::vector<std::string>& lines) {
  const std::vector<std::string> other = independent::Reader().Read(files);
  if (other == lines) return;
  const auto differ = std::mismatch(other.begin(), other.end(), lines.begin(), lines.end()).first;
  Fail("the independent reader says something else", lines,
       absl::StrCat(other.size(), " lines; ", differ == other.end() ? "fewer" : *differ));
}

// Nobody writes: who looks again after all was read sees no more.
void CheckLookingAgain(SimFileSystem& disk, const std::vector<std::string>& lines) {
  LogReaderOptions options;
  options.file_system = &disk;
  options.limit = LogReaderOptions::Limit::kReadable;
  const auto reader = LogReader::Open(kFuzzedDirectory, options);
  WAL_CHECK(reader.ok());
  if (!lines.empty()) WAL_CHECK((*reader)->Seek(std::stoull(lines.back()) + 1).ok());
  WAL_CHECK((*reader)->Refresh().ok());
  const auto entry = (*reader)->Next();
  if (!absl::IsOutOfRange(entry.status())) Fail("looking again shows more", lines, "");
}

// Returns what recovery, having read everything, names as surely written.
std::set<SequenceNumber> CheckReport(SimFileSystem& disk, const std::vector<std::string>& lines) {
  LogReaderOptions options;
  options.file_system = &disk;
  options.scan = LogReaderOptions::Scan::kAll;
  options.limit = LogReaderOptions::Limit::kReadable;
  const auto reader = LogReader::Open(kFuzzedDirectory, options);
  WAL_CHECK(reader.ok());
  const std::string report = (*reader)->recovery().ToString();
  std::set<SequenceNumber> met;
  for (const std::string& line : lines) {
    if (IsLost(line)) met.insert(std::stoull(line));
  }
  const SequenceNumber end = lines.empty() ? 0 : std::stoull(lines.back());
  std::set<SequenceNumber> named;
  std::set<SequenceNumber> written;
  for (const LostRange& lost : (*reader)->recovery().lost) {
    for (SequenceNumber s = lost.first; s <= lost.last; ++s) {
      if (lost.acknowledgement != Acknowledgement::kUnknown) written.insert(s);
      if (!named.insert(s).second) Fail("a number is named twice", lines, report);
      // What is cut off the end may have been acknowledged; nobody can say so any more.
      const bool cut = s > end && lost.acknowledgement != Acknowledgement::kAcknowledged;
      if (met.erase(s) == 0 && !cut) Fail("a loss is named and not met", lines, report);
    }
  }
  if (!met.empty()) Fail("a loss is met and not named", lines, report);
  return written;
}

void CheckStrict(SimFileSystem& disk, const std::set<SequenceNumber>& lost) {
  const uint64_t before = disk.Hash();
  InlineSegmentSupply supply;
  RecoveryReport report;
  const auto core = OpenFuzzedLog(disk, RecoveryPolicy::kStrict, &supply, &report);
  // The newest segment may be gone as a whole, with nobody left who knows its records.
  const bool untold =
      std::any_of(report.lost.begin(), report.lost.end(), [](const LostRange& range) {
        return range.records() == 0 && range.acknowledgement == Acknowledgement::kUnknown;
      });
  if (core.ok() ? !lost.empty() : lost.empty() && !untold) {
    Fail("kStrict", {}, absl::StrCat(core.status().ToString(), "\n", report.ToString()));
  }
  if (core.ok()) return;
  WAL_CHECK(absl::IsDataLoss(core.status()));
  WAL_CHECK(disk.Hash() == before);
}

// Opens, appends one, closes; returns what is then read.
std::vector<std::string> GoOn(SimFileSystem& disk, RecoveryPolicy policy, SequenceNumber* added,
                              RecoveryReport* report) {
  InlineSegmentSupply supply;
  const auto core = OpenFuzzedLog(disk, policy, &supply, report);
  if (!core.ok()) Fail("cannot be opened", {}, core.status().ToString());
  PendingFrame frame;
  frame.body = kOneMore;
  frame.body_checksum = BodyChecksum((*core)->body_seed(), frame.body);
  const absl::StatusOr<SequenceNumber> sequence = (*core)->Add(frame);
  WAL_CHECK(sequence.ok());
  *added = *sequence;
  WAL_CHECK((*core)->Close().ok());
  return ReaderLines(&disk, kFuzzedDirectory);
}

void CheckSalvage(SimFileSystem& disk, std::vector<std::string> lines) {
  SequenceNumber added = 0;
  RecoveryReport report;
  const std::vector<std::string> after = GoOn(disk, RecoveryPolicy::kSalvage, &added, &report);
  const SequenceNumber next = lines.empty() ? added : std::stoull(lines.back()) + 1;
  // Numbers that were given out are not given again; those between are named as lost.
  if (added < next) Fail("gives a number anew", lines, absl::StrCat(added));
  for (SequenceNumber s = next; s < added; ++s) lines.push_back(absl::StrCat(s, " lost"));
  lines.push_back(absl::StrCat(added, " ", std::string(kOneMore)));
  // Without a record before it the log may begin with it.
  while (after.size() < lines.size() && IsLost(lines.front())) lines.erase(lines.begin());
  if (after != lines) Fail("kSalvage changes what is read", after, report.ToString());
}

void CheckStop(SimFileSystem& disk, const std::vector<std::string>& lines) {
  SequenceNumber added = 0;
  RecoveryReport report;
  const std::vector<std::string> after =
      GoOn(disk, RecoveryPolicy::kStopAtFirstLoss, &added, &report);
  const size_t kept = std::find_if(lines.begin(), lines.end(), IsLost) - lines.begin();
  for (size_t i = 0; i < kept; ++i) {
    if (i >= after.size() || after[i] != lines[i]) Fail("kStopAtFirstLoss keeps less", after, "");
  }
  for (size_t i = kept; i + 1 < after.size(); ++i) {
    if (!IsLost(after[i])) Fail("kStopAtFirstLoss goes on behind the loss", after, after[i]);
  }
  if (after.empty() || after.back() != absl::StrCat(added, " ", std::string(kOneMore))) {
    Fail("kStopAtFirstLoss cannot go on", after, report.ToString());
  }
}

}  // namespace

void CheckDamaged(const ValidLog& log, const std::map<std::string, std::string>& files,
                  int opening) {
  const std::unique_ptr<SimFileSystem> disk = DamagedDisk(log, files);
  const uint64_t before = disk->Hash();
  const uint64_t mutations = disk->MutatingCalls();
  const std::vector<std::string> lines = ReaderLines(disk.get(), kFuzzedDirectory);
  // Nothing is left of the log.
  if (lines.size() == 1 && lines.front().find("no log") != std::string::npos) return;
  CheckLines(log, files, lines);
  CheckIndependently(files, lines);
  CheckLookingAgain(*disk, lines);
  const std::set<SequenceNumber> lost = CheckReport(*disk, lines);
  WAL_CHECK(disk->Hash() == before);
  WAL_CHECK(disk->MutatingCalls() == mutations);
  const bool all = opening < 0 || opening > 2;
  if (all || opening == 0) CheckStrict(*disk->Clone(), lost);
  if (all || opening == 1) CheckSalvage(*disk->Clone(), lines);
  if (all || opening == 2) CheckStop(*disk->Clone(), lines);
}

}  // namespace millrace
