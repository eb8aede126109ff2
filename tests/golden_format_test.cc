// Goal: version 1 of the format stays what it is. The files in testdata/format_v1 are
// what the encoder makes, what the readers read and what FORMAT.md shows.
// Method: each of the three is compared with the files, byte by byte.

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/golden_log.h"
#include "tests/independent_reader.h"
#include "tests/reader_lines.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

constexpr char kDirectory[] = "tests/testdata/format_v1";

std::string ReadSource(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(GoldenFormatTest, EncoderMakesTheFilesByteForByte) {
  const auto golden = GoldenLog();
  ASSERT_EQ(golden.size(), 3);
  for (const auto& [name, bytes] : golden) {
    EXPECT_EQ(ReadSource(absl::StrCat(kDirectory, "/", name)), bytes) << name;
  }
}

TEST(GoldenFormatTest, ReadersReadTheFiles) {
  // Copied, since the test runner shows files as symbolic links, which a log
  // never follows.
  TempDirectory directory;
  independent::Files files;
  for (const auto& [name, bytes] : GoldenLog()) {
    files[name] = ReadSource(absl::StrCat(kDirectory, "/", name));
    std::ofstream(directory.Sub(name), std::ios::binary) << files[name];
  }
  const std::vector<std::string> expected = {"1 key=k1 color=red hello", "2 ", "3 a", "4 key=k2 b"};
  EXPECT_EQ(ReaderLines(PosixFileSystem(), directory.path()), expected);
  EXPECT_EQ(independent::Reader().Read(files), expected);
}

TEST(GoldenFormatTest, PageShowsTheFiles) {
  const std::string page = ReadSource("wal/FORMAT.md");
  for (const auto& [name, bytes] : GoldenLog()) {
    const std::string hex = GoldenHex(name, bytes);
    EXPECT_NE(page.find(absl::StrCat("```\n", hex, "```\n")), std::string::npos)
        << "FORMAT.md should show:\n"
        << hex;
  }
}

TEST(GoldenFormatTest, PageShowsTheSeeds) {
  const std::string page = ReadSource("wal/FORMAT.md");
  LogId log_id;
  for (size_t i = 0; i < log_id.size(); ++i) log_id[i] = static_cast<char>(i);
  for (const uint64_t seed : {BodySeed(log_id), SegmentSeed(log_id, 1, 0x1122334455667788)}) {
    const std::string text = absl::StrCat("`0x", absl::Hex(seed, absl::kZeroPad16), "`");
    EXPECT_NE(page.find(text), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace millrace
