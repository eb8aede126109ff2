// Goal: after a power cut at any moment a truncation that returned holds, one that was under
// way dropped all or nothing, and no dropped record ever returns, under its own number or
// under that of the record that got it later.
// Method: as crash_test, with workloads that truncate. The oracle knows what was dropped
// under each number. The harness must fail when the disk lies about the sync of the header,
// and when files that are still needed are given to the next segments.

#include <algorithm>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/crash_oracle.h"
#include "tests/power_cuts.h"

namespace millrace {
namespace {

// Fills two segments and more, ending with what is not durable yet. Returns the number
// of the first record.
SequenceNumber Fill(SimLog& log, int round) {
  const SequenceNumber first = log.core().next_sequence();
  for (int i = 0; i < 6; ++i) {
    log.Append(1500 + 61 * i + 7 * round);
    if (i % 2 == 1) log.Commit();
  }
  log.AppendBatch({400, 300});
  log.Commit();
  if (round % 3 == 0) log.IdleMark();
  for (int i = 0; i < 3; ++i) log.Append(2000 + i, Durability::kWritten);
  if (round % 2 == 0) log.Write();
  return first;
}

// The last number of the oldest segment that is sealed.
SequenceNumber FirstBoundary(SimLog& log) {
  const auto node = log.core().segments()->First();
  return node->sealed() ? node->last_sequence() : log.core().last_durable();
}

// To inside the active segment and older ones, to a boundary, right after one another, to
// nothing; each time the numbers are given again.
void TruncateAndAppendAgain(SimLog& log) {
  log.Open();
  for (int round = 0; round < 12; ++round) {
    const SequenceNumber first = Fill(log, round);
    switch (round % 6) {
      case 0:
        log.Truncate(first + 3);
        break;
      case 1:
        log.Truncate(first + 8);
        log.Append(60);
        log.Commit();
        log.Truncate(first + 1);
        log.Truncate(first);
        break;
      case 2:
        log.Truncate(FirstBoundary(log));
        break;
      case 3:
        log.Trim(first + 4);
        log.Truncate(first + 5);
        break;
      case 4:
        log.Truncate(first - 1);
        break;
      case 5:
        log.Truncate(log.core().first_retained() - 1);
        break;
    }
    log.Append(700);
    log.Commit();
  }
  ASSERT_GT(log.core().counters().recycled_segments, 4u);
  log.Close();
}

// As above, with the log closed, killed and opened around the truncations.
void TruncateAndReopen(SimLog& log) {
  log.Open();
  for (int round = 0; round < 9; ++round) {
    const SequenceNumber first = Fill(log, round);
    log.Truncate(first + round % 6);
    switch (round % 3) {
      case 0:
        log.Kill();
        log.Open();
        break;
      case 1:
        log.Append(800);
        log.Append(90, Durability::kWritten);
        log.Write();
        log.Kill();
        log.Open();
        log.Truncate(first);
        break;
      case 2:
        log.Close();
        log.Open();
        log.Trim(first);
        break;
    }
  }
}

TEST(CrashTruncateTest, DroppedRecordsStayDroppedAndKeptOnesStay) {
  ExpectNothingLost("truncate_and_append_again", SmallSegments(), TruncateAndAppendAgain, 160);
}

TEST(CrashTruncateTest, ReopeningAfterATruncationChangesNothing) {
  ExpectNothingLost("truncate_and_reopen", SmallSegments(), TruncateAndReopen, 140);
}

TEST(CrashTruncateTest, OrderedJournalAndLargeSectorsChangeNothing) {
  SimOptions sim;
  sim.sector_bytes = 4096;
  sim.entries = SimOptions::Entries::kPrefix;
  sim.new_entry = SimOptions::NewEntry::kSyncedWithFile;
  ExpectNothingLost("truncate_ordered", SmallSegments(), TruncateAndAppendAgain, 60, sim);
}

TEST(CrashTruncateTest, NoticesASkippedHeaderSync) {
  const Outcome outcome = PowerCuts(SmallSegments(), Seed(), 32)
                              .Run(
                                  [](SimLog& log) {
                                    log.Open();
                                    log.Truncate(Fill(log, 0) + 3);
                                  },
                                  {},
                                  [](const FileCall& call) {
                                    return call.op == FileOp::kSync && call.name.ends_with(".seg");
                                  });
  EXPECT_GT(outcome.violations, 0u);
}

}  // namespace
}  // namespace millrace
