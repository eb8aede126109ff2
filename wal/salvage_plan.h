#ifndef MILLRACE_WAL_SALVAGE_PLAN_H_
#define MILLRACE_WAL_SALVAGE_PLAN_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "millrace/log_reader.h"
#include "millrace/salvage.h"
#include "wal/file_view.h"
#include "wal/log_copy.h"
#include "wal/salvage_survey.h"

namespace millrace {

// A damaged log as it can be read, and what of it cannot be placed. Changes nothing.
class SalvagePlan {
 public:
  // `file_system` and `directory`, which is the one at `path`, outlive this.
  static absl::StatusOr<std::unique_ptr<SalvagePlan>> Make(FileSystem& file_system,
                                                           Directory& directory,
                                                           const std::string& path);

  const SalvageReport& report() const { return report_; }
  const Survey& survey() const { return survey_; }
  // What the new log is built from.
  CopySource source() { return CopySource::Of(*reader_); }

  // Shows the frames with intact records that have no place in the log.
  absl::Status VisitUnplaceable(
      absl::FunctionRef<absl::Status(const SurveyedFile& file, const SurveyedFrame& frame,
                                     std::string_view reason)>
          visit);

 private:
  // What an intact frame is for the log.
  enum class Fate : uint8_t { kPlaced, kTrimmed, kForeign, kOffChain, kBehindEnd };

  explicit SalvagePlan(Directory& directory) : directory_(directory) {}

  absl::Status ReadAll();
  absl::Status CountFrames();
  Fate FateOf(const SurveyedFile& file, const SurveyedFrame& frame) const;
  SalvagedFile Describe(const SurveyedFile& file) const;
  void FindFaults();
  void FindFault(const SurveyedFile& file, const SalvagedFile& salvaged);
  bool IsSettled(const LostRange& lost) const;
  const SegmentInfo* ChainPlaceOf(const FileIdentity& identity) const;

  Directory& directory_;
  Survey survey_;
  FileNames names_;
  std::unique_ptr<FileView> view_;
  std::unique_ptr<LogReader> reader_;
  std::vector<SegmentInfo> chain_;
  SalvageReport report_;
  uint64_t off_chain_ = 0;  // records of the log that are intact and in no chain
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SALVAGE_PLAN_H_
