#ifndef MILLRACE_GOLDEN_LOG_H_
#define MILLRACE_GOLDEN_LOG_H_

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "tests/segment_builder.h"
#include "wal/format.h"

namespace millrace {

// The small log that FORMAT.md shows byte by byte and that lies in
// tests/testdata/format_v1: what every version from the first on must read. It
// is made again from the encoder by each run of the test.
//
// File names and contents.
inline std::map<std::string, std::string> GoldenLog() {
  LogId log_id;
  for (size_t i = 0; i < log_id.size(); ++i) log_id[i] = static_cast<char>(i);
  constexpr int64_t kTime = 1'700'000'000'000'000'000;  // 2023-11-14T22:13:20Z
  constexpr uint64_t kIncarnation = 0x1122334455667788;

  SegmentHeader header;
  header.log_id = log_id;
  header.number = 1;
  header.incarnation = kIncarnation;
  header.capacity = 16384;
  header.boot_id = 0xb007;
  header.created_ns = kTime;
  const Attribute color[] = {{"color", "red"}};
  AppendOptions with_key_and_attribute;
  with_key_and_attribute.key = "k1";
  with_key_and_attribute.attributes = color;
  AppendOptions with_key;
  with_key.key = "k2";
  SegmentBuilder segment(header);
  segment.At(kTime)
      .Group(0)
      .Record("hello", with_key_and_attribute)
      .Record("")
      .Batch({{"a"}, {"b", with_key}})
      .Footer();

  Superblock superblock;
  superblock.log_id = log_id;
  superblock.generation = 1;
  superblock.highest_segment = 16;
  std::string log(kBlockBytes + kSlotBytes, '\0');
  const auto put = [&](std::string& file, int slot, auto encode) {
    encode(slot, std::span<char, kSlotBytes>(file.data() + slot * kBlockBytes, kSlotBytes));
  };
  put(log, 1, [&](int slot, auto out) { EncodeSuperblock(superblock, slot, out); });
  superblock.generation = 2;
  superblock.mark = 4;
  superblock.clean = true;
  put(log, 0, [&](int slot, auto out) { EncodeSuperblock(superblock, slot, out); });

  CursorSlot cursor;
  cursor.log_id = log_id;
  cursor.generation = 1;
  cursor.committed = 2;
  cursor.segment = 1;
  cursor.incarnation = kIncarnation;
  cursor.offset = kFramesOffset;
  cursor.name = "billing";
  std::string billing(kBlockBytes + kSlotBytes, '\0');
  put(billing, 1, [&](int slot, auto out) { EncodeCursorSlot(cursor, slot, out); });

  return {{"00000000000000000001.seg", segment.Bytes()}, {"LOG", log}, {"billing.cursor", billing}};
}

// As FORMAT.md shows a file: its name and size, then 16 bytes a line; lines of
// zeros are left out.
inline std::string GoldenHex(const std::string& name, const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = name + ", " + std::to_string(bytes.size()) + " bytes\n";
  for (size_t line = 0; line < bytes.size(); line += 16) {
    const std::string piece = bytes.substr(line, 16);
    if (piece.find_first_not_of('\0') == std::string::npos) continue;
    for (int shift = 12; shift >= 0; shift -= 4) text += kDigits[line >> shift & 15];
    text += ' ';
    for (const char c : piece) {
      text += ' ';
      text += kDigits[static_cast<unsigned char>(c) >> 4];
      text += kDigits[static_cast<unsigned char>(c) & 15];
    }
    text += '\n';
  }
  return text;
}

}  // namespace millrace

#endif  // MILLRACE_GOLDEN_LOG_H_
