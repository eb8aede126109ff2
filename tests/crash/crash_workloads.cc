#include "tests/crash/crash_workloads.h"

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

void TinyRecords(SimLog& log) {
  log.Open();
  for (size_t round = 0; round < 12; ++round) {
    for (size_t i = 0; i <= round % 4; ++i) log.Append(3 * i + round);
    log.Commit();
  }
}

void MultiSector(SimLog& log) {
  log.Open();
  for (const size_t bytes : {600, 1500, 500, 3000, 5000, 10}) {
    log.Append(bytes);
    log.Commit();
  }
}

void Batches(SimLog& log) {
  log.Open();
  for (const size_t bytes : {5, 200, 700, 1500}) {
    log.AppendBatch({bytes, 0, bytes / 2});
    log.Append(bytes);
    log.Commit();
    log.AppendBatch({1, 1, 1, 1, bytes});
    log.Write();
  }
  log.Commit();
}

void Roll(SimLog& log) {
  log.Open();
  for (size_t i = 0; i < 5; ++i) {
    log.Append(3000 + 100 * i);
    log.Append(700, Durability::kWritten);
    if (i != 2) log.Write();
    log.Append(2000);
    if (i % 2 == 0) log.Commit();
  }
  log.Commit();
}

void TrimCheckpoint(SimLog& log) {
  log.Open();
  for (size_t round = 0; round < 5; ++round) {
    for (size_t i = 0; i < 3; ++i) log.Append(2400 + 50 * i);
    log.Commit();
    const SequenceNumber last = log.core().last_durable();
    log.Checkpoint("fast", last);
    // Which one holds the log back changes.
    if (round % 2 == 0) {
      log.Checkpoint("slow", last - 2);
      log.Trim(last - 1);
    }
  }
}

void ReopenAppend(SimLog& log) {
  for (size_t round = 0; round < 5; ++round) {
    log.Open();
    log.Append(300);
    log.Commit();
    log.Append(900 + round, Durability::kWritten);
    log.Write();
    if (round % 2 == 0) log.Commit();
    if (round == 2) log.IdleMark();
    if (round % 2 == 0) {
      log.Close();
    } else {
      log.Kill();
    }
    if (round == 3) {
      log.Open();
      log.Kill();
    }
  }
}

void MixedFlush(SimLog& log) {
  log.Open();
  for (size_t round = 0; round < 6; ++round) {
    log.Append(40, Durability::kBuffered);
    log.Append(250 * round, Durability::kWritten);
    log.Write();
    log.AppendBatch({10, 0, 400});
    if (round % 2 == 1) log.Commit();
    if (round == 3) log.IdleMark();
  }
  log.Commit();
  log.IdleMark();
}

void Ring(SimLog& log) {
  log.Open();
  for (size_t round = 0; round < 9; ++round) {
    log.Append(2500 + 37 * round);
    log.Append(2500);
    log.AppendBatch({900, 900});
    log.Commit();
    if (round >= 2) log.Trim(log.core().next_sequence() - 6);
  }
  ASSERT_GT(log.core().counters().recycled_segments, 0u);
}

std::vector<CrashDisk> MakeCrashDisks() {
  static std::deque<std::string> names;
  std::vector<CrashDisk> disks;
  for (const SimProfile profile : {SimProfile::kStrict, SimProfile::kOrdered, SimProfile::kExt4}) {
    for (const uint32_t sector_bytes : {512u, 4096u}) {
      for (const std::string_view damage : {"clean", "tear", "garbage", "garbage-beside"}) {
        SimOptions options = OptionsOf(profile);
        options.sector_bytes = sector_bytes;
        options.torn_sectors = damage != "clean";
        options.stale_holes = damage != "clean";
        options.garbage = damage.starts_with("garbage");
        options.powersafe_overwrite = damage != "garbage-beside";
        names.push_back(absl::StrCat(std::string(ProfileName(profile)), "/", sector_bytes, "/",
                                     std::string(damage)));
        disks.push_back({names.back(), options});
      }
    }
  }
  return disks;
}

}  // namespace

std::span<const CrashWorkload> CrashWorkloads() {
  static constexpr CrashWorkload kWorkloads[] = {
      {"tiny_records", TinyRecords},
      {"multi_sector", MultiSector},
      {"batches", Batches},
      {"roll", Roll},
      {"trim_checkpoint", TrimCheckpoint},
      {"reopen_append", ReopenAppend},
      {"mixed_flush", MixedFlush},
      {"ring", Ring},
  };
  return kWorkloads;
}

std::span<const CrashDisk> CrashDisks() {
  static const std::vector<CrashDisk>& disks = *new std::vector<CrashDisk>(MakeCrashDisks());
  return disks;
}

}  // namespace millrace
