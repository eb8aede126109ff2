#ifndef MILLRACE_RECOVERY_REPORT_H_
#define MILLRACE_RECOVERY_REPORT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/language.h"
#include "millrace/sequence.h"

namespace millrace {

// Why records are missing.
enum class LossCause : uint8_t {
  kChecksum,        // bytes do not match their checksum
  kZeroed,          // zeros where records had been
  kTruncated,       // the file ends before its records do
  kMissingSegment,  // a segment's file is gone
  kForeignSegment,  // the file holds another segment, or another log's
  kUnreadable,      // the device returned an error
  kInconsistent,    // checksums hold, but the content contradicts the log
  kSetAside,        // readable, but after the first loss (kStopAtFirstLoss)
  kTrimmed,         // given up by a forced trim before this reader came to them
};
std::string_view LossCauseName(LossCause cause);

// What is known of the missing records' state before they were lost.
enum class Acknowledgement : uint8_t {
  kAcknowledged,  // known durable: at or below the highest mark
  kWritten,       // had been written in this boot, so not torn by a power cut
  kUnknown,       // above the mark: may or may not have been acknowledged
};
std::string_view AcknowledgementName(Acknowledgement acknowledgement);

// A run of records that cannot be returned, and where they had been.
struct LostRange {
  SequenceNumber first = kNoSequence;  // inclusive
  SequenceNumber last = kNoSequence;   // inclusive; < first: no record that is
                                       // known: the log's own bookkeeping is
                                       // damaged, or what stood there was not
                                       // counted (a lost newest segment, the
                                       // end of one that is unreadable or that
                                       // the device would not sync)
  uint64_t segment = 0;
  uint64_t begin = 0;  // bytes of the segment's file
  uint64_t end = 0;    // exclusive; 0: unknown
  LossCause cause = LossCause::kChecksum;
  Acknowledgement acknowledgement = Acknowledgement::kUnknown;

  uint64_t records() const { return last < first ? 0 : last - first + 1; }
  // "records 7..9 (acknowledged): segment 3, bytes 8192..8704: checksum"
  std::string ToString() const;
};

// What opening a log found, kept and cut.
struct RecoveryReport {
  enum class Outcome : uint8_t {
    kCreated,    // there was no log
    kClean,      // closed in order; nothing had to be decided
    kRecovered,  // not closed in order
  };
  Outcome outcome = Outcome::kCreated;

  SequenceNumber first_retained = 1;            // the oldest record not trimmed
  SequenceNumber last_recovered = kNoSequence;  // the newest record kept
  SequenceNumber next_sequence = 1;             // what the next append gets
  SequenceNumber mark = kNoSequence;            // highest number known durable
  uint64_t epoch = 1;

  // Every loss met, in order of sequence number. Under kSalvage opening reads
  // only what is undecided; `bytes_scanned` says how much that was.
  std::vector<LostRange> lost;

  // The unacknowledged tail that was cut, if any.
  uint64_t tail_segment = 0;
  uint64_t tail_offset = 0;
  uint64_t tail_bytes = 0;            // bytes that were not zero
  uint64_t tail_records_dropped = 0;  // whole records after a gap, dropped

  uint64_t segments = 0;
  uint64_t bytes_scanned = 0;

  // Names in the directory that are not the log's, or no longer part of it.
  std::vector<std::string> ignored_files;

  // "nfs", "smb", "9p", "fuse", "overlay", ...: the log lies on a file system over a network, or
  // over another one, of which nobody has shown that a sync is durable, that a lock holds between
  // machines, or that an error of writing is told. Log::Open goes on; LIMITS.md says what is at
  // stake. Empty: on none of those that are known to be so.
  std::string doubtful_file_system;

  uint64_t records_lost() const;
  // Several lines for a person.
  std::string ToString() const;
};

}  // namespace millrace

#endif  // MILLRACE_RECOVERY_REPORT_H_
