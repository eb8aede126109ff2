#ifndef MILLRACE_WAL_CORE_FIXTURE_H_
#define MILLRACE_WAL_CORE_FIXTURE_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/record_reader.h"
#include "wal/segment_name.h"
#include "wal/wal_core.h"

namespace millrace {

// A WalCore with segments of 8 KiB over the simulated file system, and a list of the
// calls that it makes.
class WalCoreFixture : public ::testing::Test {
 protected:
  static constexpr char kDirectory[] = "log";

  WalCoreFixture() {
    options_.segment_bytes = 8192;
    options_.initial_segment_bytes = 8192;
  }

  absl::Status TryOpen() {
    core_.reset();
    std::unique_ptr<Directory> directory;
    EXPECT_GE(disk_.OpenDirectory(kDirectory, DirectoryMode::kCreate, &directory), 0);
    auto core = WalCore::Open(disk_, std::move(directory), options_, &supply_, 0, &report_);
    if (!core.ok()) return core.status();
    core_ = std::move(*core);
    return absl::OkStatus();
  }
  void Open() { ASSERT_TRUE(TryOpen().ok()) << disk_.Describe(); }
  void Crash() {
    disk_.KillProcess();
    core_.reset();
  }

  absl::StatusOr<SequenceNumber> Add(std::string body, Durability durability) {
    bodies_.push_back(std::make_unique<std::string>(std::move(body)));
    PendingFrame frame;
    frame.body = *bodies_.back();
    frame.body_checksum = BodyChecksum(core_->body_seed(), frame.body);
    frame.durability = durability;
    return core_->Add(frame);
  }
  void Commit(const std::string& body) {
    ASSERT_TRUE(Add(body, Durability::kDurable).ok());
    ASSERT_TRUE(core_->Write().ok());
    ASSERT_TRUE(core_->Sync().ok());
  }
  void FillSegments(int segments) {
    const uint64_t rotations = core_->counters().rotations + segments;
    while (core_->counters().rotations < rotations) Commit(std::string(1000, 'f'));
  }

  // "op name@offset" of every call that changes a file from now on.
  void Watch() {
    disk_.SetHook([this](const FileCall& call) {
      if (call.number != 0) {
        calls_.push_back(std::string(FileOpName(call.op)) + " " + std::string(call.name) + "@" +
                         std::to_string(call.offset));
      }
      return SimVerdict::kProceed;
    });
  }
  size_t Find(const std::string& call, size_t from = 0) const {
    return std::find(calls_.begin() + from, calls_.end(), call) - calls_.begin();
  }

  std::vector<std::string> ReadAll() {
    std::vector<std::string> payloads;
    const SequenceNumber first = core_->first_retained();
    RecordReader reader(core_->directory(), core_->log_id(), core_->segments()->Find(first), first,
                        [first] { return first; });
    while (true) {
      switch (reader.Next(core_->last_durable())) {
        case RecordReader::Kind::kRecord:
          payloads.emplace_back(reader.record().record.payload);
          break;
        case RecordReader::Kind::kLost:
          payloads.push_back("lost " + std::to_string(reader.lost().first) + ".." +
                             std::to_string(reader.lost().last));
          break;
        default:
          return payloads;
      }
    }
  }

  static std::string Path(uint64_t segment) {
    return std::string(kDirectory) + "/" + SegmentName(segment);
  }

  std::vector<std::string> calls_;
  SimFileSystem disk_{SimOptions{}};
  Options options_;
  RecoveryReport report_;
  InlineSegmentSupply supply_;
  std::unique_ptr<WalCore> core_;
  std::vector<std::unique_ptr<std::string>> bodies_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CORE_FIXTURE_H_
