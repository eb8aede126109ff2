#include "tests/realfs/make_ext4.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_format.h"

namespace millrace {

absl::Status MakeExt4(int file) {
  // By the name under which this process has it open: the program's own has it not.
  std::vector<std::string> words = {
      kMakeExt4, "-q", "-F", "-b", "4096", "-m", "0", "-E",
      // Everything initialized now, or the kernel would do it while the disk is recorded.
      "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
      absl::StrFormat("/proc/%d/fd/%d", getpid(), file)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = -1;
  const int error = posix_spawn(&child, kMakeExt4, nullptr, nullptr, argv.data(), environ);
  if (error != 0) return absl::ErrnoToStatus(error, kMakeExt4);
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) {
    return absl::InternalError(absl::StrFormat("%s: wait status %d", kMakeExt4, status));
  }
  return absl::OkStatus();
}

}  // namespace millrace
