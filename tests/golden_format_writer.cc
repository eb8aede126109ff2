// Writes the golden log into the directory named, and to standard output as
// FORMAT.md shows it. For making a new format version's files, once; the files of a
// version are never changed.

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/golden_log.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: golden_format_writer DIRECTORY\n");
    return 1;
  }
  for (const auto& [name, bytes] : millrace::GoldenLog()) {
    std::ofstream file(std::string(argv[1]) + "/" + name, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) {
      std::fprintf(stderr, "cannot write %s/%s\n", argv[1], name.c_str());
      return 1;
    }
    std::printf("%s\n", millrace::GoldenHex(name, bytes).c_str());
  }
  return 0;
}
