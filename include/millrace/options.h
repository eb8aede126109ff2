#ifndef MILLRACE_OPTIONS_H_
#define MILLRACE_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "millrace/language.h"

namespace millrace {

class EventListener;
class FileSystem;

// How safe a record is when its append is acknowledged. Chosen per call.
enum class Durability : uint8_t {
  kBuffered,  // accepted in memory: lost with the process
  kWritten,   // in the page cache: survives the process, not the machine
  kDurable,   // synced: survives a power cut
};

// Whether opening may create a log.
enum class CreateMode : uint8_t {
  kCreateOrOpen,
  kMustExist,     // NotFound if there is none
  kMustNotExist,  // AlreadyExists if there is one, or remains of one
};

// What opening does about damage to records that had been acknowledged. An
// unacknowledged torn tail is never damage: every policy cuts it.
enum class RecoveryPolicy : uint8_t {
  // Keeps every record that can be read and names every one that cannot.
  // Reads only what a crash can have left undecided; damage elsewhere is named
  // when it is met (by a cursor, or by verifying).
  kSalvage,
  // Refuses with DataLoss and changes nothing. Reads the whole log.
  kStrict,
  // Keeps the records before the first loss and sets the rest aside (files
  // renamed to `*.aside`, nothing deleted). For the log of a database, where a
  // later record means nothing without the earlier. Reads the whole log.
  kStopAtFirstLoss,
};

// When records that nobody waits for are synced. Independent of it, a durable
// append or a flush has its group synced at once; without activity there is no
// sync. All zero: only on demand.
struct SyncPolicy {
  // Sync when this many records are written but not durable. 0: no such bound.
  uint64_t records = 0;
  // Sync when this many bytes are written but not durable. 0: no such bound.
  // Lower bounds what a power cut can take; higher costs fewer syncs.
  uint64_t bytes = 0;
  // Sync at the latest this long after a record was written. Zero: no bound.
  absl::Duration interval = absl::ZeroDuration();
};

// What an append does that comes while the disk is full. Whichever is chosen: what was accepted
// before is held, in its order, and written once there is space, without reopening; `TrimBefore`
// works meanwhile and makes space; a deadline (AppendOptions::timeout) holds.
enum class WhenDiskFull : uint8_t {
  kHold,    // it is accepted as long as the queue has room, then WhenFull decides
  kRefuse,  // it returns ResourceExhausted at once
};

// How one log is opened. Values are checked by Log::Open, which names the field,
// the value and the bound in its error.
struct Options {
  // Where the log lives. Not owned; null means PosixFileSystem().
  FileSystem* file_system = nullptr;

  CreateMode create_mode = CreateMode::kCreateOrOpen;
  RecoveryPolicy recovery_policy = RecoveryPolicy::kSalvage;

  // Bytes of records that one segment holds, beside 8 KiB of headers. 8 KiB to
  // 1 GiB. Segments start at `initial_segment_bytes` and double up to this.
  // Larger: fewer rotations, coarser trimming, a longer scan after a crash
  // (about 1 s per GiB). Also bounds a record: see Log::max_payload_bytes().
  uint64_t segment_bytes = uint64_t{64} << 20;
  // Bytes of records in the first segment that each opening begins. 8 KiB to `segment_bytes`.
  uint64_t initial_segment_bytes = uint64_t{64} << 10;

  // Bounds of the queue between producers and the writer, which is also the
  // memory it may take: an append counts with some 150 bytes beyond its own. One
  // append may take at most a quarter of each. Larger: longer bursts without
  // waiting, more lost with the process if buffered.
  uint32_t queue_records = 1 << 16;           // 64 to 2^22
  uint64_t queue_bytes = uint64_t{16} << 20;  // 64 KiB to 2^38

  // The most bytes that share one write. 4 KiB to 64 MiB. Larger: fewer system
  // calls while streaming; smaller: less memory held by the writer.
  uint64_t group_bytes = uint64_t{1} << 20;

  // How often a thread that waits for its record yields its processor before it sleeps, where three
  // or more are told at once that theirs are done. 0 to 100000; 0: it sleeps at once. Putting
  // threads to sleep and waking them takes longer than what they do in between: on 2 processors 8
  // threads append 1.4 times, 64 threads 1.6 times as many durable records a second as with 0.
  // Costs processor time that nobody else wants: some 0.1 ms an append at the default. No effect
  // with an AppendOptions::timeout, or on fewer threads.
  uint32_t wait_yields = 200;

  SyncPolicy sync_policy;

  WhenDiskFull when_disk_full = WhenDiskFull::kHold;

  // The most bytes that are written and not durable: a sync is forced, whatever the policy,
  // before another group of `group_bytes` could pass it. They stay in memory until they are
  // durable, to be written again, elsewhere, after a failed write or sync. 64 KiB or more. Larger:
  // fewer forced syncs, more memory where durable appends are rare.
  uint64_t unsynced_bytes = uint64_t{64} << 20;

  // Each write ends at a 4 KiB boundary, padded, so that none changes a sector that holds older
  // records. For disks that may harm the rest of a sector when power fails during a write to it:
  // without this, records that share a sector with a later write can then be lost, and are named.
  // Costs 2 KiB of disk a write on average.
  bool pad_to_sector = false;

  // When nothing has been appended for this long, the writer notes on disk that
  // the last records are durable, so that a later damage to them is told from a
  // torn write. One small write and sync per idle period. 1 ms or more.
  absl::Duration idle_mark_delay = absl::Milliseconds(50);

  // Told what happens to the log, on a thread of its own that exists only if this
  // is set. Null: silent.
  std::shared_ptr<EventListener> event_listener;
  // A sync that takes longer is an event. 1 us or more; infinite: none is.
  absl::Duration slow_sync = absl::Seconds(1);
  // A cursor whose checkpoint is more bytes of segments behind the end is an event,
  // looked at whenever a segment is full. 0: none is.
  uint64_t lagging_cursor_bytes = uint64_t{1} << 30;
};

// One name and value attached to a record; any bytes.
struct Attribute {
  std::string_view name;
  std::string_view value;
};

// What an append does that finds the queue full.
enum class WhenFull : uint8_t {
  kWait,  // waits for space, up to AppendOptions::timeout
  kFail,  // returns ResourceExhausted at once
  // Gives the record up, counted in LogStats::dropped_records, and goes on: Append
  // returns as if it were accepted; a callback or ticket gets ResourceExhausted.
  // For kBuffered only. What was accepted before is never given up.
  kDropNewest,
};

// How one record or batch is appended. All of it is copied before the call returns.
struct AppendOptions {
  Durability durability = Durability::kDurable;
  WhenFull when_full = WhenFull::kWait;
  // How long the call may take, by a clock that never jumps: waiting for space, and
  // (Append, AppendBatch) for the durability asked for. When it has passed, the
  // call returns DeadlineExceeded and MayHaveBeenAppended() says which of two it is: the
  // record was withdrawn and will never be in the log, or the writer had begun with
  // it. Finite ones cost two atomic operations more a record.
  absl::Duration timeout = absl::InfiniteDuration();
  // Attached to the record and returned by readers. Absent ones cost nothing. Not
  // for batches, whose records have their own.
  std::optional<std::string_view> key = std::nullopt;
  std::span<const Attribute> attributes = {};
};

// One record of a batch.
struct NewRecord {
  std::string_view payload;
  std::optional<std::string_view> key = std::nullopt;
  std::span<const Attribute> attributes = {};
};

// How far a flush goes, and how long it may take.
struct FlushOptions {
  // kWritten: into the page cache only, without a sync. Not kBuffered.
  Durability durability = Durability::kDurable;
  absl::Duration timeout = absl::InfiniteDuration();
};

// What the error of an append says of its record. False: it is not in the log and never
// will be. True: it was accepted, and may be found in the log after all, now or by a
// later open; never in part.
bool MayHaveBeenAppended(const absl::Status& error);

}  // namespace millrace

#endif  // MILLRACE_OPTIONS_H_
