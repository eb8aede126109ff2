// Goal: after a power cut at any moment each cursor goes on between its last durable
// checkpoint and its last commit, and never from another cursor's, whatever was
// shared, closed, deleted and made anew before.
// Method: a simulated disk, images of it drawn before every call.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/testing/file_call.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/shared_cursors.h"
#include "wal/cursor_file.h"
#include "wal/shared_checkpoints.h"

namespace millrace {
namespace {

// What may be found of a cursor.
struct Bounds {
  bool may_be_missing = true;
  bool may_be_there = false;
  SequenceNumber lowest = 0;
  SequenceNumber highest = 0;
};

class SharedCheckpointsCrashTest : public SharedCursors {
 protected:
  void CheckFound(const std::string& name, const absl::StatusOr<SequenceNumber>& found) {
    const Bounds& bounds = bounds_[name];
    if (absl::IsNotFound(found.status())) {
      EXPECT_TRUE(bounds.may_be_missing) << name;
      return;
    }
    ASSERT_TRUE(found.ok()) << name << ": " << found.status();
    EXPECT_TRUE(bounds.may_be_there) << name;
    EXPECT_GE(*found, bounds.lowest) << name;
    EXPECT_LE(*found, bounds.highest) << name;
  }

  // Of `image`, by a log that opens it.
  void CheckByOpening(SimFileSystem& image) {
    std::unique_ptr<Directory> directory;
    ASSERT_EQ(image.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
    const auto shared = SharedCheckpoints::Open(image, *directory, kLogId);
    ASSERT_TRUE(shared.ok()) << shared.status();
    EXPECT_TRUE((*shared)->report().lost.empty());
    EXPECT_TRUE((*shared)->status().ok()) << (*shared)->status();
    EXPECT_FALSE(image.ReadFileBytes(kSharedPath).has_value());
    for (const auto& [name, bounds] : bounds_) {
      const auto file =
          CursorFile::Open(*directory, kLogId, name, absl::NotFoundError("none"), shared->get());
      if (!file.ok()) {
        CheckFound(name, file.status());
      } else {
        CheckFound(name, (*file)->checkpoint().committed);
      }
    }
  }

  // Of `image`, by a reader that changes nothing.
  void CheckByReading(SimFileSystem& image) {
    for (const auto& [name, bounds] : bounds_) {
      const StoredCursor stored = Stored(image, name);
      if (stored.generation == 0) {
        CheckFound(name, absl::NotFoundError("none"));
      } else {
        CheckFound(name, stored.checkpoint.committed);
      }
    }
  }

  void CheckAtEveryCall(int budget) {
    disk_.SetHook([this, budget](const FileCall&) {
      if (HasFailure()) return SimVerdict::kProceed;
      disk_.ForEachCrashImage(budget, images_, [this](SimFileSystem& image, ImageId) {
        ++images_;
        CheckByReading(image);
        CheckByOpening(image);
      });
      return SimVerdict::kProceed;
    });
  }

  CursorPointer Make(const std::string& name, SequenceNumber first) {
    bounds_[name] = {true, true, first, first};
    CursorPointer file = Open(name, first);
    bounds_[name].may_be_missing = false;
    return file;
  }
  void Commit(CursorFile& file, SequenceNumber committed) {
    bounds_[file.name()].highest = committed;
    Write(file, committed);
    bounds_[file.name()].lowest = committed;
  }
  void Delete(const std::string& name) {
    bounds_[name].may_be_missing = true;
    EXPECT_TRUE(CursorFile::Delete(*directory_, kLogId, name, DeleteMode::kIfValid).ok());
    bounds_[name].may_be_there = false;
  }

  std::map<std::string, Bounds> bounds_;
  uint64_t images_ = 0;
};

TEST_F(SharedCheckpointsCrashTest, EveryPowerCutKeepsWhatIsDurableAndMixesNothingUp) {
  CheckAtEveryCall(6);
  CursorPointer a = Make("a", 1000);
  CursorPointer b = Make("b", 2000);
  CursorPointer c = Make("c", 3000);
  SequenceNumber step = 0;
  const auto commit_all = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      ++step;
      Commit(*a, 1000 + step);
      Commit(*b, 2000 + step);
      if (c != nullptr) Commit(*c, 3000 + step);
    }
  };
  commit_all(3);
  // Closed, and opened again, with another's entry.
  b.reset();
  CursorPointer d = Make("d", 4000);
  Commit(*d, 4001);
  b = Open("b");
  commit_all(3);
  // Deleted, and made again where it had been once.
  c.reset();
  Delete("c");
  commit_all(2);
  c = Make("c", 50);
  Commit(*c, 51);
  Commit(*c, 52);
  Commit(*a, 1100);
  step = 101;
  c.reset();
  commit_all(2);
  // Down to one, and up again.
  b.reset();
  d.reset();
  Commit(*a, 1200);
  Commit(*a, 1201);
  step = 201;
  b = Open("b");
  commit_all(2);
  a.reset();
  b.reset();
  disk_.SetHook(nullptr);
  EXPECT_GT(images_, 500);
}

TEST_F(SharedCheckpointsCrashTest, WrittenTogetherEachIsKept) {
  std::vector<CursorPointer> files;
  for (int i = 0; i < 4; ++i) files.push_back(Make("c" + std::to_string(i), 1000 * i));
  CheckAtEveryCall(16);
  for (int round = 1; round <= 6; ++round) {
    std::vector<CursorFile::Pending> pending;
    for (int i = 0; i < 4; ++i) {
      const SequenceNumber committed = 1000 * i + round;
      bounds_[files[i]->name()].highest = committed;
      pending.push_back({files[i].get(), At(committed)});
    }
    ASSERT_TRUE(CursorFile::WriteAll(pending).ok());
    for (const auto& [file, checkpoint] : pending) {
      bounds_[file->name()].lowest = checkpoint.committed;
    }
  }
  disk_.SetHook(nullptr);
  EXPECT_GT(images_, 200);
}

TEST_F(SharedCheckpointsCrashTest, PowerCutWhileCheckpointsAreMovedHomeLosesNone) {
  CursorPointer a = Make("a", 1000);
  CursorPointer b = Make("b", 2000);
  for (int i = 1; i < 5; ++i) {
    Commit(*a, 1000 + i);
    Commit(*b, 2000 + i);
  }
  SimFileSystem& disk = Killed();
  disk.SetHook([&](const FileCall&) {
    if (HasFailure()) return SimVerdict::kProceed;
    disk.ForEachCrashImage(32, images_, [this](SimFileSystem& image, ImageId) {
      ++images_;
      CheckByReading(image);
      CheckByOpening(image);
    });
    return SimVerdict::kProceed;
  });
  {
    std::unique_ptr<Directory> directory;
    ASSERT_EQ(disk.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
    ASSERT_TRUE(SharedCheckpoints::Open(disk, *directory, kLogId).ok());
  }
  disk.SetHook(nullptr);
  EXPECT_GT(images_, 30);
}

TEST_F(SharedCheckpointsCrashTest, CheckpointThatGoesBackStaysBack) {
  CursorPointer a = Make("a", 0);
  CursorPointer b = Make("b", 0);
  for (int i = 1; i < 5; ++i) {
    Commit(*a, 100 + i);
    Commit(*b, 100 + i);
  }
  CheckAtEveryCall(8);
  bounds_["a"].lowest = 7;
  Write(*a, 7);
  bounds_["a"].highest = 7;
  bounds_["b"].lowest = 9;
  ASSERT_TRUE(b->Clamp(2, 9).ok());
  bounds_["b"].highest = 9;
  for (SequenceNumber s = 10; s < 14; ++s) {
    Commit(*a, s);
    bounds_["b"].highest = s;
    ASSERT_TRUE(b->Write(At(s, 2)).ok());
    bounds_["b"].lowest = s;
  }
  disk_.SetHook(nullptr);
  EXPECT_GT(images_, 50);
}

// Nor is it found where the newer slot, or all of CURSORS, is damaged later.
TEST_F(SharedCheckpointsCrashTest, CheckpointThatWentBackIsNotFoundBehindDamage) {
  for (const bool clamp : {false, true}) {
    CursorPointer a = Make(clamp ? "a1" : "a0", 0);
    CursorPointer b = Make(clamp ? "b1" : "b0", 0);
    for (int i = 1; i < 5; ++i) {
      Write(*a, 100 + i);
      Write(*b, 100 + i);
    }
    if (clamp) {
      ASSERT_TRUE(a->Clamp(2, 7).ok());
    } else {
      Write(*a, 7);
    }
    for (SequenceNumber s = 8; s < 10; ++s) {
      for (const int slot : {0, 1}) {
        for (const bool lose_shared : {false, true}) {
          SimFileSystem& disk = Killed();
          disk.FlipBit("/log/" + CursorFileName(a->name()), slot * kBlockBytes + 60, 1);
          if (lose_shared) disk.DeleteFile(kSharedPath);
          const SequenceNumber found = Stored(disk, a->name()).checkpoint.committed;
          EXPECT_GE(found, 7);
          EXPECT_LT(found, 10);
        }
      }
      ASSERT_TRUE(a->Write(At(s, clamp ? 2 : 1)).ok());
    }
  }
}

}  // namespace
}  // namespace millrace
