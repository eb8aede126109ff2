#include "tools/quickstart_demo/workload.h"

#include <charconv>
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/status/status.h"

namespace millrace {
namespace {

constexpr uint64_t kMostInputBytes = uint64_t{64} << 20;
constexpr size_t kMostLineBytes = size_t{64} << 10;

std::vector<std::string> ReadLines(std::istream& stream) {
  std::vector<std::string> lines;
  uint64_t bytes = 0;
  std::string line;
  while (bytes < kMostInputBytes && std::getline(stream, line)) {
    bytes += line.size() + 1;
    line.resize(std::min(line.size(), kMostLineBytes));
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return ReadLines(stream);
}

// Takes a number and the space after it off `text`.
bool TakeNumber(std::string_view* text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc() || end == text->data() + text->size() || *end != ' ') return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()) + 1);
  return true;
}

}  // namespace

absl::StatusOr<Workload> Workload::Load(const std::string& input) {
  Workload workload;
  if (input == "-") {
    workload.source_ = "standard input";
    workload.lines_ = ReadLines(std::cin);
  } else if (!input.empty()) {
    workload.source_ = input;
    if (!std::ifstream(input).is_open()) return absl::NotFoundError("cannot read " + input);
    workload.lines_ = ReadFile(input);
  } else {
    // The first two may be empty on a machine made from an image; the last is on every Debian.
    for (const char* path :
         {"/var/log/dpkg.log", "/var/log/apt/history.log", "/var/lib/dpkg/status"}) {
      workload.source_ = path;
      workload.lines_ = ReadFile(path);
      if (!workload.lines_.empty()) break;
    }
  }
  if (workload.lines_.empty()) {
    return absl::InvalidArgumentError("no line in " + workload.source_);
  }
  return workload;
}

void Workload::Divide(uint32_t producers, uint64_t records) {
  producers_ = producers;
  per_producer_ = (records + producers - 1) / producers;
}

void Workload::Make(Tag tag, std::string* record) const {
  const std::string& line = lines_[(tag.index * producers_ + tag.producer) % lines_.size()];
  record->assign("p").append(std::to_string(tag.producer)).append(" ");
  record->append(std::to_string(tag.index)).append(" ").append(line);
}

std::optional<Workload::Tag> Workload::TagOf(std::string_view record) const {
  if (!record.starts_with('p')) return std::nullopt;
  record.remove_prefix(1);
  uint64_t producer = 0;
  Tag tag;
  if (!TakeNumber(&record, &producer) || !TakeNumber(&record, &tag.index)) return std::nullopt;
  if (producer >= producers_ || tag.index >= per_producer_) return std::nullopt;
  tag.producer = static_cast<uint32_t>(producer);
  return tag;
}

uint64_t Workload::average_bytes() const {
  uint64_t bytes = 0;
  for (const std::string& line : lines_) bytes += line.size();
  std::string tagged;
  Make({0, per_producer_ / 2}, &tagged);
  const uint64_t tag_bytes =
      tagged.size() - lines_[(per_producer_ / 2 * producers_) % lines_.size()].size();
  return bytes / lines_.size() + tag_bytes;
}

}  // namespace millrace
