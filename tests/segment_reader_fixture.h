#ifndef MILLRACE_SEGMENT_READER_FIXTURE_H_
#define MILLRACE_SEGMENT_READER_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "tests/segment_builder.h"
#include "wal/segment_reader.h"

namespace millrace {

// A segment made by hand, and a reader that walks it.
class SegmentReaderFixture : public ::testing::Test {
 protected:
  using Kind = SegmentReader::Kind;

  SegmentReaderFixture() {
    EXPECT_EQ(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0);
  }

  static SegmentHeader Header(SequenceNumber first = 1) {
    SegmentHeader header;
    header.log_id.fill('r');
    header.number = 3;
    header.incarnation = 1234;
    header.first_sequence = first;
    header.capacity = 1 << 20;
    return header;
  }

  // Frames 0 to 5: a group and five records of 100 bytes.
  static SegmentBuilder FiveRecords(SequenceNumber first = 1) {
    SegmentBuilder segment(Header(first));
    segment.Group(first - 1);
    for (char c = 'a'; c < 'f'; ++c) segment.Record(std::string(100, c));
    return segment;
  }

  SegmentReader& Read(const std::string& bytes, SequenceNumber next = 1) {
    WriteFile(*directory_, "segment", bytes);
    EXPECT_EQ(directory_->Open("segment", OpenMode::kRead, &file_), 0);
    reader_ = std::make_unique<SegmentReader>(file_.get(), Header().log_id, 3, 1234);
    reader_->Seek(kFramesOffset, next);
    size_ = bytes.size();
    return *reader_;
  }

  // What is met up to the end: "12[3..4]5" for records 1, 2 and 5 and a loss. `plain`: by
  // NextPlain where it knows.
  std::string Walk(bool plain = false) {
    std::string walk;
    SegmentReader::PlainRecord record;
    for (int steps = 0; steps < 1000; ++steps) {
      const uint64_t before = reader_->offset();
      if (plain && reader_->NextPlain(size_, kMaxSequence, {&record, 1}) != 0) {
        EXPECT_EQ(record.offset, before);
        walk += std::to_string(record.sequence);
        bodies_.emplace_back(record.body);
        ++plain_records_;
        continue;
      }
      EXPECT_EQ(reader_->offset(), before);
      last_ = reader_->Next(size_, kMaxSequence);
      if (last_.kind == Kind::kLost) {
        walk +=
            "[" + std::to_string(last_.lost.first) + ".." + std::to_string(last_.lost.last) + "]";
        lost_.push_back(last_.lost);
      } else if (last_.kind != Kind::kFrame) {
        return walk;
      } else if (last_.header.count > 0) {
        walk += std::to_string(last_.header.sequence);
        bodies_.emplace_back(last_.body());
      }
    }
    return walk + " without end";
  }

  SimFileSystem disk_{SimOptions{}};
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<File> file_;
  std::unique_ptr<SegmentReader> reader_;
  uint64_t size_ = 0;
  SegmentReader::Step last_;
  std::vector<LostRange> lost_;
  std::vector<std::string> bodies_;
  int plain_records_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_SEGMENT_READER_FIXTURE_H_
