#ifndef MILLRACE_CRASH_WORKLOADS_H_
#define MILLRACE_CRASH_WORKLOADS_H_

#include <span>
#include <string_view>

#include "millrace/options.h"
#include "millrace/testing/sim_options.h"
#include "tests/crash_oracle.h"

namespace millrace {

// The workloads on which power cuts are tried, small enough to be tried at every call.
struct CrashWorkload {
  std::string_view name;
  void (*run)(SimLog& log);
};

// W1 to W8, in this order:
//   tiny_records     groups of records far smaller than a sector, several in each sector
//   multi_sector     records over many sectors, one larger than what is copied
//   batches          batches within a sector, over sectors, and larger than a block
//   roll             one segment after the other, with and without syncs before
//   trim_checkpoint  two cursors commit, and the log is trimmed behind them
//   reopen_append    closed, killed with and without unsynced records, opened and left empty
//   mixed_flush      buffered, written and durable records side by side, idle marks
//   ring             as many segments as before at any time: trimmed files used again
std::span<const CrashWorkload> CrashWorkloads();

// What a power cut may do, beside losing whole sectors, sizes and entries.
struct CrashDisk {
  std::string_view name;
  SimOptions options;
};

// Clean losses, torn sectors, garbage in and around what was being written, on 512 and 4096
// bytes a sector, for a disk that reorders everything, one with an ordered journal, and ext4.
// (Without power-safe overwrites clean and torn sectors are what they are with them.)
std::span<const CrashDisk> CrashDisks();

}  // namespace millrace

#endif  // MILLRACE_CRASH_WORKLOADS_H_
