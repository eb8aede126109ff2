#include "tools/millrace/owner.h"

#include <utility>

#include "millrace/options.h"
#include "tools/millrace/mention_recovery.h"

namespace millrace {

absl::StatusOr<Owner> Look(std::string_view command, const Invocation& invocation) {
  Owner owner;
  owner.apply = invocation.On("apply");
  if (owner.apply) {
    Options options;
    options.create_mode = CreateMode::kMustExist;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(invocation.directory(), options);
    if (!log.ok()) return log.status();
    owner.log = *std::move(log);
    MentionRecovery(command, owner.log->recovery());
  }
  absl::StatusOr<std::unique_ptr<LogReader>> reader = OpenReader(invocation.directory());
  if (!reader.ok()) return reader.status();
  owner.reader = *std::move(reader);
  absl::StatusOr<Picture> picture = LookAt(invocation.directory(), owner.reader.get());
  if (!picture.ok()) return picture.status();
  owner.picture = *std::move(picture);
  return owner;
}

std::string PlanOnly(const Owner& owner) {
  std::string text = "nothing was changed: --apply does it";
  if (owner.picture.locked) text += ", once the program that has the log open has closed it";
  return text + "\n";
}

}  // namespace millrace
