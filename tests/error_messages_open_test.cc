// Goal: whoever cannot open, grow or read a log learns which file is in the way, why, and what to
// do about it.
// Method: rows of what provokes each error and what it must say. The files are made by hand, on a
// simulated disk.

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/error_row.h"
#include "tests/segment_builder.h"
#include "wal/format.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

using Code = absl::StatusCode;

// Behind which no frame can be skipped by this version.
constexpr auto kNewerFrame = static_cast<FrameType>(8);

class ErrorMessagesOpenTest : public testing::Test {
 protected:
  ErrorMessagesOpenTest() : disk_({.seed = 1}) {
    options_.file_system = &disk_;
    options_.idle_mark_delay = absl::Hours(1);
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
    std::unique_ptr<Directory> directory;
    EXPECT_EQ(disk_.OpenDirectory("/log", DirectoryMode::kCreate, &directory), 0);
  }

  absl::Status OpenError(const std::string& path = "/log") {
    return Log::Open(path, options_).status();
  }
  absl::Status ReadError() { return LogReader::Open("/log", {.file_system = &disk_}).status(); }
  // A log without what was there, which holds only a segment that begins with record `first`.
  SegmentBuilder Segment(SequenceNumber first, uint64_t number = 1) {
    SegmentHeader header;
    header.number = number;
    header.incarnation = 77;
    header.first_sequence = first;
    header.first_retained = first;
    header.mark = first - 1;
    header.capacity = kFramesOffset + 65536;
    return SegmentBuilder(header);
  }
  void Put(const SegmentBuilder& segment) {
    disk_.WriteFileBytes("/log/" + SegmentName(segment.header().number), segment.Bytes());
  }
  void Clear() {
    for (const std::string& name : disk_.FileNames("/log")) disk_.DeleteFile("/log/" + name);
  }

  SimFileSystem disk_;
  Options options_;
};

TEST_F(ErrorMessagesOpenTest, ModesAndLocksNameTheDirectoryAndTheWayOut) {
  ExpectErrors({
      {[&] {
         options_.create_mode = CreateMode::kMustExist;
         return OpenError();
       },
       Code::kNotFound,
       {"log /log: the directory holds no log, and create_mode is kMustExist",
        "check the path or choose kCreateOrOpen"}},
      {[&] { return OpenError("/nowhere"); },
       Code::kNotFound,
       {"log /nowhere: open the directory: ENOENT", "check that it exists"}},
      {[&] { return ReadError(); }, Code::kNotFound, {"there is no log in /log; check the path"}},
      {[&] { return LogReader::Open("/nowhere", {.file_system = &disk_}).status(); },
       Code::kNotFound,
       {"open /nowhere: ENOENT", "check that it exists"}},
      {[&] {
         options_.create_mode = CreateMode::kCreateOrOpen;
         const auto log = Log::Open("/log", options_).value();
         return OpenError();
       },
       Code::kAborted,
       {"log /log: the log is locked: another Log, in this or another process", "close that one"}},
      {[&] {
         options_.create_mode = CreateMode::kMustNotExist;
         return OpenError();
       },
       Code::kAlreadyExists,
       {"log /log: the directory holds a log, and create_mode is kMustNotExist",
        "choose another directory or kCreateOrOpen"}},
      {[&] {
         options_.slow_sync = absl::ZeroDuration();
         return OpenError();
       },
       Code::kInvalidArgument,
       {"log /log: Options::slow_sync is 0: set it to 1us or more, or make it infinite"}},
  });
}

TEST_F(ErrorMessagesOpenTest, WhatANewerVersionWroteIsNamedAndLeftToIt) {
  SegmentBuilder newer = Segment(1);
  newer.Group(0).Frame(kNewerFrame, 0, 0, "what?").Record("a");
  Put(newer);
  const std::vector<std::string> says = {"log /log: 00000000000000000001.seg at 8272 holds a frame",
                                         "of a newer version of Millrace; open it with that one"};
  ExpectErrors({
      {[&] { return OpenError(); }, Code::kUnimplemented, says},
      {[&] { return ReadError(); }, Code::kUnimplemented, says},
  });
  SegmentHeader header = newer.header();
  header.state = static_cast<SegmentState>(3);
  Put(SegmentBuilder(header));
  const std::vector<std::string> file_says = {
      "log /log: 00000000000000000001.seg was written by a newer version of Millrace; open the"};
  ExpectErrors({
      {[&] { return OpenError(); }, Code::kUnimplemented, file_says},
      {[&] { return ReadError(); }, Code::kUnimplemented, file_says},
  });
}

TEST_F(ErrorMessagesOpenTest, ALossUnderKStrictIsNamedWithTheWaysOut) {
  SegmentBuilder segment = Segment(1);
  segment.Group(0).Record("a").Group(1).Record("b").Footer();
  std::string bytes = segment.Bytes();
  bytes[segment.FrameBegin(1) + kFrameHeaderBytes] ^= 1;
  disk_.WriteFileBytes("/log/" + SegmentName(1), bytes);
  options_.recovery_policy = RecoveryPolicy::kStrict;
  ExpectError(OpenError(), Code::kDataLoss,
              {"log /log: record 1 (acknowledged): segment 1, bytes 8272..", ": checksum",
               "nothing was changed: restore the files, or open with kSalvage"});
}

TEST_F(ErrorMessagesOpenTest, NumbersThatAreUsedUpNameTheLastOne) {
  SegmentBuilder last = Segment(kMaxSequence);
  last.Group(kMaxSequence - 1).Record("the last one").Footer();
  Put(last);
  auto log = Log::Open("/log", options_).value();
  ExpectError(log->Append("x").status(), Code::kOutOfRange,
              {"log /log has failed",
               "sequence numbers are used up: 1 more after " + std::to_string(kMaxSequence) +
                   " would pass ",
               std::to_string(kMaxSequence) + ", the last; begin a new log"});
  log.reset();
  Clear();
  Put(Segment(1, kMaxSegmentNumber - 1));
  log = Log::Open("/log", options_).value();
  absl::Status full;
  while (full.ok()) full = log->Append(std::string(5000, 'x')).status();
  ExpectError(full, Code::kResourceExhausted,
              {"log /log has failed", "segment numbers are used up, 4611686018427387903 was the",
               "last: begin a new log"});
  log.reset();
  ExpectError(OpenError(), Code::kResourceExhausted,
              {"log /log: segment numbers are used up: 04611686018427387903.seg is the last",
               "if that file is none of this log's, move it away"});
}

TEST_F(ErrorMessagesOpenTest, AReaderNamesTheLogTheFileAndTheNumber) {
  Put(Segment(1).Group(0).Record("a").Footer());
  const auto reader = LogReader::Open("/log", {.file_system = &disk_}).value();
  disk_.WriteFileBytes("/log/" + SegmentName(9), std::string(9000, 'x'));
  const auto walk = [&](uint64_t number) {
    return reader->WalkSegment(number, [](const FrameInfo&) {});
  };
  ASSERT_TRUE(reader->Next().ok());
  ExpectErrors({
      {[&] { return reader->Next().status(); },
       Code::kOutOfRange,
       {"/log ends with record 1 as far as it was seen; Refresh to see more"}},
      {[&] { return walk(0); },
       Code::kNotFound,
       {"log /log: no segment can have the number 0; choose one from 1 to 4611686018427387903"}},
      {[&] { return walk(2); },
       Code::kNotFound,
       {"log /log: open 00000000000000000002.seg: ENOENT", "check that it exists"}},
      {[&] { return walk(9); },
       Code::kFailedPrecondition,
       {"log /log: 00000000000000000009.seg: neither of its headers is intact, and the log does "
        "not name it; restore the file from a copy"}},
  });
}

TEST_F(ErrorMessagesOpenTest, AClosedLogIsNamedInEveryCall) {
  const auto log = Log::Open("/log", options_).value();
  const auto producer = log->NewProducer().value();
  const auto cursor = log->OpenCursor("c").value();
  ASSERT_TRUE(log->Close().ok());
  const std::vector<NewRecord> batch(2);
  const std::vector<std::function<absl::Status()>> calls = {
      [&] { return log->Append("x").status(); },
      [&] { return log->TryAppend("x").status(); },
      [&] { return log->AppendBatch(batch).status(); },
      [&] { return log->AppendAsync("x", {}, [](auto) {}); },
      [&] { return log->AppendBatchAsync(batch, {}, [](auto) {}); },
      [&] { return log->AppendAsync("x").status(); },
      [&] { return log->AppendBatchAsync(batch).status(); },
      [&] { return log->Flush(); },
      [&] { return log->WaitDurable(1); },
      [&] { return log->NewProducer().status(); },
      [&] { return log->OpenCursor("d").status(); },
      [&] { return log->DeleteCursor("d"); },
      [&] { return log->TrimBefore(1); },
      [&] { return log->TruncateAfter(0); },
      [&] { return producer->Append("x").status(); },
      [&] { return producer->AppendAsync("x").status(); },
      [&] { return producer->WaitForAll(); },
      [&] { return cursor->Next().status(); },
      [&] { return cursor->NextBatch({}, nullptr).status(); },
  };
  for (const auto& call : calls) {
    ExpectError(call(), Code::kCancelled, {"log /log is closed: open it again to go on"});
  }
}

}  // namespace
}  // namespace millrace
