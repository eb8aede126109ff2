// Review A: a trim that has to rotate gives up a segment that it did not name.
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/sim_file_system.h"
#include "wal/segment_supply.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

TEST(ReviewTrim, FilesThatGoAreBelowTheDurableFirstRetained) {
  SimFileSystem disk{SimOptions{}};
  Options options;
  options.segment_bytes = options.initial_segment_bytes = 8192;
  InlineSegmentSupply supply;
  RecoveryReport report;
  std::unique_ptr<WalCore> core;
  auto open = [&]() -> absl::Status {
    core.reset();
    std::unique_ptr<Directory> directory;
    EXPECT_GE(disk.OpenDirectory("log", DirectoryMode::kCreate, &directory), 0);
    auto opened = WalCore::Open(disk, std::move(directory), options, &supply, 0, &report);
    if (!opened.ok()) return opened.status();
    core = std::move(*opened);
    return absl::OkStatus();
  };
  ASSERT_TRUE(open().ok());
  // 80 (group) + 40 (record) bytes each: 68 fill a segment up to 32 bytes.
  const std::string body(8, 'x');
  for (int i = 0; i < 2 * 68; ++i) {
    PendingFrame frame;
    frame.body = body;
    frame.body_checksum = BodyChecksum(core->body_seed(), body);
    ASSERT_TRUE(core->Add(frame).ok());
    ASSERT_TRUE(core->Write().ok());
    ASSERT_TRUE(core->Sync().ok());
  }
  ASSERT_EQ(core->counters().rotations, 1u);
  ASSERT_EQ(core->last_durable(), 136u);
  ASSERT_TRUE(core->TrimBefore(137).ok());
  core->ReleaseTrimmed();
  EXPECT_EQ(core->segments()->First()->first_sequence, core->first_retained());
  ASSERT_TRUE(core->Close().ok());
  options.recovery_policy = RecoveryPolicy::kStrict;
  const absl::Status reopened = open();
  EXPECT_TRUE(reopened.ok()) << reopened;
  EXPECT_TRUE(report.lost.empty()) << report.lost.size();
}

}  // namespace
}  // namespace millrace
