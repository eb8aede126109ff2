#ifndef MILLRACE_WAL_SALVAGE_EXPORT_H_
#define MILLRACE_WAL_SALVAGE_EXPORT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "millrace/file_system.h"
#include "wal/salvage_survey.h"

namespace millrace {

// Writes intact records that have no place in a log, one JSON object a line: see salvage.h.
class UnplaceableFile {
 public:
  // Makes `name` in `directory` with the first record. `directory` outlives this.
  UnplaceableFile(Directory& directory, std::string name)
      : directory_(directory), name_(std::move(name)) {}

  // Adds the records of a frame.
  absl::Status Add(std::string_view file, const FileIdentity& identity, const SurveyedFrame& frame,
                   std::string_view reason);
  // Makes it durable; its entry in the directory is left to the caller.
  absl::Status Finish();

  bool empty() const { return file_ == nullptr; }
  const std::string& name() const { return name_; }

 private:
  absl::Status Write();

  Directory& directory_;
  const std::string name_;
  std::unique_ptr<File> file_;
  uint64_t offset_ = 0;
  std::string lines_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SALVAGE_EXPORT_H_
