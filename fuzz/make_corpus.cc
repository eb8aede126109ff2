// Writes the seeds of the corpora:
//   bazel run //fuzz:make_corpus -- "$PWD/fuzz/corpus" "$PWD/tests/testdata/format_v1"
//
// What stands there besides was found by fuzzing and kept by libFuzzer's -merge=1.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/corpus_seeds.h"
#include "fuzz/seal.h"
#include "tests/segment_builder.h"
#include "wal/format.h"

namespace millrace {
namespace {

SegmentBuilder FuzzedSegment() {
  SegmentHeader header;
  header.log_id = FuzzedLogId();
  header.number = kFuzzedNumber;
  header.incarnation = kFuzzedIncarnation;
  return SegmentBuilder(header);
}

// As segment_reader_fuzzer reads them: the first number, then frames.
void SaveSegments(const std::filesystem::path& directory) {
  const auto save = [&](const std::string& name, const SegmentBuilder& segment) {
    SaveSeed(directory, name, "\x81" + segment.Bytes().substr(kFramesOffset));
  };
  const Attribute attribute{"name", "value"};
  AppendOptions extras;
  extras.key = "key";
  extras.attributes = std::span(&attribute, 1);
  save("nothing", FuzzedSegment());
  save("records", FuzzedSegment().Group(0).Record("").Record("a").Record(std::string(300, 'r')));
  save("extras", FuzzedSegment().Group(0).Record("payload", extras).Record("", extras));
  save("batch", FuzzedSegment().Group(0).Batch({{"one"}, {"two", extras}, {""}}).Record("4"));
  save("idle_mark", FuzzedSegment().Group(0).Record("a").IdleMark().Group(1).Record("b"));
  save("footer", FuzzedSegment().Group(0).Record("a").Footer());
  save("skippable", FuzzedSegment().Group(0).Frame(FrameType{0x90}, 1, 0, "x").Record("a"));
  save("unknown", FuzzedSegment().Group(0).Record("a").Frame(FrameType{9}, 0, 0, "x"));

  const SegmentBuilder five =
      FuzzedSegment().Group(0).Record("1").Record("2").Record("3").Record("4").Record("5");
  std::string bytes = "\x81" + five.Bytes().substr(kFramesOffset);
  SaveSeed(directory, "unknown_first", '\x80' + bytes.substr(1));
  SaveSeed(directory, "torn", bytes.substr(0, bytes.size() - 20));
  SaveSeed(directory, "zeros_behind", bytes + std::string(5000, '\0'));
  bytes[five.FrameBegin(3) - kFramesOffset + 10] ^= 1;
  SaveSeed(directory, "hole", bytes);
  bytes.replace(five.FrameBegin(1) - kFramesOffset, 30, 30, '\0');
  SaveSeed(directory, "two_holes", bytes);
}

// As open_directory_fuzzer reads them: how the log ended, then edits: kind, file,
// offset (two bytes), and what the kind needs.
void SaveEdits(const std::filesystem::path& directory) {
  const auto save = [&](const std::string& name, std::initializer_list<int> bytes) {
    std::string text;
    for (const int byte : bytes) text.push_back(static_cast<char>(byte));
    SaveSeed(directory, name, text);
  };
  constexpr int kFlip = 0, kOver = 1, kTruncate = 2, kExtend = 3, kErase = 4, kCopy = 5, kZero = 6,
                kForge = 7;
  constexpr int kSuperblock = 6, kCursor = 7, kShared = 15;
  save("clean", {0});
  save("crashed", {1});
  for (int segment = 0; segment < 3; ++segment) {
    const std::string n = std::to_string(segment + 1);
    save("erase_" + n, {1, kErase, segment, 0, 0, segment});
    save("flip_header_" + n, {0, kFlip, segment, 50, 0, 3});
    save("lose_headers_" + n, {0, kZero, segment, 0, 0, 0x01, 0x20, 0x01, 0x20});
    save("flip_record_" + n, {0, kFlip, segment, 0xa0, 0x20, 3});
    save("zero_records_" + n, {1, kZero, segment, 0x90, 0x20, 0x80, 0, 0x80, 0});
    save("truncate_" + n, {1, kTruncate, segment, 0xd0, 0x20});
    save("empty_" + n, {1, kTruncate, segment, 0, 0});
    save("extend_" + n, {0, kExtend, segment, 0, 0, 0, 4, 'x'});
    save("copy_" + n, {0, kCopy, segment, 0, 0, 4});
    save("swap_" + n, {0, kCopy, segment, 0, 0, (segment + 1) % 3});
    save("forge_number_" + n, {0, kForge, segment, 0, 2, 0, 0, 0, 0, 0, 0, 0});
    save("forge_last_" + n, {0, kForge, segment, 9, 9, 0, 0, 0, 0, 0, 0, 0});
    save("forge_cut_" + n, {0, kForge, segment, 10, 9, 0, 0, 0, 0, 0, 0, 0xff});
    save("forge_retained_" + n, {0, kForge, segment, 5, 5, 0, 0, 0, 0, 0, 0, 0});
  }
  save("no_superblock", {0, kErase, 0, 0, 0, kSuperblock});
  save("no_superblock_erase_3", {1, kErase, 0, 0, 0, kSuperblock, kErase, 0, 0, 0, 2});
  save("torn_superblock", {1, kTruncate, kSuperblock, 100, 0});
  save("cursor_of_bytes", {0, kOver, kCursor, 4, 'a', 'b', 'c', 'd', kExtend, kCursor, 9, 0, 'z'});
  save("shared_of_bytes", {0, kExtend, kShared, 0, 0x30, 'z', kOver, kShared, 4, 'a', 'b', 'c'});
  // Fields: generation, epoch, committed, the cursor's incarnation; from 4 on it has an entry.
  const auto forge = [](int file, int field, int value) {
    return std::vector<int>{kForge, file, field, value, 0, 0, 0, 0, 0, 0, 0};
  };
  const auto save_forged = [&](const std::string& name, const std::vector<std::vector<int>>& all) {
    std::string text(1, '\0');
    for (const std::vector<int>& edit : all) text.append(edit.begin(), edit.end());
    SaveSeed(directory, name, text);
  };
  save_forged("shared_newer", {forge(kCursor, 2, 3), forge(kShared, 0, 9)});
  save_forged("shared_older", {forge(kCursor, 2, 3), forge(kShared, 0, 5)});
  save_forged("shared_of_another_cursor", {forge(kCursor, 2, 3), forge(kShared, 3, 9)});
  save_forged("shared_lost", {forge(kCursor, 6, 3)});
  save_forged("shared_mark_beyond_the_end", {forge(kShared, 2, 40)});
  save("forge_mark", {1, kForge, kSuperblock, 5, 200, 0, 0, 0, 0, 0, 0, 0});
  save("forge_epoch", {1, kForge, kSuperblock, 1, 7, 0, 0, 0, 0, 0, 0, 0});
  save("forge_highest",
       {1, kForge, kSuperblock, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  save("lose_all_headers", {0, kZero, 0, 0,    0,     1, 0x20, 1, 0x20, kZero, 1, 0,   0,
                            1, 0x20,  1, 0x20, kZero, 2, 0,    0, 1,    0x20,  1, 0x20});
}

// As log_model_fuzzer reads them: one choice behind the other. Bytes without a meaning lead to all
// operations; zeros to the first one.
void SaveOperations(const std::filesystem::path& directory) {
  constexpr int kSeeds = 24;
  std::mt19937_64 random(1);
  for (int i = 0; i < kSeeds; ++i) {
    std::string bytes(size_t{100} << i % 6, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    SaveSeed(directory, "random_" + std::to_string(i), bytes);
  }
  SaveSeed(directory, "zeros", std::string(200, '\0'));
  SaveSeed(directory, "ones", std::string(200, '\xff'));
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_corpus <directory> <golden log>\n");
    return 1;
  }
  const std::filesystem::path corpus = argv[1];
  millrace::SaveFrames(corpus / "frame_fuzzer");
  millrace::SaveSlots(corpus / "slot_fuzzer", argv[2]);
  millrace::SaveCursorFiles(corpus / "cursor_files_fuzzer");
  millrace::SaveDamage(corpus / "damage_fuzzer");
  millrace::SaveEmbedded(corpus / "embed_fuzzer");
  millrace::SaveSegments(corpus / "segment_reader_fuzzer");
  millrace::SaveEdits(corpus / "open_directory_fuzzer");
  millrace::SaveOperations(corpus / "log_model_fuzzer");
  return 0;
}
