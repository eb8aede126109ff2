// Goal: no order of a few operations lets a power cut lose what was acknowledged.
// Method: all sequences of up to MILLRACE_CRASH_LENGTH operations (3), on segments of 8 KiB
// and sectors of 512 bytes, with the power cut at every call of the last one: that in those
// before is the matter of the shorter sequence. All subsets of what is pending where there
// are few, and bounded ones of more. All sequences share a seed, so that the same image counts
// once. MILLRACE_CRASH_MINUTES=n: fresh seeds for so long.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/crash/crash_campaign.h"
#include "tests/power_cuts.h"

namespace millrace {
namespace {

struct Operation {
  std::string_view name;
  void (*run)(SimLog& log);
};

// Cursor "c" commits what is durable.
void Checkpoint(SimLog& log) {
  log.Commit();
  log.Checkpoint("c", log.core().last_durable());
}

// Gives up all but the last record, if no cursor holds more back.
void Trim(SimLog& log) {
  log.Commit();
  const SequenceNumber last = log.core().last_durable();
  if (last > 0) {
    log.Checkpoint("c", last);
    log.Trim(last);
  }
}

// Killed if the last record is not durable, else closed.
void Reopen(SimLog& log) {
  if (log.core().last_durable() + 1 < log.core().next_sequence()) {
    log.Kill();
  } else {
    log.Close();
  }
  log.Open();
}

constexpr Operation kOperations[] = {
    {"append",
     [](SimLog& log) {
       log.Append(60);
       log.Commit();
     }},
    {"append-xl",
     [](SimLog& log) {
       log.Append(2900, Durability::kWritten);
       log.Write();
     }},
    {"batch",
     [](SimLog& log) {
       log.AppendBatch({200, 0, 500});
       log.Write();
     }},
    {"flush", [](SimLog& log) { log.Commit(); }},
    {"roll",
     [](SimLog& log) {
       for (int i = 0; i < 3; ++i) log.Append(3000, Durability::kWritten);
       log.Write();
     }},
    {"checkpoint", Checkpoint},
    {"trim", Trim},
    {"reopen", Reopen},
};
constexpr size_t kNames = std::size(kOperations);

std::string NameOf(const std::vector<size_t>& sequence) {
  std::string name;
  for (const size_t operation : sequence) {
    if (!name.empty()) name += ", ";
    name += kOperations[operation].name;
  }
  return name;
}

Outcome RunSequence(const std::vector<size_t>& sequence, uint64_t seed, ImageSet& images) {
  const CutPlan plan{.seed = seed,
                     .budget = 384,
                     .known_in_a_row = 48,
                     .cut_recovery_every = 200,
                     .append_every = 32};
  const auto before = [&](SimLog& log) {
    log.Open();
    for (size_t i = 0; i + 1 < sequence.size(); ++i) kOperations[sequence[i]].run(log);
  };
  Outcome outcome =
      PowerCuts(SmallSegments(), plan, &images).RunLast(before, kOperations[sequence.back()].run);
  if (outcome.violations > 0) {
    outcome.first_violation = NameOf(sequence) + ": " + outcome.first_violation;
  }
  return outcome;
}

TEST(CrashExhaustiveTest, NoSequenceOfOperationsLosesAnythingAcknowledged) {
  const char* given = std::getenv("MILLRACE_CRASH_LENGTH");
  const size_t length =
      given != nullptr ? std::strtoul(given, nullptr, 10) : (kUnderSanitizer ? 2 : 3);
  ASSERT_GE(length, 1u);
  uint64_t sequences = 0;
  uint64_t rounds = 0;
  const Outcome outcome = RunCampaign("crash_exhaustive", [&](uint64_t seed, ImageSet& images) {
    ++rounds;
    Outcome sum;
    std::vector<size_t> sequence;
    // Counts in base kNames, shorter sequences first.
    for (size_t digits = 1; digits <= length; ++digits) {
      sequence.assign(digits, 0);
      while (true) {
        ++sequences;
        sum += RunSequence(sequence, seed, images);
        size_t i = digits;
        while (i > 0 && ++sequence[i - 1] == kNames) sequence[--i] = 0;
        if (i == 0) break;
      }
    }
    return sum;
  });
  uint64_t expected = 0;
  for (size_t digits = length; digits > 0; --digits) expected = (expected + 1) * kNames;
  EXPECT_EQ(sequences, rounds * expected);
  if (length >= 3) {
    EXPECT_GT(outcome.distinct, 80'000u);
  }
}

}  // namespace
}  // namespace millrace
