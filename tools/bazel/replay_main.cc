// Stands in for libFuzzer's main: runs the target on each file of its corpus.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i], error)) {
      if (!entry.is_directory()) paths.push_back(entry.path().string());
    }
    if (error) std::cerr << argv[i] << ": " << error.message() << "\n";
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    // Named first: if this input crashes, its name is the last thing in the log.
    std::cout << path << std::endl;
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  std::cout << "replayed " << paths.size() << " inputs\n";
  // An empty corpus would be a test that cannot fail.
  return paths.empty() ? 1 : 0;
}
