#ifndef MILLRACE_ERROR_ROW_H_
#define MILLRACE_ERROR_ROW_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace millrace {

// What an error must say: what is wrong, the value, the bound, and what to do about it.
inline void ExpectError(const absl::Status& status, absl::StatusCode code,
                        const std::vector<std::string>& says) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : says) {
    EXPECT_NE(status.message().find(part), std::string_view::npos)
        << "\"" << status.message() << "\" does not say \"" << part << "\"";
  }
}

// One error of a public function, how it is provoked, and what it must say.
// tests/error_sites_test.py finds by these texts which errors no row reaches.
struct ErrorRow {
  std::function<absl::Status()> provoke;
  absl::StatusCode code;
  std::vector<std::string> says;
};

inline void ExpectErrors(const std::vector<ErrorRow>& rows) {
  for (const ErrorRow& row : rows) {
    SCOPED_TRACE(row.says.empty() ? "" : row.says.back());
    ExpectError(row.provoke(), row.code, row.says);
  }
}

}  // namespace millrace

#endif  // MILLRACE_ERROR_ROW_H_
