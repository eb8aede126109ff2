// Goal: recovery decides every case, each by one rule.
// Method: all combinations of the inputs of each table; exactly one row must
// match. Then the rows that promises rest on, by name, and that no row is idle.

#include "wal/recovery_table.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace millrace {
namespace {

bool In(uint32_t set, int value) { return (set >> value & 1) != 0; }

// Counts, over all combinations, how often each row applies.
class Coverage {
 public:
  explicit Coverage(size_t rows) : used_(rows, 0) {}

  template <class Rows, class Match>
  void Case(const Rows& rows, Match match, const std::string& what) {
    int matching = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!match(rows[i])) continue;
      ++matching;
      ++used_[i];
    }
    EXPECT_EQ(matching, 1) << what;
    ++cases_;
  }

  void ExpectComplete(int cases) const {
    EXPECT_EQ(cases_, cases);
    for (size_t i = 0; i < used_.size(); ++i) EXPECT_GT(used_[i], 0) << "row " << i << " is idle";
  }

 private:
  std::vector<int> used_;
  int cases_ = 0;
};

TEST(RecoveryTableTest, EveryFileIsOneKind) {
  Coverage coverage(FileTable::Rows().size());
  for (int h = 0; h < FileTable::kHeaders; ++h) {
    for (int o = 0; o < FileTable::kOwners; ++o) {
      for (int c = 0; c < FileTable::kContents; ++c) {
        coverage.Case(
            FileTable::Rows(),
            [&](const auto& row) {
              return In(row.header, h) && In(row.owner, o) && In(row.content, c);
            },
            "header " + std::to_string(h) + " owner " + std::to_string(o) + " content " +
                std::to_string(c));
      }
    }
  }
  coverage.ExpectComplete(5 * 3 * 3);
}

TEST(RecoveryTableTest, EveryLinkHasOneStep) {
  Coverage coverage(LinkTable::Rows().size());
  for (int n = 0; n < LinkTable::kNames; ++n) {
    for (int f = 0; f < LinkTable::kFiles; ++f) {
      coverage.Case(
          LinkTable::Rows(), [&](const auto& row) { return In(row.names, n) && In(row.file, f); },
          "names " + std::to_string(n) + " file " + std::to_string(f));
    }
  }
  coverage.ExpectComplete(4 * 2);
}

TEST(RecoveryTableTest, EveryGapMeansOneThing) {
  Coverage coverage(GapTable::Rows().size());
  for (int n = 0; n < GapTable::kNumbers; ++n) {
    for (int b = 0; b < GapTable::kBehinds; ++b) {
      for (int k = 0; k < GapTable::kKnowns; ++k) {
        for (int t = 0; t < GapTable::kBoots; ++t) {
          for (int p = 0; p < GapTable::kPolicies; ++p) {
            coverage.Case(
                GapTable::Rows(),
                [&](const auto& row) {
                  return In(row.numbers, n) && In(row.behind, b) && In(row.known, k) &&
                         In(row.boot, t) && In(row.policy, p);
                },
                "numbers " + std::to_string(n) + " behind " + std::to_string(b) + " known " +
                    std::to_string(k) + " boot " + std::to_string(t) + " policy " +
                    std::to_string(p));
          }
        }
      }
    }
  }
  coverage.ExpectComplete(4 * 2 * 2 * 2 * 3);
}

TEST(RecoveryTableTest, EveryFileHasOneFate) {
  Coverage coverage(FileFateTable::Rows().size());
  for (int k = 0; k < FileFateTable::kKinds; ++k) {
    for (int p = 0; p < FileFateTable::kPlaces; ++p) {
      for (int h = 0; h < FileFateTable::kHolds; ++h) {
        coverage.Case(
            FileFateTable::Rows(),
            [&](const auto& row) {
              return In(row.kind, k) && In(row.place, p) && In(row.holds, h);
            },
            "kind " + std::to_string(k) + " place " + std::to_string(p) + " holds " +
                std::to_string(h));
      }
    }
  }
  coverage.ExpectComplete(8 * 4 * 2);
}

TEST(RecoveryTableTest, EveryRowSaysWhy) {
  const auto expect_reasons = [](const auto& rows) {
    for (const auto& row : rows) EXPECT_GT(std::string_view(row.reason).size(), 10u);
  };
  expect_reasons(FileTable::Rows());
  expect_reasons(LinkTable::Rows());
  expect_reasons(GapTable::Rows());
  expect_reasons(FileFateTable::Rows());
}

TEST(RecoveryTableTest, NoDamagedOrForeignFileIsEverDeleted) {
  using Fate = FileFateTable::Fate;
  for (const auto kind :
       {FileTable::Kind::kDamaged, FileTable::Kind::kForeign, FileTable::Kind::kNewer}) {
    for (int p = 0; p < FileFateTable::kPlaces; ++p) {
      for (int h = 0; h < FileFateTable::kHolds; ++h) {
        EXPECT_NE(FileFateTable::Decide(kind, static_cast<FileFateTable::Place>(p),
                                        static_cast<FileFateTable::Holds>(h)),
                  Fate::kRemove);
      }
    }
  }
}

TEST(RecoveryTableTest, ContentWithoutAHeaderIsNeverUnused) {
  for (const auto header : {FileTable::Header::kZero, FileTable::Header::kDamaged}) {
    for (const auto content : {FileTable::Content::kBytes, FileTable::Content::kOwnFrames}) {
      EXPECT_NE(FileTable::Decide(header, FileTable::Owner::kThisName, content),
                FileTable::Kind::kUnused);
    }
  }
}

TEST(RecoveryTableTest, AcknowledgedNumbersNeverVanishInSilence) {
  using Action = GapTable::Action;
  const std::set<Action> silent = {Action::kNote, Action::kCutTail};
  for (const auto numbers : {GapTable::Numbers::kBelowMark, GapTable::Numbers::kAcrossMark}) {
    for (int b = 0; b < 2; ++b) {
      for (int k = 0; k < 2; ++k) {
        for (int t = 0; t < 2; ++t) {
          for (int p = 0; p < 3; ++p) {
            EXPECT_FALSE(silent.contains(GapTable::Decide(
                numbers, static_cast<GapTable::Behind>(b), static_cast<GapTable::Known>(k),
                static_cast<GapTable::Boot>(t), static_cast<GapTable::Policy>(p))));
          }
        }
      }
    }
  }
}

TEST(RecoveryTableTest, StrictRefusesWhateverWasAcknowledged) {
  for (const auto numbers : {GapTable::Numbers::kBelowMark, GapTable::Numbers::kAcrossMark}) {
    for (const auto behind : {GapTable::Behind::kNothing, GapTable::Behind::kRecords}) {
      EXPECT_EQ(GapTable::Decide(numbers, behind, GapTable::Known::kNew, GapTable::Boot::kOther,
                                 GapTable::Policy::kStrict),
                GapTable::Action::kRefuse);
    }
  }
}

TEST(RecoveryTableTest, NoPolicyRefusesATornTail) {
  for (int p = 0; p < GapTable::kPolicies; ++p) {
    EXPECT_EQ(GapTable::Decide(GapTable::Numbers::kAboveMark, GapTable::Behind::kNothing,
                               GapTable::Known::kNew, GapTable::Boot::kOther,
                               static_cast<GapTable::Policy>(p)),
              GapTable::Action::kCutTail);
  }
}

}  // namespace
}  // namespace millrace
