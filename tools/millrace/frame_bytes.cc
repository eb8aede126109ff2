#include "tools/millrace/frame_bytes.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <span>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tools/millrace/entry_text.h"
#include "wal/io_status.h"

namespace millrace {
namespace {

// A field of a block or frame, as in wal/FORMAT.md.
struct Field {
  enum class Shown : uint8_t { kNumber, kHex, kBytes, kTime, kText, kType };
  size_t offset;
  size_t size;
  std::string_view name;
  Shown shown = Shown::kNumber;
};

constexpr size_t kHeaderBytes = 32;
constexpr std::array kFrameFields = {
    Field{0, 8, "header sum", Field::Shown::kHex},
    Field{8, 8, "sequence"},
    Field{16, 4, "body bytes"},
    Field{20, 1, "type", Field::Shown::kType},
    Field{21, 1, "flags", Field::Shown::kHex},
    Field{22, 2, "count"},
    Field{24, 8, "body sum", Field::Shown::kHex},
};
constexpr std::array kGroupFields = {
    Field{32, 8, "segment"}, Field{40, 8, "incarnation", Field::Shown::kHex},
    Field{48, 8, "epoch"},   Field{56, 8, "time", Field::Shown::kTime},
    Field{64, 8, "mark"},    Field{72, 8, "first retained"},
};
constexpr std::array kFooterFields = {
    Field{80, 8, "first sequence"},
    Field{88, 8, "last sequence"},
    Field{96, 8, "digest", Field::Shown::kHex},
};
constexpr std::array kSegmentFields = {
    Field{0, 8, "checksum", Field::Shown::kHex},
    Field{8, 8, "magic", Field::Shown::kText},
    Field{16, 4, "version"},
    Field{20, 4, "state"},
    Field{24, 8, "log id", Field::Shown::kBytes},
    Field{32, 8, "log id, 2nd half", Field::Shown::kBytes},
    Field{40, 8, "number"},
    Field{48, 8, "incarnation", Field::Shown::kHex},
    Field{56, 8, "epoch"},
    Field{64, 8, "first sequence"},
    Field{72, 8, "mark"},
    Field{80, 8, "first retained"},
    Field{88, 8, "capacity"},
    Field{96, 8, "before: segment"},
    Field{104, 8, "before: incarnation", Field::Shown::kHex},
    Field{112, 8, "before: last sequence"},
    Field{120, 8, "before: cut"},
    Field{128, 8, "before: digest", Field::Shown::kHex},
    Field{136, 8, "boot id", Field::Shown::kHex},
    Field{144, 8, "begun", Field::Shown::kTime},
    Field{248, 8, "features", Field::Shown::kHex},
};

char Printable(char c) { return c >= ' ' && c <= '~' ? c : '.'; }

std::string Spaced(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    absl::StrAppendFormat(&text, "%s%02x", text.empty() ? "" : " ", static_cast<unsigned char>(c));
  }
  return text;
}

std::string ValueOf(const FrameInfo& frame, const Field& field, std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  switch (field.shown) {
    case Field::Shown::kNumber:
      return absl::StrFormat("%d", value);
    case Field::Shown::kHex:
      return absl::StrFormat("0x%0*x", static_cast<int>(2 * bytes.size()), value);
    case Field::Shown::kTime:
      return value == 0 ? "0" : TimeText(absl::FromUnixNanos(static_cast<int64_t>(value)));
    case Field::Shown::kType:
      return absl::StrFormat("%d: %s", value, FrameKindName(frame.kind));
    case Field::Shown::kBytes:
      return HexOf(bytes);
    case Field::Shown::kText:
      break;
  }
  std::string text(bytes);
  std::transform(text.begin(), text.end(), text.begin(), Printable);
  return text;
}

void AppendFields(const FrameInfo& frame, std::span<const Field> fields, std::string_view bytes,
                  std::string* text) {
  for (const Field& field : fields) {
    if (field.offset + field.size > bytes.size()) return;
    const std::string_view of_field = bytes.substr(field.offset, field.size);
    absl::StrAppendFormat(text, "%12d  %-23s  %-21s  %s\n", frame.offset + field.offset,
                          Spaced(of_field), field.name, ValueOf(frame, field, of_field));
  }
}

void AppendRows(uint64_t offset, std::string_view bytes, std::string* text) {
  constexpr size_t kRowBytes = 16;
  for (size_t at = 0; at < bytes.size(); at += kRowBytes) {
    const std::string_view row = bytes.substr(at, kRowBytes);
    std::string characters(row);
    std::transform(characters.begin(), characters.end(), characters.begin(), Printable);
    absl::StrAppendFormat(text, "%12d  %-47s  %s\n", offset + at, Spaced(row), characters);
  }
}

// From where on nothing is a field of `frame`.
size_t AppendFrameFields(const FrameInfo& frame, std::string_view bytes, std::string* text) {
  using Kind = FrameInfo::Kind;
  AppendFields(frame, kFrameFields, bytes, text);
  if (frame.kind != Kind::kGroup && frame.kind != Kind::kIdleMark && frame.kind != Kind::kFooter) {
    return kHeaderBytes;
  }
  AppendFields(frame, kGroupFields, bytes, text);
  if (frame.kind == Kind::kFooter) AppendFields(frame, kFooterFields, bytes, text);
  return bytes.size();
}

}  // namespace

absl::StatusOr<SegmentBytes> SegmentBytes::Open(const std::string& directory,
                                                const std::string& file_name) {
  std::unique_ptr<Directory> opened;
  IoResult error = PosixFileSystem()->OpenDirectory(directory, DirectoryMode::kMustExist, &opened);
  std::unique_ptr<File> file;
  if (error >= 0) {
    do {
      error = opened->Open(file_name, OpenMode::kRead, &file);
    } while (error == -EINTR);
  }
  if (error >= 0) return SegmentBytes(std::move(file));
  return IoError("open", directory + "/" + file_name, error);
}

std::string SegmentBytes::Of(const FrameInfo& frame) const {
  const uint64_t wanted = frame.kind == FrameInfo::Kind::kEnd ? kHeaderBytes : frame.bytes;
  std::string bytes(std::min<uint64_t>(wanted, kMostFrameBytes), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const IoResult got =
        file_->Read(frame.offset + done, std::span<char>(bytes.data() + done, bytes.size() - done));
    if (got == -EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

std::string ExplainBytes(const FrameInfo& frame, std::string_view bytes) {
  using Kind = FrameInfo::Kind;
  std::string text;
  size_t fields_end = 0;
  switch (frame.kind) {
    case Kind::kHeader:
      AppendFields(frame, kSegmentFields, bytes, &text);
      return text;
    case Kind::kPadding:
    case Kind::kRecord:
    case Kind::kBatch:
    case Kind::kGroup:
    case Kind::kIdleMark:
    case Kind::kFooter:
    case Kind::kSkipped:
    case Kind::kUnknown:
      fields_end = AppendFrameFields(frame, bytes, &text);
      break;
    case Kind::kDamaged:
    case Kind::kEnd:
      break;
  }
  // The body of padding means nothing.
  if (frame.kind == Kind::kPadding) return text;
  fields_end = std::min(fields_end, bytes.size());
  AppendRows(frame.offset + fields_end, bytes.substr(fields_end), &text);
  if (frame.kind != Kind::kEnd && frame.bytes > bytes.size()) {
    absl::StrAppendFormat(&text, "%12s  ... %d more bytes\n", "", frame.bytes - bytes.size());
  }
  return text;
}

std::string HexOf(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) absl::StrAppendFormat(&text, "%02x", static_cast<unsigned char>(c));
  return text;
}

}  // namespace millrace
