// Records that an open reads and that the device will not sync where they stand: they are
// copied into the segment that it begins, as they are and with the same numbers.

#include <algorithm>
#include <memory>
#include <string>

#include "wal/check.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/segment_reader.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

// How much is gathered before it is written.
constexpr uint64_t kCopyBytes = uint64_t{1} << 20;

}  // namespace

// All is durable in the new segment before its header is, which ends the old one before
// them: until then they count where they were, and from then on here.
absl::Status WalCore::CopyUnsynced(const RecoveredLog& recovered) {
  if (recovered.unsynced.empty()) return absl::OkStatus();
  for (const UnsyncedRun& run : recovered.unsynced) {
    absl::Status status = CopyRun(run);
    if (!status.ok()) return status;
  }
  absl::Status status = active_->Sync();
  if (!status.ok()) return status;
  WAL_CHECK_EQ(next_, recovered.next_sequence);
  last_written_ = last_durable_ = next_ - 1;
  return absl::OkStatus();
}

absl::Status WalCore::CopyRun(const UnsyncedRun& run) {
  const std::string name = SegmentName(run.number);
  std::unique_ptr<File> file;
  const IoResult opened = OpenFile(*directory_, name, OpenMode::kRead, &file);
  if (opened < 0) return IoError("open", name, opened);
  SegmentReader reader(file.get(), log_id_, run.number, run.incarnation);
  reader.Seek(run.begin, run.first);
  // Each group keeps its time.
  GroupBody group = Group();
  group.time_ns = run.time_ns;
  while (next_ <= run.last) {
    const SegmentReader::Step step = reader.Next(run.end, run.last);
    if (step.kind != SegmentReader::Kind::kFrame) {
      // It was there a moment ago.
      const IoResult error = step.kind == SegmentReader::Kind::kError ? step.error : -EIO;
      return IoErrorAt("read", name, reader.offset(), error);
    }
    absl::Status status;
    if (step.header.type == FrameType::kGroup) {
      status = active_->WriteAheadOfHeader();
      group.time_ns = DecodeGroupBody(step.body().data()).time_ns;
    } else if (CarriesRecords(step.header.type)) {
      PendingFrame frame;
      frame.body = step.body();
      frame.body_checksum = step.header.body_checksum;
      frame.type = step.header.type;
      frame.flags = step.header.flags;
      frame.count = step.header.count;
      group.first_retained = std::min(first_retained_, next_);
      active_->Add(frame, next_, group);
      next_ += frame.count;
      if (active_->gathered_bytes() >= kCopyBytes) status = active_->WriteAheadOfHeader();
    }
    if (!status.ok()) return status;
  }
  return active_->WriteAheadOfHeader();
}

}  // namespace millrace
