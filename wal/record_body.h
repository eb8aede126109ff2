#ifndef MILLRACE_WAL_RECORD_BODY_H_
#define MILLRACE_WAL_RECORD_BODY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/cursor.h"
#include "wal/format.h"

namespace millrace {

// Appends `record` to `body`, encoded as in a frame; returns the frame's flags.
uint8_t AppendRecordBody(const RecordView& record, std::string* body);
// The same of a record as readers show it.
uint8_t AppendRecordBody(const Record& record, std::string* body);

// Of a run of records in order: number, time and content of each. Two runs of the same digest are
// taken for the same.
class RecordDigest {
 public:
  // `body` is encoded, with `flags`.
  void Add(SequenceNumber sequence, int64_t time_ns, uint8_t flags, std::string_view body);
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_RECORD_BODY_H_
