// Goal: after a power cut at any moment, everything acknowledged is there, what is
// lost is a suffix, and nothing is there that was not accepted.
// Method: each workload runs once on a simulated disk. Before every call that
// changes the disk, many of the states that a power cut could leave there are
// drawn; the shipping code recovers from each, and an oracle outside the log checks
// what it finds. Part of the images then take another append and another power cut.
// The same harness must fail when the disk lies about a sync.

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash_oracle.h"
#include "tests/power_cuts.h"

namespace millrace {
namespace {

// --- Workloads ----------------------------------------------------------------

// Groups of one and of many, empty records, batches, several writes a sync, idle
// marks, a record larger than what is copied.
void SmallRecords(SimLog& log) {
  log.Open();
  for (int round = 0; round < 9; ++round) {
    log.Append(20 + 7 * round);
    log.Commit();
    for (int i = 0; i < round; ++i) log.Append(100 * i);
    log.Write();
    log.AppendBatch({10, 0, 700});
    log.Append(3);
    log.Commit();
    log.Append(40, Durability::kWritten);
    log.Write();
    if (round % 3 == 0) log.Commit();
    if (round % 3 == 0) log.IdleMark();
    if (round == 5) log.Append(9000);
  }
  log.Commit();
}

// Small segments, trimmed behind the writer, their files used again.
void RotationWithRecycling(SimLog& log) {
  log.Open();
  SequenceNumber trimmed = 1;
  for (int round = 0; round < 30; ++round) {
    log.Append(900 + 37 * round);
    log.Append(500);
    log.AppendBatch({300, 300});
    log.Commit();
    if (round % 5 == 4) {
      trimmed += 14;
      log.Trim(trimmed);
    }
    if (round % 11 == 10) log.IdleMark();
  }
  ASSERT_GT(log.core().counters().recycled_segments, 0u);
  log.Close();
}

// Closed in order, killed with and without unsynced records, opened and left empty.
void ReopenAndAppend(SimLog& log) {
  for (int round = 0; round < 7; ++round) {
    log.Open();
    log.Append(300);
    log.Append(200);
    log.Commit();
    log.Append(2500 + round, Durability::kWritten);
    log.Write();
    if (round % 2 == 0) {
      log.Append(100);
      log.Commit();
    }
    switch (round % 4) {
      case 0:
        log.Close();
        break;
      case 1:
        log.Kill();
        break;
      case 2:
        log.IdleMark();
        log.Kill();
        break;
      case 3:
        log.Close();
        log.Open();
        log.Close();
        break;
    }
  }
}

// Nothing asks for durability while several segments fill; then one sync.
void UnsyncedAcrossSegments(SimLog& log) {
  log.Open();
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 14; ++i) {
      log.Append(1200 + 10 * i, Durability::kWritten);
      if (i % 3 == 2) log.Write();
    }
    log.Commit();
  }
}

Options GrowingSegments() {
  Options options;
  options.segment_bytes = 64 << 10;
  options.initial_segment_bytes = 8192;
  return options;
}

TEST(CrashTest, SmallRecordsLoseNothingAcknowledged) {
  ExpectNothingLost("small_records", GrowingSegments(), SmallRecords, 1600);
}

TEST(CrashTest, RotationWithRecyclingLosesNothingAcknowledged) {
  ExpectNothingLost("rotation_with_recycling", SmallSegments(), RotationWithRecycling, 1000);
}

TEST(CrashTest, ReopenAndAppendLosesNothingAcknowledged) {
  ExpectNothingLost("reopen_and_append", SmallSegments(), ReopenAndAppend, 1400);
}

TEST(CrashTest, UnsyncedAcrossSegmentsLosesNothingAcknowledged) {
  ExpectNothingLost("unsynced_across_segments", SmallSegments(), UnsyncedAcrossSegments, 500);
}

TEST(CrashTest, OrderedJournalAndLargeSectorsLoseNothingAcknowledged) {
  SimOptions sim;
  sim.sector_bytes = 4096;
  sim.entries = SimOptions::Entries::kPrefix;
  sim.new_entry = SimOptions::NewEntry::kSyncedWithFile;
  ExpectNothingLost("ordered_large_sectors", SmallSegments(), RotationWithRecycling, 200, sim);
}

// The harness must notice what it is there to notice.

TEST(CrashTest, NoticesASkippedDataSync) {
  const Outcome outcome =
      PowerCuts(GrowingSegments(), Seed(), 32).Run(SmallRecords, {}, [](const FileCall& call) {
        return call.op == FileOp::kSync && call.name.ends_with(".seg");
      });
  EXPECT_GT(outcome.violations, 0u);
}

TEST(CrashTest, NoticesASkippedDirectorySync) {
  const Outcome outcome = PowerCuts(SmallSegments(), Seed(), 32)
                              .Run(RotationWithRecycling, {}, [](const FileCall& call) {
                                return call.op == FileOp::kDirectorySync;
                              });
  EXPECT_GT(outcome.violations, 0u);
}

}  // namespace
}  // namespace millrace
