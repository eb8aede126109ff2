#include "fuzz/corpus_seeds.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <vector>

#include "fuzz/seal.h"
#include "tests/segment_builder.h"
#include "wal/format.h"

namespace millrace {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.empty()) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(1);
  }
  return bytes;
}

std::string Text(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

SegmentBuilder Segment() {
  SegmentHeader header;
  header.log_id = FuzzedLogId();
  header.number = kFuzzedNumber;
  header.incarnation = kFuzzedIncarnation;
  return SegmentBuilder(header);
}

std::string BlockAt(const std::string& file, int place) {
  std::string block =
      file.size() > place * kBlockBytes ? file.substr(place * kBlockBytes, 256) : "";
  block.resize(256);
  return block;
}

std::string CursorBlock(const std::string& name, uint64_t generation, SequenceNumber committed,
                        uint64_t incarnation) {
  CursorSlot cursor;
  cursor.log_id = FuzzedLogId();
  cursor.generation = generation;
  cursor.committed = committed;
  cursor.name = name;
  cursor.cursor_incarnation = incarnation;
  cursor.has_entry = incarnation != 0;
  std::string block(kSlotBytes, '\0');
  EncodeCursorSlot(cursor, static_cast<int>(generation % 2),
                   std::span<char, kSlotBytes>(block.data(), kSlotBytes));
  return block;
}

}  // namespace

void SaveSeed(const std::filesystem::path& directory, const std::string& name,
              std::string_view bytes) {
  std::filesystem::create_directories(directory);
  std::ofstream file(directory / name, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) {
    std::fprintf(stderr, "cannot write %s\n", name.c_str());
    std::exit(1);
  }
}

// As frame_fuzzer reads them: its place and a bit, then the frame. One for each type and for
// each class of sizes, up to a block; larger ones take the mutator too long.
void SaveFrames(const std::filesystem::path& directory) {
  const auto save = [&](const std::string& name, const SegmentBuilder& segment) {
    SaveSeed(directory, name, std::string("\0\x05", 2) + segment.Bytes().substr(kFramesOffset));
  };
  for (const size_t size : {0, 1, 7, 8, 9, 511, 512, 513}) {
    save("record_" + std::to_string(size), Segment().Record(std::string(size, 'r')));
  }
  constexpr size_t kRoom = kBlockBytes - kFrameHeaderBytes;
  for (const size_t size : {kRoom - 1, kRoom, kRoom + 1}) {
    save("record_block_" + std::to_string(size), Segment().Record(std::string(size, 'r')));
  }
  const std::vector<Attribute> attributes = {{"name", "value"}, {"", ""}};
  AppendOptions options;
  options.key = "";
  save("record_empty_key", Segment().Record("payload", options));
  options.key = "key";
  options.attributes = attributes;
  save("record_extras", Segment().Record("payload", options));
  save("batch", Segment().Batch({{"one"}, {"two", options}, {""}}));
  save("batch_of_one", Segment().Batch({{"one"}}));
  save("group", Segment().Group(0));
  save("idle_mark", Segment().IdleMark());
  save("footer", Segment().Footer());
  save("padding", Segment().Frame(FrameType::kPadding, 0, 0, std::string(24, '\0')));
  save("unknown", Segment().Frame(FrameType{7}, 0, 0, "x"));
  save("skippable", Segment().Frame(FrameType{0x80}, 3, 0, "x"));
  save("empty_extras", Segment().Frame(FrameType::kRecord, kHasExtras, 1,
                                       Text({8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})));
}

// As slot_fuzzer reads them: the kind, a bit, two blocks.
void SaveSlots(const std::filesystem::path& directory, const std::filesystem::path& golden) {
  const auto save = [&](const std::string& name, int kind, const std::string& first,
                        const std::string& second) {
    SaveSeed(directory, name, Text({kind, 9}) + first + second);
  };
  const char* const names[] = {"00000000000000000001.seg", "LOG", "billing.cursor"};
  for (int kind = 0; kind < 3; ++kind) {
    const std::string file = ReadFile(golden / names[kind]);
    save("golden_" + std::to_string(kind), kind, BlockAt(file, 0), BlockAt(file, 1));
    save("golden_torn_" + std::to_string(kind), kind, BlockAt(file, 0).substr(0, 100), "");
  }
  const std::string zeros(256, '\0');
  save("cursor_newer_second", 2, CursorBlock("c", 6, 1, 4), CursorBlock("c", 7, 2, 4));
  save("cursor_newer_first", 2, CursorBlock("c", 8, 1, 4), CursorBlock("c", 7, 2, 4));
  save("cursor_misplaced", 2, CursorBlock("c", 7, 1, 4), CursorBlock("c", 6, 2, 4));
  save("cursor_one", 2, zeros, CursorBlock(std::string(128, 'n'), 7, 2, 4));
  save("cursor_generation_0", 2, CursorBlock("c", 0, 1, 4), zeros);
  save("cursor_generation_last", 2, zeros, CursorBlock("c", ~uint64_t{0}, 1, 4));
}

// As cursor_files_fuzzer reads them: a place (0 to 3: homes of c and d; then CURSORS), a block.
void SaveCursorFiles(const std::filesystem::path& directory) {
  const std::string c6 = Text({0}) + CursorBlock("c", 6, 10, 4);
  const std::string c7 = Text({1}) + CursorBlock("c", 7, 11, 4);
  const std::string d6 = Text({2}) + CursorBlock("d", 6, 20, 5);
  SaveSeed(directory, "one", c6);
  SaveSeed(directory, "two_slots", c6 + c7);
  SaveSeed(directory, "two_cursors", c6 + c7 + d6);
  SaveSeed(directory, "torn", c6 + c7.substr(0, 90));
  SaveSeed(directory, "entry_newer", c6 + d6 + Text({4}) + CursorBlock("c", 8, 12, 4));
  SaveSeed(directory, "entry_older", c7 + Text({4}) + CursorBlock("c", 4, 12, 4));
  SaveSeed(
      directory, "entries_of_both",
      c6 + d6 + Text({5}) + CursorBlock("c", 9, 12, 4) + Text({6}) + CursorBlock("d", 8, 22, 5));
  SaveSeed(directory, "entry_of_another", c6 + Text({4}) + CursorBlock("c", 8, 12, 9));
  SaveSeed(directory, "entry_without_home", Text({4}) + CursorBlock("e", 8, 12, 9));
  SaveSeed(directory, "entry_lost", Text({0}) + CursorBlock("c", 6, 10, 4) + Text({4}));
  SaveSeed(directory, "renamed", Text({0}) + CursorBlock("d", 6, 10, 5));
  SaveSeed(directory, "nothing", "");
}

// As damage_fuzzer reads them: the log, then edits: kind, file, offset and size (two bytes each),
// and what the kind needs. The files in order: three segments of log 0, then the others.
void SaveDamage(const std::filesystem::path& directory) {
  constexpr int kAll = 0xc0;  // every way to open it
  for (int log = 0; log < 12; ++log) {
    const std::string name = "log_" + std::to_string(log);
    SaveSeed(directory, name, Text({kAll | log}));
    for (int file = 0; file < 6; ++file) {
      const std::string of = name + "_" + std::to_string(file);
      SaveSeed(directory, of + "_flip", Text({kAll | log, 0, file, 0x60, 0x20, log, 0}));
      SaveSeed(directory, of + "_deleted", Text({kAll | log, 4, file, 0, 0, 0, 0}));
    }
  }
  // Torn prefixes of each segment of log 0.
  for (int file = 0; file < 3; ++file) {
    for (int at = 0x2000; at < 0x3000; at += 0x80) {
      SaveSeed(directory, "torn_" + std::to_string(file) + "_" + std::to_string(at),
               Text({kAll, 4, file, at & 0xff, at >> 8, 0, 0}));
    }
    const std::string n = std::to_string(file);
    SaveSeed(directory, "zeros_" + n, Text({kAll, 2, file, 0, 0x21, 0, 3}));
    SaveSeed(directory, "garbage_" + n, Text({kAll, 1, file, 0, 0x21, 0, 3, 7}));
    SaveSeed(directory, "cut_out_" + n, Text({kAll, 3, file, 0, 0x21, 64, 0}));
    SaveSeed(directory, "splice_" + n,
             Text({kAll, 5, file, 0, 0x20, 0, 8, (file + 1) % 3, 0, 0x20, 0, 8}));
    SaveSeed(directory, "swap_" + n,
             Text({kAll, 6, file, 0, 0, 0xff, 0xff, (file + 1) % 3, 0, 0, 0xff, 0xff}));
    SaveSeed(directory, "longer_" + n, Text({kAll, 8, file, 0, 4, 9}));
    SaveSeed(directory, "copied_" + n, Text({kAll, 9, file, 8}));
    SaveSeed(directory, "deleted_" + n, Text({kAll, 10, file, file}));
  }
}

// As embed_fuzzer reads them: how many records; of each its kind and a piece (segment, shift,
// block, size); the ending; then damage: frame, byte, kind.
void SaveEmbedded(const std::filesystem::path& directory) {
  for (int shift = 0; shift < 8; shift += 4) {
    for (int kind = 0; kind < 3; ++kind) {
      std::string records = Text({0xc0 | 12});
      for (int i = 0; i < 13; ++i) {
        records += Text({kind | (i % 4 == 3 ? 0x80 : 0x40), 0, shift, i % 3 == 2 ? 3 : 0, 40});
        if (kind > 0) records += Text({0, shift, 4, 20});
      }
      for (int damage = 0; damage < 4; ++damage) {
        for (int frame = 3; frame < 12; frame += 4) {
          SaveSeed(directory,
                   "shift_" + std::to_string(shift) + "_kind_" + std::to_string(kind) + "_damage_" +
                       std::to_string(damage) + "_" + std::to_string(frame),
                   records + Text({frame % 3, frame, 9, damage}));
        }
      }
    }
  }
}

}  // namespace millrace
