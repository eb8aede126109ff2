#include "wal/salvage_survey.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/segment_reader.h"
#include "wal/segment_scan.h"
#include "wal/stored_cursor.h"
#include "wal/superblock.h"
#include "wal/unfinished.h"

namespace millrace {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;
constexpr size_t kLargestMarkBytes = FrameBytes(kFooterBodyBytes);

absl::Status NewerVersion(const std::string& name) {
  return absl::UnimplementedError(absl::StrCat(
      name, " was written by a newer version of Millrace; salvage the log with that one"));
}

// Names under which no segment is looked for.
bool IsOther(const std::string& name) {
  const std::string_view view = name;
  return view == kSuperblockName || view == kLockName || view == kSharedCheckpointsName ||
         view == kUnfinishedName || view.ends_with(kCursorSuffix) ||
         view.ends_with(kNewCursorSuffix) || view.ends_with(kAsideSuffix) ||
         view.ends_with(kBuiltSuffix);
}

// The mark that may stand at `frame`, if it is intact and of log `log_id`: its identity.
std::optional<FileIdentity> MarkAt(const char* frame, uint64_t offset, const LogId& log_id) {
  FrameHeader header;
  uint32_t body_bytes;
  std::memcpy(&body_bytes, frame + 16, sizeof body_bytes);
  if (body_bytes != kGroupBodyBytes && body_bytes != kFooterBodyBytes) return std::nullopt;
  const auto type = static_cast<FrameType>(frame[20]);
  if (type != FrameType::kGroup && type != FrameType::kIdleMark && type != FrameType::kFooter) {
    return std::nullopt;
  }
  const GroupBody group = DecodeGroupBody(frame + kFrameHeaderBytes);
  if (group.number == 0 || group.number > kMaxSegmentNumber) return std::nullopt;
  const uint64_t seed = SegmentSeed(log_id, group.number, group.incarnation);
  if (DecodeFrameHeader(frame, seed, offset, &header) != FrameStatus::kValid) return std::nullopt;
  const std::string_view body(frame + kFrameHeaderBytes, header.body_bytes);
  if (header.body_checksum != BodyChecksum(BodySeed(log_id), body)) return std::nullopt;
  return FileIdentity{log_id, group.number, group.incarnation, kNoSequence};
}

// Finds out by its frames whose segment a file is, if it is one of `ids`.
std::optional<FileIdentity> IdentityByFrames(File& file, const std::set<LogId>& ids) {
  const std::unique_ptr<char[]> buffer(new char[kReadBytes + kLargestMarkBytes]);
  const uint64_t step = kReadBytes - RoundUp(kLargestMarkBytes, kAlignment);
  for (uint64_t offset = kFramesOffset; offset < kMaxScanBytes; offset += step) {
    const IoResult got = ReadFully(file, offset, {buffer.get(), kReadBytes});
    if (got == 0) break;
    if (got < 0) continue;  // what cannot be read is passed over
    // A footer cut short by the end of the file is looked at as if zeros followed.
    std::memset(buffer.get() + got, 0, kLargestMarkBytes);
    for (uint64_t i = 0; i + FrameBytes(kGroupBodyBytes) <= static_cast<uint64_t>(got);
         i += kAlignment) {
      for (const LogId& id : ids) {
        const auto identity = MarkAt(buffer.get() + i, offset + i, id);
        if (identity.has_value()) return identity;
      }
    }
    if (static_cast<size_t>(got) < kReadBytes) break;
  }
  return std::nullopt;
}

// Reads the headers. False: they say nothing.
absl::StatusOr<bool> ReadHeaders(File& file, SurveyedFile* surveyed) {
  std::optional<SegmentHeader> best;
  for (int copy = 0; copy < 2; ++copy) {
    std::array<char, kSegmentHeaderBytes> bytes = {};
    SegmentHeader header;
    const IoResult got = ReadFully(file, copy * kBlockBytes, bytes);
    const HeaderStatus status =
        got < 0 ? HeaderStatus::kDamaged : DecodeSegmentHeader(bytes, copy, &header);
    if (status == HeaderStatus::kNewer) return NewerVersion(surveyed->name);
    if (status != HeaderStatus::kValid) {
      ++surveyed->damaged_headers;
    } else if (!best.has_value() || best->state == SegmentState::kPrepared) {
      best = header;
    }
  }
  if (!best.has_value()) return false;
  surveyed->kind = best->state == SegmentState::kActive ? SurveyedFile::Kind::kSegment
                                                        : SurveyedFile::Kind::kPrepared;
  surveyed->identity = {best->log_id, best->number, best->incarnation, best->first_sequence};
  surveyed->predecessor = best->predecessor.number;
  surveyed->predecessor_incarnation = best->predecessor.incarnation;
  return true;
}

class Surveyor {
 public:
  explicit Surveyor(Directory& directory) : directory_(directory) {}

  absl::StatusOr<Survey> Run();

 private:
  absl::Status LookAtFiles(const std::vector<std::string>& names);
  absl::Status LookAtSuperblock();
  absl::Status LookAtCursors();
  absl::Status LookAtFrames();
  absl::StatusOr<LogId> Identify() const;

  Directory& directory_;
  Survey survey_;
  std::set<LogId> ids_;
  std::optional<LogId> superblock_id_;
  std::vector<StoredCursor> cursors_;
};

absl::Status Surveyor::LookAtFiles(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    survey_.shared_checkpoints |= name == kSharedCheckpointsName;
    if (IsOther(name)) continue;
    SurveyedFile surveyed;
    surveyed.name = name;
    std::unique_ptr<File> file;
    const IoResult opened = OpenFile(directory_, name, OpenMode::kRead, &file);
    FileInfo info;
    if (opened >= 0 && (file->Stat(&info) < 0 || info.kind != FileInfo::Kind::kRegular)) continue;
    if (opened == -EMFILE || opened == -ENFILE || opened == -ENOMEM || opened == -EACCES) {
      return IoError("open", name, opened);
    }
    surveyed.bytes = info.size;
    const bool named = ParseSegmentName(name).has_value();
    // Of what cannot be opened only a segment's name is worth telling.
    if (opened < 0 && !named) continue;
    if (opened >= 0) {
      absl::StatusOr<bool> found = ReadHeaders(*file, &surveyed);
      if (!found.ok()) return found.status();
      if (*found) ids_.insert(surveyed.identity.log_id);
      if (!*found && surveyed.damaged_headers == 2 && !HoldsAnything(*file)) {
        std::array<char, kFramesOffset> front = {};
        const IoResult got = ReadFully(*file, 0, front);
        const bool zeros =
            got >= 0 && std::all_of(front.begin(), front.end(), [](char c) { return c == 0; });
        if (zeros) surveyed.kind = SurveyedFile::Kind::kZeros;
      }
    }
    survey_.files.push_back(std::move(surveyed));
  }
  return absl::OkStatus();
}

absl::Status Surveyor::LookAtSuperblock() {
  Superblock superblock;
  const absl::StatusOr<HeaderStatus> status = SuperblockFile::Load(directory_, &superblock);
  if (!status.ok()) {
    survey_.superblock = Survey::Superblock::kDamaged;
    return absl::OkStatus();
  }
  switch (*status) {
    case HeaderStatus::kNewer:
      return NewerVersion(std::string(kSuperblockName));
    case HeaderStatus::kZero:
      survey_.superblock = Survey::Superblock::kMissing;
      break;
    case HeaderStatus::kDamaged:
      survey_.superblock = Survey::Superblock::kDamaged;
      break;
    case HeaderStatus::kValid:
      superblock_id_ = superblock.log_id;
      ids_.insert(superblock.log_id);
      break;
  }
  return absl::OkStatus();
}

absl::Status Surveyor::LookAtCursors() {
  absl::StatusOr<std::vector<StoredCursor>> stored = ReadCursors(directory_);
  if (!stored.ok()) return stored.status();
  cursors_ = *std::move(stored);
  for (const StoredCursor& cursor : cursors_) {
    if (cursor.status == HeaderStatus::kNewer) return NewerVersion(CursorFileName(cursor.name));
    if (cursor.status == HeaderStatus::kValid) ids_.insert(cursor.log_id);
  }
  return absl::OkStatus();
}

absl::Status Surveyor::LookAtFrames() {
  for (SurveyedFile& surveyed : survey_.files) {
    if (surveyed.kind != SurveyedFile::Kind::kUnknown) continue;
    std::unique_ptr<File> file;
    if (OpenFile(directory_, surveyed.name, OpenMode::kRead, &file) < 0) continue;
    const auto identity = IdentityByFrames(*file, ids_);
    if (!identity.has_value()) continue;
    surveyed.kind = SurveyedFile::Kind::kFrames;
    surveyed.identity = *identity;
  }
  return absl::OkStatus();
}

// The superblock's log, if a segment agrees or none speaks; else that of most segments, else that
// of the first cursor.
absl::StatusOr<LogId> Surveyor::Identify() const {
  std::map<LogId, int> votes;
  for (const SurveyedFile& file : survey_.files) {
    if (file.IsSegment()) ++votes[file.identity.log_id];
  }
  if (superblock_id_.has_value() && (votes.empty() || votes.contains(*superblock_id_))) {
    return *superblock_id_;
  }
  if (!votes.empty()) {
    return std::max_element(votes.begin(), votes.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
  }
  for (const StoredCursor& cursor : cursors_) {
    if (cursor.status == HeaderStatus::kValid) return cursor.log_id;
  }
  return absl::NotFoundError(
      "no file tells which log this is: no header of a segment, no superblock and no cursor can be "
      "read, and without the log's id no record can be told from chance; restore a backup, or one "
      "of these files");
}

absl::StatusOr<Survey> Surveyor::Run() {
  std::vector<std::string> names;
  const IoResult listed = directory_.List(&names);
  if (listed < 0) return IoError("list", "the log's directory", listed);
  std::sort(names.begin(), names.end());
  absl::Status status = LookAtFiles(names);
  if (status.ok()) status = LookAtSuperblock();
  if (status.ok()) status = LookAtCursors();
  if (status.ok()) status = LookAtFrames();
  if (!status.ok()) return status;
  // Whatever else somebody keeps here is none of the log's.
  std::erase_if(survey_.files, [](const SurveyedFile& file) {
    const bool says = file.IsSegment() || file.kind == SurveyedFile::Kind::kPrepared;
    return !says && !ParseSegmentName(file.name).has_value();
  });
  const absl::StatusOr<LogId> id = Identify();
  if (!id.ok()) return id.status();
  survey_.log_id = *id;
  if (superblock_id_.has_value()) {
    survey_.superblock =
        *superblock_id_ == *id ? Survey::Superblock::kOurs : Survey::Superblock::kForeign;
  }
  for (const StoredCursor& cursor : cursors_) {
    const bool foreign = cursor.status == HeaderStatus::kValid && cursor.log_id != *id;
    auto& list = foreign ? survey_.foreign_cursor_files : survey_.cursor_files;
    list.push_back(CursorFileName(cursor.name));
  }
  return std::move(survey_);
}

}  // namespace

absl::StatusOr<Survey> SurveyDirectory(Directory& directory) { return Surveyor(directory).Run(); }

std::vector<DamagedPart> WalkFrames(File& file, uint64_t file_bytes, const FileIdentity& identity,
                                    absl::FunctionRef<void(const SurveyedFrame&)> visit) {
  std::vector<DamagedPart> damaged;
  SegmentReader reader(&file, identity.log_id, identity.number, identity.incarnation);
  reader.Seek(kFramesOffset, identity.first);
  const uint64_t limit = std::clamp(file_bytes, kFramesOffset, kMaxScanBytes);
  SurveyedFrame frame;
  while (true) {
    const SegmentReader::Step step = reader.Next(limit, kMaxSequence);
    if (step.kind == SegmentReader::Kind::kLost) {
      damaged.push_back({step.lost.begin, step.lost.end});
      continue;
    }
    if (step.kind != SegmentReader::Kind::kFrame) break;
    frame.offset = step.offset;
    frame.header = step.header;
    frame.frame = step.frame;
    if (step.header.type == FrameType::kGroup) {
      frame.time_ns = DecodeGroupBody(step.body().data()).time_ns;
    }
    visit(frame);
  }
  damaged.push_back({reader.offset(), kMaxScanBytes});
  return damaged;
}

}  // namespace millrace
