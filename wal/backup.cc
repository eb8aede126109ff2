#include "wal/backup.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "wal/copy_target.h"
#include "wal/file_view.h"
#include "wal/io_status.h"
#include "wal/log_builder.h"
#include "wal/unfinished.h"

namespace millrace {
namespace {

// How often a log may be truncated under a copy that is being made of it.
constexpr int kTries = 8;

constexpr uint64_t kLeastSegmentBytes = uint64_t{8} << 10;
constexpr uint64_t kMostSegmentBytes = uint64_t{1} << 30;

absl::Status CheckOptions(const BackupOptions& options) {
  if (options.segment_bytes >= kLeastSegmentBytes && options.segment_bytes <= kMostSegmentBytes) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("BackupOptions::segment_bytes is %d: set it to %d to %d",
                      options.segment_bytes, kLeastSegmentBytes, kMostSegmentBytes));
}

// A directory as it will be when it is a log: without the mark.
absl::StatusOr<FileNames> FinishedNames(Directory& directory) {
  std::vector<std::string> names;
  const IoResult listed = directory.List(&names);
  if (listed < 0) return IoError("list", "the copy's directory", listed);
  FileNames shown;
  for (const std::string& name : names) {
    if (name != kUnfinishedName) shown[name].name = name;
  }
  return shown;
}

// One attempt.
class Backup {
 public:
  Backup(const CopySource& source, const BackupOptions& options)
      : source_(source), options_(options), total_bytes_(2 * source.bytes()) {}

  absl::StatusOr<BackupResult> Run(CopyTarget* target);

 private:
  absl::Status Copy(CopyTarget* target);
  absl::Status Verify(CopyTarget* target);
  absl::Status InFrontOf(const CopyTarget& target, const absl::Status& status) const;
  bool Watch(uint64_t before, uint64_t passed) const {
    if (options_.progress == nullptr) return true;
    return options_.progress({std::min(before + passed, total_bytes_), total_bytes_});
  }

  const CopySource& source_;
  const BackupOptions& options_;
  const uint64_t total_bytes_;
  CopiedCursors cursors_;
  CopyCounts counts_;
  BackupResult result_;
};

absl::Status Backup::Copy(CopyTarget* target) {
  // Before the records: what a cursor consumes from now on is not said of the copy.
  absl::StatusOr<CopiedCursors> cursors = CursorsToCopy(source_);
  if (!cursors.ok()) return cursors.status();
  cursors_ = *std::move(cursors);
  LogBuilder::Options build;
  build.first_retained = source_.first;
  build.segment_bytes = options_.segment_bytes;
  absl::StatusOr<std::unique_ptr<LogBuilder>> builder =
      LogBuilder::Create(target->file_system(), target->directory(), build);
  if (!builder.ok()) return builder.status();
  absl::Status status = CopyRecords(
      source_, options_.damage, [this](uint64_t passed) { return Watch(0, passed); },
      builder->get(), &counts_);
  for (const CopiedCursors::Cursor& cursor : cursors_.copied) {
    if (status.ok()) status = (*builder)->AddCursor(cursor.name, cursor.committed);
  }
  if (status.ok()) status = (*builder)->Finish(source_.next);
  result_.segments = (*builder)->segments();
  result_.bytes = (*builder)->bytes();
  return status;
}

absl::Status Backup::Verify(CopyTarget* target) {
  absl::StatusOr<FileNames> names = FinishedNames(target->directory());
  if (!names.ok()) return names.status();
  FileView view(&target->file_system(), *std::move(names));
  return VerifyCopy(view, target->path(), source_, counts_, cursors_,
                    [this](uint64_t passed) { return Watch(total_bytes_ / 2, passed); });
}

absl::Status Backup::InFrontOf(const CopyTarget& target, const absl::Status& status) const {
  if (!IsOutOfSpace(-ErrnoOf(status))) return InFront("copy to " + target.path(), status);
  return InFront(
      absl::StrFormat("copy to %s: no space after %d bytes of about %d, for record %d of %d",
                      target.path(), result_.bytes, total_bytes_ / 2, counts_.last + 1,
                      source_.limit),
      status);
}

absl::StatusOr<BackupResult> Backup::Run(CopyTarget* target) {
  absl::Status status = Copy(target);
  if (status.ok()) status = Verify(target);
  if (!status.ok()) return InFrontOf(*target, status);
  result_.first = source_.first;
  result_.last = source_.next - 1;
  result_.records = counts_.records;
  result_.payload_bytes = counts_.payload_bytes;
  result_.lost = std::move(counts_.lost);
  for (CopiedCursors::Cursor& cursor : cursors_.copied) {
    result_.cursors.push_back(std::move(cursor.name));
  }
  result_.cursors_left_out = std::move(cursors_.left_out);
  return std::move(result_);
}

}  // namespace

uint64_t BackupResult::records_lost() const {
  uint64_t records = 0;
  for (const LostRange& range : lost) records += range.records();
  return records;
}

absl::StatusOr<BackupResult> BackUp(absl::FunctionRef<absl::StatusOr<CopySource>()> source,
                                    const std::string& directory, const BackupOptions& options) {
  absl::Status status = CheckOptions(options);
  if (!status.ok()) return status;
  for (int i = 0; i < kTries; ++i) {
    const absl::StatusOr<CopySource> from = source();
    if (!from.ok()) return from.status();
    FileSystem& file_system =
        options.file_system != nullptr ? *options.file_system : *from->file_system;
    absl::StatusOr<std::unique_ptr<CopyTarget>> target = CopyTarget::Create(
        {from->path, from->file_system, from->directory}, file_system, directory);
    if (!target.ok()) return target.status();
    absl::StatusOr<BackupResult> result = Backup(*from, options).Run(target->get());
    // Whatever was met may be the truncation's doing.
    const absl::StatusOr<uint64_t> version = from->version_now();
    if (!version.ok()) return version.status();
    if (*version != from->version) continue;
    if (!result.ok()) return result.status();
    status = (*target)->Finish();
    if (!status.ok()) return InFront("copy to " + directory, status);
    return result;
  }
  return absl::AbortedError(absl::StrFormat(
      "the log was truncated %d times while it was being copied; nothing was kept: copy it while "
      "nobody truncates it",
      kTries));
}

}  // namespace millrace
