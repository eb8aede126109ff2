#ifndef MILLRACE_WAL_SLOT_FILE_H_
#define MILLRACE_WAL_SLOT_FILE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "wal/format.h"

namespace millrace {

// A small state that is replaced as a whole, in a file of two slots, at offsets 0
// and kBlockBytes: a new generation is written over the older slot and synced, so
// that a torn write leaves the other. The valid slot with the higher generation
// counts. What a slot holds is known to the caller's functions only.

using SlotBytes = std::array<char, kSlotBytes>;

// Checks one slot and says which generation it holds (if valid).
using SlotDecoder = absl::FunctionRef<HeaderStatus(std::span<const char, kSlotBytes> bytes,
                                                   int slot, uint64_t* generation)>;
using SlotEncoder = absl::FunctionRef<void(int slot, std::span<char, kSlotBytes> bytes)>;

// What a slot file was found to hold.
struct SlotContents {
  // kZero also if there is no file; kDamaged if neither slot is valid and not
  // both are zero; kNewer if either is a newer version's.
  HeaderStatus status = HeaderStatus::kZero;
  int slot = 0;             // kValid: which one counts,
  uint64_t generation = 0;  // its generation
  SlotBytes bytes = {};     // and its bytes, to decode again
};

// Reads `name` in `directory` without changing anything. A slot that the device
// cannot read counts as damaged, and so does a valid one of a generation that
// cannot stand there (see Write), or of the first or last of 64 bits.
//
// Errors: FailedPrecondition (not a regular file); I/O errors of opening it.
absl::StatusOr<SlotContents> LoadSlots(Directory& directory, std::string_view name,
                                       SlotDecoder decode);
// The same of a file that is open. `decode` is called for each slot that can be read.
SlotContents LoadSlots(File& file, SlotDecoder decode);

// The lowest generation above `current` that does not stand in `slot`, so that what
// stands there survives a torn write. -1: any will do. 2^64 - 1 if there is none.
uint64_t GenerationBeside(int slot, uint64_t current);

// A slot file open for writing. Not thread-safe.
class SlotFile {
 public:
  // Opens `name`; with kCreate it is created if need be. Nothing is written yet.
  // `directory` is not owned and outlives this.
  static absl::StatusOr<std::unique_ptr<SlotFile>> Open(Directory& directory, std::string_view name,
                                                        OpenMode mode = OpenMode::kCreate);

  // Whether the directory's entry still leads to this file: it may have been removed,
  // or replaced, before it was locked.
  absl::StatusOr<bool> HasItsName() const;

  // Has `encode` fill the slot of `generation` (higher than the one that counts, and
  // of the other slot: GenerationBeside), writes it and syncs it; in a file that may be
  // new, until that has once succeeded, the directory, too.
  //
  // After an error the former contents count. Want of space can be tried again;
  // after any other failed write or sync the file is not touched again, and
  // every later call returns the first error. OutOfRange if generations ran out.
  absl::Status Write(uint64_t generation, SlotEncoder encode);

  // For locking and reading it.
  File& file() { return *file_; }

 private:
  SlotFile(Directory& directory, std::string name, std::unique_ptr<File> file, OpenMode mode);

  absl::Status WriteSlot(int slot, SlotEncoder encode);

  Directory& directory_;
  const std::string name_;
  const std::unique_ptr<File> file_;
  bool directory_synced_;
  absl::Status failed_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SLOT_FILE_H_
