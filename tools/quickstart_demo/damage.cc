#include "tools/quickstart_demo/damage.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace millrace {

absl::Status DamageRecord(const std::string& directory, std::string_view record) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".seg") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const size_t at = bytes.find(record);
    if (at == std::string::npos) continue;
    file.clear();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(bytes[at] ^ 1));
    file.flush();
    return file.good() ? absl::OkStatus() : absl::UnavailableError("cannot write a segment file");
  }
  return absl::NotFoundError("the record to be damaged is in no segment file");
}

}  // namespace millrace
