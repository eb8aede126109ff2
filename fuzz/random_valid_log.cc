#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "fuzz/valid_log.h"

namespace millrace {
namespace {

class RandomContent {
 public:
  explicit RandomContent(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t n) { return random_() % n; }

  ValidLogWriter::Content Record(uint64_t most_bytes) {
    ValidLogWriter::Content record;
    if (Below(4) == 0) record.key = Bytes(1 + Below(20));
    if (Below(4) == 0) record.attribute = Bytes(1 + Below(20));
    record.payload = Bytes(Below(6) == 0 ? 0 : Below(most_bytes));
    return record;
  }

 private:
  std::string Bytes(uint64_t count) {
    std::string bytes(count, '\0');
    for (char& c : bytes) c = static_cast<char>(random_() >> 16);
    return bytes;
  }

  std::minstd_rand random_;
};

}  // namespace

ValidLog RandomValidLog(uint64_t seed) {
  RandomContent random(seed + 1);
  ValidLogWriter log(seed + 1);
  const uint64_t most_bytes = random.Below(2) == 0 ? 60 : 1500;
  const uint64_t steps = 4 + random.Below(most_bytes == 60 ? 80 : 30);
  const uint64_t truncation = random.Below(3) == 0 ? random.Below(steps) : steps;
  const uint64_t trim = random.Below(3) == 0 ? random.Below(steps) : steps;
  SequenceNumber kept_from = 1;
  for (uint64_t i = 0; i < steps; ++i) {
    if (random.Below(5) == 0) {
      std::vector<ValidLogWriter::Content> batch(1 + random.Below(5));
      for (ValidLogWriter::Content& record : batch) record = random.Record(most_bytes / 2);
      log.AddBatch(batch);
    } else {
      log.Add(random.Record(most_bytes));
    }
    if (random.Below(3) == 0) log.EndGroup();
    if (random.Below(12) == 0) log.Idle();
    if (i == trim && log.next() > 2) {
      kept_from = 1 + random.Below(log.next() - 1);
      log.TrimBefore(kept_from);
    }
    if (i == truncation && log.next() > kept_from + 2) {
      log.TruncateAfter(log.next() - 1 - random.Below(log.next() - kept_from - 1));
    }
  }
  return log.Finish(static_cast<LogEnding>(random.Below(3)));
}

}  // namespace millrace
