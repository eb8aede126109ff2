#ifndef MILLRACE_WAL_CURSOR_PEEK_H_
#define MILLRACE_WAL_CURSOR_PEEK_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/cursor.h"
#include "wal/record_reader.h"

namespace millrace {

// The bytes that the views of `record` show.
inline uint64_t BytesOf(const Record& record) {
  uint64_t bytes = record.payload.size();
  if (record.key.has_value()) bytes += record.key->size();
  for (const Attribute& attribute : record.attributes) {
    bytes += attribute.name.size() + attribute.value.size();
  }
  return bytes;
}

// Copies them to `memory`, which has room for all, and points the views there.
inline void MoveViews(Record* record, char* memory) {
  const auto move = [&memory](std::string_view* view) {
    if (!view->empty()) std::memcpy(memory, view->data(), view->size());
    *view = std::string_view(memory, view->size());
    memory += view->size();
  };
  if (record->key.has_value()) move(&*record->key);
  for (Attribute& attribute : record->attributes) {
    move(&attribute.name);
    move(&attribute.value);
  }
  move(&record->payload);
}

// Entries that a cursor has read ahead of what it returned, with bytes of their own.
class PeekedEntries {
 public:
  bool empty() const { return taken_ == entries_.size(); }
  size_t size() const { return entries_.size() - taken_; }
  const Entry& front() const { return entries_[taken_]; }
  const Entry& back() const { return entries_.back(); }
  // Where reading stood behind the first.
  const ReadPosition& position() const { return places_[taken_].position; }

  // The first `n`, or as many as there are. Valid until Push; the views in it until Clear.
  std::span<const Entry> First(size_t n) const {
    return std::span<const Entry>(entries_).subspan(taken_, n < size() ? n : size());
  }

  // Copies what the views of `entry` show.
  void Push(Entry entry, const ReadPosition& position) {
    std::unique_ptr<char[]> bytes;
    if (entry.kind == Entry::Kind::kRecord) {
      bytes = std::make_unique_for_overwrite<char[]>(BytesOf(entry.record));
      MoveViews(&entry.record, bytes.get());
    }
    entries_.push_back(std::move(entry));
    places_.push_back({std::move(bytes), position});
  }

  // The first one was returned; it stays where it is until DropTaken() or Clear().
  void Pop() { ++taken_; }
  void DropTaken() {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(taken_));
    places_.erase(places_.begin(), places_.begin() + static_cast<ptrdiff_t>(taken_));
    taken_ = 0;
  }

  void Clear() {
    Forget();
    forgotten_.clear();
  }
  // As Clear, but the views that were handed out stay valid until that.
  void Forget() {
    for (Place& place : places_) forgotten_.push_back(std::move(place.bytes));
    entries_.clear();
    places_.clear();
    taken_ = 0;
  }

 private:
  struct Place {
    std::unique_ptr<char[]> bytes;
    ReadPosition position;
  };
  std::vector<Entry> entries_;
  std::vector<Place> places_;
  std::vector<std::unique_ptr<char[]>> forgotten_;
  size_t taken_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CURSOR_PEEK_H_
