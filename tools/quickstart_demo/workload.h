#ifndef MILLRACE_TOOLS_QUICKSTART_DEMO_WORKLOAD_H_
#define MILLRACE_TOOLS_QUICKSTART_DEMO_WORKLOAD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace {

// The records of the demonstration: the lines of a real file, in turns to the producers and from
// the beginning again, each with its producer and its index there in front: "p3 17 <line>". Any of
// them can be made again at any time, which is how what is read is compared with what was appended.
class Workload {
 public:
  struct Tag {
    uint32_t producer = 0;
    uint64_t index = 0;
  };

  // `input` as in Settings. Keeps the first 64 MiB of the input, and 64 KiB of a line.
  //
  // Errors: NotFound, InvalidArgument (no line in it).
  static absl::StatusOr<Workload> Load(const std::string& input);

  // Divides `records`, at least, among `producers`.
  void Divide(uint32_t producers, uint64_t records);

  // Makes one record in `*record`.
  void Make(Tag tag, std::string* record) const;
  // Whose record this claims to be; nullopt if it is none of this workload's.
  std::optional<Tag> TagOf(std::string_view record) const;

  const std::string& source() const { return source_; }
  uint64_t lines() const { return lines_.size(); }
  uint32_t producers() const { return producers_; }
  uint64_t per_producer() const { return per_producer_; }
  uint64_t records() const { return per_producer_ * producers_; }
  // Of a record, tag included.
  uint64_t average_bytes() const;

 private:
  std::string source_;
  std::vector<std::string> lines_;
  uint32_t producers_ = 1;
  uint64_t per_producer_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_QUICKSTART_DEMO_WORKLOAD_H_
