#include "millrace/log_reader.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_format.h"
#include "wal/backup.h"
#include "wal/cursor_file.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/log_copy.h"
#include "wal/log_inventory.h"
#include "wal/log_scout.h"
#include "wal/record_reader.h"
#include "wal/recovery.h"
#include "wal/segment_list.h"
#include "wal/segment_name.h"
#include "wal/segment_walk.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

// A live writer may move on while the directory is read, which can look like
// damage. Damage stays what it is when looked at again.
constexpr int kLooks = 64;

bool SameLosses(const RecoveryReport& a, const RecoveryReport& b) {
  return std::equal(a.lost.begin(), a.lost.end(), b.lost.begin(), b.lost.end(),
                    [](const LostRange& x, const LostRange& y) {
                      return x.first == y.first && x.last == y.last && x.cause == y.cause;
                    });
}

// The chain as readers follow it. The last segment stays open: what is to be
// found there is bounded by the limit alone.
std::shared_ptr<SegmentNode> BuildChain(const RecoveredLog& log) {
  std::shared_ptr<SegmentNode> next;
  if (log.newest.has_value()) {
    next = std::make_shared<SegmentNode>(log.newest->number, log.newest->incarnation,
                                         log.newest->first_sequence);
  }
  for (auto it = log.chain.rbegin(); it != log.chain.rend(); ++it) {
    auto node = std::make_shared<SegmentNode>(it->number, it->incarnation, it->first_sequence);
    if (next != nullptr) node->Seal(it->end, it->last_sequence, std::move(next));
    next = std::move(node);
  }
  if (next != nullptr) return next;
  // No record is left, but some may be known to have been there.
  return std::make_shared<SegmentNode>(log.next_segment, 0, log.next_sequence);
}

}  // namespace

struct LogReader::State {
  absl::Status Named(const absl::Status& status) const;
  absl::Status Recover(RecoveryReport* out);
  absl::Status RecoverSteadily(RecoveryReport* out);
  void ReadFrom(SequenceNumber next, const ReadPosition& hint);
  SequenceNumber Limit() const;
  uint64_t Newest() const;
  SegmentInfo Describe(uint64_t number, const std::string& file_name);

  std::string path;
  FileSystem* file_system = nullptr;
  LogReaderOptions options;
  std::unique_ptr<Directory> directory;
  RecoveredLog log;
  RecoveryReport report;
  std::unique_ptr<LogScout> scout;
  std::unique_ptr<SegmentList> segments;
  std::optional<RecordReader> reader;
};

absl::Status LogReader::State::Named(const absl::Status& status) const {
  return InFront("log " + path, status);
}

absl::Status LogReader::State::Recover(RecoveryReport* out) {
  RecoveryOptions recovery;
  recovery.access = Access::kReadOnly;
  recovery.scan = options.scan == LogReaderOptions::Scan::kAll ? Scan::kAll : Scan::kUndecided;
  *out = RecoveryReport();
  absl::StatusOr<RecoveredLog> recovered =
      millrace::Recover(*file_system, *directory, recovery, out);
  if (!recovered.ok()) return Named(recovered.status());
  if (!recovered->exists) {
    return absl::NotFoundError(absl::StrFormat("there is no log in %s; check the path", path));
  }
  log = *std::move(recovered);
  return absl::OkStatus();
}

absl::Status LogReader::State::RecoverSteadily(RecoveryReport* out) {
  absl::Status status = Recover(out);
  for (int look = 1; look < kLooks && (!status.ok() || !out->lost.empty()); ++look) {
    // A segment may also be trimmed between the listing and the look at it.
    const bool passes = status.ok() || ErrnoOf(status) == ENOENT;
    if (!passes) break;
    const bool settled_before = status.ok();
    const RecoveryReport before = std::move(*out);
    status = Recover(out);
    if (settled_before && status.ok() && SameLosses(before, *out)) break;
  }
  if (!status.ok()) return status;
  scout = std::make_unique<LogScout>(*directory, log, out->outcome);
  segments = std::make_unique<SegmentList>(BuildChain(log));
  return absl::OkStatus();
}

SequenceNumber LogReader::State::Limit() const {
  if (options.limit == LogReaderOptions::Limit::kDurable) return scout->mark();
  return std::max(scout->mark(), scout->readable());
}

// The number of the newest segment known; 0: none.
uint64_t LogReader::State::Newest() const {
  const uint64_t newest = log.newest.has_value() ? log.newest->number : 0;
  return log.chain.empty() ? newest : std::max(newest, log.chain.back().number);
}

void LogReader::State::ReadFrom(SequenceNumber next, const ReadPosition& hint) {
  reader.emplace(*directory, log.log_id, segments->Find(next), next,
                 [this] { return scout->LookAtFirstRetained(); });
  reader->UseHint(hint);
}

LogReader::LogReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LogReader::~LogReader() = default;

absl::StatusOr<std::unique_ptr<LogReader>> LogReader::Open(std::string directory,
                                                           const LogReaderOptions& options) {
  auto state = std::make_unique<State>();
  state->path = std::move(directory);
  state->options = options;
  state->file_system = options.file_system != nullptr ? options.file_system : PosixFileSystem();
  const IoResult error =
      state->file_system->OpenDirectory(state->path, DirectoryMode::kMustExist, &state->directory);
  if (error < 0) return IoError("open", state->path, error);
  if (absl::Status status = state->RecoverSteadily(&state->report); !status.ok()) return status;
  state->ReadFrom(state->log.first_retained, {});
  return std::unique_ptr<LogReader>(new LogReader(std::move(state)));
}

const RecoveryReport& LogReader::recovery() const { return state_->report; }
SequenceNumber LogReader::first_retained() const { return state_->scout->first_retained(); }
SequenceNumber LogReader::limit() const { return state_->Limit(); }
SequenceNumber LogReader::mark() const { return state_->scout->mark(); }
SequenceNumber LogReader::next() const { return state_->reader->next_sequence(); }

absl::StatusOr<Entry> LogReader::Next() {
  State& s = *state_;
  switch (s.reader->Next(s.Limit())) {
    case RecordReader::Kind::kRecord: {
      absl::StatusOr<Entry> entry(absl::in_place);
      ShowRecord(s.reader->record(), &entry->record);
      return entry;
    }
    case RecordReader::Kind::kLost: {
      Entry entry;
      entry.kind = Entry::Kind::kLost;
      entry.lost = s.reader->lost();
      entry.lost.acknowledgement = entry.lost.last <= s.scout->mark()
                                       ? Acknowledgement::kAcknowledged
                                       : Acknowledgement::kUnknown;
      return entry;
    }
    case RecordReader::Kind::kError:
      return s.Named(s.reader->status());
    case RecordReader::Kind::kAtLimit:
      break;
  }
  return absl::OutOfRangeError(
      absl::StrFormat("%s ends with record %d as far as it was seen; Refresh to see more", s.path,
                      s.reader->next_sequence() - 1));
}

absl::Status LogReader::Seek(SequenceNumber next) {
  State& s = *state_;
  s.ReadFrom(std::max(next, s.scout->first_retained()), {});
  return absl::OkStatus();
}

absl::Status LogReader::Refresh() {
  State& s = *state_;
  const absl::StatusOr<LogScout::News> news = s.scout->Look();
  if (!news.ok()) return s.Named(news.status());
  if (*news == LogScout::News::kSeen) return absl::OkStatus();
  SequenceNumber next = s.reader->next_sequence();
  const uint64_t epoch = s.log.epoch;
  const uint64_t newest = s.Newest();
  const SequenceNumber known = std::max(s.scout->mark(), s.scout->readable());
  const ReadPosition position = s.reader->position();
  RecoveryReport report;
  if (absl::Status status = s.RecoverSteadily(&report); !status.ok()) return status;
  // What was dropped since is not to be passed over when its numbers are given again. Of several
  // truncations the first segment that was begun since tells how far the lowest one reached.
  // In the same epoch numbers stand in a second segment only after a fail-over, with the same
  // records.
  if (s.log.epoch != epoch) {
    next = std::min(next, s.log.epoch_base + 1);
    for (const ChainSegment& segment : s.log.chain) {
      const bool gives_anew = segment.number > newest && segment.first_sequence <= known;
      if (gives_anew) next = std::min(next, segment.first_sequence);
    }
  }
  s.ReadFrom(next, position);
  return absl::OkStatus();
}

CopySource CopySource::Of(LogReader& reader) {
  LogReader::State& s = *reader.state_;
  CopySource source;
  source.path = s.path;
  source.file_system = s.file_system;
  source.directory = s.directory.get();
  source.log_id = s.log.log_id;
  source.first = s.scout->first_retained();
  source.start = s.segments->Find(source.first);
  source.limit = s.Limit();
  source.mark = s.scout->mark();
  source.next = std::max(source.limit + 1, source.first);
  if (s.options.limit == LogReaderOptions::Limit::kReadable) {
    source.next = std::max(source.next, s.log.next_sequence);
  }
  source.first_retained = [&s] { return s.scout->LookAtFirstRetained(); };
  source.counted = [epoch = s.log.epoch, base = s.log.epoch_base](
                       std::string_view, const CursorCheckpoint& checkpoint) {
    return checkpoint.epoch < epoch ? std::min(checkpoint.committed, base) : checkpoint.committed;
  };
  source.version = s.log.epoch;
  source.version_now = [&s]() -> absl::StatusOr<uint64_t> {
    const absl::StatusOr<LogInventory> inventory = TakeInventory(*s.directory);
    if (!inventory.ok()) return s.Named(inventory.status());
    return inventory->epoch;
  };
  return source;
}

absl::StatusOr<BackupResult> LogReader::Backup(const std::string& directory,
                                               const BackupOptions& options) {
  absl::Status looked;
  bool again = false;
  const auto source = [&]() -> absl::StatusOr<CopySource> {
    if (again) looked = Refresh();
    again = true;
    if (!looked.ok()) return looked;
    return CopySource::Of(*this);
  };
  absl::StatusOr<BackupResult> result = BackUp(source, directory, options);
  if (!result.ok()) return state_->Named(result.status());
  return result;
}

// --- The directory ----------------------------------------------------------------

SegmentInfo LogReader::State::Describe(uint64_t number, const std::string& file_name) {
  SegmentInfo info;
  info.number = number;
  info.file_name = file_name;
  info.state = SegmentInfo::State::kDead;
  std::unique_ptr<File> file;
  if (OpenFile(*directory, file_name, OpenMode::kRead, &file) < 0) return info;
  FileInfo file_info;
  if (file->Stat(&file_info) == 0) info.file_bytes = file_info.size;
  for (int copy = 0; copy < 2; ++copy) {
    std::array<char, kSegmentHeaderBytes> bytes;
    SegmentHeader header;
    if (ReadFully(*file, copy * kBlockBytes, bytes) != static_cast<IoResult>(bytes.size()) ||
        DecodeSegmentHeader(bytes, copy, &header) != HeaderStatus::kValid ||
        header.number != number || header.log_id != log.log_id) {
      continue;
    }
    info.incarnation = header.incarnation;
    if (header.state == SegmentState::kPrepared) {
      info.state = SegmentInfo::State::kPrepared;
    } else if (log.chain.empty() || number > log.chain.back().number) {
      info.state = SegmentInfo::State::kEmpty;
      info.first = header.first_sequence;
      info.last = header.first_sequence - 1;
    }
    break;
  }
  return info;
}

absl::StatusOr<std::vector<SegmentInfo>> LogReader::Segments() {
  State& s = *state_;
  std::vector<std::string> names;
  if (const IoResult error = s.directory->List(&names); error < 0) {
    return IoError("list", s.path, error);
  }
  std::vector<SegmentInfo> segments;
  for (const ChainSegment& chained : s.log.chain) {
    SegmentInfo info;
    info.number = chained.number;
    info.file_name = SegmentName(chained.number);
    info.incarnation = chained.incarnation;
    info.first = chained.first_sequence;
    info.last = chained.last_sequence;
    info.frames_end = chained.end;
    info.state = SegmentInfo::State::kMissing;
    segments.push_back(std::move(info));
  }
  for (const std::string& name : names) {
    const std::optional<uint64_t> number = ParseSegmentName(name);
    if (!number.has_value()) continue;
    const SegmentInfo found = s.Describe(*number, name);
    const auto chained = std::find_if(segments.begin(), segments.end(),
                                      [&](const SegmentInfo& i) { return i.number == *number; });
    if (chained == segments.end()) {
      segments.push_back(found);
      continue;
    }
    chained->file_bytes = found.file_bytes;
    // With both headers lost nothing speaks against it.
    if (found.incarnation != 0 && found.incarnation != chained->incarnation) continue;
    const bool is_last = *number == s.log.chain.back().number;
    chained->state = SegmentInfo::State::kSealed;
    if (!is_last) continue;
    chained->last = std::max(chained->last, s.scout->readable());
    chained->frames_end = std::max(chained->frames_end, s.scout->end());
    chained->state = s.scout->closed() ? SegmentInfo::State::kClosed : SegmentInfo::State::kOpen;
  }
  std::sort(segments.begin(), segments.end(),
            [](const SegmentInfo& a, const SegmentInfo& b) { return a.number < b.number; });
  return segments;
}

absl::StatusOr<std::vector<CursorInfo>> LogReader::Cursors() {
  absl::StatusOr<std::vector<StoredCursor>> stored = ReadCursors(*state_->directory);
  if (!stored.ok()) return state_->Named(stored.status());
  std::vector<CursorInfo> cursors;
  for (const StoredCursor& cursor : *stored) {
    CursorInfo info;
    info.name = cursor.name;
    info.checkpointed = cursor.checkpoint.committed;
    info.epoch = cursor.checkpoint.epoch;
    switch (cursor.status) {
      case HeaderStatus::kValid:
        info.state = cursor.BelongsTo(state_->log.log_id) ? CursorInfo::State::kValid
                                                          : CursorInfo::State::kForeign;
        break;
      case HeaderStatus::kNewer:
        info.state = CursorInfo::State::kNewer;
        break;
      case HeaderStatus::kZero:
      case HeaderStatus::kDamaged:
        info.state = CursorInfo::State::kDamaged;
        break;
    }
    cursors.push_back(std::move(info));
  }
  return cursors;
}

absl::Status LogReader::WalkSegment(uint64_t number,
                                    absl::FunctionRef<void(const FrameInfo&)> visit) {
  State& s = *state_;
  if (number == 0 || number > kMaxSegmentNumber) {
    return absl::NotFoundError(
        absl::StrFormat("log %s: no segment can have the number %d; choose one from 1 to %d",
                        s.path, number, kMaxSegmentNumber));
  }
  const std::string name = SegmentName(number);
  std::unique_ptr<File> file;
  const IoResult error = OpenFile(*s.directory, name, OpenMode::kRead, &file);
  if (error < 0) return s.Named(IoError("open", name, error));
  std::optional<SegmentIdentity> assumed;
  for (const ChainSegment& chained : s.log.chain) {
    if (chained.number != number) continue;
    assumed = SegmentIdentity{s.log.log_id, chained.incarnation, chained.first_sequence};
  }
  return s.Named(WalkSegmentFile(*file, number, assumed, visit));
}

}  // namespace millrace
