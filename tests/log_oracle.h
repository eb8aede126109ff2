#ifndef MILLRACE_LOG_ORACLE_H_
#define MILLRACE_LOG_ORACLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "millrace/cursor.h"
#include "millrace/options.h"
#include "millrace/recovery_report.h"
#include "millrace/sequence.h"

namespace millrace {

// Judges a log that was read back, knowing only what its producers noted outside
// of it. Plain data in, a verdict out: whatever kills, cuts or damages the log can
// use it, and it is itself tested with wrong logs.
//
// Every record says which one it is, and all its bytes follow from that.

struct OracleRecord {
  uint32_t producer = 0;
  uint32_t generation = 0;     // the run of the writing process
  uint64_t index = 0;          // among the producer's records of all generations
  uint64_t first_index = 0;    // of the producer's records of this generation
  uint32_t payload_bytes = 0;  // 0, or at least kOracleHeaderBytes

  bool operator==(const OracleRecord&) const = default;
};
inline constexpr size_t kOracleHeaderBytes = 32;

// The bytes of such records: key, attributes and payload. Reuses its memory.
class OracleContent {
 public:
  explicit OracleContent(uint64_t seed) : seed_(seed) {}

  void Make(const OracleRecord& record);
  // Until the next Make. An empty payload has its header as the key.
  std::string_view payload() const { return payload_; }
  AppendOptions options(Durability durability) const;

  // Which record this is, if every byte of it is as Make would have it.
  std::optional<OracleRecord> Recognize(const Record& record);

 private:
  const uint64_t seed_;
  std::string payload_;
  std::array<char, kOracleHeaderBytes> header_ = {};
  std::array<char, 8> origin_ = {};
  std::array<Attribute, 1> attributes_;
  bool header_is_key_ = false;
  bool has_attribute_ = false;
};

// What one producer noted.
struct ProducerHistory {
  uint64_t issued = 0;  // the records [0, issued) were handed to the log
  uint64_t kept = 0;    // the records [0, kept) were made durable by a flush
  // By index: the number under which the record was acknowledged as outliving what
  // befell the log; kNoSequence where it was not.
  std::span<const SequenceNumber> acknowledged;
};

struct OracleVerdict {
  uint64_t records = 0;               // read
  uint64_t acknowledged = 0;          // that had to be among them
  uint64_t lost_acknowledged = 0;     // acknowledged or flushed, and not read back as they were
  uint64_t invented = 0;              // read, and not as any producer had issued it
  uint64_t duplicated = 0;            // read before
  uint64_t reordered = 0;             // under another number, or against a producer's order
  uint64_t gaps = 0;                  // breaks in the sequence numbers, reported losses
  std::vector<std::string> problems;  // the first few, in words

  bool ok() const { return lost_acknowledged + invented + duplicated + reordered + gaps == 0; }
  std::string ToString() const;
};

// Is shown every record that is read back, in order, then gives its verdict.
//
// A process that is killed loses what was still in memory, which is a suffix: so
// the records of one producer in one generation must be there without a hole up to
// some index, whatever durability they asked for.
class OracleCheck {
 public:
  // `first_retained`: the first record read; what had lower numbers was trimmed.
  OracleCheck(uint64_t seed, std::vector<ProducerHistory> histories, SequenceNumber first_retained);

  void See(const Record& record);
  void SeeLoss(const LostRange& lost);
  OracleVerdict Finish();

 private:
  struct Seen {
    SequenceNumber sequence;
    OracleRecord record;
  };
  struct Progress {
    std::optional<OracleRecord> last;
    std::unordered_set<uint64_t> indexes;
  };

  void CheckOrder(const OracleRecord& record, SequenceNumber sequence);
  void CheckAcknowledged(uint32_t producer);
  bool Holds(SequenceNumber sequence, uint32_t producer, uint64_t index) const;
  void Problem(uint64_t* count, std::string text);

  const std::vector<ProducerHistory> histories_;
  const SequenceNumber first_retained_;
  OracleContent content_;
  OracleVerdict verdict_;

  SequenceNumber next_;
  std::vector<Seen> seen_;  // by ascending sequence number
  std::vector<Progress> progress_;
  uint32_t generation_ = 0;
  // Whether nothing of the present generation can have been trimmed.
  enum class Beginning : uint8_t { kTrimmed, kRead } beginning_;
};

}  // namespace millrace

#endif  // MILLRACE_LOG_ORACLE_H_
