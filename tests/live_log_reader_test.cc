// Goal: from outside, beside a live writer, every record is read once and in order, and
// what the writer trims meanwhile is named as trimmed, never as lost or damaged.
// Method: a real Log with small segments in one thread, a reader in another.

#include <atomic>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "tests/temp_directory.h"

namespace millrace {
namespace {

std::string Payload(SequenceNumber s) { return absl::StrCat("payload ", s); }

TEST(LiveLogReaderTest, ReadsEverythingOnceBesideAWriterThatRotates) {
  TempDirectory directory;
  constexpr SequenceNumber kLast = 3000;
  std::atomic<bool> opened{false};
  std::thread writer([&] {
    Options options;
    options.segment_bytes = 8192;
    options.initial_segment_bytes = 8192;
    options.idle_mark_delay = absl::Milliseconds(1);
    auto log = Log::Open(directory.Sub("log"), options);
    ASSERT_TRUE(log.ok()) << log.status();
    // release: the directory is there; pairs with acquire in the reader's thread.
    opened.store(true, std::memory_order_release);
    for (SequenceNumber s = 1; s <= kLast; ++s) {
      AppendOptions append;
      append.durability = s % 50 == 0 ? Durability::kDurable : Durability::kBuffered;
      const auto number = (*log)->Append(Payload(s), append);
      ASSERT_TRUE(number.ok()) << number.status();
    }
    ASSERT_TRUE((*log)->Close().ok());
  });
  // acquire: pairs with release in the writer's thread.
  while (!opened.load(std::memory_order_acquire)) std::this_thread::yield();
  auto reader = LogReader::Open(directory.Sub("log"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  SequenceNumber expected = 1;
  while (expected <= kLast) {
    const auto entry = (*reader)->Next();
    if (absl::IsOutOfRange(entry.status())) {
      const absl::Status status = (*reader)->Refresh();
      ASSERT_TRUE(status.ok()) << status;
      continue;
    }
    ASSERT_TRUE(entry.ok()) << entry.status();
    ASSERT_EQ(entry->kind, Entry::Kind::kRecord) << entry->lost.ToString();
    ASSERT_EQ(entry->record.sequence, expected);
    ASSERT_EQ(entry->record.payload, Payload(expected));
    ++expected;
  }
  writer.join();
  ASSERT_TRUE((*reader)->Refresh().ok());
  EXPECT_TRUE(absl::IsOutOfRange((*reader)->Next().status()));
  const auto segments = (*reader)->Segments();
  ASSERT_TRUE(segments.ok());
  EXPECT_GT(segments->size(), 5);
}

TEST(LiveLogReaderTest, WhatIsTrimmedMeanwhileIsNamedAsTrimmed) {
  TempDirectory directory;
  Options options;
  options.segment_bytes = 8192;
  options.initial_segment_bytes = 8192;
  options.idle_mark_delay = absl::Milliseconds(1);
  auto log = Log::Open(directory.Sub("log"), options);
  ASSERT_TRUE(log.ok()) << log.status();
  const auto append = [&](SequenceNumber from, SequenceNumber to) {
    for (SequenceNumber s = from; s <= to; ++s) {
      ASSERT_TRUE((*log)->Append(Payload(s), {.durability = Durability::kBuffered}).ok());
    }
    ASSERT_TRUE((*log)->Flush().ok());
  };
  append(1, 1000);
  auto reader = LogReader::Open(directory.Sub("log"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  while ((*reader)->limit() < 1000) ASSERT_TRUE((*reader)->Refresh().ok());
  ASSERT_TRUE((*reader)->Next().ok());
  ASSERT_TRUE((*log)->TrimBefore(900, TrimMode::kForce).ok());
  const SequenceNumber first = (*log)->first_retained();
  ASSERT_GT(first, 100);
  append(1001, 2000);
  ASSERT_TRUE((*log)->Close().ok());
  ASSERT_TRUE((*reader)->Refresh().ok());
  SequenceNumber expected = 2;
  while (true) {
    const auto entry = (*reader)->Next();
    if (absl::IsOutOfRange(entry.status())) break;
    ASSERT_TRUE(entry.ok()) << entry.status();
    if (entry->kind == Entry::Kind::kLost) {
      EXPECT_EQ(entry->lost.cause, LossCause::kTrimmed) << entry->lost.ToString();
      EXPECT_EQ(entry->lost.first, expected);
      expected = entry->lost.last + 1;
      EXPECT_LE(expected, first);
      continue;
    }
    ASSERT_EQ(entry->record.sequence, expected);
    ASSERT_EQ(entry->record.payload, Payload(expected));
    ++expected;
  }
  EXPECT_EQ(expected, 2001);
}

}  // namespace
}  // namespace millrace
