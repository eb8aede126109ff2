#ifndef MILLRACE_TESTS_SALVAGE_LOG_CONTENTS_H_
#define MILLRACE_TESTS_SALVAGE_LOG_CONTENTS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "millrace/testing/sim_file_system.h"

namespace millrace {

// All that a log is for its readers, in a form that can be compared.
struct LogContents {
  std::map<SequenceNumber, std::string> records;  // payload, key, attributes, time
  std::vector<std::string> lost;                  // "7..9"
  std::map<std::string, SequenceNumber> cursors;
  SequenceNumber first = 1;
  SequenceNumber next = 1;
  RecoveryReport::Outcome outcome = RecoveryReport::Outcome::kCreated;
};

inline std::string TextOf(const Record& record) {
  std::string text = absl::StrCat(absl::FormatTime(record.time), " ", std::string(record.payload));
  if (record.key.has_value()) text += " key=" + std::string(*record.key);
  for (const Attribute& attribute : record.attributes) {
    text += " " + std::string(attribute.name) + "=" + std::string(attribute.value);
  }
  return text;
}

// Reads everything that can be read, by every byte of it.
inline absl::StatusOr<LogContents> ReadLog(FileSystem& disk, const std::string& directory) {
  LogReaderOptions options;
  options.file_system = &disk;
  options.scan = LogReaderOptions::Scan::kAll;
  options.limit = LogReaderOptions::Limit::kReadable;
  const auto reader = LogReader::Open(directory, options);
  if (!reader.ok()) return reader.status();
  LogContents contents;
  contents.first = (*reader)->first_retained();
  contents.next = (*reader)->recovery().next_sequence;
  contents.outcome = (*reader)->recovery().outcome;
  while (true) {
    const auto entry = (*reader)->Next();
    if (absl::IsOutOfRange(entry.status())) break;
    if (!entry.ok()) return entry.status();
    if (entry->kind == Entry::Kind::kRecord) {
      contents.records[entry->record.sequence] = TextOf(entry->record);
    } else {
      contents.lost.push_back(absl::StrCat(entry->lost.first, "..", entry->lost.last));
    }
  }
  const auto cursors = (*reader)->Cursors();
  if (!cursors.ok()) return cursors.status();
  for (const CursorInfo& cursor : *cursors) {
    if (cursor.state == CursorInfo::State::kValid) {
      contents.cursors[cursor.name] = cursor.checkpointed;
    }
  }
  return contents;
}

inline void ExpectSameContents(const LogContents& expected, const LogContents& found) {
  EXPECT_EQ(expected.records, found.records);
  EXPECT_EQ(expected.lost, found.lost);
  EXPECT_EQ(expected.cursors, found.cursors);
  EXPECT_EQ(expected.first, found.first);
  EXPECT_EQ(expected.next, found.next);
}

// A log with small segments, records of all kinds, and cursors.
class SmallLog {
 public:
  explicit SmallLog(FileSystem* disk, std::string directory = "/log")
      : directory_(std::move(directory)) {
    options_.file_system = disk;
    options_.segment_bytes = options_.initial_segment_bytes = 8192;
    options_.idle_mark_delay = absl::Hours(1);
    Open();
  }

  void Open() {
    auto log = Log::Open(directory_, options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Close() {
    if (log_ == nullptr) return;
    EXPECT_TRUE(log_->Close().ok());
    log_.reset();
  }

  // Records in turn: plain, with key and attributes, empty, of 3000 bytes, and a batch of three.
  void Append(int steps) {
    for (int i = 0; i < steps; ++i) {
      const std::string text = absl::StrCat("record ", ++count_);
      const Attribute color{"color", "red"};
      AppendOptions extras;
      extras.key = text;
      extras.attributes = {&color, 1};
      const NewRecord batch[] = {{.payload = text}, {.payload = "", .key = "k"}, {.payload = "c"}};
      switch (count_ % 5) {
        case 0:
          ASSERT_TRUE(log_->AppendBatch(batch).ok());
          break;
        case 1:
          ASSERT_TRUE(log_->Append(text, extras).ok());
          break;
        case 2:
          ASSERT_TRUE(log_->Append("").ok());
          break;
        case 3:
          ASSERT_TRUE(log_->Append(text + std::string(3000, '.')).ok());
          break;
        default:
          ASSERT_TRUE(log_->Append(text).ok());
      }
    }
  }
  void Consume(const std::string& cursor, SequenceNumber through) {
    auto opened = log_->OpenCursor(cursor);
    ASSERT_TRUE(opened.ok()) << opened.status();
    while ((*opened)->delivered() < through) {
      ASSERT_TRUE((*opened)->Next(absl::ZeroDuration()).ok());
    }
    ASSERT_TRUE((*opened)->Commit(through).ok());
    ASSERT_TRUE((*opened)->Checkpoint().ok());
  }

  Log& operator*() { return *log_; }
  Log* operator->() { return log_.get(); }
  Options& options() { return options_; }

 private:
  const std::string directory_;
  Options options_;
  std::unique_ptr<Log> log_;
  int count_ = 0;
};

// The files of a directory with their bytes.
inline std::map<std::string, std::string> FilesOf(const SimFileSystem& disk,
                                                  const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const std::string& name : disk.FileNames(directory)) {
    files[name] = disk.ReadFileBytes(directory + "/" + name).value_or("");
  }
  return files;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_SALVAGE_LOG_CONTENTS_H_
