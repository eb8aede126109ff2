#include <charconv>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/flags.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "dump";

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

// What a frame means, in words.
std::string Explain(const FrameInfo& frame) {
  using Kind = FrameInfo::Kind;
  std::string text;
  switch (frame.kind) {
    case Kind::kHeader:
      return frame.detail;
    case Kind::kRecord:
      return absl::StrFormat("record %d", frame.sequence);
    case Kind::kBatch:
      return absl::StrFormat("records %d to %d, all or none", frame.sequence,
                             frame.sequence + frame.records - 1);
    case Kind::kGroup:
      text = "a group begins";
      break;
    case Kind::kIdleMark:
      text = "nothing more was appended for a while";
      break;
    case Kind::kFooter:
      text = frame.first > frame.last
                 ? "closed in order, without a record"
                 : absl::StrFormat("closed in order, records %d to %d", frame.first, frame.last);
      break;
    case Kind::kPadding:
      return "up to the next block";
    case Kind::kSkipped:
      return absl::StrFormat("type %d: skipped by this version", frame.type);
    case Kind::kUnknown:
      return absl::StrFormat("type %d, flags 0x%02x: a newer version's", frame.type, frame.flags);
    case Kind::kDamaged:
      return frame.lost ? "DAMAGED: " + frame.lost->ToString() : "DAMAGED";
    case Kind::kEnd:
      return frame.bytes == 0
                 ? "no frame from here on"
                 : absl::StrFormat("no frame from here on; %d bytes are not zero", frame.bytes);
  }
  if (frame.group) {
    absl::StrAppendFormat(&text, "; %s, durable up to %d, kept from %d, epoch %d",
                          TimeText(frame.group->time), frame.group->mark,
                          frame.group->first_retained, frame.group->epoch);
  }
  return text;
}

nlohmann::ordered_json FrameJson(uint64_t segment, const FrameInfo& frame) {
  nlohmann::ordered_json object = {{"segment", segment},
                                   {"offset", frame.offset},
                                   {"kind", FrameKindName(frame.kind)},
                                   {"bytes", frame.bytes},
                                   {"sequence", frame.sequence},
                                   {"records", frame.records},
                                   {"body_bytes", frame.body_bytes},
                                   {"type", frame.type},
                                   {"flags", frame.flags}};
  if (frame.group) {
    object["time"] = TimeText(frame.group->time);
    object["mark"] = frame.group->mark;
    object["first_retained"] = frame.group->first_retained;
    object["epoch"] = frame.group->epoch;
  }
  if (frame.kind == FrameInfo::Kind::kFooter) {
    object["first"] = frame.first;
    object["last"] = frame.last;
  }
  if (frame.lost) object["lost"] = LostJson(*frame.lost);
  if (!frame.detail.empty()) object["detail"] = frame.detail;
  return object;
}

// Walks one segment. Sets `damaged` if it meets damage.
absl::Status DumpSegment(LogReader* reader, uint64_t number, Output* output, bool* damaged) {
  const bool json = absl::GetFlag(FLAGS_json);
  bool titled = json;
  absl::Status status = reader->WalkSegment(number, [&](const FrameInfo& frame) {
    if (frame.kind == FrameInfo::Kind::kDamaged) *damaged = true;
    if (json) {
      output->Write(JsonLine(FrameJson(number, frame)));
      return;
    }
    if (!titled) {
      output->Write(absl::StrFormat("segment %d\n%12s  %-9s %9s %9s  %s\n", number, "offset",
                                    "kind", "bytes", "body", "meaning"));
      titled = true;
    }
    output->Write(absl::StrFormat("%12d  %-9s %9d %9d  %s\n", frame.offset,
                                  FrameKindName(frame.kind), frame.bytes, frame.body_bytes,
                                  Explain(frame)));
  });
  if (!json && titled) output->Write("\n");
  return status;
}

absl::StatusOr<std::vector<uint64_t>> SegmentsToDump(LogReader* reader,
                                                     const std::vector<std::string>& words) {
  std::vector<uint64_t> numbers;
  if (words.size() > 1) {
    uint64_t number = 0;
    const char* end = words[1].data() + words[1].size();
    const auto [stopped, error] = std::from_chars(words[1].data(), end, number);
    if (error != std::errc() || stopped != end) {
      return absl::InvalidArgumentError("SEGMENT is \"" + words[1] + "\"; it takes a number");
    }
    return std::vector<uint64_t>{number};
  }
  absl::StatusOr<std::vector<SegmentInfo>> segments = reader->Segments();
  if (!segments.ok()) return segments.status();
  for (const SegmentInfo& segment : *segments) {
    if (segment.state != SegmentInfo::State::kMissing) numbers.push_back(segment.number);
  }
  return numbers;
}

ExitCode Run(const std::vector<std::string>& words) {
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(words[0]);
  if (!reader.ok()) return Fail(kName, reader.status());
  const absl::StatusOr<std::vector<uint64_t>> numbers = SegmentsToDump(reader->get(), words);
  if (!numbers.ok()) return Fail(kName, numbers.status());
  Output output;
  bool damaged = false;
  for (const uint64_t number : *numbers) {
    absl::Status status = DumpSegment(reader->get(), number, &output, &damaged);
    // A file that cannot be told to be a segment is no reason to keep the others back.
    if (absl::IsFailedPrecondition(status) && words.size() == 1) {
      Complain(kName, std::string(status.message()));
      status = absl::OkStatus();
    }
    if (!status.ok()) return Fail(kName, status);
    if (output.reader_gone()) break;
  }
  output.Flush();
  if (!output.status().ok()) return Fail(kName, output.status());
  return damaged ? ExitCode::kDamage : ExitCode::kFine;
}

}  // namespace

Command DumpCommand() {
  return {
      .name = kName,
      .arguments = "DIR [SEGMENT]",
      .summary = "show the frames that a log's files consist of",
      .help =
          R"(Walks every segment, or the one of this number, whether or not it is part of the log, and says what
each frame means. wal/FORMAT.md explains the format. Changes nothing. The exit code is 2 if a frame is
damaged.

  --json  one object for each frame
)",
      .flags = {"json"},
      .least_words = 1,
      .most_words = 2,
      .run = Run,
  };
}

}  // namespace millrace
