#ifndef MILLRACE_WAL_UNFINISHED_H_
#define MILLRACE_WAL_UNFINISHED_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"

namespace millrace {

// A file of this name says that a directory is not a log yet, or no longer: a copy is being made
// in it, or files are being exchanged. It is durable before the first other file is there, and
// goes when the last one is, so that nobody ever takes a part for the whole. Whoever opens such a
// directory as a log is refused.
inline constexpr std::string_view kUnfinishedName = "UNFINISHED";

// The first line of the file.
inline constexpr std::string_view kCopyLine = "copy\n";  // to be deleted with all around it
inline constexpr std::string_view kExchangeLine =
    "exchange\n";  // to be carried on: salvage_exchange.h

// Makes the mark, durably. Errors: AlreadyExists; I/O errors.
absl::Status BeginCopy(Directory& directory);

// Takes the mark away, durably.
absl::Status RemoveUnfinished(Directory& directory);

// The mark's content; empty if there is none.
absl::StatusOr<std::string> ReadUnfinished(Directory& directory);

// Why a directory that holds the mark cannot be opened.
//
// Errors: always; FailedPrecondition, or an I/O error of reading the mark.
absl::Status UnfinishedError(Directory& directory);

}  // namespace millrace

#endif  // MILLRACE_WAL_UNFINISHED_H_
