// Goal: a project that has only @millrace//:millrace can write a log and read it back.
// Method: appends, closes, opens again, reads with a cursor; a plain program, as a user's is.
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "millrace/cursor.h"
#include "millrace/log.h"
#include "millrace/version.h"

namespace {

constexpr int kRecords = 100;

void Require(const absl::Status& status, const std::string& what) {
  if (status.ok()) return;
  std::cerr << what << ": " << status << "\n";
  std::exit(1);
}

void Write(const std::string& directory) {
  absl::StatusOr<std::unique_ptr<millrace::Log>> log = millrace::Log::Open(directory);
  Require(log.status(), "open");
  for (int i = 1; i <= kRecords; ++i) {
    absl::StatusOr<millrace::SequenceNumber> sequence =
        (*log)->Append("record " + std::to_string(i));
    Require(sequence.status(), "append");
    if (*sequence != static_cast<millrace::SequenceNumber>(i)) {
      std::cerr << "sequence number " << *sequence << ", expected " << i << "\n";
      std::exit(1);
    }
  }
  Require((*log)->Close(), "close");
}

void ReadBack(const std::string& directory) {
  absl::StatusOr<std::unique_ptr<millrace::Log>> log = millrace::Log::Open(directory);
  Require(log.status(), "open again");
  absl::StatusOr<std::unique_ptr<millrace::Cursor>> cursor = (*log)->OpenCursor("consumer");
  Require(cursor.status(), "open cursor");
  for (int i = 1; i <= kRecords; ++i) {
    absl::StatusOr<millrace::Entry> entry = (*cursor)->Next(absl::Seconds(10));
    Require(entry.status(), "next");
    if (entry->kind != millrace::Entry::Kind::kRecord ||
        entry->record.payload != "record " + std::to_string(i)) {
      std::cerr << "entry " << i << " is not what was appended\n";
      std::exit(1);
    }
  }
}

}  // namespace

int main() {
  const char* directory = std::getenv("TEST_TMPDIR");
  const std::string log_directory = std::string(directory == nullptr ? "." : directory) + "/log";
  Write(log_directory);
  ReadBack(log_directory);
  std::cout << kRecords << " records written and read with Millrace " << millrace::kVersion << "\n";
}
