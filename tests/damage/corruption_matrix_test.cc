// Goal: whatever happens to one file of a log, the report names exactly the records that are
// lost by it, and every other record is read: no loss in silence, and none that is not one.
// Method: a log of three segments of which every byte's meaning is known (tests/flip_log.h),
// closed in order or ended by a crash. Each kind of damage at each place of each file; what
// must come of it says an oracle that looks at the bytes alone. All are read from outside; a
// sample is opened for writing, strictly and to salvage. With MILLRACE_DAMAGE=N files are cut
// at every byte, and N cases are random.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/damage/damage_kinds.h"
#include "tests/damage/damaged_log.h"
#include "tests/flip_log.h"

namespace millrace {
namespace {

constexpr uint64_t kCutStride = 4;
constexpr uint64_t kOpenStride = 37;
constexpr uint64_t kRandomCases = 500;
constexpr uint64_t kProblemsShown = 10;
constexpr uint64_t kSeed = 20;

uint64_t RandomCases() {
  const char* more = std::getenv("MILLRACE_DAMAGE");
  return more == nullptr ? kRandomCases : std::strtoull(more, nullptr, 10);
}

uint64_t CutStride() { return std::getenv("MILLRACE_DAMAGE") == nullptr ? kCutStride : 1; }

class CorruptionMatrixTest : public ::testing::TestWithParam<FlipEnding> {
 protected:
  CorruptionMatrixTest() : log_(BuildFlipLog(GetParam())), disk_(log_.disk->Clone()) {}

  void Try(const Damage& damage) {
    const std::string own = *log_.disk->ReadFileBytes(damage.file->path);
    if (damage.bytes.has_value()) {
      disk_->WriteFileBytes(damage.file->path, *damage.bytes);
    } else {
      disk_->DeleteFile(damage.file->path);
    }
    const Verdict verdict = JudgeDamage(log_, damage);
    if (verdict.Refused()) ++losing_;
    if (Untold(verdict)) ++untold_;
    Note(ReadDamaged(log_, damage, verdict, *disk_));
    if (++states_ % kOpenStride == 0) {
      Note(OpenDamagedStrictly(damage, verdict, *disk_->Clone()));
      Note(SalvageDamaged(log_, damage, verdict, *disk_->Clone()));
    }
    disk_->WriteFileBytes(damage.file->path, own);
  }

  // Records went together with all that vouched for them, as in a torn write (FORMAT.md, Known
  // limits): nobody can tell, and the oracle does not ask for it.
  static bool Untold(const Verdict& verdict) {
    for (size_t i = 0; i < verdict.read.size(); ++i) {
      if (!verdict.read[i] && !verdict.lost[i] && !verdict.newest_lost) return true;
    }
    return false;
  }

  void Note(const std::string& problem) {
    if (problem.empty()) return;
    if (++wrong_ <= kProblemsShown) ADD_FAILURE() << problem;
    const auto says = [&problem](const char* text) { return problem.find(text) != problem.npos; };
    if (says("read, and damaged") || says("not as it was appended")) {
      ++invented_;
    } else if (says("reading ended before") || says("reported as lost is not what is")) {
      ++lost_;
    }
  }

  void Finish(const char* kind) const {
    EXPECT_EQ(wrong_, 0u);
    EXPECT_GT(losing_, 0u);
    EXPECT_LT(losing_, states_) << "some damage hits nothing that anybody needs";
    const auto number = [](uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf(
        "RELIABILITY target=corruption_matrix_test kind=%s ending=%s seed=%llu states=%llu "
        "losing=%llu untold=%llu acked=%llu lost_acked=%llu invented=%llu silent=%llu hangs=0\n",
        kind, GetParam() == FlipEnding::kClosed ? "closed" : "crashed", number(kSeed),
        number(states_), number(losing_), number(untold_), number(log_.last()), number(lost_),
        number(invented_), number(wrong_ - lost_ - invented_));
    // Of a log that was closed everything is vouched for more than once.
    if (GetParam() == FlipEnding::kClosed) {
      EXPECT_EQ(untold_, 0u);
    }
  }

  const FlipLog log_;
  const FlipLog other_ = BuildFlipLog(GetParam(), /*seed=*/12);
  std::unique_ptr<SimFileSystem> disk_;
  uint64_t states_ = 0;
  uint64_t losing_ = 0;
  uint64_t untold_ = 0;
  uint64_t wrong_ = 0;
  uint64_t lost_ = 0;
  uint64_t invented_ = 0;
};

TEST_P(CorruptionMatrixTest, NamesWhatBytesLose) {
  VisitBytes(log_, [this](const Damage& damage) { Try(damage); });
  Finish("bytes");
}

TEST_P(CorruptionMatrixTest, NamesWhatSectorsLose) {
  VisitSectors(log_, [this](const Damage& damage) { Try(damage); });
  Finish("sectors");
}

TEST_P(CorruptionMatrixTest, NamesWhatTruncationsLose) {
  VisitTruncations(log_, CutStride(), [this](const Damage& damage) { Try(damage); });
  Finish("truncations");
}

TEST_P(CorruptionMatrixTest, ExtensionsLoseNothing) {
  VisitExtensions(log_, [this](const Damage& damage) {
    const Verdict verdict = JudgeDamage(log_, damage);
    EXPECT_FALSE(verdict.Refused());
    EXPECT_EQ(verdict.last_read(), log_.last());
    Try(damage);
  });
  EXPECT_EQ(wrong_, 0u);
}

TEST_P(CorruptionMatrixTest, NamesWhatFramesOutOfPlaceLose) {
  VisitFrames(log_, other_, [this](const Damage& damage) { Try(damage); });
  Finish("frames");
}

TEST_P(CorruptionMatrixTest, NamesWhatWholeFilesLose) {
  VisitFiles(log_, other_, [this](const Damage& damage) { Try(damage); });
  Finish("files");
}

TEST_P(CorruptionMatrixTest, NamesWhatRandomDamageLoses) {
  VisitRandom(log_, kSeed, RandomCases(), [this](const Damage& damage) { Try(damage); });
  Finish("random");
}

// The oracle tells one damage from another, and from none.
TEST_P(CorruptionMatrixTest, IsToldFromNoDamage) {
  const auto file = std::find_if(log_.files.begin(), log_.files.end(),
                                 [](const FlipFile& f) { return f.segment == 2; });
  const auto range = std::find_if(file->ranges.begin(), file->ranges.end(), [](const FlipRange& r) {
    return r.region == FlipRegion::kRecords;
  });
  Damage none{"none", &*file, *log_.disk->ReadFileBytes(file->path)};
  Damage damage = none;
  (*damage.bytes)[range->begin + 9] ^= 1;
  EXPECT_EQ(ReadDamaged(log_, none, JudgeDamage(log_, none), *disk_), "");
  EXPECT_NE(ReadDamaged(log_, damage, JudgeDamage(log_, damage), *disk_), "") << "none reported";
  disk_->WriteFileBytes(file->path, *damage.bytes);
  EXPECT_EQ(ReadDamaged(log_, damage, JudgeDamage(log_, damage), *disk_), "");
  EXPECT_NE(ReadDamaged(log_, none, JudgeDamage(log_, none), *disk_), "") << "reported too much";
}

INSTANTIATE_TEST_SUITE_P(, CorruptionMatrixTest,
                         ::testing::Values(FlipEnding::kClosed, FlipEnding::kCrashed),
                         [](const auto& instance) {
                           return instance.param == FlipEnding::kClosed ? "Closed" : "Crashed";
                         });

}  // namespace
}  // namespace millrace
