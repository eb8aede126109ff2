// What a cursor returns: entries one by one, in batches, or ahead.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "wal/cursor_state.h"

namespace millrace {
namespace {

SequenceNumber LastOf(const Entry& entry) {
  switch (entry.kind) {
    case Entry::Kind::kRecord:
      return entry.record.sequence;
    case Entry::Kind::kLost:
      return entry.lost.last;
    case Entry::Kind::kTruncated:
      break;
  }
  return kNoSequence;
}

}  // namespace

void CursorState::ShowRead(Entry* entry) const {
  if (*read_ == RecordReader::Kind::kRecord) {
    ShowRecord(reader_->record(), &entry->record);
    return;
  }
  entry->kind = Entry::Kind::kLost;
  entry->lost = reader_->lost();
  // A cursor reads what is durable only.
  entry->lost.acknowledgement = Acknowledgement::kAcknowledged;
}

void CursorState::Show(Entry* entry) const {
  if (peeked_.empty()) {
    ShowRead(entry);
  } else {
    *entry = peeked_.front();
  }
}

// What Show showed is delivered.
void CursorState::Take(const Entry& entry) {
  const bool from_reader = peeked_.empty();
  if (entry.kind != Entry::Kind::kTruncated) {
    place_ = from_reader ? reader_->position() : peeked_.position();
    delivered_ = LastOf(entry);
    shown_ = std::max(shown_, delivered_);
  }
  if (from_reader) {
    read_.reset();
  } else {
    peeked_.Pop();
  }
  if (entry.kind == Entry::Kind::kLost && entry.lost.cause != LossCause::kTrimmed &&
      context_.events != nullptr) {
    context_.events->Lost(name(), entry.lost);
  }
}

absl::StatusOr<Entry> CursorState::Next(absl::Duration timeout) {
  if (absl::Status status = Await(timeout); !status.ok()) return status;
  absl::StatusOr<Entry> entry(absl::in_place);
  Show(&*entry);
  Take(*entry);
  return entry;
}

// Delivers records without key and attributes, as most are, many at once: as they come next, were
// read from the file before, and fit `memory`. Returns how many.
size_t CursorState::TakePlain(std::span<char>* memory, std::vector<Entry>* entries) {
  if (!peeked_.empty() || read_.has_value()) return 0;
  const std::span<RecordReader::PlainRecord> run(run_.data(), reader_->NextPlain(limit_, run_));
  if (run.empty()) return 0;
  // They were in memory when ReadOne() last looked whether the log had been truncated.
  const absl::Time time = absl::FromUnixNanos(reader_->time_ns());
  size_t count = 0;
  for (; count < run.size(); ++count) {
    const std::string_view body = run[count].body;
    if (body.size() > memory->size()) break;
    if (!body.empty()) std::memcpy(memory->data(), body.data(), body.size());
    Record& record = entries->emplace_back(blank_).record;
    record.sequence = run[count].sequence;
    record.time = time;
    record.payload = std::string_view(memory->data(), body.size());
    *memory = memory->subspan(body.size());
  }
  if (count < run.size()) reader_->GiveBack(run[count]);
  if (count == 0) return 0;
  // place_ is at the group that they are in: its first record came one by one.
  delivered_ = run[count - 1].sequence;
  shown_ = std::max(shown_, delivered_);
  return count;
}

absl::StatusOr<size_t> CursorState::NextBatch(std::span<char> memory, std::vector<Entry>* entries,
                                              absl::Duration timeout) {
  if (absl::Status status = Await(timeout); !status.ok()) return status;
  size_t count = 0;
  while (true) {
    Entry& entry = entries->emplace_back(blank_);
    Show(&entry);
    if (entry.kind == Entry::Kind::kRecord) {
      const uint64_t bytes = BytesOf(entry.record);
      if (bytes > memory.size()) {
        const SequenceNumber sequence = entry.record.sequence;
        entries->pop_back();
        if (count > 0) return count;
        return absl::InvalidArgumentError(absl::StrFormat(
            "cursor %s: record %d needs %d bytes of memory, but %d were given; give at least "
            "that many, or read it with Next",
            name(), sequence, bytes, memory.size()));
      }
      MoveViews(&entry.record, memory.data());
      memory = memory.subspan(bytes);
    }
    Take(entry);
    ++count;
    if (entry.kind != Entry::Kind::kRecord) return count;
    while (const size_t more = TakePlain(&memory, entries)) count += more;
    // An error will be met again by the next call.
    const absl::StatusOr<bool> more = Look();
    if (!more.ok() || !*more) return count;
  }
}

absl::StatusOr<std::span<const Entry>> CursorState::Peek(size_t n) {
  if (absl::Status status = CheckProcess(); !status.ok()) return status;
  peeked_.DropTaken();
  while (true) {
    FollowTruncation();
    if (peeked_.size() >= n) break;
    const Step step = read_.has_value() ? Step::kEntry : ReadOne();
    if (step == Step::kAgain) continue;
    if (step == Step::kError && peeked_.empty()) return Named(reader_->status());
    if (step != Step::kEntry) break;
    Entry entry;
    ShowRead(&entry);
    shown_ = std::max(shown_, LastOf(entry));
    peeked_.Push(std::move(entry), reader_->position());
    read_.reset();
  }
  return peeked_.First(n);
}

}  // namespace millrace
