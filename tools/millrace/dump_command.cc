#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "millrace/log_reader.h"
#include "tools/millrace/command.h"
#include "tools/millrace/entry_text.h"
#include "tools/millrace/frame_bytes.h"
#include "tools/millrace/output.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "dump";

// Where a header stands, there is room for one in every block of this size.
constexpr uint64_t kBlockBytes = 4096;

// What is shown, and how.
struct DumpSettings {
  bool json = false;
  bool hex = false;
  std::optional<uint64_t> offset;  // only what stands there
};

bool IsDamaged(const FrameInfo& frame) {
  if (frame.kind == FrameInfo::Kind::kHeader) return frame.detail == "damaged";
  return frame.kind == FrameInfo::Kind::kDamaged;
}

bool Covers(const FrameInfo& frame, uint64_t offset) {
  if (offset < frame.offset) return false;
  if (frame.kind == FrameInfo::Kind::kEnd || frame.kind == FrameInfo::Kind::kUnknown) return true;
  const uint64_t bytes = frame.kind == FrameInfo::Kind::kHeader ? kBlockBytes : frame.bytes;
  return offset - frame.offset < bytes;
}

// What a frame means, in words.
std::string Explain(const FrameInfo& frame) {
  using Kind = FrameInfo::Kind;
  std::string text;
  switch (frame.kind) {
    case Kind::kHeader:
      if (IsDamaged(frame)) return "DAMAGED: neither checksum nor content hold";
      return "segment header: " + frame.detail.substr(0, frame.detail.find(';'));
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
absl::Status DumpSegment(const DumpSettings& settings, LogReader* reader, uint64_t number,
                         const SegmentBytes* raw, Output* output, bool* damaged) {
  bool titled = settings.json;
  absl::Status status = reader->WalkSegment(number, [&](const FrameInfo& frame) {
    if (settings.offset.has_value() && !Covers(frame, *settings.offset)) return;
    if (IsDamaged(frame)) *damaged = true;
    const std::string bytes = raw == nullptr ? "" : raw->Of(frame);
    if (settings.json) {
      nlohmann::ordered_json object = FrameJson(number, frame);
      if (raw != nullptr) object["hex"] = HexOf(bytes);
      output->Write(JsonLine(object));
      return;
    }
    if (!titled) {
      output->Write(absl::StrFormat("segment %d\n%12s  %-9s %9s  %s\n", number, "offset", "kind",
                                    "bytes", "meaning"));
      titled = true;
    }
    output->Write(absl::StrFormat("%12d  %-9s %9d  %s\n", frame.offset, FrameKindName(frame.kind),
                                  frame.bytes, Explain(frame)));
    if (raw != nullptr) output->Write(ExplainBytes(frame, bytes) + "\n");
  });
  if (!settings.json && titled && raw == nullptr) output->Write("\n");
  return status;
}

// The bytes of segment `number`, or none if its file is not there, which the walk will say.
absl::StatusOr<std::optional<SegmentBytes>> OpenBytes(const std::string& directory, uint64_t number,
                                                      LogReader* reader) {
  const absl::StatusOr<std::vector<SegmentInfo>> segments = reader->Segments();
  if (!segments.ok()) return segments.status();
  const auto found = std::find_if(segments->begin(), segments->end(),
                                  [&](const SegmentInfo& s) { return s.number == number; });
  if (found == segments->end()) return std::optional<SegmentBytes>();
  absl::StatusOr<SegmentBytes> bytes = SegmentBytes::Open(directory, found->file_name);
  if (!bytes.ok()) return bytes.status();
  return std::optional<SegmentBytes>(*std::move(bytes));
}

absl::StatusOr<std::vector<uint64_t>> SegmentsToDump(const Invocation& invocation,
                                                     LogReader* reader) {
  if (invocation.Given("segment")) return std::vector<uint64_t>{invocation.Number("segment")};
  absl::StatusOr<std::vector<SegmentInfo>> segments = reader->Segments();
  if (!segments.ok()) return segments.status();
  std::vector<uint64_t> numbers;
  for (const SegmentInfo& segment : *segments) {
    if (segment.state != SegmentInfo::State::kMissing) numbers.push_back(segment.number);
  }
  return numbers;
}

absl::Status DumpOne(const DumpSettings& settings, const std::string& directory, uint64_t number,
                     LogReader* reader, Output* output, bool* damaged) {
  if (!settings.hex) return DumpSegment(settings, reader, number, nullptr, output, damaged);
  const absl::StatusOr<std::optional<SegmentBytes>> raw = OpenBytes(directory, number, reader);
  if (!raw.ok()) return raw.status();
  return DumpSegment(settings, reader, number, raw->has_value() ? &**raw : nullptr, output,
                     damaged);
}

ExitCode Run(const Invocation& invocation) {
  DumpSettings settings = {invocation.On("json"), invocation.On("hex"), std::nullopt};
  if (invocation.Given("offset")) {
    if (!invocation.Given("segment")) {
      return Fail(kName, absl::InvalidArgumentError("--offset needs --segment: offsets are those "
                                                    "of one segment's file"));
    }
    settings.offset = invocation.Number("offset");
    settings.hex = true;
  }
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(invocation.directory());
  if (!reader.ok()) return Fail(kName, reader.status());
  const absl::StatusOr<std::vector<uint64_t>> numbers = SegmentsToDump(invocation, reader->get());
  if (!numbers.ok()) return Fail(kName, numbers.status());
  Output output;
  bool damaged = false;
  for (const uint64_t number : *numbers) {
    absl::Status status =
        DumpOne(settings, invocation.directory(), number, reader->get(), &output, &damaged);
    // A file that cannot be told to be a segment is no reason to keep the others back.
    if (absl::IsFailedPrecondition(status) && !invocation.Given("segment")) {
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
  using Kind = Flag::Kind;
  return {
      .name = kName,
      .arguments = "DIR",
      .summary = "show a log's files frame by frame, and what they mean",
      .description =
          "Walks every segment, or one of them, whether or not it is part of the log, and says "
          "what "
          "each frame means; wal/FORMAT.md explains the format. Changes nothing. The exit code is "
          "2 "
          "if something shown is damaged.",
      .flags = {{.name = "hex", .help = "also show each frame's bytes, its fields named"},
                JsonFlag(),
                {.kind = Kind::kNumber,
                 .name = "offset",
                 .argument = "O",
                 .help = "show only what stands at byte O of the segment's file, with its bytes"},
                {.kind = Kind::kNumber,
                 .name = "segment",
                 .argument = "N",
                 .help = "show segment N only"}},
      .json = {{"segment", "its number"},
               {"offset", "of the frame, in the segment's file"},
               {"kind", "header, record, batch, group, idle mark, footer, padding, ..."},
               {"bytes", "header, body and padding"},
               {"sequence", "number of the first record in it, or of the next one"},
               {"records", "in it"},
               {"body_bytes", "of its body"},
               {"type", "as it is written"},
               {"flags", "as they are written"},
               {"time", "of a group, idle mark or footer; so are mark, first_retained and epoch"},
               {"mark", "highest number that was known durable"},
               {"first_retained", "oldest record kept"},
               {"epoch", "of the log"},
               {"first", "of a footer: the segment's first record"},
               {"last", "of a footer: the segment's last record"},
               {"lost", "of damage: as `millrace verify --json` names it"},
               {"detail", "of a header: its fields"},
               {"hex", "of --hex: its first bytes, 256 at most"}},
      .examples = {{"millrace dump /var/tmp/journal | less", "every frame"},
                   {"millrace dump --segment=1 --offset=8192 /var/tmp/journal",
                    "what stands at one place, byte by byte"}},
      .run = Run,
  };
}

}  // namespace millrace
