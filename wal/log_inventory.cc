#include "wal/log_inventory.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/slot_file.h"
#include "wal/stored_cursor.h"
#include "wal/strings.h"
#include "wal/superblock.h"
#include "wal/unfinished.h"

namespace millrace {
namespace {

using Content = FileTable::Content;
using Header = FileTable::Header;
using Kind = FileTable::Kind;
using Owner = FileTable::Owner;

// A file and what its headers say, before it is known which log is this one.
struct RawFile {
  SegmentFile file;
  Header header = Header::kZero;
};

struct Listing {
  std::vector<RawFile> files;
  std::vector<CursorSlot> cursors;         // by their own files; without names
  std::vector<CursorSlot> shared_cursors;  // in CURSORS; without names
  HeaderStatus superblock = HeaderStatus::kZero;
};

absl::Status NewerVersion(std::string_view name) {
  return absl::UnimplementedError(absl::StrCat(
      ToAbsl(name), " was written by a newer version of Millrace; open the log with that one"));
}

// What opening answers for something that is no file of ours, ever.
bool IsNoFile(IoResult error) {
  return error == -ELOOP || error == -ENXIO || error == -EISDIR || error == -ENOTDIR ||
         error == -ENODEV || error == -EINVAL;
}

Header ToHeader(HeaderStatus status, const SegmentHeader& header) {
  switch (status) {
    case HeaderStatus::kZero:
      return Header::kZero;
    case HeaderStatus::kDamaged:
      return Header::kDamaged;
    case HeaderStatus::kNewer:
      return Header::kNewer;
    case HeaderStatus::kValid:
      break;
  }
  return header.state == SegmentState::kActive ? Header::kActive : Header::kPrepared;
}

// The better of two copies is the one further along in a segment's life: the
// file's own name before an earlier use, active before prepared.
int Rank(Header header, const SegmentHeader& decoded, uint64_t number) {
  if (header == Header::kNewer) return 6;
  const bool own = decoded.number == number;
  if (header == Header::kActive) return own ? 5 : 3;
  if (header == Header::kPrepared) return own ? 4 : 2;
  return header == Header::kDamaged ? 1 : 0;
}

void ReadHeaders(File& file, RawFile* raw) {
  int best = -1;
  int intact = 0;
  int unreadable = 0;
  for (int copy = 0; copy < 2; ++copy) {
    std::array<char, kSegmentHeaderBytes> bytes = {};
    SegmentHeader decoded;
    // A copy that cannot be read, or of which the file holds only a part, is as
    // good as its other bytes.
    const IoResult got = ReadFully(file, copy * kBlockBytes, bytes);
    if (got < 0) ++unreadable;
    const HeaderStatus status =
        got < 0 ? HeaderStatus::kDamaged : DecodeSegmentHeader(bytes, copy, &decoded);
    if (status == HeaderStatus::kValid) ++intact;
    const Header header = ToHeader(status, decoded);
    const int rank = Rank(header, decoded, raw->file.number);
    if (rank <= best) continue;
    best = rank;
    raw->header = header;
    raw->file.header = decoded;
  }
  raw->file.damaged_copies = intact == 1 ? 1 : 0;
  raw->file.unreadable = unreadable == 2;
}

// nullopt: not a regular file, or gone by now.
absl::StatusOr<std::optional<RawFile>> ReadSegmentFile(Directory& directory,
                                                       const std::string& name, uint64_t number) {
  RawFile raw;
  raw.file.number = number;
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(directory, name, OpenMode::kRead, &file);
  if (opened == -ENOENT || IsNoFile(opened)) return std::nullopt;
  if (opened == -EIO) {
    raw.header = Header::kDamaged;
    raw.file.unreadable = true;
    return raw;
  }
  if (opened < 0) return IoError("open", name, opened);
  FileInfo info;
  if (const IoResult result = file->Stat(&info); result < 0) return IoError("stat", name, result);
  if (info.kind != FileInfo::Kind::kRegular) return std::nullopt;
  raw.file.bytes = info.size;
  ReadHeaders(*file, &raw);
  if (raw.header == Header::kNewer) return NewerVersion(name);
  return raw;
}

// A cursor file that cannot be read is the concern of whoever opens that cursor.
void ReadCursorMark(Directory& directory, std::string_view name, std::vector<CursorSlot>* cursors) {
  const absl::StatusOr<SlotContents> contents = LoadSlots(
      directory, name, [](std::span<const char, kSlotBytes> bytes, int slot, uint64_t* generation) {
        CursorSlot decoded;
        const HeaderStatus status = DecodeCursorSlot(bytes, slot, &decoded);
        *generation = decoded.generation;
        return status;
      });
  if (!contents.ok() || contents->status != HeaderStatus::kValid) return;
  CursorSlot cursor;
  DecodeCursorSlot(contents->bytes, contents->slot, &cursor);
  cursor.name = {};
  cursors->push_back(cursor);
}

absl::StatusOr<Listing> ReadDirectory(Directory& directory, LogInventory* inventory) {
  Listing listing;
  std::vector<std::string> names;
  if (const IoResult result = directory.List(&names); result < 0) {
    return IoError("list", "the log's directory", result);
  }
  std::sort(names.begin(), names.end());
  if (std::binary_search(names.begin(), names.end(), kUnfinishedName)) {
    return UnfinishedError(directory);
  }
  for (const std::string& name : names) {
    if (const auto number = ParseSegmentName(name); number.has_value()) {
      absl::StatusOr<std::optional<RawFile>> raw = ReadSegmentFile(directory, name, *number);
      if (!raw.ok()) return raw.status();
      inventory->highest_number = std::max(inventory->highest_number, *number);
      if (raw->has_value()) {
        listing.files.push_back(**raw);
      } else {
        inventory->ignored.push_back(name);
      }
    } else if (std::string_view(name).ends_with(kCursorSuffix)) {
      ReadCursorMark(directory, name, &listing.cursors);
    } else if (name != kSuperblockName && name != kLockName && name != kSharedCheckpointsName) {
      inventory->ignored.push_back(name);
    }
  }
  ReadSharedBlocks(directory, [&listing](CursorSlot cursor) {
    cursor.name = {};
    listing.shared_cursors.push_back(cursor);
  });
  absl::StatusOr<HeaderStatus> superblock = SuperblockFile::Load(directory, &inventory->superblock);
  if (!superblock.ok()) return superblock.status();
  listing.superblock = *superblock;
  if (listing.superblock == HeaderStatus::kNewer) return NewerVersion(kSuperblockName);
  return listing;
}

// Which log this is. The superblock says so; but it may be lost, or another
// log's, and so it is believed only if a segment agrees, or none speaks at all.
std::optional<LogId> IdentifyLog(const Listing& listing, const Superblock& superblock) {
  struct Votes {
    int active = 0;
    int prepared = 0;
    uint64_t highest = 0;
    bool operator<(const Votes& o) const {
      return std::tie(active, prepared, highest) < std::tie(o.active, o.prepared, o.highest);
    }
  };
  std::map<LogId, Votes> votes;
  for (const RawFile& raw : listing.files) {
    const SegmentHeader& header = raw.file.header;
    const bool counts = raw.header == Header::kActive || raw.header == Header::kPrepared;
    if (!counts || header.number != raw.file.number) continue;
    Votes& v = votes[header.log_id];
    ++(raw.header == Header::kActive ? v.active : v.prepared);
    v.highest = std::max(v.highest, header.number);
  }
  const bool stated = listing.superblock == HeaderStatus::kValid;
  if (stated && (votes.empty() || votes.contains(superblock.log_id))) return superblock.log_id;
  if (votes.empty()) {
    if (listing.cursors.empty()) return std::nullopt;
    return listing.cursors.front().log_id;
  }
  return std::max_element(votes.begin(), votes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

absl::StatusOr<Content> LookBehindHeader(Directory& directory, const LogInventory& inventory,
                                         SegmentFile* file) {
  if (file->bytes <= kFramesOffset) return Content::kNothing;
  if (file->bytes > kMaxScanBytes) return Content::kBytes;  // no segment is as large
  const std::string name = SegmentName(file->number);
  std::unique_ptr<File> opened;
  if (const IoResult result = OpenFile(directory, name, OpenMode::kRead, &opened); result < 0) {
    if (result == -EIO) return Content::kBytes;
    return IoError("open", name, result);
  }
  if (!HoldsAnything(*opened)) return Content::kNothing;
  if (!inventory.id_known) return Content::kBytes;
  const auto identity = FindIdentity(*opened, inventory.log_id, file->number);
  if (!identity.has_value()) return Content::kBytes;
  file->identity = *identity;
  return Content::kOwnFrames;
}

Owner OwnerOf(const RawFile& raw, const LogInventory& inventory) {
  if (raw.header != Header::kActive && raw.header != Header::kPrepared) return Owner::kThisName;
  if (!inventory.id_known || raw.file.header.log_id != inventory.log_id) return Owner::kOtherLog;
  return raw.file.header.number == raw.file.number ? Owner::kThisName : Owner::kOtherName;
}

void Raise(uint64_t number, uint64_t* highest) {
  if (number <= kMaxSegmentNumber) *highest = std::max(*highest, number);
}

// What the headers of this log's own files state.
void CollectStatements(const SegmentFile& file, LogInventory* inventory) {
  if (!file.IsSegment()) {
    if (file.kind == Kind::kMisnamed) Raise(file.header.number, &inventory->highest_number);
    return;
  }
  inventory->epoch = std::max(inventory->epoch, file.epoch());
  if (file.kind != Kind::kActive) return;
  Raise(file.header.predecessor.number, &inventory->highest_number);
  // Every header repeats what those before it said.
  const bool tells = file.header.epoch_bases.entries[0].epoch != 0;
  if (tells && file.header.epoch == inventory->epoch) {
    inventory->epoch_bases = file.header.epoch_bases;
  }
  inventory->marks.push_back(
      {file.header.epoch, std::min(file.header.mark, file.header.first_sequence - 1)});
  inventory->first_retained = std::max(
      inventory->first_retained, std::min(file.header.first_retained, file.header.first_sequence));
}

void UseSuperblock(LogInventory* inventory) {
  const Superblock& superblock = inventory->superblock;
  inventory->superblock_counts = true;
  inventory->epoch = std::max(inventory->epoch, superblock.epoch);
  Raise(superblock.highest_segment, &inventory->highest_number);
  if (superblock.mark <= kMaxSequence) {
    inventory->marks.push_back({superblock.epoch, superblock.mark});
  }
  inventory->first_retained =
      std::max(inventory->first_retained, std::min(superblock.first_retained, kMaxSequence));
}

// A checkpoint gets an epoch when its header is durable: it knows of the epoch even where every
// header of it is lost, and the superblock too.
void UseCursors(const Listing& listing, LogInventory* inventory) {
  for (const auto* cursors : {&listing.cursors, &listing.shared_cursors}) {
    for (const CursorSlot& cursor : *cursors) {
      const bool own = inventory->id_known && cursor.log_id == inventory->log_id;
      if (!own || cursor.committed > kMaxSequence) continue;
      inventory->epoch = std::max(inventory->epoch, cursor.epoch);
      inventory->marks.push_back({cursor.epoch, cursor.committed});
    }
  }
}

// The superblock is raised after the header that begins the epoch: until then that
// header tells. Once it is trimmed, those behind it name a base that is trimmed as well.
std::optional<SequenceNumber> EpochBase(const LogInventory& inventory) {
  if (inventory.epoch == 1) return 0;
  if (inventory.superblock_counts && inventory.superblock.epoch == inventory.epoch) {
    return inventory.superblock.epoch_base;
  }
  for (const EpochBases::Entry& entry : inventory.epoch_bases.entries) {
    if (entry.epoch == inventory.epoch) return entry.base;
  }
  std::optional<SequenceNumber> base;
  for (const SegmentFile& file : inventory.files) {
    if (file.kind != Kind::kActive || file.header.epoch != inventory.epoch) continue;
    const SequenceNumber last = file.header.predecessor.last_sequence;
    base = std::min(base.value_or(last), last);
  }
  return base;
}

// Not begun, as far as its file says: its header need not have been written when the next
// file was prepared, and can be torn.
bool MayNotBeBegun(const SegmentFile* file) {
  if (file == nullptr) return false;
  const bool prepared = file->kind == Kind::kPrepared && file->header.number == file->number;
  return prepared || file->kind == Kind::kDamaged;
}

// The highest segment that is known to have been begun and is not there, if it came after
// all that are. A segment's file is durable before it is used: no crash takes it away. One that
// cannot be read may have been begun: no crash does that to a file either.
uint64_t MissingNewest(const LogInventory& inventory) {
  uint64_t there = 0;
  uint64_t in_use = 0;
  uint64_t unreadable = 0;
  for (const SegmentFile& file : inventory.files) {
    if (file.IsSegment()) there = std::max(there, file.number);
    const bool tells = file.kind == Kind::kPrepared && file.header.in_use < file.header.number;
    if (tells) in_use = std::max(in_use, file.header.in_use);
    if (file.kind == Kind::kDamaged && file.unreadable)
      unreadable = std::max(unreadable, file.number);
  }
  uint64_t begun = MayNotBeBegun(inventory.Find(in_use)) ? 0 : in_use;
  begun = std::max(begun, unreadable);
  if (inventory.superblock_counts) begun = std::max(begun, inventory.superblock.begun_segment);
  return begun > there && begun <= kMaxSegmentNumber ? begun : 0;
}

// Who reads beside a writer may have listed the directory before the segment came.
absl::StatusOr<bool> CameMeanwhile(Directory& directory, const LogId& log_id, uint64_t from) {
  std::vector<std::string> names;
  if (const IoResult result = directory.List(&names); result < 0) {
    return IoError("list", "the log's directory", result);
  }
  for (const std::string& name : names) {
    const auto number = ParseSegmentName(name);
    if (!number.has_value() || *number < from) continue;
    absl::StatusOr<std::optional<RawFile>> raw = ReadSegmentFile(directory, name, *number);
    if (!raw.ok()) return raw.status();
    if (raw->has_value() && (*raw)->header == Header::kActive &&
        (*raw)->file.header.log_id == log_id && (*raw)->file.header.number == *number) {
      return true;
    }
  }
  return false;
}

}  // namespace

const SegmentFile* LogInventory::Find(uint64_t number) const {
  const auto it =
      std::lower_bound(files.begin(), files.end(), number,
                       [](const SegmentFile& file, uint64_t n) { return file.number < n; });
  return it == files.end() || it->number != number ? nullptr : &*it;
}

absl::StatusOr<LogInventory> TakeInventory(Directory& directory) {
  LogInventory inventory;
  absl::StatusOr<Listing> listing = ReadDirectory(directory, &inventory);
  if (!listing.ok()) return listing.status();
  inventory.exists = listing->superblock != HeaderStatus::kZero || !listing->files.empty();
  inventory.exists = inventory.exists || !listing->cursors.empty();
  const std::optional<LogId> id = IdentifyLog(*listing, inventory.superblock);
  inventory.id_known = id.has_value();
  if (id.has_value()) inventory.log_id = *id;

  for (RawFile& raw : listing->files) {
    Content content = Content::kNothing;
    if (raw.header == Header::kZero || raw.header == Header::kDamaged) {
      absl::StatusOr<Content> found = LookBehindHeader(directory, inventory, &raw.file);
      if (!found.ok()) return found.status();
      content = *found;
    }
    raw.file.kind = FileTable::Decide(raw.header, OwnerOf(raw, inventory), content);
    CollectStatements(raw.file, &inventory);
    inventory.bytes_read += 2 * kSegmentHeaderBytes;
    inventory.files.push_back(raw.file);
  }
  if (listing->superblock == HeaderStatus::kValid && inventory.id_known &&
      inventory.superblock.log_id == inventory.log_id) {
    UseSuperblock(&inventory);
  }
  UseCursors(*listing, &inventory);
  inventory.epoch_base = EpochBase(inventory);
  const uint64_t missing = MissingNewest(inventory);
  if (missing == 0) return inventory;
  const absl::StatusOr<bool> came = CameMeanwhile(directory, inventory.log_id, missing);
  if (!came.ok()) return came.status();
  if (*came) return inventory;
  inventory.lost_newest = missing;
  inventory.lost_newest_is_counted = inventory.superblock_counts && inventory.superblock.clean;
  Raise(missing, &inventory.highest_number);
  return inventory;
}

}  // namespace millrace
