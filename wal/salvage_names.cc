// Which of the files of a damaged log is shown under which name.

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/salvage_survey.h"
#include "wal/segment_name.h"
#include "wal/stored_cursor.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

class NameResolver {
 public:
  NameResolver(Directory& directory, const Survey& survey)
      : directory_(directory), survey_(survey) {}

  absl::StatusOr<FileNames> Run();

 private:
  using Files = std::vector<const SurveyedFile*>;

  absl::StatusOr<std::unique_ptr<File>> Open(const SurveyedFile& surveyed) const;
  absl::StatusOr<uint64_t> IntactBytes(const SurveyedFile& surveyed) const;
  absl::StatusOr<const SurveyedFile*> Best(const Files& files) const;
  absl::Status FillIn(const SurveyedFile& base, const SurveyedFile& other,
                      ViewedFile* viewed) const;

  Directory& directory_;
  const Survey& survey_;
  std::map<uint64_t, uint64_t> named_;  // incarnations, by the headers of successors
};

absl::StatusOr<std::unique_ptr<File>> NameResolver::Open(const SurveyedFile& surveyed) const {
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(directory_, surveyed.name, OpenMode::kRead, &file);
  if (opened < 0) return IoError("open", surveyed.name, opened);
  return file;
}

absl::StatusOr<uint64_t> NameResolver::IntactBytes(const SurveyedFile& surveyed) const {
  const absl::StatusOr<std::unique_ptr<File>> file = Open(surveyed);
  if (!file.ok()) return file.status();
  uint64_t bytes = 0;
  WalkFrames(**file, surveyed.bytes, surveyed.identity,
             [&bytes](const SurveyedFrame& frame) { bytes += frame.frame.size(); });
  return bytes;
}

// The use of the file that a successor names, before one that has a header, before the one that
// holds most.
absl::StatusOr<const SurveyedFile*> NameResolver::Best(const Files& files) const {
  if (files.size() == 1) return files.front();
  const SurveyedFile* best = nullptr;
  std::tuple<bool, bool, uint64_t, bool> best_rank;
  for (const SurveyedFile* file : files) {
    const absl::StatusOr<uint64_t> intact = IntactBytes(*file);
    if (!intact.ok()) return intact.status();
    const auto named = named_.find(file->identity.number);
    const bool is_named = named != named_.end() && named->second == file->identity.incarnation;
    const std::tuple rank{is_named, file->kind == SurveyedFile::Kind::kSegment, *intact,
                          file->name == SegmentName(file->identity.number)};
    if (best != nullptr && rank <= best_rank) continue;
    best = file;
    best_rank = rank;
  }
  return best;
}

// Adds to `viewed` what is damaged in `base` and intact in `other`, a copy of the same segment.
absl::Status NameResolver::FillIn(const SurveyedFile& base, const SurveyedFile& other,
                                  ViewedFile* viewed) const {
  const absl::StatusOr<std::unique_ptr<File>> base_file = Open(base);
  if (!base_file.ok()) return base_file.status();
  const absl::StatusOr<std::unique_ptr<File>> other_file = Open(other);
  if (!other_file.ok()) return other_file.status();
  std::vector<ViewedFile::Patch>& patches = viewed->patches;
  if (base.damaged_headers > other.damaged_headers) {
    ViewedFile::Patch headers{0, std::string(kFramesOffset, '\0')};
    if (ReadFully(**other_file, 0, headers.bytes) == static_cast<IoResult>(kFramesOffset)) {
      patches.push_back(std::move(headers));
    }
  }
  const std::vector<DamagedPart> damaged =
      WalkFrames(**base_file, base.bytes, base.identity, [](const SurveyedFrame&) {});
  size_t part = 0;
  WalkFrames(**other_file, other.bytes, other.identity, [&](const SurveyedFrame& frame) {
    const uint64_t end = frame.offset + frame.frame.size();
    while (part < damaged.size() && damaged[part].end < end) ++part;
    if (part == damaged.size() || frame.offset < damaged[part].begin) return;
    if (!patches.empty() && patches.back().offset + patches.back().bytes.size() == frame.offset) {
      patches.back().bytes += frame.frame;
    } else {
      patches.push_back({frame.offset, std::string(frame.frame)});
    }
  });
  return absl::OkStatus();
}

absl::StatusOr<FileNames> NameResolver::Run() {
  std::map<uint64_t, Files> by_number;
  for (const SurveyedFile& file : survey_.files) {
    if (!file.IsSegment() || file.identity.log_id != survey_.log_id) continue;
    by_number[file.identity.number].push_back(&file);
    if (file.predecessor != 0) named_[file.predecessor] = file.predecessor_incarnation;
  }
  FileNames names;
  for (const auto& [number, files] : by_number) {
    const absl::StatusOr<const SurveyedFile*> best = Best(files);
    if (!best.ok()) return best.status();
    ViewedFile& viewed = names[SegmentName(number)];
    viewed.name = (*best)->name;
    for (const SurveyedFile* other : files) {
      if (other == *best || !other->identity.SameUse((*best)->identity)) continue;
      absl::Status status = FillIn(**best, *other, &viewed);
      if (!status.ok()) return status;
    }
    std::stable_sort(viewed.patches.begin(), viewed.patches.end(),
                     [](const auto& a, const auto& b) { return a.offset < b.offset; });
  }
  if (survey_.superblock == Survey::Superblock::kOurs) {
    names[std::string(kSuperblockName)].name = kSuperblockName;
  }
  for (const std::string& cursor : survey_.cursor_files) names[cursor].name = cursor;
  if (survey_.shared_checkpoints) {
    names[std::string(kSharedCheckpointsName)].name = kSharedCheckpointsName;
  }
  return names;
}

}  // namespace

absl::StatusOr<FileNames> ProperNames(Directory& directory, const Survey& survey) {
  return NameResolver(directory, survey).Run();
}

}  // namespace millrace
