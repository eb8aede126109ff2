#include "bench/compare/machine.h"

#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace millrace {
namespace {

constexpr decltype(statfs::f_type) kTmpfs = 0x01021994;

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string Processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

std::string FileSystemName(const std::string& directory) {
  struct statfs info = {};
  if (statfs(directory.c_str(), &info) != 0) return "unknown";
  switch (static_cast<uint64_t>(info.f_type)) {
    case 0xEF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case kTmpfs:
      return "tmpfs (WARNING: in memory, nothing is durable here; use --dir)";
    default:
      return absl::StrFormat("type 0x%x", static_cast<uint64_t>(info.f_type));
  }
}

}  // namespace

bool IsInMemory(const std::string& directory) {
  struct statfs info = {};
  return statfs(directory.c_str(), &info) == 0 && info.f_type == kTmpfs;
}

absl::StatusOr<std::string> MakeScratchDirectory(std::string base, const std::string& prefix) {
  if (base.empty()) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before there is a second thread.
    const char* temporary = std::getenv("TMPDIR");
    base = temporary != nullptr ? temporary : "/tmp";
  }
  std::string directory = absl::StrCat(base, "/", prefix, ".XXXXXX");
  if (mkdtemp(directory.data()) == nullptr) {
    return absl::UnavailableError("cannot create a directory in " + base);
  }
  return directory;
}

nlohmann::ordered_json MachineJson(const std::string& directory) {
  struct utsname system = {};
  uname(&system);
  const auto memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  const std::string load = FirstLine("/proc/loadavg");
  return {{"date", absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone())},
          {"processor", absl::StrCat(std::thread::hardware_concurrency(), " x ", Processor())},
          {"memory", absl::StrFormat("%.1f GiB", memory / (1 << 30))},
          {"kernel", absl::StrCat(system.sysname, " ", system.release)},
          {"file system", FileSystemName(directory)},
          {"load before", load.substr(0, load.find(' '))}};
}

}  // namespace millrace
