#ifndef MILLRACE_TOOLS_MILLRACE_OWNER_H_
#define MILLRACE_TOOLS_MILLRACE_OWNER_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "tools/millrace/invocation.h"
#include "tools/millrace/picture.h"

namespace millrace {

// What a command that changes a log holds. Without --apply it only looks, beside a program that
// appends or not; with it the log is open here, so that nothing moves between plan and deed.
struct Owner {
  bool apply = false;
  std::unique_ptr<Log> log;  // of --apply
  std::unique_ptr<LogReader> reader;
  Picture picture;
};

// Says on standard error what recovery had to decide.
//
// Errors: as Log::Open (NotFound: it creates nothing) and LogReader::Open.
absl::StatusOr<Owner> Look(std::string_view command, const Invocation& invocation);

// What stands below a plan: that nothing was done, and what would do it.
std::string PlanOnly(const Owner& owner);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_MILLRACE_OWNER_H_
