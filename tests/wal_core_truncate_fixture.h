#ifndef MILLRACE_WAL_CORE_TRUNCATE_FIXTURE_H_
#define MILLRACE_WAL_CORE_TRUNCATE_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/wal_core_fixture.h"
#include "wal/format.h"
#include "wal/superblock.h"
#include "wal/wal_core.h"

namespace millrace {

using Payloads = std::vector<std::string>;

// A core that is truncated, and records that tell their numbers.
class WalCoreTruncateFixture : public WalCoreFixture {
 protected:
  // Record s: its number, and enough bytes that six fill a segment.
  static std::string Payload(SequenceNumber s) {
    return "record " + std::to_string(s) + " " + std::string(1100, 'p');
  }
  // Commits records with the numbers up to `last`.
  void CommitUpTo(SequenceNumber last) {
    while (core_->last_durable() < last) Commit(Payload(core_->next_sequence()));
  }
  static Payloads UpTo(SequenceNumber last, const Payloads& then = {}) {
    Payloads payloads;
    for (SequenceNumber s = 1; s <= last; ++s) payloads.push_back(Payload(s));
    payloads.insert(payloads.end(), then.begin(), then.end());
    return payloads;
  }
  void Truncate(SequenceNumber last_to_keep) {
    const absl::Status status = core_->TruncateAfter(last_to_keep);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(core_->last_durable(), last_to_keep);
    EXPECT_EQ(core_->last_written(), last_to_keep);
    EXPECT_EQ(core_->next_sequence(), last_to_keep + 1);
  }
  void AddBatch(int records) {
    PendingFrame frame;
    bodies_.push_back(std::make_unique<std::string>(4 * records, '\0'));  // all empty
    frame.body = *bodies_.back();
    frame.body_checksum = BodyChecksum(core_->body_seed(), frame.body);
    frame.type = FrameType::kBatch;
    frame.count = static_cast<uint16_t>(records);
    ASSERT_TRUE(core_->Add(frame).ok());
  }
  Superblock LoadSuperblock() {
    Superblock superblock;
    EXPECT_EQ(*SuperblockFile::Load(core_->directory(), &superblock), HeaderStatus::kValid);
    return superblock;
  }
  void FreshDisk() {
    core_.reset();
    disk_.KillProcess();
    for (const std::string& name : disk_.FileNames(kDirectory)) {
      disk_.DeleteFile(std::string(kDirectory) + "/" + name);
    }
  }
  void DestroyHeaders(uint64_t segment) {
    std::string bytes = *disk_.ReadFileBytes(Path(segment));
    bytes.replace(0, kFramesOffset, kFramesOffset, '\0');
    disk_.WriteFileBytes(Path(segment), bytes);
  }
};

}  // namespace millrace

#endif  // MILLRACE_WAL_CORE_TRUNCATE_FIXTURE_H_
