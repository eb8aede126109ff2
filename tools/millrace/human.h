#ifndef MILLRACE_TOOLS_MILLRACE_HUMAN_H_
#define MILLRACE_TOOLS_MILLRACE_HUMAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace millrace {

// "512 B", "12.4 KiB", "1.0 GiB".
std::string HumanBytes(double bytes);
// "999", "12.4 k", "1.0 M".
std::string HumanCount(double count);
// "12 ms", "1.5 s", "48 s", "3 min 5 s", "2 h 10 min", "3 d 4 h".
std::string HumanDuration(absl::Duration duration);
// "1 record", "2 records".
std::string Counted(uint64_t count, const std::string& one);

// A table whose columns are as wide as what stands in them.
class Table {
 public:
  enum class Align : uint8_t { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns.
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // Two spaces between columns, none behind the last.
  std::string Text() const;

 private:
  std::string Line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) const;

  const std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_HUMAN_H_
