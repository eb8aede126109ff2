#ifndef MILLRACE_WAL_SALVAGE_EXCHANGE_H_
#define MILLRACE_WAL_SALVAGE_EXCHANGE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"

namespace millrace {

// Which files of a directory get other names, so that one set of files takes the place of another.
// Once it is begun it can only be carried to its end: the mark UNFINISHED holds all of it, and
// nobody opens the directory as a log before.
struct Exchange {
  std::vector<std::pair<std::string, std::string>> aside;  // old name, new name
  std::vector<std::pair<std::string, std::string>> place;  // likewise
};

std::string EncodeExchange(const Exchange& exchange);

// Errors: DataLoss (the mark is damaged; the message says what is to be done by hand).
absl::StatusOr<Exchange> DecodeExchange(const std::string& content);

// Says durably what is to be done. The files to be placed are durable.
absl::Status BeginExchange(Directory& directory, const Exchange& exchange);

// Does it, or what a crash has left of it, and takes the mark away.
absl::Status FinishExchange(Directory& directory, const Exchange& exchange);

}  // namespace millrace

#endif  // MILLRACE_WAL_SALVAGE_EXCHANGE_H_
