#ifndef MILLRACE_TESTS_CLI_FIXTURE_H_
#define MILLRACE_TESTS_CLI_FIXTURE_H_

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/log.h"
#include "nlohmann/json.hpp"
#include "tests/program.h"
#include "tests/temp_directory.h"

namespace millrace {

using Json = nlohmann::json;

inline constexpr char kMillrace[] = "tools/millrace/millrace";
inline constexpr int kFine = 0;
inline constexpr int kUsage = 1;
inline constexpr int kDamage = 2;
inline constexpr int kIoError = 3;
inline constexpr int kLocked = 4;

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

inline std::string Numbered(int first, int last) {
  std::string lines;
  for (int i = first; i <= last; ++i) lines += "line " + std::to_string(i) + "\n";
  return lines;
}

inline void ExpectContains(const std::string& text, std::string_view part) {
  EXPECT_NE(std::string::npos, text.find(part)) << "no \"" << part << "\" in\n" << text;
}

// The program that is delivered, and a log for it in a directory of the test's own.
class CliTest : public testing::Test {
 protected:
  ProgramResult Millrace(const std::vector<std::string>& arguments, const std::string& input = "") {
    return RunProgram(kMillrace, arguments, temp_.path(), input);
  }

  void Append(const std::string& lines, std::vector<std::string> more = {}) {
    more.insert(more.begin(), "append");
    more.push_back(log());
    const ProgramResult result = Millrace(more, lines);
    ASSERT_EQ(kFine, result.exit_code) << result.errors;
  }

  // The objects that a command prints with --json: one on each line.
  std::vector<Json> JsonLines(const std::vector<std::string>& arguments, int exit_code = kFine) {
    const ProgramResult result = Millrace(arguments);
    EXPECT_EQ(exit_code, result.exit_code) << result.errors;
    std::vector<Json> objects;
    for (const std::string& line : Lines(result.output)) {
      objects.push_back(Json::parse(line, nullptr, /*allow_exceptions=*/false));
      EXPECT_TRUE(objects.back().is_object()) << line;
    }
    return objects;
  }

  Json JsonOf(const std::vector<std::string>& arguments, int exit_code = kFine) {
    const std::vector<Json> objects = JsonLines(arguments, exit_code);
    EXPECT_EQ(1u, objects.size());
    return objects.empty() ? Json() : objects[0];
  }

  // A cursor that has consumed all records up to `through`.
  void MakeCursor(const std::string& name, SequenceNumber through) {
    const auto opened = Log::Open(log());
    ASSERT_TRUE(opened.ok()) << opened.status();
    const auto cursor = (*opened)->OpenCursor(name);
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    while ((*cursor)->delivered() < through) {
      ASSERT_TRUE((*cursor)->Next(absl::ZeroDuration()).ok());
    }
    ASSERT_TRUE((*cursor)->Commit(through).ok());
    ASSERT_TRUE((*cursor)->Checkpoint().ok());
    ASSERT_TRUE((*opened)->Close().ok());
  }

  void DamageCursor(const std::string& name) {
    std::ofstream(log() + "/" + name + ".cursor", std::ios::binary) << std::string(8192, 'x');
  }

  // Flips one bit of the first place where `text` stands in the log's segments.
  void Damage(const std::string& text) {
    for (const auto& entry : std::filesystem::directory_iterator(log())) {
      if (entry.path().extension() != ".seg") continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file),
                              std::istreambuf_iterator<char>()};
      const size_t at = bytes.find(text);
      if (at == std::string::npos) continue;
      file.clear();
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(bytes[at] ^ 0x10));
      return;
    }
    FAIL() << text << " is in no segment";
  }

  std::string log() const { return temp_.Sub("log"); }

  TempDirectory temp_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_CLI_FIXTURE_H_
