#include "millrace/salvage.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "wal/copy_target.h"
#include "wal/file_view.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/log_builder.h"
#include "wal/log_copy.h"
#include "wal/salvage_exchange.h"
#include "wal/salvage_export.h"
#include "wal/salvage_plan.h"
#include "wal/salvage_survey.h"
#include "wal/segment_name.h"
#include "wal/stored_cursor.h"
#include "wal/superblock.h"
#include "wal/unfinished.h"

namespace millrace {
namespace {

constexpr std::string_view kUnplaceableName = "unplaceable";
constexpr std::string_view kUnplaceableSuffix = ".jsonl";

// Of an old name, so that the new one is not too long: a rename that fails for good would leave the
// exchange half done for good.
constexpr size_t kLongestFront = 200;

bool NeverStop(uint64_t) { return true; }

// The damaged log's directory, locked.
struct Damaged {
  FileSystem* file_system = nullptr;
  std::string path;
  std::unique_ptr<Directory> directory;
  std::unique_ptr<File> lock;  // null: there is no such file to lock
};

absl::StatusOr<Damaged> OpenDamaged(const std::string& path, const SalvageOptions& options,
                                    LockMode mode) {
  Damaged damaged;
  damaged.path = path;
  damaged.file_system = options.file_system != nullptr ? options.file_system : PosixFileSystem();
  const IoResult opened =
      damaged.file_system->OpenDirectory(path, DirectoryMode::kMustExist, &damaged.directory);
  if (opened < 0) return IoError("open", path, opened);
  const bool shared = mode == LockMode::kShared;
  const OpenMode open = shared ? OpenMode::kRead : OpenMode::kReadWrite;
  IoResult found = OpenFile(*damaged.directory, kLockName, open, &damaged.lock);
  if (found == -ENOENT && shared) return damaged;
  if (found == -ENOENT) {
    // Nothing is made in a directory that is none of a log's.
    const absl::StatusOr<Survey> survey = SurveyDirectory(*damaged.directory);
    if (!survey.ok()) return InFront("log " + path, survey.status());
    found = OpenFile(*damaged.directory, kLockName, OpenMode::kCreate, &damaged.lock);
  }
  if (found < 0) return InFront("log " + path, IoError("open", kLockName, found));
  const IoResult locked = damaged.lock->TryLock(mode);
  if (locked == -EAGAIN || locked == -EACCES) {
    return absl::AbortedError(absl::StrFormat(
        "log %s is open: a program that has it open must close it before it can be salvaged",
        path));
  }
  if (locked < 0) return InFront("log " + path, IoError("lock", kLockName, locked));
  return damaged;
}

absl::StatusOr<std::unique_ptr<SalvagePlan>> PlanFor(const Damaged& damaged) {
  const absl::StatusOr<std::string> unfinished = ReadUnfinished(*damaged.directory);
  if (!unfinished.ok()) return InFront("log " + damaged.path, unfinished.status());
  if (!unfinished->empty()) {
    return InFront("log " + damaged.path, UnfinishedError(*damaged.directory));
  }
  return SalvagePlan::Make(*damaged.file_system, *damaged.directory, damaged.path);
}

// Builds the new log in `directory`, and exports what has no place in it. Does not look at what is
// there already.
class NewLog {
 public:
  NewLog(SalvagePlan* plan, const SalvageOptions& options)
      : plan_(*plan), options_(options), source_(plan->source()) {}

  absl::Status Build(FileSystem& file_system, Directory& directory, const std::string& unplaceable,
                     SalvageReport* report);
  // `view` shows the new log's files under their names.
  absl::Status Verify(FileView& view, const std::string& path) {
    return VerifyCopy(view, path, source_, counts_, cursors_, NeverStop);
  }

 private:
  absl::Status Export(Directory& directory, const std::string& name, SalvageReport* report);

  SalvagePlan& plan_;
  const SalvageOptions& options_;
  const CopySource source_;
  CopyCounts counts_;
  CopiedCursors cursors_;
};

absl::Status NewLog::Export(Directory& directory, const std::string& name, SalvageReport* report) {
  UnplaceableFile file(directory, name);
  absl::Status status = plan_.VisitUnplaceable(
      [&file](const SurveyedFile& from, const SurveyedFrame& frame, std::string_view reason) {
        return file.Add(from.name, from.identity, frame, reason);
      });
  if (status.ok()) status = file.Finish();
  if (!file.empty()) report->unplaceable_file = name;
  return status;
}

absl::Status NewLog::Build(FileSystem& file_system, Directory& directory,
                           const std::string& unplaceable, SalvageReport* report) {
  absl::StatusOr<CopiedCursors> cursors = CursorsToCopy(source_);
  if (!cursors.ok()) return cursors.status();
  cursors_ = *std::move(cursors);
  LogBuilder::Options build;
  build.first_retained = source_.first;
  build.segment_bytes = options_.segment_bytes;
  absl::StatusOr<std::unique_ptr<LogBuilder>> builder =
      LogBuilder::Create(file_system, directory, build);
  if (!builder.ok()) return builder.status();
  absl::Status status = CopyRecords(source_, BackupOptions::Damage::kCopyTheRest, NeverStop,
                                    builder->get(), &counts_);
  for (const CopiedCursors::Cursor& cursor : cursors_.copied) {
    if (status.ok()) status = (*builder)->AddCursor(cursor.name, cursor.committed);
  }
  if (status.ok()) status = Export(directory, unplaceable, report);
  return status.ok() ? (*builder)->Finish(source_.next) : status;
}

// --- Into a new directory -----------------------------------------------------------------

absl::StatusOr<FileNames> NamesBut(Directory& directory, std::string_view left_out) {
  std::vector<std::string> names;
  const IoResult listed = directory.List(&names);
  if (listed < 0) return IoError("list", "the copy's directory", listed);
  FileNames shown;
  for (const std::string& name : names) {
    if (name != left_out) shown[name].name = name;
  }
  return shown;
}

absl::Status BuildInto(SalvagePlan* plan, const SalvageOptions& options, CopyTarget* target,
                       SalvageReport* report) {
  NewLog log(plan, options);
  const std::string unplaceable = absl::StrFormat("%s%s", kUnplaceableName, kUnplaceableSuffix);
  absl::Status status = log.Build(target->file_system(), target->directory(), unplaceable, report);
  if (!status.ok()) return status;
  absl::StatusOr<FileNames> names = NamesBut(target->directory(), kUnfinishedName);
  if (!names.ok()) return names.status();
  FileView view(&target->file_system(), *std::move(names));
  status = log.Verify(view, target->path());
  return status.ok() ? target->Finish() : status;
}

// --- In place -----------------------------------------------------------------------------

class InPlace {
 public:
  InPlace(const Damaged& damaged, const SalvageOptions& options)
      : damaged_(damaged), directory_(*damaged.directory), options_(options) {}

  absl::StatusOr<SalvageReport> Run();

 private:
  absl::StatusOr<bool> CarryOn();
  absl::StatusOr<std::vector<std::string>> Names() const;
  absl::Status RemoveBuilt();
  absl::Status BuildBeside(SalvagePlan* plan, SalvageReport* report);
  absl::StatusOr<FileNames> BuiltNames() const;
  absl::StatusOr<Exchange> ExchangeOf(const SalvagePlan& plan) const;

  const Damaged& damaged_;
  Directory& directory_;
  const SalvageOptions& options_;
};

absl::StatusOr<std::vector<std::string>> InPlace::Names() const {
  std::vector<std::string> names;
  const IoResult listed = directory_.List(&names);
  if (listed < 0) return IoError("list", "the log's directory", listed);
  std::sort(names.begin(), names.end());
  return names;
}

// Finishes an exchange that was interrupted. False: there is none.
absl::StatusOr<bool> InPlace::CarryOn() {
  const absl::StatusOr<std::string> unfinished = ReadUnfinished(directory_);
  if (!unfinished.ok()) return unfinished.status();
  if (unfinished->empty()) return false;
  if (!unfinished->starts_with(kExchangeLine)) return UnfinishedError(directory_);
  const absl::StatusOr<Exchange> exchange = DecodeExchange(*unfinished);
  if (!exchange.ok()) return exchange.status();
  const absl::Status finished = FinishExchange(directory_, *exchange);
  if (!finished.ok()) return finished;
  return true;
}

// What an attempt before this one has left: its own files, never the log's.
absl::Status InPlace::RemoveBuilt() {
  const absl::StatusOr<std::vector<std::string>> names = Names();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!std::string_view(name).ends_with(kBuiltSuffix)) continue;
    const IoResult removed = directory_.Unlink(name);
    if (removed < 0 && removed != -ENOENT) return IoError("unlink", name, removed);
  }
  return absl::OkStatus();
}

// The files that were built, under the names that they will have.
absl::StatusOr<FileNames> InPlace::BuiltNames() const {
  const absl::StatusOr<std::vector<std::string>> names = Names();
  if (!names.ok()) return names.status();
  FileNames built;
  for (const std::string& name : *names) {
    if (!std::string_view(name).ends_with(kBuiltSuffix)) continue;
    built[name.substr(0, name.size() - kBuiltSuffix.size())].name = name;
  }
  return built;
}

absl::Status InPlace::BuildBeside(SalvagePlan* plan, SalvageReport* report) {
  const absl::StatusOr<std::vector<std::string>> names = Names();
  if (!names.ok()) return names.status();
  std::string unplaceable = absl::StrFormat("%s%s", kUnplaceableName, kUnplaceableSuffix);
  for (int i = 2; std::binary_search(names->begin(), names->end(), unplaceable); ++i) {
    unplaceable = absl::StrFormat("%s-%d%s", kUnplaceableName, i, kUnplaceableSuffix);
  }
  SuffixedDirectory beside(directory_, kBuiltSuffix);
  NewLog log(plan, options_);
  absl::Status status = log.Build(*damaged_.file_system, beside, unplaceable, report);
  if (!status.ok()) return status;
  absl::StatusOr<FileNames> built = BuiltNames();
  if (!built.ok()) return built.status();
  FileView view(damaged_.file_system, *std::move(built));
  return log.Verify(view, damaged_.path);
}

absl::StatusOr<Exchange> InPlace::ExchangeOf(const SalvagePlan& plan) const {
  const absl::StatusOr<std::vector<std::string>> listed = Names();
  if (!listed.ok()) return listed.status();
  const absl::StatusOr<FileNames> built = BuiltNames();
  if (!built.ok()) return built.status();
  std::set<std::string> names(listed->begin(), listed->end());
  std::set<std::string> old = {std::string(kSuperblockName), std::string(kSharedCheckpointsName)};
  for (const SurveyedFile& file : plan.survey().files) old.insert(file.name);
  for (const std::string& name : names) {
    const std::string_view view = name;
    const bool cursor = view.ends_with(kCursorSuffix) || view.ends_with(kNewCursorSuffix);
    if (cursor || ParseSegmentName(name).has_value()) old.insert(name);
  }
  Exchange exchange;
  for (const std::string& name : old) {
    if (!names.contains(name)) continue;
    const std::string front = name.substr(0, kLongestFront);
    std::string aside = absl::StrFormat("%s%s", front, kAsideSuffix);
    for (int i = 2; names.contains(aside); ++i) {
      aside = absl::StrFormat("%s.%d%s", front, i, kAsideSuffix);
    }
    names.insert(aside);
    exchange.aside.emplace_back(name, aside);
  }
  for (const auto& [name, file] : *built) exchange.place.emplace_back(file.name, name);
  return exchange;
}

absl::StatusOr<SalvageReport> InPlace::Run() {
  const absl::StatusOr<bool> carried_on = CarryOn();
  absl::Status status = carried_on.status();
  if (status.ok()) status = RemoveBuilt();
  if (!status.ok()) return InFront("log " + damaged_.path, status);
  const absl::StatusOr<std::unique_ptr<SalvagePlan>> plan = PlanFor(damaged_);
  if (!plan.ok()) return plan.status();
  SalvageReport report = (*plan)->report();
  report.applied = *carried_on;
  if (!report.needed()) return report;
  status = BuildBeside(plan->get(), &report);
  if (!status.ok()) {
    // The log is as it was.
    RemoveBuilt().IgnoreError();
    return InFront("log " + damaged_.path, status);
  }
  const absl::StatusOr<Exchange> exchange = ExchangeOf(**plan);
  if (!exchange.ok()) return InFront("log " + damaged_.path, exchange.status());
  for (const auto& names : exchange->aside) report.set_aside.push_back(names.second);
  status = BeginExchange(directory_, *exchange);
  if (status.ok()) status = FinishExchange(directory_, *exchange);
  if (!status.ok()) {
    return InFront("log " + damaged_.path + ", while the files are exchanged: salvage it again",
                   status);
  }
  report.applied = true;
  return report;
}

}  // namespace

uint64_t SalvageReport::records_lost() const {
  uint64_t records = 0;
  for (const LostRange& range : lost) records += range.records();
  return records;
}

std::string_view SalvagedFileKindName(SalvagedFile::Kind kind) {
  switch (kind) {
    case SalvagedFile::Kind::kSegment:
      return "segment";
    case SalvagedFile::Kind::kMisnamed:
      return "misnamed";
    case SalvagedFile::Kind::kDuplicate:
      return "duplicate";
    case SalvagedFile::Kind::kForeign:
      return "foreign";
    case SalvagedFile::Kind::kUnused:
      return "unused";
    case SalvagedFile::Kind::kUnknown:
      return "unknown";
  }
  return "";
}

absl::StatusOr<SalvageReport> PlanSalvage(const std::string& directory,
                                          const SalvageOptions& options) {
  const absl::StatusOr<Damaged> damaged = OpenDamaged(directory, options, LockMode::kShared);
  if (!damaged.ok()) return damaged.status();
  const absl::StatusOr<std::unique_ptr<SalvagePlan>> plan = PlanFor(*damaged);
  if (!plan.ok()) return plan.status();
  return (*plan)->report();
}

absl::StatusOr<SalvageReport> SalvageTo(const std::string& directory, const std::string& output,
                                        const SalvageOptions& options) {
  const absl::StatusOr<Damaged> damaged = OpenDamaged(directory, options, LockMode::kShared);
  if (!damaged.ok()) return damaged.status();
  const absl::StatusOr<std::unique_ptr<SalvagePlan>> plan = PlanFor(*damaged);
  if (!plan.ok()) return plan.status();
  SalvageReport report = (*plan)->report();
  if (!report.needed()) return report;
  FileSystem& file_system =
      options.output_file_system != nullptr ? *options.output_file_system : *damaged->file_system;
  absl::StatusOr<std::unique_ptr<CopyTarget>> target = CopyTarget::Create(
      {damaged->path, damaged->file_system, damaged->directory.get()}, file_system, output);
  if (!target.ok()) return InFront("log " + directory, target.status());
  absl::Status status = BuildInto(plan->get(), options, target->get(), &report);
  if (!status.ok()) return InFront("log " + directory + ", salvaged to " + output, status);
  report.applied = true;
  return report;
}

absl::StatusOr<SalvageReport> SalvageInPlace(const std::string& directory,
                                             const SalvageOptions& options) {
  const absl::StatusOr<Damaged> damaged = OpenDamaged(directory, options, LockMode::kExclusive);
  if (!damaged.ok()) return damaged.status();
  return InPlace(*damaged, options).Run();
}

}  // namespace millrace
