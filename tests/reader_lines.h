#ifndef MILLRACE_READER_LINES_H_
#define MILLRACE_READER_LINES_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "millrace/log_reader.h"

namespace millrace {

// All that LogReader returns of a log, in the form of tests/independent_reader.h:
// "n key=k name=value payload" for a record, "n lost" for each number lost. If the
// log cannot be opened, one line with the error.
inline std::vector<std::string> ReaderLines(FileSystem* file_system, const std::string& directory) {
  LogReaderOptions options;
  options.file_system = file_system;
  options.limit = LogReaderOptions::Limit::kReadable;
  const auto reader = LogReader::Open(directory, options);
  if (!reader.ok()) return {std::string(reader.status().message())};
  std::vector<std::string> lines;
  while (true) {
    const auto entry = (*reader)->Next();
    if (absl::IsOutOfRange(entry.status())) return lines;
    if (!entry.ok()) {
      lines.push_back(std::string(entry.status().message()));
      return lines;
    }
    if (entry->kind == Entry::Kind::kLost) {
      for (SequenceNumber s = entry->lost.first; s <= entry->lost.last; ++s) {
        lines.push_back(absl::StrCat(s, " lost"));
      }
      continue;
    }
    std::string line = absl::StrCat(entry->record.sequence);
    if (entry->record.key.has_value()) line += " key=" + std::string(*entry->record.key);
    for (const Attribute& a : entry->record.attributes) {
      line += " " + std::string(a.name) + "=" + std::string(a.value);
    }
    lines.push_back(line + " " + std::string(entry->record.payload));
  }
}

}  // namespace millrace

#endif  // MILLRACE_READER_LINES_H_
