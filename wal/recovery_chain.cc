#include "wal/recovery_chain.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/recovery_table.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

using Kind = FileTable::Kind;

// How far behind a segment's capacity its footer can end: padding to a block
// boundary or to the one after it, and the footer.
constexpr uint64_t kFooterSlackBytes = 3 * kBlockBytes;

// Not the file's size: a file that ends too early is to be told from one that
// holds zeros.
uint64_t ScanLimit(const SegmentFile& file, const SegmentHeader* header) {
  if (header == nullptr || header->capacity > kMaxScanBytes) {
    return std::clamp(file.bytes, kFramesOffset, kMaxScanBytes);
  }
  return std::max(header->capacity, kFramesOffset) + kFooterSlackBytes;
}

// What stands in the file in place of the segment that was looked for.
LossCause CauseOf(const SegmentFile* file) {
  if (file == nullptr) return LossCause::kMissingSegment;
  if (file->kind == Kind::kDamaged && file->unreadable) return LossCause::kUnreadable;
  switch (file->kind) {
    case Kind::kUnused:
    case Kind::kPrepared:
      return LossCause::kZeroed;
    case Kind::kDamaged:
      return LossCause::kChecksum;
    default:
      return LossCause::kForeignSegment;
  }
}

class ChainFollower {
 public:
  ChainFollower(Directory& directory, const LogInventory& inventory, const RecoveryOptions& options)
      : directory_(directory),
        inventory_(inventory),
        options_(options),
        read_all_(options.scan == Scan::kAll || options.policy != RecoveryPolicy::kSalvage),
        marks_(inventory.epoch, inventory.epoch_base.value_or(0)) {
    for (const StatedMark& stated : inventory.marks) marks_.Add(stated);
    chain_.first_retained = inventory.first_retained;
  }

  absl::StatusOr<RecoveryChain> Follow();

 private:
  static ChainLink LinkOf(const SegmentFile& file);
  // None of its records counts any more: a later epoch begins below them. Known even where
  // the header that began it is lost.
  bool CutOffByEpoch(const SegmentFile& file) const {
    return file.kind == Kind::kActive && file.header.first_sequence > inventory_.HighestIn(file);
  }
  absl::Status Read(ChainLink* link);
  static void MakeDurable(File& file, ChainLink* link);
  bool UseFooter(File& file, ChainLink* link);
  absl::Status ScanLink(File& file, SequenceNumber highest, ChainLink* link);
  absl::Status FindTrusted(ChainLink* link);
  static void EndAtFirstDoubt(ChainLink* link);
  void Take(const SegmentScan& scan);

  absl::StatusOr<std::optional<ChainLink>> Newest();
  absl::StatusOr<std::optional<ChainLink>> Below(ChainLink* link);
  absl::StatusOr<std::optional<ChainLink>> Named(const Predecessor& named);
  absl::StatusOr<std::optional<ChainLink>> Search(uint64_t below_number, SequenceNumber below);

  Directory& directory_;
  const LogInventory& inventory_;
  const RecoveryOptions& options_;
  const bool read_all_;
  MarkBook marks_;
  RecoveryChain chain_;
  bool open_failed_ = false;  // the device refused the file that Named() looked for
};

ChainLink ChainFollower::LinkOf(const SegmentFile& file) {
  ChainLink link;
  link.file = &file;
  link.number = file.number;
  link.incarnation = file.incarnation();
  link.epoch = file.epoch();
  if (file.kind == Kind::kActive) {
    link.header = &file.header;
    link.first = file.header.first_sequence;
  }
  return link;
}

void ChainFollower::Take(const SegmentScan& scan) {
  chain_.bytes_scanned += scan.bytes_read;
  for (const StatedMark& stated : scan.marks) marks_.Add(stated);
  chain_.first_retained = std::max(chain_.first_retained, scan.first_retained);
}

// What can be read may be in memory only: the process that wrote it is gone, and
// so is the error of a write-back that failed.
void ChainFollower::MakeDurable(File& file, ChainLink* link) {
  link->sync_failed = SyncFile(file) < 0;
  // Advisory; the next read then asks the device, not the memory.
  file.DropCache();
}

bool ChainFollower::UseFooter(File& file, ChainLink* link) {
  if (link->header == nullptr || link->named_end.has_value() || link->sync_failed) return false;
  const std::optional<ClosingFooter> footer =
      ReadClosingFooter(file, inventory_.log_id, link->number, link->incarnation);
  if (!footer.has_value() || footer->body.first_sequence != link->first ||
      footer->body.last_sequence > inventory_.HighestIn(*link->file)) {
    return false;
  }
  link->footer = footer;
  const FooterBody& body = footer->body;
  chain_.bytes_scanned += FrameBytes(kFooterBodyBytes);
  marks_.Add({body.group.epoch, body.group.mark});
  chain_.first_retained = std::max(chain_.first_retained, body.group.first_retained);
  return body.group.mark >= body.last_sequence;
}

absl::Status ChainFollower::ScanLink(File& file, SequenceNumber highest, ChainLink* link) {
  ScanRequest request;
  request.name = SegmentName(link->number);
  request.log_id = inventory_.log_id;
  request.number = link->number;
  request.incarnation = link->incarnation;
  request.first = link->header == nullptr ? kNoSequence : link->first;
  request.limit = ScanLimit(*link->file, link->header);
  request.highest = highest;
  if (link->named_end.has_value()) {
    const uint64_t cut = link->named_end->cut / kAlignment * kAlignment;
    request.limit = std::clamp(cut, kFramesOffset, kMaxScanBytes);
    request.highest = std::min(highest, link->named_end->last_sequence);
  }
  absl::StatusOr<SegmentScan> scan = ScanSegment(file, request);
  if (!scan.ok()) return scan.status();
  if (link->header == nullptr) link->first = scan->first;
  link->scan = *std::move(scan);
  return absl::OkStatus();
}

absl::Status ChainFollower::Read(ChainLink* link) {
  const bool proven =
      link->named_end.has_value() && marks_.mark() >= link->named_end->last_sequence;
  if (proven && !read_all_ && link->header != nullptr) return absl::OkStatus();
  const std::string name = SegmentName(link->number);
  const bool sync = options_.access == Access::kReadWrite && !proven;
  std::unique_ptr<File> file;
  const IoResult opened =
      OpenFile(directory_, name, sync ? OpenMode::kReadWrite : OpenMode::kRead, &file);
  if (opened < 0) return IoError("open", name, opened);
  if (sync) MakeDurable(*file, link);
  if (UseFooter(*file, link) && !read_all_) return absl::OkStatus();
  // Where a header names the end, that counts.
  const SequenceNumber highest =
      link->named_end.has_value() ? kMaxSequence : inventory_.HighestIn(*link->file);
  absl::Status status = ScanLink(*file, highest, link);
  if (status.ok()) Take(*link->scan);
  return status;
}

// For a segment whose sync failed, now that the mark is known.
absl::Status ChainFollower::FindTrusted(ChainLink* link) {
  if (!link->sync_failed || link->last() <= marks_.mark()) return absl::OkStatus();
  ChainLink trusted = *link;
  const std::string name = SegmentName(link->number);
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(directory_, name, OpenMode::kRead, &file);
  if (opened < 0) return IoError("open", name, opened);
  absl::Status status = ScanLink(*file, marks_.mark(), &trusted);
  if (!status.ok()) return status;
  chain_.bytes_scanned += trusted.scan->bytes_read;
  link->trusted = std::move(trusted.scan);
  return absl::OkStatus();
}

// For a segment whose successor is lost, and with it the cut: frames that are
// dead could follow the live ones. They do so behind a hole, and the hole is not
// covered by any mark that the segment itself holds.
void ChainFollower::EndAtFirstDoubt(ChainLink* link) {
  const std::vector<StatedMark>& marks = link->scan->marks;
  for (const Hole& hole : link->scan->holes) {
    const bool covered = std::any_of(marks.begin(), marks.end(), [&](const StatedMark& stated) {
      return hole.range.last <= stated.mark;
    });
    if (hole.range.records() == 0 || covered) continue;
    CutBefore(hole, &*link->scan);
    return;
  }
}

absl::StatusOr<std::optional<ChainLink>> ChainFollower::Named(const Predecessor& named) {
  open_failed_ = false;
  const SegmentFile* file = inventory_.Find(named.number);
  if (file == nullptr) return std::nullopt;
  ChainLink link;
  link.file = file;
  link.number = named.number;
  link.incarnation = named.incarnation;
  link.epoch = file->IsSegment() ? file->epoch() : 1;
  link.named_end = named;
  if (file->kind == Kind::kActive && file->header.incarnation == named.incarnation &&
      file->header.first_sequence <= named.last_sequence) {
    link.header = &file->header;
    link.first = file->header.first_sequence;
    absl::Status status = Read(&link);
    // A file that cannot be opened for a device error is a loss, not a refusal.
    open_failed_ = ErrnoOf(status) == EIO;
    if (open_failed_) return std::nullopt;
    if (!status.ok()) return status;
    return link;
  }
  // Whatever its headers say, its frames may be those that are looked for.
  absl::Status status = Read(&link);
  open_failed_ = ErrnoOf(status) == EIO;
  if (open_failed_) return std::nullopt;
  if (!status.ok()) return status;
  if (link.scan->records == 0) return std::nullopt;
  if (!link.scan->marks.empty()) link.epoch = link.scan->marks.front().epoch;
  return link;
}

absl::StatusOr<std::optional<ChainLink>> ChainFollower::Search(uint64_t below_number,
                                                               SequenceNumber below_all) {
  const auto& files = inventory_.files;
  for (auto it = files.rbegin(); it != files.rend(); ++it) {
    if (it->number >= below_number || !it->IsSegment()) continue;
    if (it->kind == Kind::kActive && it->header.first_sequence >= below_all) continue;
    if (CutOffByEpoch(*it)) continue;
    const SequenceNumber below = std::min(below_all, inventory_.HighestIn(*it) + 1);
    ChainLink link = LinkOf(*it);
    absl::Status status = Read(&link);
    if (!status.ok()) return status;
    if (link.scan.has_value()) EndAtFirstDoubt(&link);
    if (link.records() == 0 || link.first >= below) continue;
    if (link.last() < below) return link;
    // Numbers that the segment above it has given, too: those count.
    std::unique_ptr<File> file;
    const std::string name = SegmentName(link.number);
    const IoResult opened = OpenFile(directory_, name, OpenMode::kRead, &file);
    if (opened < 0) return IoError("open", name, opened);
    status = ScanLink(*file, below - 1, &link);
    if (!status.ok()) return status;
    EndAtFirstDoubt(&link);
    if (link.records() > 0) return link;
  }
  return std::nullopt;
}

// The link with which the chain begins; nullopt if there is no segment.
absl::StatusOr<std::optional<ChainLink>> ChainFollower::Newest() {
  const auto& files = inventory_.files;
  for (auto it = files.rbegin(); it != files.rend(); ++it) {
    if (!it->IsSegment() || CutOffByEpoch(*it)) continue;
    ChainLink link = LinkOf(*it);
    absl::Status status = Read(&link);
    if (!status.ok()) return status;
    // Without headers, and all that it holds cut off: it says nothing of what was before it.
    const bool silent =
        link.header == nullptr && link.scan->records == 0 && link.scan->marks.empty();
    if (!silent) return link;
  }
  return std::nullopt;
}

// The link below `link`; nullopt if the chain ends.
absl::StatusOr<std::optional<ChainLink>> ChainFollower::Below(ChainLink* link) {
  using Names = LinkTable::Names;
  using OnDisk = LinkTable::File;
  const Predecessor named = link->header == nullptr ? Predecessor() : link->header->predecessor;
  Names names = Names::kRetained;
  if (link->header == nullptr) {
    names = Names::kUnknown;
  } else if (named.number == 0) {
    names = Names::kNone;
  } else if (named.last_sequence < chain_.first_retained) {
    names = Names::kTrimmed;
  }
  std::optional<ChainLink> found;
  if (names == Names::kRetained) {
    absl::StatusOr<std::optional<ChainLink>> below = Named(named);
    if (!below.ok()) return below.status();
    found = *std::move(below);
  }
  chain_.below = named;
  chain_.below_is_trimmed = names == Names::kTrimmed;
  switch (LinkTable::Decide(names, found.has_value() ? OnDisk::kFound : OnDisk::kLost)) {
    case LinkTable::Step::kEnd:
      return std::nullopt;
    case LinkTable::Step::kFollow:
      return found;
    case LinkTable::Step::kSearchBelow:
      break;
  }
  if (names == Names::kRetained) {
    link->lost_predecessor = named.number;
    link->lost_cause =
        open_failed_ ? LossCause::kUnreadable : CauseOf(inventory_.Find(named.number));
    return Search(named.number, named.last_sequence + 1);
  }
  return Search(link->number, link->first);
}

absl::StatusOr<RecoveryChain> ChainFollower::Follow() {
  absl::StatusOr<std::optional<ChainLink>> below = Newest();
  while (below.ok() && below->has_value()) {
    chain_.links.push_back(std::move(**below));
    below = Below(&chain_.links.back());
  }
  if (!below.ok()) return below.status();
  std::reverse(chain_.links.begin(), chain_.links.end());
  for (ChainLink& link : chain_.links) {
    absl::Status status = FindTrusted(&link);
    if (!status.ok()) return status;
  }
  chain_.mark = marks_.mark();
  chain_.lost_newest = inventory_.lost_newest;
  chain_.lost_newest_is_counted = inventory_.lost_newest_is_counted;
  chain_.lost_newest_cause = CauseOf(inventory_.Find(inventory_.lost_newest));
  return std::move(chain_);
}

}  // namespace

SequenceNumber ChainLink::last_valid() const {
  return scan.has_value() ? scan->last_valid : last();
}

SequenceNumber ChainLink::last() const {
  if (named_end.has_value()) return named_end->last_sequence;
  if (scan.has_value()) return scan->next - 1;
  return footer->body.last_sequence;
}

uint64_t ChainLink::end() const {
  if (named_end.has_value()) return named_end->cut;
  return scan.has_value() ? scan->end : footer->end;
}

uint64_t ChainLink::digest() const {
  if (named_end.has_value()) return named_end->digest;
  return scan.has_value() ? scan->digest : footer->digest;
}

uint64_t ChainLink::records() const {
  return scan.has_value() ? scan->records : last() + 1 - first;
}

absl::StatusOr<RecoveryChain> FollowChain(Directory& directory, const LogInventory& inventory,
                                          const RecoveryOptions& options) {
  return ChainFollower(directory, inventory, options).Follow();
}

absl::StatusOr<SegmentScan> ScanLooseSegment(Directory& directory, const LogInventory& inventory,
                                             const SegmentFile& file) {
  ScanRequest request;
  request.name = SegmentName(file.number);
  request.log_id = inventory.log_id;
  request.number = file.number;
  request.incarnation = file.incarnation();
  request.limit = ScanLimit(file, nullptr);
  std::unique_ptr<File> opened;
  const IoResult result = OpenFile(directory, request.name, OpenMode::kRead, &opened);
  if (result < 0) return IoError("open", request.name, result);
  return ScanSegment(*opened, request);
}

}  // namespace millrace
