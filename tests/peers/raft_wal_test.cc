// Goal: the fifteen rows of raft-wal's recovery test and its tests of lists, headers,
// metadata and readers beside a writer come out as well or better: a row that raft-wal
// calls corrupt is read where the records are there.
// Method: a segment of one and more commits made by hand; each row's damage, at every place
// that fits its description.

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "tests/peers/peer_log.h"
#include "wal/format.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

class RaftWalRecoveryTest : public PeerLogTest {
 protected:
  // `previous` commits of one record, then one commit of `entries` records as a batch.
  SegmentBuilder Commits(int previous, int entries, size_t bytes = 10) {
    SegmentBuilder segment(Header(1, 1));
    for (int i = 0; i < previous; ++i) AddGroup(segment, segment.next() - 1, 1, 11);
    if (entries == 0) return segment;
    segment.Group(segment.next() - 1);
    batch_begin_ = segment.offset();
    std::vector<SegmentBuilder::Batched> batch;
    for (int i = 0; i < entries; ++i) {
      const SequenceNumber s = segment.next() + i;
      batch.push_back({expected_[s] = Payload(s, bytes)});
    }
    segment.Batch(batch);
    return segment;
  }
  // What is there without damage, opened, appended to, and read once more.
  void ExpectRecovered(SequenceNumber last) {
    ASSERT_EQ(ReadBack(), last == 0 ? "" : absl::StrCat("1..", last));
    Open();
    ASSERT_EQ(log_->recovery().records_lost(), 0u) << log_->recovery().ToString();
    for (SequenceNumber s = last + 1; s <= last + 10; ++s) ASSERT_EQ(Append(Payload(s)), s);
    Close();
    ASSERT_EQ(ReadBack(), absl::StrCat("1..", last + 10));
  }

  uint64_t batch_begin_ = 0;
};

// raft-wal TestRecovery: recover empty.
TEST_F(RaftWalRecoveryTest, AnEmptySegmentIsAnEmptyLog) {
  Put(Commits(0, 0));
  ExpectRecovered(0);
}

// raft-wal TestRecovery: recover first batch.
TEST_F(RaftWalRecoveryTest, TheFirstCommitIsRecovered) {
  Put(Commits(0, 1));
  ExpectRecovered(1);
}

// raft-wal TestRecovery: recover later batch.
TEST_F(RaftWalRecoveryTest, ALaterCommitIsRecovered) {
  Put(Commits(10, 1));
  ExpectRecovered(11);
}

// raft-wal TestRecovery: recover multi-entry batch.
TEST_F(RaftWalRecoveryTest, ACommitOfManyEntriesIsRecovered) {
  Put(Commits(10, 4));
  ExpectRecovered(14);
}

// raft-wal TestRecovery: missing end of commit.
TEST_F(RaftWalRecoveryTest, ACommitWithoutItsEndIsNoneHoweverMuchIsMissing) {
  const SegmentBuilder segment = Commits(10, 4);
  const std::string bytes = segment.Bytes();
  for (uint64_t from = batch_begin_; from + 8 < bytes.size(); ++from) {
    Put(1, bytes.substr(0, from) + std::string(bytes.size() - from, '\0'));
    ASSERT_EQ(ReadBack(), "1..10") << from;
  }
  ExpectRecovered(10);
}

// raft-wal TestRecovery: partial initial commit.
TEST_F(RaftWalRecoveryTest, AnIncompleteFirstCommitIsNone) {
  const SegmentBuilder segment = Commits(0, 4);
  for (uint64_t at = batch_begin_; at < batch_begin_ + kFrameHeaderBytes + 16 + 40; ++at) {
    Put(segment);
    Flip(1, at);
    ASSERT_EQ(ReadBack(), "") << at;
  }
  ExpectRecovered(0);
}

// raft-wal TestRecovery: torn write with some data in middle of commit missing.
// raft-wal TestRecovery: torn write with header in commit corrupt.
TEST_F(RaftWalRecoveryTest, ACommitWithAHoleAnywhereIsNone) {
  const SegmentBuilder segment = Commits(10, 4);
  for (uint64_t at = batch_begin_; at < batch_begin_ + kFrameHeaderBytes + 16 + 40; ++at) {
    Put(segment);
    const std::string before = BytesOf(1);
    Overwrite(1, at, std::string(1, before[at] == '\0' ? '\x41' : '\0'));
    ASSERT_EQ(ReadBack(), "1..10") << at;
  }
  ExpectRecovered(10);
}

// raft-wal TestRecovery: empty file.
TEST_F(RaftWalRecoveryTest, AnEmptyFileIsAnUnusedSegment) {
  Put(1, "");
  ExpectRecovered(0);
}

// raft-wal TestRecovery: bad segment header, valid commit.
// raft-wal TestRecovery: bad segment header BaseIndex, valid commit.
TEST_F(RaftWalRecoveryTest, ADamagedHeaderCostsNoRecordBehindIt) {
  const SegmentBuilder segment = Commits(1, 1);
  for (uint64_t at = 0; at < kSegmentHeaderBytes; ++at) {
    for (const bool both : {false, true}) {
      Put(segment);
      Flip(1, at);
      if (both) Flip(1, kBlockBytes + at);
      PutSuperblock(OwnSuperblock(/*mark=*/2));
      ASSERT_EQ(ReadBack(), "1..2") << at << (both ? " in both copies" : "");
    }
  }
}

// raft-wal TestRecovery: bad segment header, part of initial commit.
// raft-wal TestRecovery: bad segment header BaseIndex, part of initial commit.
TEST_F(RaftWalRecoveryTest, AHeaderThatWasNeverWrittenWholeIsAnUnusedSegment) {
  const std::string bytes = Commits(0, 0).Bytes();
  for (uint64_t size = 0; size <= bytes.size(); size += 61) {
    Put(1, bytes.substr(0, size));
    PutSuperblock(OwnSuperblock());
    ASSERT_EQ(ReadBack(), "") << size;
  }
  ExpectRecovered(0);
}

// raft-wal TestRecovery: sealed tail.
TEST_F(RaftWalRecoveryTest, ASealedLastSegmentIsReadAndGoneOnFrom) {
  SegmentBuilder segment = Commits(0, 5, 1024);
  segment.Footer();
  Put(segment);
  ExpectRecovered(5);
}

// raft-wal TestRecovery: value larger than minBufSize.
TEST_F(RaftWalRecoveryTest, AValueLargerThanAnyBufferIsRecovered) {
  SegmentHeader header = Header(1, 1);
  header.capacity = 16 << 20;
  SegmentBuilder segment(header);
  AddGroup(segment, 0, 1, (4 << 20) + 10);
  Put(segment);
  ExpectRecovered(1);
}

// --- Files and metadata -----------------------------------------------------------------

class RaftWalFilesTest : public PeerLogTest {
 protected:
  void WriteThree() {
    Open();
    AppendUpTo(20, 900);
    Close();
  }
};

// raft-wal ALICE: recovering with a missing tail file should work.
TEST_F(RaftWalFilesTest, AMissingLastFileOpensAndIsNamed) {
  WriteThree();
  const Place last = PlaceOf(20);
  SequenceNumber first = 20;
  while (PlaceOf(first - 1).segment == last.segment) --first;
  Remove(last.segment);
  EXPECT_EQ(WithoutCause(ReadBack()),
            absl::StrCat("1..", first - 1, " lost ", first, "..20 acknowledged"));
  Open();
  EXPECT_EQ(Append("on"), 21u);
}

// raft-wal: recover tampered meta store.
TEST_F(RaftWalFilesTest, ASuperblockThatSaysAnythingChangesNothingThatIsThere) {
  WriteThree();
  Superblock stated;
  ASSERT_TRUE(LogReader::Open("log", {.file_system = &disk_}).ok());
  const auto bytes = *disk_.ReadFileBytes("log/LOG");
  ASSERT_EQ(
      DecodeSuperblock(std::span<const char, kSlotBytes>(bytes.data(), kSlotBytes), 0, &stated),
      HeaderStatus::kValid);
  for (const uint64_t highest : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, uint64_t{1} << 61}) {
    for (const SequenceNumber mark : {0, 5, 20}) {
      for (const bool clean : {false, true}) {
        Superblock tampered = stated;
        tampered.highest_segment = highest;
        tampered.mark = mark;
        tampered.clean = clean;
        tampered.generation = 1000;
        std::string slot(2 * kBlockBytes, '\0');
        EncodeSuperblock(tampered, 0, std::span<char, kSlotBytes>(slot.data(), kSlotBytes));
        disk_.WriteFileBytes("log/LOG", slot);
        ASSERT_EQ(ReadBack(), "1..20") << highest << " " << mark;
      }
    }
  }
}

// raft-wal: TestFileHeaderCodecFuzz.
TEST(RaftWalHeaderTest, EveryHeaderComesBackAsItWasAndNoOtherOne) {
  uint64_t random = 4711;
  const auto draw = [&random](uint64_t bound) {
    random = random * 6364136223846793005 + 1442695040888963407;
    return 1 + (random >> 11) % bound;
  };
  for (int i = 0; i < 2000; ++i) {
    SegmentHeader header;
    for (char& c : header.log_id) c = static_cast<char>(draw(256));
    header.number = 1 + draw(kMaxSegmentNumber - 1);
    header.incarnation = draw(~uint64_t{0} >> 1);
    header.epoch = draw(1 << 20);
    header.first_sequence = 1 + draw(uint64_t{1} << 55);
    header.mark = draw(header.first_sequence) - 1;
    header.first_retained = draw(header.first_sequence);
    header.capacity = kFramesOffset + draw(1 << 30);
    header.predecessor = {draw(header.number - 1), draw(1 << 30), draw(header.first_sequence - 1),
                          draw(1 << 30), draw(1 << 30)};
    std::string bytes(kSegmentHeaderBytes, '\0');
    const auto out = std::span<char, kSegmentHeaderBytes>(bytes.data(), kSegmentHeaderBytes);
    EncodeSegmentHeader(header, i % 2, out);
    SegmentHeader decoded;
    ASSERT_EQ(DecodeSegmentHeader(out, i % 2, &decoded), HeaderStatus::kValid);
    ASSERT_EQ(decoded, header);
    ASSERT_EQ(DecodeSegmentHeader(out, 1 - i % 2, &decoded), HeaderStatus::kDamaged);
    bytes[draw(kSegmentHeaderBytes) - 1] ^= static_cast<char>(1 << draw(8) % 8);
    ASSERT_EQ(DecodeSegmentHeader(out, i % 2, &decoded), HeaderStatus::kDamaged);
  }
}

// raft-wal: TestListEdgeCases.
TEST_F(RaftWalFilesTest, FilesWithOtherNamesAreListedAndLeftAlone) {
  WriteThree();
  const std::vector<std::string> names = {"blah.txt",
                                          "0000000000100000000001.seg",
                                          "00000000001-zxcv.seg",
                                          "1.seg",
                                          "00000000000000000000.seg",
                                          "99999999999999999999.seg",
                                          "0000000000000000000a.seg",
                                          "00000000000000000001.seg.aside",
                                          "-0000000000000000001.seg"};
  for (const std::string& name : names) disk_.WriteFileBytes("log/" + name, "not ours");
  EXPECT_EQ(ReadBack(), "1..20");
  Open();
  for (const std::string& name : names) {
    const auto& ignored = log_->recovery().ignored_files;
    EXPECT_NE(std::find(ignored.begin(), ignored.end(), name), ignored.end()) << name;
    EXPECT_EQ(disk_.ReadFileBytes("log/" + name), "not ours") << name;
  }
}

// raft-wal: TestConcurrentReadersAndWriter.
TEST_F(RaftWalFilesTest, ReadersBesideAWriterSeeEveryRecordOnceAndInOrder) {
  Open();
  constexpr SequenceNumber kRecords = 2000;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([this, i] {
      auto cursor = log_->OpenCursor(absl::StrCat("reader", i)).value();
      for (SequenceNumber s = 1; s <= kRecords; ++s) {
        const auto entry = cursor->Next();
        ASSERT_TRUE(entry.ok()) << entry.status();
        ASSERT_EQ(entry->kind, Entry::Kind::kRecord) << entry->lost.ToString();
        ASSERT_EQ(entry->record.sequence, s);
        ASSERT_EQ(entry->record.payload, Payload(s, 1 + s % 300));
      }
    });
  }
  for (SequenceNumber s = 1; s <= kRecords; ++s) {
    const Durability durability = s % 20 == 0 ? Durability::kDurable : Durability::kBuffered;
    ASSERT_TRUE(log_->Append(Payload(s, 1 + s % 300), {.durability = durability}).ok());
  }
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace millrace
