#include "tools/millrace/choices.h"

#include <string>

namespace millrace {

Framing FramingOf(const Invocation& invocation) {
  return invocation.Text("framing") == "length" ? Framing::kLength : Framing::kLines;
}

Durability DurabilityOf(const Invocation& invocation) {
  const std::string word = invocation.Text("durability");
  if (word == "buffered") return Durability::kBuffered;
  return word == "written" ? Durability::kWritten : Durability::kDurable;
}

RecoveryPolicy PolicyOf(const Invocation& invocation) {
  const std::string word = invocation.Text("policy");
  if (word == "strict") return RecoveryPolicy::kStrict;
  return word == "stop" ? RecoveryPolicy::kStopAtFirstLoss : RecoveryPolicy::kSalvage;
}

LogReaderOptions::Limit LimitOf(const Invocation& invocation) {
  return invocation.Text("upto") == "durable" ? LogReaderOptions::Limit::kDurable
                                              : LogReaderOptions::Limit::kReadable;
}

}  // namespace millrace
