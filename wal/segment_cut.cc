#include "wal/segment_cut.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "wal/io_status.h"
#include "wal/segment_reader.h"

namespace millrace {
namespace {

absl::Status InsideBatch(const FrameHeader& batch, SequenceNumber last_to_keep) {
  const SequenceNumber last = batch.sequence + batch.count - 1;
  return absl::InvalidArgumentError(absl::StrCat(
      "cannot truncate after record ", last_to_keep, ": it is inside the batch of records ",
      batch.sequence, " to ", last, ", which are kept or dropped together; truncate after ",
      batch.sequence - 1, " or ", last));
}

}  // namespace

absl::StatusOr<SegmentCut> FindCut(File& file, const CutRequest& request) {
  SegmentReader reader(&file, request.log_id, request.number, request.incarnation);
  reader.Seek(kFramesOffset, request.first);
  SegmentCut cut;
  uint64_t digest = 0;
  bool digest_known = true;
  while (true) {
    const SegmentReader::Step step = reader.Next(request.end, kMaxSequence);
    switch (step.kind) {
      case SegmentReader::Kind::kFrame:
        digest = FrameDigest(digest, step.frame.data());
        if (!CarriesRecords(step.header.type)) continue;
        if (step.header.sequence > request.last_to_keep) return cut;
        if (step.header.sequence + step.header.count - 1 > request.last_to_keep) {
          return InsideBatch(step.header, request.last_to_keep);
        }
        cut = {step.offset + step.frame.size(), digest_known ? digest : 0};
        continue;
      case SegmentReader::Kind::kLost:
        digest_known = false;
        if (step.lost.records() == 0 || step.lost.first > request.last_to_keep) continue;
        cut = {step.lost.end, 0};
        continue;
      case SegmentReader::Kind::kEnd:
        // The last records of the segment cannot be read, and this is one of them.
        if (reader.next_sequence() <= request.last_to_keep) cut = {request.end, 0};
        return cut;
      case SegmentReader::Kind::kUnknown:
        return absl::UnimplementedError(
            absl::StrCat(request.name, " at ", step.offset,
                         ": a frame of a newer version; truncate the log with that version"));
      case SegmentReader::Kind::kError:
        return IoErrorAt("read", request.name, step.offset, step.error);
    }
  }
}

}  // namespace millrace
