#ifndef MILLRACE_TEMP_DIRECTORY_H_
#define MILLRACE_TEMP_DIRECTORY_H_

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace millrace {

// A directory of its own for one test, under the test runner's temporary
// directory; removed with all that is in it.
class TempDirectory {
 public:
  TempDirectory() {
    const char* base = std::getenv("TEST_TMPDIR");
    path_ = std::string(base == nullptr ? "/tmp" : base) + "/millrace.XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) {
      std::perror(path_.c_str());
      std::abort();
    }
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string Sub(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace millrace

#endif  // MILLRACE_TEMP_DIRECTORY_H_
