// What follows a failed write or sync: the kernel may have thrown away what it was given, and
// will say so only once. So the file is not touched again, and what may not be durable in it is
// logged again elsewhere, byte by byte and with the same numbers.
//
// The header of the fresh segment is what ends the failed one: from it on, what is in that one
// behind the cut is dead. Records that had been acknowledged are logged again as well (those of
// the last sync, which the error may be about), and the cut is before them; so they are synced in
// the fresh segment before its header is written.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "wal/check.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

constexpr uint64_t kGroupFrameBytes = FrameBytes(kGroupBodyBytes);

// So many files of superseded segments are left to readers of other processes.
constexpr size_t kMaxSuperseded = 8;

}  // namespace

// `status` is of a write or sync. Ok if everything that was to be logged is durable elsewhere.
absl::Status WalCore::MendOrFail(absl::Status status) {
  if (IsPassing(status)) return status;
  if (fail_over_ != nullptr) return FailForGood(status);
  fail_over_ = std::make_unique<FailOver>();
  fail_over_->cause = std::move(status);
  return ContinueFailOver();
}

// The first error counts; the second says why it was not mended.
absl::Status WalCore::FailForGood(const absl::Status& status) {
  const absl::Status& cause = fail_over_->cause;
  absl::Status both(
      cause.code(),
      absl::StrCat(cause.message(), "; and going on in another segment: ", status.message()));
  cause.ForEachPayload(
      [&both](absl::string_view url, const absl::Cord& payload) { both.SetPayload(url, payload); });
  return Fail(std::move(both));
}

// Called before anything else is done, since it may have been waiting for space.
absl::Status WalCore::ContinueFailOver() {
  if (fail_over_ == nullptr || fail_over_->running) return absl::OkStatus();
  fail_over_->running = true;
  absl::Status status;
  if (fail_over_->fresh == nullptr) status = BeginFresh();
  if (status.ok()) status = LogAgain();
  fail_over_->running = false;
  if (!status.ok()) return status;
  AdoptFresh();
  fail_over_.reset();
  return absl::OkStatus();
}

absl::Status WalCore::BeginFresh() {
  FailOver& f = *fail_over_;
  const SegmentWriter& oldest =
      unsynced_segments_.empty() ? *active_ : *unsynced_segments_.front().writer;
  f.from = oldest.retained_from();
  SegmentStart start{epoch_, f.from.next, last_durable_, oldest.header().predecessor};
  if (f.from.next != oldest.header().first_sequence) {
    start.predecessor = {oldest.header().number, oldest.header().incarnation, f.from.next - 1,
                         f.from.offset, f.from.digest};
  } else if (last_durable_ < f.from.next) {
    // Passed over as a whole: what it says of older records is said again.
    start.mark = oldest.header().mark;
  }
  // What was acknowledged has to stand in one segment, since only one header can be last.
  const uint64_t needed = kFramesOffset + kBlockBytes + oldest.retained_synced_bytes();
  const uint64_t record_bytes = active_->header().capacity - kFramesOffset;
  const uint64_t file_bytes =
      std::max(needed, kFramesOffset + std::min(options_.segment_bytes, record_bytes));
  std::shared_ptr<SegmentNode> old_node = active_node_;
  absl::StatusOr<std::unique_ptr<SegmentWriter>> old =
      BeginNext(start, file_bytes, needed, NextFill());
  if (IsPassing(old.status())) return old.status();
  if (!old.ok()) return FailForGood(old.status());

  f.failed = std::move(unsynced_segments_);
  unsynced_segments_.clear();
  f.failed.push_back({std::move(*old), std::move(old_node)});
  f.fresh = active_node_;
  f.header_due = f.from.next <= last_durable_;
  f.next = std::exchange(next_, f.from.next);
  f.now_ns = now_ns_;
  durable_wanted_ = true;
  return absl::OkStatus();
}

// A repeated call goes on where there was no space.
absl::Status WalCore::LogAgain() {
  FailOver& f = *fail_over_;
  for (; f.segment < f.failed.size(); ++f.segment, f.frames.reset()) {
    if (!f.frames.has_value()) f.frames.emplace(*f.failed[f.segment].writer);
    while (const std::optional<SegmentWriter::RetainedFrame> frame = f.frames->Look()) {
      absl::Status status = LogFrameAgain(*frame);
      if (!status.ok()) return status;
      f.frames->Advance();
    }
  }
  WAL_CHECK_EQ(next_, f.next);
  now_ns_ = f.now_ns;
  absl::Status status = f.header_due ? BeginHeader() : Write();
  // The header alone, where there is no record to come with it.
  if (status.ok() && !active_->begun()) {
    status = active_->Write();
    if (!status.ok()) return MendOrFail(std::move(status));
  }
  if (status.ok()) status = Sync(SyncReason::kRotation);
  return status;
}

absl::Status WalCore::LogFrameAgain(const SegmentWriter::RetainedFrame& frame) {
  FailOver& f = *fail_over_;
  if (frame.header.type == FrameType::kGroup) {
    now_ns_ = DecodeGroupBody(frame.body.data()).time_ns;
    f.group_begins = true;
    return absl::OkStatus();
  }
  if (frame.header.type != FrameType::kRecord && frame.header.type != FrameType::kBatch) {
    return absl::OkStatus();
  }
  WAL_CHECK_EQ(frame.header.sequence, next_);
  if (f.header_due && frame.header.sequence > last_durable_) {
    absl::Status status = BeginHeader();
    if (!status.ok()) return status;
  }
  if (!active_->Fits(frame.body.size() + kGroupFrameBytes)) {
    WAL_CHECK(!f.header_due);
    absl::Status status = Rotate(frame.body.size());
    if (!status.ok()) return status;
  }
  if (f.group_begins && active_->gathered_bytes() > 0) active_->AddGroup(next_, Group());
  f.group_begins = false;
  PendingFrame again;
  again.body = frame.body;
  again.body_checksum = frame.header.body_checksum;
  again.type = frame.header.type;
  again.flags = frame.header.flags;
  again.count = frame.header.count;
  active_->Add(again, next_, Group());
  next_ += again.count;
  if (f.header_due || active_->gathered_bytes() < options_.group_bytes) return absl::OkStatus();
  // The frame is logged; if there is no space, the next call writes it.
  absl::Status status = Write();
  return IsPassing(status) ? absl::OkStatus() : status;
}

// What had been acknowledged is logged again: made durable here, it may be ended there.
absl::Status WalCore::BeginHeader() {
  absl::Status status = active_->WriteAheadOfHeader();
  if (status.ok()) status = active_->Sync();
  if (!status.ok()) return MendOrFail(std::move(status));
  fail_over_->header_due = false;
  return absl::OkStatus();
}

// Shows readers where the records are now.
void WalCore::AdoptFresh() {
  FailOver& f = *fail_over_;
  for (size_t i = 0; i < f.failed.size(); ++i) {
    SegmentNode& node = *f.failed[i].node;
    node.file_use->may_be_recycled = false;
    if (i == 0 && f.from.next != node.first_sequence) {
      node.Seal(f.from.offset, f.from.next - 1, f.fresh);
      continue;
    }
    node.Seal(kFramesOffset, node.first_sequence - 1, f.fresh);
    superseded_.push_back(SegmentName(node.number));
  }
  if (superseded_.size() > kMaxSuperseded) RemoveSuperseded();
  ++counters_.fail_overs;
  if (observer_ == nullptr) return;
  const SegmentWriter& oldest = *f.failed.front().writer;
  CoreObserver::FailOverReport report;
  report.segment = oldest.header().number;
  report.fresh = f.fresh->number;
  report.first = f.from.next;
  report.last = f.next - 1;
  report.risk_first = oldest.synced_from().next;
  report.risk_last = std::min(last_durable_, f.from.next - 1);
  report.error = f.cause;
  observer_->FailedOver(report);
}

// Everything in these files stands elsewhere, durably.
void WalCore::RemoveSuperseded() {
  // What cannot be deleted is set aside by the next open.
  for (const std::string& name : superseded_) factory_->Remove(name).IgnoreError();
  superseded_.clear();
}

}  // namespace millrace
