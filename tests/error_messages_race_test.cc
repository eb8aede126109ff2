// Goal: an error that only a race provokes says no less than others.
// Method: the steps of the race, one after the other, on the class that meets it: a trim comes
// between the look at the bounds of a reset and the reset.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/cursor_fixture.h"
#include "tests/error_row.h"
#include "tests/fake_log_writer.h"
#include "wal/cursor_commit.h"
#include "wal/cursor_file.h"
#include "wal/cursor_registry.h"
#include "wal/mutex.h"

namespace millrace {
namespace {

TEST_F(CursorTest, AResetBehindATrimNamesTheOldestRecordKept) {
  AppendTens(50);
  absl::StatusOr<std::unique_ptr<CursorFile>> file =
      CursorFile::Open(*directory_, kLogId, "c", CursorCheckpoint{.committed = 30});
  ASSERT_TRUE(file.ok()) << file.status();
  const auto commit = std::make_shared<CursorCommit>(*std::move(file), nullptr);
  registry_->BeginOpen("c");
  {
    MutexLock files(&registry_->files_mu());
    registry_->EndOpen("c", commit);
  }
  const absl::Status status = registry_->Reset(*commit, CursorCheckpoint{.committed = 9},
                                               [] { return SequenceNumber{21}; });
  ExpectError(status, absl::StatusCode::kOutOfRange,
              {"cursor c: cannot be reset to 10: the oldest record kept is 21, trimmed meanwhile; "
               "reset it to that or a later one"});
  EXPECT_EQ(registry_->Lowest()->committed, 30);
  registry_->Close(*commit);
}

}  // namespace
}  // namespace millrace
