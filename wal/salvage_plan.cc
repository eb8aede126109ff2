#include "wal/salvage_plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/stored_cursor.h"
#include "wal/superblock.h"

namespace millrace {
namespace {

bool InChain(const SegmentInfo& segment) {
  using State = SegmentInfo::State;
  return segment.state == State::kSealed || segment.state == State::kClosed ||
         segment.state == State::kOpen;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SalvagePlan>> SalvagePlan::Make(FileSystem& file_system,
                                                               Directory& directory,
                                                               const std::string& path) {
  std::unique_ptr<SalvagePlan> plan(new SalvagePlan(directory));
  absl::StatusOr<Survey> survey = SurveyDirectory(directory);
  if (!survey.ok()) return InFront("log " + path, survey.status());
  plan->survey_ = *std::move(survey);
  absl::StatusOr<FileNames> names = ProperNames(directory, plan->survey_);
  if (!names.ok()) return InFront("log " + path, names.status());
  plan->names_ = *names;
  plan->view_ = std::make_unique<FileView>(&file_system, *std::move(names));
  LogReaderOptions options;
  options.file_system = plan->view_.get();
  options.scan = LogReaderOptions::Scan::kAll;
  options.limit = LogReaderOptions::Limit::kReadable;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(path, options);
  if (!reader.ok()) return reader.status();
  plan->reader_ = *std::move(reader);
  absl::Status status = plan->ReadAll();
  if (status.ok()) status = plan->CountFrames();
  if (!status.ok()) return InFront("log " + path, status);
  plan->FindFaults();
  return plan;
}

absl::Status SalvagePlan::ReadAll() {
  absl::StatusOr<std::vector<SegmentInfo>> segments = reader_->Segments();
  if (!segments.ok()) return segments.status();
  chain_ = *std::move(segments);
  const CopySource source = this->source();
  CopyCounts counts;
  absl::Status status = CopyRecords(
      source, BackupOptions::Damage::kCopyTheRest, [](uint64_t) { return true; },
      /*builder=*/nullptr, &counts);
  if (!status.ok()) return status;
  report_.first = source.first;
  report_.last = source.next - 1;
  report_.records = counts.records;
  report_.payload_bytes = counts.payload_bytes;
  report_.lost = std::move(counts.lost);
  absl::StatusOr<CopiedCursors> cursors = CursorsToCopy(source);
  if (!cursors.ok()) return cursors.status();
  for (CopiedCursors::Cursor& cursor : cursors->copied) {
    report_.cursors.push_back(std::move(cursor.name));
  }
  report_.cursors_left_out = std::move(cursors->left_out);
  for (const std::string& name : survey_.foreign_cursor_files) {
    report_.cursors_left_out.push_back(ParseCursorFileName(name).value_or(name));
  }
  return absl::OkStatus();
}

const SegmentInfo* SalvagePlan::ChainPlaceOf(const FileIdentity& identity) const {
  const auto found = std::find_if(chain_.begin(), chain_.end(), [&](const SegmentInfo& segment) {
    // Of a segment without headers the reader does not know the incarnation.
    return InChain(segment) && segment.number == identity.number &&
           (segment.incarnation == 0 || segment.incarnation == identity.incarnation);
  });
  return found == chain_.end() ? nullptr : &*found;
}

SalvagePlan::Fate SalvagePlan::FateOf(const SurveyedFile& file, const SurveyedFrame& frame) const {
  if (file.identity.log_id != survey_.log_id) return Fate::kForeign;
  if (const SegmentInfo* place = ChainPlaceOf(file.identity); place != nullptr) {
    const bool inside = frame.offset < place->frames_end && frame.header.sequence <= place->last;
    return inside ? Fate::kPlaced : Fate::kBehindEnd;
  }
  return frame.header.sequence < report_.first ? Fate::kTrimmed : Fate::kOffChain;
}

SalvagedFile SalvagePlan::Describe(const SurveyedFile& file) const {
  using Kind = SalvagedFile::Kind;
  SalvagedFile salvaged;
  salvaged.name = file.name;
  salvaged.bytes = file.bytes;
  salvaged.kind = Kind::kUnknown;
  if (file.kind == SurveyedFile::Kind::kPrepared || file.kind == SurveyedFile::Kind::kZeros) {
    salvaged.kind = Kind::kUnused;
  }
  if (!file.IsSegment()) return salvaged;
  salvaged.segment = file.identity.number;
  salvaged.header_lost = file.kind == SurveyedFile::Kind::kFrames;
  const std::string own_name = SegmentName(file.identity.number);
  const auto shown = names_.find(own_name);
  if (file.identity.log_id != survey_.log_id) {
    salvaged.kind = Kind::kForeign;
  } else if (shown == names_.end() || shown->second.name != file.name) {
    salvaged.kind = Kind::kDuplicate;
  } else {
    salvaged.kind = file.name == own_name ? Kind::kSegment : Kind::kMisnamed;
  }
  return salvaged;
}

absl::Status SalvagePlan::CountFrames() {
  for (const SurveyedFile& file : survey_.files) {
    report_.files.push_back(Describe(file));
    SalvagedFile& salvaged = report_.files.back();
    if (!file.IsSegment()) continue;
    std::unique_ptr<File> opened;
    const IoResult result = OpenFile(directory_, file.name, OpenMode::kRead, &opened);
    if (result < 0) return IoError("open", file.name, result);
    WalkFrames(*opened, file.bytes, file.identity, [&](const SurveyedFrame& frame) {
      const Fate fate = FateOf(file, frame);
      uint64_t& count = fate == Fate::kPlaced    ? salvaged.placed
                        : fate == Fate::kTrimmed ? salvaged.trimmed
                                                 : salvaged.unplaceable;
      count += frame.header.count;
      if (fate == Fate::kOffChain) off_chain_ += frame.header.count;
    });
    report_.unplaceable += salvaged.unplaceable;
  }
  return absl::OkStatus();
}

absl::Status SalvagePlan::VisitUnplaceable(
    absl::FunctionRef<absl::Status(const SurveyedFile&, const SurveyedFrame&, std::string_view)>
        visit) {
  absl::Status status;
  for (const SurveyedFile& file : survey_.files) {
    if (!status.ok() || !file.IsSegment()) continue;
    std::unique_ptr<File> opened;
    const IoResult result = OpenFile(directory_, file.name, OpenMode::kRead, &opened);
    if (result < 0) return IoError("open", file.name, result);
    WalkFrames(*opened, file.bytes, file.identity, [&](const SurveyedFrame& frame) {
      if (!status.ok() || frame.header.count == 0) return;
      const Fate fate = FateOf(file, frame);
      if (fate == Fate::kPlaced || fate == Fate::kTrimmed) return;
      status = visit(file, frame,
                     fate == Fate::kForeign    ? "foreign"
                     : fate == Fate::kOffChain ? "off-chain"
                                               : "behind-end");
    });
  }
  return status;
}

// --- What is not as it should be ------------------------------------------------------

// Numbers that a header leaves out: said once and for all, and nothing can be done about them.
bool SalvagePlan::IsSettled(const LostRange& lost) const {
  if (lost.end != 0) return false;
  if (lost.cause != LossCause::kTruncated && lost.cause != LossCause::kSetAside) return false;
  return std::any_of(chain_.begin(), chain_.end(),
                     [&](const SegmentInfo& segment) { return segment.first == lost.last + 1; });
}

void SalvagePlan::FindFault(const SurveyedFile& file, const SalvagedFile& salvaged) {
  using Kind = SalvagedFile::Kind;
  std::string fault;
  switch (salvaged.kind) {
    case Kind::kSegment:
      if (salvaged.header_lost) {
        fault = "both headers are lost; its frames say what it is";
      } else if (file.damaged_headers > 0) {
        fault = "one of its two headers is damaged";
      }
      break;
    case Kind::kMisnamed:
      // The name that a segment gets for its next use stands before the use does.
      if (salvaged.placed + salvaged.unplaceable > 0) {
        fault = absl::StrFormat("is segment %d, under another name", salvaged.segment);
      }
      break;
    case Kind::kDuplicate:
      if (salvaged.placed + salvaged.unplaceable > 0) {
        fault = absl::StrFormat("is segment %d, and so is %s", salvaged.segment,
                                names_.at(SegmentName(salvaged.segment)).name);
      }
      break;
    case Kind::kForeign:
      fault = absl::StrFormat("is segment %d of another log", salvaged.segment);
      break;
    case Kind::kUnused:
      break;
    case Kind::kUnknown:
      fault = "nothing in it says what it is";
      break;
  }
  if (!fault.empty()) report_.findings.push_back(salvaged.name + ": " + fault);
}

void SalvagePlan::FindFaults() {
  std::vector<std::string>& findings = report_.findings;
  const std::string superblock(kSuperblockName);
  switch (survey_.superblock) {
    case Survey::Superblock::kOurs:
      break;
    case Survey::Superblock::kMissing:
      findings.push_back(superblock + ": is missing");
      break;
    case Survey::Superblock::kDamaged:
      findings.push_back(superblock + ": is damaged");
      break;
    case Survey::Superblock::kForeign:
      findings.push_back(superblock + ": is another log's");
      break;
  }
  for (size_t i = 0; i < survey_.files.size(); ++i) {
    FindFault(survey_.files[i], report_.files[i]);
  }
  for (const std::string& cursor : report_.cursors_left_out) {
    findings.push_back(CursorFileName(cursor) + ": is damaged, or another log's");
  }
  for (const LostRange& lost : reader_->recovery().lost) {
    const bool header = lost.records() == 0 && lost.begin == 0;  // said of its file already
    if (!header && !IsSettled(lost)) findings.push_back(lost.ToString());
  }
  if (off_chain_ > 0) {
    findings.push_back(absl::StrFormat(
        "records of segments that no later one names: %d, intact and without a place", off_chain_));
  }
}

}  // namespace millrace
