// Puts blocks into the files of two cursors and into CURSORS. How far each cursor has come
// must be what a reader written from FORMAT.md alone says; opening moves it nowhere, and a
// cursor that can be opened goes on from there.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz/choice.h"
#include "fuzz/fuzzed_cursors.h"
#include "fuzz/mutator.h"
#include "fuzz/seal.h"
#include "tests/independent_reader.h"
#include "wal/check.h"
#include "wal/cursor_file.h"

namespace millrace {
namespace {

constexpr char kDirectory[] = "log";
constexpr size_t kInputBytes = 1 + kSlotBytes;  // a place and a block
constexpr int kPlaces = 12;

// Places 0 to 3 are the slots of two cursors, the others those of CURSORS.
int SlotOf(uint8_t place) { return place % kPlaces % 2; }

std::pair<std::string, uint64_t> FileOf(uint8_t place) {
  const int at = place % kPlaces;
  if (at < 2) return {"c.cursor", at * kBlockBytes};
  if (at < 4) return {"d.cursor", (at - 2) * kBlockBytes};
  return {"CURSORS", (at - 4) * kBlockBytes};
}

independent::Files FilesOf(const uint8_t* data, size_t size) {
  independent::Files files;
  for (; size > 1; data += kInputBytes) {
    const auto [name, offset] = FileOf(data[0]);
    std::string& bytes = files[name];
    const size_t taken = std::min<size_t>(size, kInputBytes) - 1;
    if (bytes.size() < offset + taken) bytes.resize(offset + taken);
    std::memcpy(&bytes[offset], data + 1, taken);
    size -= taken + 1;
  }
  return files;
}

void CheckRead(Directory& directory, const independent::Files& files) {
  const auto cursors = ReadCursors(directory);
  WAL_CHECK(cursors.ok());
  size_t expected = 0;
  for (const char* name : {"c", "d"}) expected += files.count(std::string(name) + ".cursor");
  WAL_CHECK(cursors->size() == expected);
  for (const StoredCursor& cursor : *cursors) {
    const std::optional<uint64_t> committed = independent::CursorCommitted(files, cursor.name);
    if (cursor.status == HeaderStatus::kNewer) continue;  // no reader of this version says more
    WAL_CHECK((cursor.status == HeaderStatus::kValid) == committed.has_value());
    if (cursor.status != HeaderStatus::kValid) continue;
    // A renamed or copied file is not this cursor's, whatever it says.
    if (cursor.written_name == cursor.name) WAL_CHECK(cursor.checkpoint.committed == *committed);
  }
}

// Opens the cursor and moves it by one.
void CheckOpen(SimFileSystem& disk, const std::string& name, const CursorPlaces& before) {
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(kDirectory, DirectoryMode::kMustExist, &directory) == 0);
  const uint64_t hash = disk.Hash();
  const auto file = CursorFile::Open(*directory, FuzzedLogId(), name, CursorCheckpoint());
  const auto found = before.find(name);
  if (!file.ok()) {
    // Either it is not there to be opened, or something else is said of it; nothing is changed.
    WAL_CHECK(found == before.end());
    WAL_CHECK(disk.Hash() == hash);
    return;
  }
  CursorCheckpoint checkpoint = (*file)->checkpoint();
  if (found != before.end()) WAL_CHECK(checkpoint.committed == found->second);
  if (found == before.end()) WAL_CHECK(checkpoint == CursorCheckpoint());
  checkpoint.committed = checkpoint.committed / 2 + 1;
  if (!(*file)->Write(checkpoint).ok()) return;  // generations have run out
  WAL_CHECK((*file)->checkpoint().committed == checkpoint.committed);
  WAL_CHECK(Committed(*directory, FuzzedLogId())[name] == checkpoint.committed);
}

void CheckFiles(const independent::Files& files, Choice choice) {
  SimFileSystem disk{SimOptions{}};
  std::unique_ptr<Directory> directory;
  WAL_CHECK(disk.OpenDirectory(kDirectory, DirectoryMode::kCreate, &directory) == 0);
  for (const auto& [name, bytes] : files) {
    disk.WriteFileBytes(std::string(kDirectory) + "/" + name, bytes);
  }
  const uint64_t hash = disk.Hash();
  CheckRead(*directory, files);
  WAL_CHECK(disk.Hash() == hash);
  const CursorPlaces places = Committed(*directory, FuzzedLogId());
  // Either takes as long as all before it.
  const uint64_t one = choice.Below(2);
  if (one == 0 || choice.all()) OpenCursors(*disk.Clone(), kDirectory, FuzzedLogId(), places);
  if (one == 1 || choice.all()) {
    for (const char* name : {"c", "d"}) CheckOpen(*disk.Clone(), name, places);
  }
}

}  // namespace
}  // namespace millrace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = millrace::Mutate(data, size, max_size);
  for (size_t at = 0; at + millrace::kInputBytes <= size; at += millrace::kInputBytes) {
    char* const block = reinterpret_cast<char*>(data) + at + 1;
    seed = seed * 1103515245 + 12345;
    // Of this log, mostly, and of a cursor that has a file.
    if (seed >> 16 & 3) std::memcpy(block + 24, millrace::FuzzedLogId().data(), 16);
    if (seed >> 18 & 3) std::memcpy(block + 20, "\1\0\0\0", 4);
    if (seed >> 20 & 3) block[88] = data[at] % 4 < 2 ? 'c' : 'd';
    millrace::SealBlock(millrace::BlockKind::kCursor, millrace::SlotOf(data[at]), seed >> 22,
                        block);
  }
  return size;
}

// Blocks: a byte that names the place, and 256 bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16 * millrace::kInputBytes) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  millrace::CheckFiles(millrace::FilesOf(data, size), millrace::Choice(bytes));
  return 0;
}
