// Goal: whoever gets an error from a cursor, or from what a log does with cursors, can act on it
// without reading our source.
// Method: rows of what provokes each error and what it must say; the disk is simulated, and
// answers in the place of others who make and delete the cursor's file meanwhile.

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/forwarding_file_system.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/error_row.h"
#include "wal/format.h"
#include "xxhash.h"

namespace millrace {
namespace {

using Code = absl::StatusCode;

class ErrorMessagesCursorTest : public testing::Test {
 protected:
  ErrorMessagesCursorTest() : sim_({.seed = 1}) {
    options_.file_system = &disk_;
    options_.idle_mark_delay = absl::Hours(1);
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
    log_ = Log::Open("/log", options_).value();
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(log_->Append("12345678").ok());
  }

  std::unique_ptr<Cursor> OpenCursor(const std::string& name) {
    return log_->OpenCursor(name).value();
  }
  absl::Status OpenError(const std::string& name, const CursorOptions& options = {}) {
    return log_->OpenCursor(name, options).status();
  }
  // Both slots of a cursor's file, as `change` makes them.
  template <class Change>
  void WriteCursorFile(const std::string& name, Change change) {
    std::string bytes = *sim_.ReadFileBytes("/log/" + name + ".cursor");
    bytes.resize(kBlockBytes + kSlotBytes);
    for (int place = 0; place < 2; ++place) {
      const std::span<char, kSlotBytes> at(bytes.data() + place * kBlockBytes, kSlotBytes);
      CursorSlot slot;
      if (DecodeCursorSlot(at, place, &slot) != HeaderStatus::kValid) continue;
      const std::string slot_name(slot.name);
      slot.name = slot_name;
      change(&slot);
      EncodeCursorSlot(slot, place, at);
    }
    sim_.WriteFileBytes("/log/" + name + ".cursor", bytes);
  }

  // What a newer version would have written: its number, under a right checksum.
  void MakeNewer(const std::string& file) {
    std::string bytes = *sim_.ReadFileBytes("/log/" + file);
    bytes.resize(kBlockBytes + kSlotBytes);
    for (uint64_t place = 0; place < 2; ++place) {
      char* const block = bytes.data() + place * kBlockBytes;
      const uint32_t version = kFormatVersion + 1;
      std::memcpy(block + 16, &version, sizeof version);
      const uint64_t sum = XXH3_64bits_withSeed(block + 8, kSlotBytes - 8, kCursorSeed + place);
      std::memcpy(block, &sum, sizeof sum);
    }
    sim_.WriteFileBytes("/log/" + file, bytes);
  }
  // Gives the first record, behind the first group, a type that this version must not skip.
  void RetypeFirstRecord() {
    const std::string path = "/log/00000000000000000001.seg";
    std::string bytes = *sim_.ReadFileBytes(path);
    SegmentHeader segment;
    ASSERT_EQ(DecodeSegmentHeader(
                  std::span<const char, kSegmentHeaderBytes>(bytes.data(), kSegmentHeaderBytes), 0,
                  &segment),
              HeaderStatus::kValid);
    const uint64_t seed = SegmentSeed(segment.log_id, segment.number, segment.incarnation);
    const uint64_t offset = kFramesOffset + FrameBytes(kGroupBodyBytes);
    FrameHeader frame;
    ASSERT_EQ(DecodeFrameHeader(bytes.data() + offset, seed, offset, &frame), FrameStatus::kValid);
    frame.type = static_cast<FrameType>(8);
    EncodeFrameHeader(frame, seed, offset, bytes.data() + offset);
    sim_.WriteFileBytes(path, bytes);
  }

  // Whether this open of `gone_` is to find no file.
  bool IsGone(const FileCall& call) {
    if (call.op != FileOp::kOpen || call.name != gone_) return false;
    return ++opens_ % gone_every_ == 0;
  }

  // The seed of a cursor slot's checksum, by FORMAT.md.
  static constexpr uint64_t kCursorSeed = 0x6d696c6c63757200;

  SimFileSystem sim_;
  std::string gone_;
  int gone_every_ = 2;
  int opens_ = 0;
  ForwardingFileSystem disk_{&sim_, [this](const FileCall& call) {
                               return IsGone(call) ? std::optional<IoResult>(-ENOENT)
                                                   : std::nullopt;
                             }};
  Options options_;
  std::unique_ptr<Log> log_;
};

TEST_F(ErrorMessagesCursorTest, PlacesNameTheCursorTheNumberAndTheBounds) {
  const auto cursor = OpenCursor("billing");
  ASSERT_TRUE(cursor->Next().ok());
  std::vector<Entry> entries;
  std::vector<char> memory(3);
  ExpectErrors({
      {[&] { return OpenError("late", {.start = CursorStart::At(8)}); },
       Code::kOutOfRange,
       {"log /log: cursor late: cannot start at record 8, the next to become durable is 6",
        "start at that or at an earlier one"}},
      {[&] { return cursor->Seek(9); },
       Code::kOutOfRange,
       {"cursor billing: cannot seek to record 9: choose one from 1 (the oldest kept) to 6 (the "
        "next"}},
      {[&] { return cursor->Reset(0); },
       Code::kOutOfRange,
       {"cursor billing: cannot reset to record 0: choose one from 1 (the oldest kept) to 6"}},
      {[&] { return cursor->Commit(3); },
       Code::kOutOfRange,
       {"cursor billing: commit of 3, but the last entry delivered is 1; commit at most that"}},
      {[&] { return cursor->NextBatch(memory, &entries).status(); },
       Code::kInvalidArgument,
       {"cursor billing: record 2 needs 8 bytes of memory, but 3 were given; give at least that "
        "many, or read it with Next"}},
      {[&] { return OpenError("b c"); },
       Code::kInvalidArgument,
       {"log /log: cursor name \"b c\" (3 bytes): use 1 to 128 of letters, digits", "first not"}},
      {[&] { return log_->DeleteCursor(".b"); },
       Code::kInvalidArgument,
       {"log /log: cursor name \".b\" (2 bytes): use 1 to 128 of letters, digits", "first not"}},
  });
  ASSERT_TRUE(cursor->Seek(6).ok());
  ExpectError(cursor->Next(absl::ZeroDuration()).status(), Code::kDeadlineExceeded,
              {"cursor billing: record 6 is not durable yet; call again"});
}

TEST_F(ErrorMessagesCursorTest, WhoeverHasTheCursorIsSaidToBeInTheWay) {
  const auto cursor = OpenCursor("c");
  ExpectErrors({
      {[&] { return OpenError("c"); },
       Code::kAborted,
       {"log /log: cursor c is open elsewhere: c.cursor is locked; a cursor has one opener",
        "close that one first"}},
      {[&] { return log_->DeleteCursor("c"); },
       Code::kAborted,
       {"log /log: cursor c is open in this process: close it before it is deleted"}},
      {[&] { return log_->DeleteCursor("other"); },
       Code::kNotFound,
       {"log /log: there is no cursor other: no file other.cursor is in the log's", "check the"}},
  });
}

TEST_F(ErrorMessagesCursorTest, ANameThatOthersMakeAndDeleteIsToBeTriedAgain) {
  OpenCursor("c");
  gone_ = "c.cursor";
  // Of two opens the first finds it, and the second, under the lock, not any more.
  ExpectErrors({
      {[&] { return OpenError("c"); },
       Code::kAborted,
       {"log /log: cursor c was made or deleted by others 100 times meanwhile; try again"}},
      {[&] { return log_->DeleteCursor("c"); },
       Code::kAborted,
       {"log /log: cursor c was made or deleted by others 100 times meanwhile; try again"}},
  });
}

TEST_F(ErrorMessagesCursorTest, ACursorRemovedWhileItIsOpenedByTimeIsToBeOpenedAgain) {
  OpenCursor("c");
  gone_ = "c.cursor";
  ExpectError(OpenError("c", {.start = CursorStart::AtTime(absl::InfinitePast())}), Code::kAborted,
              {"log /log: cursor c was removed by somebody else while it was opened: open it"});
}

TEST_F(ErrorMessagesCursorTest, FilesThatAreNotTheCursorsAreNamedWithWhatToDo) {
  for (const std::string name : {"copy", "damaged", "newer", "others", "last"}) OpenCursor(name);
  sim_.WriteFileBytes("/log/copy.cursor", *sim_.ReadFileBytes("/log/others.cursor"));
  sim_.WriteFileBytes("/log/damaged.cursor", std::string(5000, 'x'));
  WriteCursorFile("others", [](CursorSlot* slot) { slot->log_id[0] ^= 1; });
  WriteCursorFile("last", [](CursorSlot* slot) {
    slot->generation = slot->generation % 2 == 0 ? ~uint64_t{0} - 1 : ~uint64_t{0} - 2;
  });
  MakeNewer("newer.cursor");
  const auto both = [&](const std::string& name, Code code, const std::vector<std::string>& says) {
    return std::vector<ErrorRow>{{[=, this] { return OpenError(name); }, code, says},
                                 {[=, this] { return log_->DeleteCursor(name); }, code, says}};
  };
  ExpectErrors(both("copy", Code::kFailedPrecondition,
                    {"log /log: copy.cursor belongs to cursor others: its position means nothing "
                     "here; delete the cursor to start copy anew"}));
  ExpectErrors(both("others", Code::kFailedPrecondition,
                    {"log /log: others.cursor belongs to another log", "delete the cursor"}));
  ExpectErrors(both("damaged", Code::kDataLoss,
                    {"log /log: damaged.cursor: neither of its two slots is valid",
                     "the position of cursor damaged is lost; delete the cursor"}));
  ExpectErrors(both("newer", Code::kUnimplemented,
                    {"log /log: newer.cursor was written by a newer version; open it with that"}));
  const auto last = OpenCursor("last");
  ASSERT_TRUE(last->Next().ok());
  ASSERT_TRUE(last->Commit(1).ok());
  ExpectError(last->Checkpoint(), Code::kOutOfRange,
              {"cursor last: last.cursor has come to its last generation, 18446744073709551615",
               "cannot be written; move it away and open the log again"});
}

TEST_F(ErrorMessagesCursorTest, AFailedLogIsToldToTheCursorThatHasReadAll) {
  const auto cursor = OpenCursor("c");
  ASSERT_TRUE(cursor->Seek(6).ok());
  sim_.AddRule({.op = FileOp::kSync, .error = EIO, .name = "*.seg", .count = SimRule::kForever});
  ASSERT_FALSE(log_->Append("x").ok());
  ExpectError(cursor->Next().status(), Code::kFailedPrecondition,
              {"cursor c has read all that is durable, and the log has failed: log /log has failed",
               "close it, and open it again", "sync 00000000000000000001.seg: EIO"});
}

TEST_F(ErrorMessagesCursorTest, AFrameOfANewerVersionIsLeftToThatVersion) {
  const auto cursor = OpenCursor("c");
  RetypeFirstRecord();
  const std::vector<std::string> says = {"cursor c: 00000000000000000001.seg at ",
                                         "a frame of a newer version; read it with that"};
  ExpectErrors({
      {[&] { return cursor->Next().status(); }, Code::kUnimplemented, says},
      {[&] { return cursor->Peek(1).status(); }, Code::kUnimplemented, says},
      {[&] { return cursor->Lag().status(); }, Code::kUnimplemented, says},
      {[&] { return cursor->SeekToTime(absl::InfinitePast()); }, Code::kUnimplemented, says},
      {[&] { return log_->TruncateAfter(3); },
       Code::kUnimplemented,
       {"log /log: 00000000000000000001.seg at ",
        "a frame of a newer version; truncate the log with that version"}},
  });
}

}  // namespace
}  // namespace millrace
