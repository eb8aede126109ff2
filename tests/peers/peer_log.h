#ifndef MILLRACE_TESTS_PEERS_PEER_LOG_H_
#define MILLRACE_TESTS_PEERS_PEER_LOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "tests/recovery_fixture.h"
#include "wal/segment_name.h"

namespace millrace {

// A log on a simulated disk, in which the cases of the peers' tests can be told: written by the
// shipping Log, or by hand, then damaged, cut or killed, and read back.
class PeerLogTest : public RecoveryFixture {
 protected:
  using Limit = LogReaderOptions::Limit;

  // Where one frame stands.
  struct Place {
    uint64_t segment = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  PeerLogTest() {
    options_.file_system = &disk_;
    options_.segment_bytes = 8192;
    options_.initial_segment_bytes = 8192;
    // Only what a test does is written.
    options_.idle_mark_delay = absl::Hours(1);
  }

  // Not empty, and different for each number and size.
  static std::string Payload(SequenceNumber s, size_t bytes = 100) {
    std::string payload = absl::StrCat("record ", s, " ");
    while (payload.size() < bytes) absl::StrAppend(&payload, s * 7919 + payload.size(), "/");
    payload.resize(bytes);
    return payload;
  }

  // As every opening makes it, so that one that refuses is seen to change nothing.
  void PutLockFile() { WriteFile(*directory_, "LOCK", ""); }

  // Goes on with another disk.
  SimFileSystem& Take(std::unique_ptr<SimFileSystem> disk) {
    log_ = nullptr;
    other_disk_ = std::move(disk);
    options_.file_system = other_disk_.get();
    return *other_disk_;
  }
  SimFileSystem& TakeFreshDisk(const SimOptions& options = {}) {
    return Take(std::make_unique<SimFileSystem>(options));
  }

  absl::Status TryOpen() {
    log_ = nullptr;
    auto log = Log::Open("log", options_);
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    return absl::OkStatus();
  }
  void Open() {
    const absl::Status status = TryOpen();
    ASSERT_TRUE(status.ok()) << status << "\n" << disk_.Describe();
  }
  void Close() {
    const absl::Status status = log_->Close();
    ASSERT_TRUE(status.ok()) << status;
    log_ = nullptr;
  }
  // What was written stays, synced or not.
  void Kill() {
    disk_.KillProcess();
    log_ = nullptr;
    ASSERT_EQ(disk_.OpenDirectory("log", DirectoryMode::kMustExist, &directory_), 0);
  }
  void CutPower(ImageId image) {
    disk_.CutPower();
    log_ = nullptr;
    disk_.PowerOn(image);
    ASSERT_GE(disk_.OpenDirectory("log", DirectoryMode::kCreate, &directory_), 0);
  }

  // Appends `payload` and returns its number.
  SequenceNumber Append(std::string payload, Durability durability = Durability::kDurable) {
    const auto s = log_->Append(payload, {.durability = durability});
    EXPECT_TRUE(s.ok()) << s.status();
    if (!s.ok()) return kNoSequence;
    expected_[*s] = std::move(payload);
    return *s;
  }
  void AppendUpTo(SequenceNumber last, size_t bytes = 100,
                  Durability durability = Durability::kDurable) {
    for (SequenceNumber s = log_->last_written() + 1; s <= last; ++s) {
      ASSERT_EQ(Append(Payload(s, bytes), durability), s);
    }
  }

  // One record by hand.
  void AddRecord(SegmentBuilder& segment, size_t bytes) {
    const SequenceNumber s = segment.next();
    segment.Record(expected_[s] = Payload(s, bytes));
  }
  // Adds one group of `records` records.
  void AddGroup(SegmentBuilder& segment, SequenceNumber mark, int records, size_t bytes = 100) {
    segment.Group(mark);
    for (int i = 0; i < records; ++i) AddRecord(segment, bytes);
  }

  // All that a reader returns from outside, which knows nothing but the bytes: "1..3 lost 4..5
  // acknowledged checksum 6..6". A record with other bytes than were appended is "7..7 altered".
  std::string ReadBack(Limit limit = Limit::kReadable) { return ReadBackOf(disk_, limit); }
  std::string ReadBackOf(SimFileSystem& disk, Limit limit = Limit::kReadable) {
    LogReaderOptions options;
    options.file_system = &disk;
    options.limit = limit;
    auto reader = LogReader::Open("log", options);
    if (!reader.ok()) return std::string(reader.status().message());
    return ReadAll([&] { return (*reader)->Next(); });
  }
  // All that a new cursor of the open log returns.
  std::string ReadByCursor(const std::string& name = "peer") {
    auto cursor = log_->OpenCursor(name);
    if (!cursor.ok()) return std::string(cursor.status().message());
    return ReadAll([&] { return (*cursor)->Next(absl::ZeroDuration()); });
  }
  // `text` with the causes of losses left out.
  static std::string WithoutCause(std::string text) {
    for (const LossCause cause :
         {LossCause::kChecksum, LossCause::kZeroed, LossCause::kTruncated, LossCause::kInconsistent,
          LossCause::kMissingSegment, LossCause::kUnreadable, LossCause::kSetAside}) {
      const std::string name = " " + std::string(LossCauseName(cause));
      for (size_t at; (at = text.find(name)) != std::string::npos;) text.erase(at, name.size());
    }
    return text;
  }
  std::vector<std::string> Payloads() {
    LogReaderOptions options;
    options.file_system = &disk_;
    options.limit = Limit::kReadable;
    std::vector<std::string> payloads;
    auto reader = LogReader::Open("log", options);
    EXPECT_TRUE(reader.ok()) << reader.status();
    if (!reader.ok()) return payloads;
    for (auto entry = (*reader)->Next(); entry.ok(); entry = (*reader)->Next()) {
      EXPECT_EQ(entry->kind, Entry::Kind::kRecord) << entry->lost.ToString();
      payloads.emplace_back(entry->record.payload);
    }
    return payloads;
  }

  // Where record `s` stands, looked up before it is damaged.
  Place PlaceOf(SequenceNumber s) {
    LogReaderOptions options;
    options.file_system = &disk_;
    auto reader = LogReader::Open("log", options);
    Place place;
    const auto segments = (*reader)->Segments().value();
    for (const SegmentInfo& segment : segments) {
      if (segment.first > s || segment.last < s) continue;
      const absl::Status walked =
          (*reader)->WalkSegment(segment.number, [&](const FrameInfo& frame) {
            if (frame.records == 0 || s < frame.sequence) return;
            if (s >= frame.sequence + frame.records) return;
            place = {segment.number, frame.offset, frame.offset + frame.bytes};
          });
      EXPECT_TRUE(walked.ok()) << walked;
    }
    EXPECT_NE(place.segment, 0u) << "no record " << s;
    return place;
  }

  static std::string PathOf(uint64_t segment) { return "log/" + SegmentName(segment); }
  std::string BytesOf(uint64_t segment) { return *disk_.ReadFileBytes(PathOf(segment)); }
  void Overwrite(uint64_t segment, uint64_t begin, std::string_view bytes) {
    std::string all = BytesOf(segment);
    all.replace(begin, bytes.size(), bytes);
    disk_.WriteFileBytes(PathOf(segment), all);
  }
  void Zero(uint64_t segment, uint64_t begin, uint64_t end) {
    Overwrite(segment, begin, std::string(end - begin, '\0'));
  }
  void Shorten(uint64_t segment, uint64_t size) {
    disk_.WriteFileBytes(PathOf(segment), BytesOf(segment).substr(0, size));
  }
  // Damages a byte in the middle of record `s`.
  void Damage(SequenceNumber s) {
    const Place place = PlaceOf(s);
    Flip(place.segment, (place.begin + place.end) / 2);
  }

  std::vector<uint64_t> Segments() {
    std::vector<uint64_t> numbers;
    for (const std::string& name : disk_.FileNames("log")) {
      if (const auto number = ParseSegmentName(name)) numbers.push_back(*number);
    }
    return numbers;
  }

  Options options_;
  std::unique_ptr<SimFileSystem> other_disk_;
  std::unique_ptr<Log> log_;  // goes before the disks
  // By number, what was appended.
  std::map<SequenceNumber, std::string> expected_;

 private:
  template <class Next>
  std::string ReadAll(Next next) {
    std::string text;
    SequenceNumber first = kNoSequence;
    SequenceNumber last = kNoSequence;
    const auto end_run = [&] {
      if (first != kNoSequence) AddWord(&text, absl::StrCat(first, "..", last));
      first = kNoSequence;
    };
    while (true) {
      const absl::StatusOr<Entry> entry = next();
      if (!entry.ok()) {
        end_run();
        const absl::Status& status = entry.status();
        if (absl::IsOutOfRange(status) || absl::IsDeadlineExceeded(status)) return text;
        AddWord(&text, absl::StrCat("error ", absl::StatusCodeToString(status.code())));
        return text;
      }
      if (entry->kind == Entry::Kind::kLost) {
        end_run();
        const LostRange& lost = entry->lost;
        const std::string acknowledged(AcknowledgementName(lost.acknowledgement));
        AddWord(&text, absl::StrCat("lost ", lost.first, "..", lost.last, " ", acknowledged, " ",
                                    std::string(LossCauseName(lost.cause))));
        continue;
      }
      const SequenceNumber s = entry->record.sequence;
      const auto expected = expected_.find(s);
      const bool altered = expected != expected_.end() && expected->second != entry->record.payload;
      if (altered || (first != kNoSequence && s != last + 1)) end_run();
      if (altered) {
        AddWord(&text, absl::StrCat(s, "..", s, " altered"));
        continue;
      }
      if (first == kNoSequence) first = s;
      last = s;
    }
  }
  static void AddWord(std::string* text, const std::string& word) {
    absl::StrAppend(text, text->empty() ? "" : " ", word);
  }
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_PEERS_PEER_LOG_H_
