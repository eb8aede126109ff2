// Goal: what a salvage is made of keeps to its contract alone: a view shows files under other names
// with patches in place, an exchange survives being written down, cut short and carried on, and
// JSON lines hold any bytes. Method: each on a simulated disk, with names and bytes that are
// awkward.

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/file_view.h"
#include "wal/salvage_exchange.h"
#include "wal/salvage_export.h"
#include "wal/unfinished.h"

namespace millrace {
namespace {

class SalvagePartsTest : public testing::Test {
 protected:
  SalvagePartsTest() { directory_ = OpenDirectory(disk_); }

  static std::unique_ptr<Directory> OpenDirectory(FileSystem& disk) {
    std::unique_ptr<Directory> directory;
    EXPECT_EQ(0, disk.OpenDirectory("/d", DirectoryMode::kCreate, &directory));
    return directory;
  }
  std::string ReadThrough(const FileNames& names, const std::string& name, uint64_t offset,
                          size_t bytes) {
    FileView view(&disk_, names);
    const std::unique_ptr<Directory> directory = OpenDirectory(view);
    std::unique_ptr<File> file;
    if (directory->Open(name, OpenMode::kRead, &file) < 0) return "no such file";
    std::string out(bytes, '?');
    const IoResult got = file->Read(offset, out);
    return got < 0 ? "error" : out.substr(0, static_cast<size_t>(got));
  }

  SimFileSystem disk_{SimOptions{.seed = 1}};
  std::unique_ptr<Directory> directory_;
};

TEST_F(SalvagePartsTest, ViewShowsOnlyWhatItNamesAndChangesNothing) {
  disk_.WriteFileBytes("/d/a", "bytes of a");
  disk_.WriteFileBytes("/d/b", "bytes of b");
  FileNames names;
  names["x"].name = "a";
  EXPECT_EQ("bytes of a", ReadThrough(names, "x", 0, 20));
  EXPECT_EQ("no such file", ReadThrough(names, "a", 0, 20));
  FileView view(&disk_, names);
  const std::unique_ptr<Directory> directory = OpenDirectory(view);
  std::vector<std::string> listed;
  EXPECT_EQ(0, directory->List(&listed));
  EXPECT_EQ(std::vector<std::string>{"x"}, listed);
  std::unique_ptr<File> file;
  EXPECT_EQ(-EROFS, directory->Open("new", OpenMode::kCreate, &file));
  EXPECT_EQ(-EROFS, directory->Rename("x", "y"));
  EXPECT_EQ(-EROFS, directory->Unlink("x"));
  ASSERT_EQ(0, directory->Open("x", OpenMode::kReadWrite, &file));
  const std::string_view text = "z";
  EXPECT_EQ(-EROFS, file->Write(0, {&text, 1}));
  EXPECT_EQ(-EROFS, file->Truncate(0));
  EXPECT_EQ(2u, disk_.FileNames("/d").size());
}

TEST_F(SalvagePartsTest, PatchesStandInPlaceOfBytesAndBehindTheEnd) {
  disk_.WriteFileBytes("/d/a", "0123456789");
  FileNames names;
  names["x"] = {"a", {{2, "AB"}, {8, "CDEF"}, {12, "GH"}, {20, "far"}}};
  EXPECT_EQ("01AB4567CDEFGH", ReadThrough(names, "x", 0, 18));
  EXPECT_EQ("B45", ReadThrough(names, "x", 3, 3));
  EXPECT_EQ("FGH", ReadThrough(names, "x", 11, 5));
  EXPECT_EQ("far", ReadThrough(names, "x", 20, 9));
  disk_.AddRule({.op = FileOp::kRead,
                 .action = SimRule::Action::kFail,
                 .error = EIO,
                 .count = SimRule::kForever});
  EXPECT_EQ("B", ReadThrough(names, "x", 3, 3));
  EXPECT_EQ("error", ReadThrough(names, "x", 5, 3));
}

TEST_F(SalvagePartsTest, ExchangeIsReadAsItWasWrittenAndDamageToItIsSeen) {
  const Exchange exchange = {{{"a b", "a b.aside"}, {"line\nend 0", "x"}, {"5 5 ", "\xff"}},
                             {{"LOG.salvage", "LOG"}}};
  const std::string content = EncodeExchange(exchange);
  const auto decoded = DecodeExchange(content);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(exchange.aside, decoded->aside);
  EXPECT_EQ(exchange.place, decoded->place);
  for (size_t i = 0; i < content.size(); ++i) {
    std::string damaged = content;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
    EXPECT_TRUE(absl::IsDataLoss(DecodeExchange(damaged).status())) << i;
    EXPECT_TRUE(absl::IsDataLoss(DecodeExchange(content.substr(0, i)).status())) << i;
  }
}

// A new file may have an old one's name: done twice, or in part, it must not be taken for the old.
TEST_F(SalvagePartsTest, ExchangeThatIsCutAnywhereIsCarriedOn) {
  disk_.WriteFileBytes("/d/one", "old 1");
  disk_.WriteFileBytes("/d/two", "old 2");
  disk_.WriteFileBytes("/d/one.salvage", "new 1");
  disk_.WriteFileBytes("/d/three.salvage", "new 3");
  const Exchange exchange = {{{"one", "one.aside"}, {"two", "two.aside"}},
                             {{"one.salvage", "one"}, {"three.salvage", "three"}}};
  int images = 0;
  disk_.SetHook([&](const FileCall& call) {
    if (call.number == 0) return SimVerdict::kProceed;
    disk_.ForEachCrashImage(64, call.number, [&](SimFileSystem& image, ImageId) {
      const std::unique_ptr<Directory> directory = OpenDirectory(image);
      const std::string content = ReadUnfinished(*directory).value();
      if (content.empty()) return;
      ++images;
      EXPECT_TRUE(FinishExchange(*directory, DecodeExchange(content).value()).ok());
      EXPECT_EQ("old 1", image.ReadFileBytes("/d/one.aside"));
      EXPECT_EQ("old 2", image.ReadFileBytes("/d/two.aside"));
      EXPECT_EQ("new 1", image.ReadFileBytes("/d/one"));
      EXPECT_EQ("new 3", image.ReadFileBytes("/d/three"));
      EXPECT_FALSE(image.ReadFileBytes("/d/UNFINISHED").has_value());
    });
    return SimVerdict::kProceed;
  });
  EXPECT_TRUE(BeginExchange(*directory_, exchange).ok());
  EXPECT_TRUE(FinishExchange(*directory_, exchange).ok());
  disk_.SetHook(nullptr);
  EXPECT_GT(images, 20);
}

TEST_F(SalvagePartsTest, UnplaceableRecordsOfABatchAreALineEachAndNamesAreEscaped) {
  std::string body("\x02\0\0\0\x01\0\0\0ab\xff", 11);
  SurveyedFrame frame;
  frame.offset = 8272;
  frame.header.type = FrameType::kBatch;
  frame.header.sequence = 7;
  frame.header.count = 2;
  frame.header.body_bytes = static_cast<uint32_t>(body.size());
  const std::string bytes = std::string(kFrameHeaderBytes, '\0') + body;
  frame.frame = bytes;
  FileIdentity identity;
  identity.number = 3;
  UnplaceableFile file(*directory_, "unplaceable.jsonl");
  ASSERT_TRUE(file.Add("a\"\\\n\xe9.seg", identity, frame, "off-chain").ok());
  ASSERT_TRUE(file.Finish().ok());
  EXPECT_EQ(
      "{\"file\":\"a\\\"\\\\\\u000a\\u00e9.seg\",\"reason\":\"off-chain\",\"log_id\":"
      "\"00000000000000000000000000000000\",\"segment\":3,\"incarnation\":0,\"offset\":8272,"
      "\"sequence\":7,\"time_ns\":0,\"payload_base64\":\"YWI=\"}\n"
      "{\"file\":\"a\\\"\\\\\\u000a\\u00e9.seg\",\"reason\":\"off-chain\",\"log_id\":"
      "\"00000000000000000000000000000000\",\"segment\":3,\"incarnation\":0,\"offset\":8272,"
      "\"sequence\":8,\"time_ns\":0,\"payload_base64\":\"/w==\"}\n",
      disk_.ReadFileBytes("/d/unplaceable.jsonl"));
}

}  // namespace
}  // namespace millrace
