#ifndef MILLRACE_CRASH_IMAGE_H_
#define MILLRACE_CRASH_IMAGE_H_

#include <cstdint>
#include <random>
#include <span>

#include "tests/realfs/disk_recording.h"

namespace millrace {

// What a power cut left of the writes since the last flush.
struct CrashImage {
  uint64_t cut = 0;         // calls that the disk had been given
  uint32_t unit_bytes = 0;  // what was written whole or not at all: 512 or 4096
  uint64_t units = 0;       // written since the last flush
  uint64_t units_kept = 0;  // of these, on the disk after all
};

// Draws a moment among the recorded calls: any, or one just before a flush, when most is at stake.
uint64_t DrawCut(const DiskRecording& recording, std::mt19937_64& random);

// Makes `disk`, which holds what the disk held before the recording, what it could hold if the
// power went after `cut` calls: all that was written before the last flush, and of the rest any
// subset of sectors or pages, in any order, a unit written several times with any of its versions.
// Superblocks alone are kept whole.
CrashImage DrawImage(const DiskRecording& recording, uint64_t cut, std::mt19937_64& random,
                     std::span<char> disk);

}  // namespace millrace

#endif  // MILLRACE_CRASH_IMAGE_H_
