// Goal: crash images show every kind of damage that a power cut can do, and none
// that it cannot: what was synced is there, what was never written is not.
// Method: small workloads whose possible outcomes can be listed, against many
// images; counters of each kind of damage; the speed at the size of a real test.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/io.h"

namespace millrace {
namespace {

constexpr uint64_t kSeed = 20221120;

class SimCrashImageTest : public testing::Test {
 protected:
  SimCrashImageTest() { Start(SimOptions{}); }

  void Start(const SimOptions& options) {
    file_.reset();
    directory_.reset();
    disk_ = std::make_unique<SimFileSystem>(options);
    ASSERT_EQ(disk_->OpenDirectory("/log", DirectoryMode::kCreate, &directory_), 0);
    file_ = Open("f");
  }
  std::unique_ptr<File> Open(std::string_view name) {
    std::unique_ptr<File> file;
    EXPECT_EQ(directory_->Open(name, OpenMode::kCreate, &file), 0);
    return file;
  }
  void Write(uint64_t offset, std::string_view bytes) {
    ASSERT_EQ(WriteFully(*file_, offset, bytes).error, 0);
  }
  void SyncAll() {
    ASSERT_EQ(file_->Sync(), 0);
    ASSERT_EQ(directory_->Sync(), 0);
  }
  // The contents of "f" in all images, with how often each came up.
  std::map<std::string, int> Contents(uint64_t budget, DamageCounts* damage = nullptr) {
    std::map<std::string, int> contents;
    disk_->ForEachCrashImage(
        budget, kSeed,
        [&](SimFileSystem& image, ImageId) {
          ++contents[image.ReadFileBytes("/log/f").value_or("(no entry)")];
        },
        damage);
    return contents;
  }

  std::unique_ptr<SimFileSystem> disk_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<File> file_;
};

std::string Sectors(std::string_view letters) {
  std::string bytes;
  for (const char letter : letters) bytes.append(512, letter);
  return bytes;
}

TEST_F(SimCrashImageTest, SyncedStateHasOneImageAndLosesNothing) {
  Write(0, Sectors("abc"));
  SyncAll();
  EXPECT_EQ(disk_->PendingUnits(), 0u);
  const std::map<std::string, int> contents = Contents(1000);
  ASSERT_EQ(contents.size(), 1u);
  EXPECT_EQ(contents.begin()->first, Sectors("abc"));
  EXPECT_EQ(contents.begin()->second, 1);
}

TEST_F(SimCrashImageTest, FewPendingUnitsAreTriedInAllSubsets) {
  Write(0, Sectors("abc"));
  SyncAll();
  Write(0, Sectors("XYZ"));
  ASSERT_EQ(disk_->PendingUnits(), 3u);
  const std::map<std::string, int> contents = Contents(8);
  std::set<std::string> found;
  for (const auto& [content, times] : contents) {
    EXPECT_EQ(times, 1);
    found.insert({content[0], content[512], content[1024]});
  }
  EXPECT_EQ(found, (std::set<std::string>{"abc", "abZ", "aYc", "aYZ", "Xbc", "XbZ", "XYc", "XYZ"}));
}

TEST_F(SimCrashImageTest, BytesOutsideTheWrittenRangeAreNeverHarmed) {
  const std::string old = Sectors("abcd");
  Write(0, old);
  SyncAll();
  Write(700, std::string(600, 'X'));
  DamageCounts damage;
  for (const auto& [content, times] : Contents(3000, &damage)) {
    ASSERT_EQ(content.size(), old.size());
    EXPECT_EQ(content.substr(0, 700), old.substr(0, 700));
    EXPECT_EQ(content.substr(1300), old.substr(1300));
  }
  EXPECT_GT(damage.garbage, 0u);
}

TEST_F(SimCrashImageTest, WithoutPowersafeOverwriteTheRestOfTheSectorIsHarmed) {
  Start({.powersafe_overwrite = false});
  Write(0, Sectors("ab"));
  SyncAll();
  Write(600, "X");
  bool neighbour_harmed = false;
  for (const auto& [content, times] : Contents(3000)) {
    EXPECT_EQ(content.substr(0, 512), Sectors("a"));
    if (content.substr(513, 80) != std::string(80, 'b')) neighbour_harmed = true;
  }
  EXPECT_TRUE(neighbour_harmed);
}

TEST_F(SimCrashImageTest, EveryVersionOfASectorCanBeTheOneThatStays) {
  Start({.torn_sectors = false, .garbage = false});
  Write(0, Sectors("a"));
  SyncAll();
  for (const char* version : {"b", "c", "d"}) Write(0, Sectors(version));
  std::set<char> seen;
  for (const auto& [content, times] : Contents(500)) {
    EXPECT_EQ(content, std::string(512, content[0]));
    seen.insert(content[0]);
  }
  EXPECT_EQ(seen, (std::set<char>{'a', 'b', 'c', 'd'}));
}

TEST_F(SimCrashImageTest, SectorsTearAtAnyByteAndEitherWayRound) {
  Start({.garbage = false});
  Write(0, Sectors("a"));
  SyncAll();
  Write(0, Sectors("b"));
  std::set<size_t> tears;
  bool new_first = false;
  bool old_first = false;
  for (const auto& [content, times] : Contents(20'000)) {
    const size_t tear = content.find_first_not_of(content[0]);
    if (tear == std::string::npos) continue;
    EXPECT_EQ(content.find_first_not_of(content[tear], tear), std::string::npos);
    tears.insert(tear);
    (content[0] == 'b' ? new_first : old_first) = true;
  }
  EXPECT_GT(tears.size(), 400u);
  EXPECT_TRUE(new_first);
  EXPECT_TRUE(old_first);
}

TEST_F(SimCrashImageTest, SizeMayBeLostOrKeptWithoutTheData) {
  Start({.torn_sectors = false, .garbage = false, .stale_holes = false});
  Write(0, Sectors("a"));
  SyncAll();
  Write(512, Sectors("b"));
  const std::map<std::string, int> contents = Contents(200);
  EXPECT_TRUE(contents.contains(Sectors("a")));
  EXPECT_TRUE(contents.contains(Sectors("ab")));
  EXPECT_TRUE(contents.contains(Sectors("a") + std::string(512, '\0')));
  EXPECT_EQ(contents.size(), 3u);
}

TEST_F(SimCrashImageTest, SubsetsTakeTheSizeForAUnitOfItsOwn) {
  Write(0, Sectors("a"));
  SyncAll();
  Write(512, Sectors("b"));
  ASSERT_EQ(disk_->PendingUnits(), 2u);
  const std::string hole = Sectors("a") + std::string(512, '\0');
  EXPECT_EQ(Contents(4),
            (std::map<std::string, int>{{Sectors("a"), 2}, {hole, 1}, {Sectors("ab"), 1}}));
}

TEST_F(SimCrashImageTest, LongWriteMayBeCutAtAnyByte) {
  Write(0, Sectors("aaaaaaaa"));
  SyncAll();
  Write(0, Sectors("bbbbbbbb"));
  std::set<size_t> inside_a_sector;
  for (const auto& [content, times] : Contents(2000)) {
    const size_t cut = content.find_first_not_of('b');
    if (cut == std::string::npos || cut % 512 == 0) continue;
    if (content.find_first_not_of('a', cut) == std::string::npos) inside_a_sector.insert(cut);
  }
  EXPECT_GT(inside_a_sector.size(), 200u);
}

TEST_F(SimCrashImageTest, SectorThatWasWrittenInPartHasNoStaleRest) {
  Start({.torn_sectors = false, .garbage = false});
  Write(0, Sectors("a"));
  SyncAll();
  Write(512, std::string(10, 'X'));
  ASSERT_EQ(file_->Truncate(1024), 0);
  int written = 0;
  for (const auto& [content, times] : Contents(2000)) {
    if (content.size() != 1024 || content.substr(512, 10) != std::string(10, 'X')) continue;
    ++written;
    EXPECT_EQ(content.substr(522), std::string(502, '\0'));
  }
  EXPECT_GT(written, 0);
}

TEST_F(SimCrashImageTest, UnsyncedTruncationMayBeUndone) {
  Start({.torn_sectors = false, .garbage = false});
  Write(0, Sectors("ab"));
  SyncAll();
  ASSERT_EQ(file_->Truncate(100), 0);
  const std::map<std::string, int> contents = Contents(200);
  EXPECT_TRUE(contents.contains(Sectors("ab")));
  EXPECT_TRUE(contents.contains(std::string(100, 'a')));
  SyncAll();
  EXPECT_EQ(Contents(200).begin()->first, std::string(100, 'a'));
}

TEST_F(SimCrashImageTest, HolesShowBytesOfDeletedFilesUntilSynced) {
  Start({.torn_sectors = false, .garbage = false});
  SyncAll();
  {
    const std::unique_ptr<File> secret = Open("secret");
    ASSERT_EQ(WriteFully(*secret, 0, Sectors("sss")).error, 0);
    ASSERT_EQ(secret->Sync(), 0);
  }
  ASSERT_EQ(directory_->Unlink("secret"), 0);
  ASSERT_EQ(directory_->Sync(), 0);
  ASSERT_EQ(file_->Truncate(1536), 0);
  DamageCounts damage;
  const std::map<std::string, int> contents = Contents(500, &damage);
  EXPECT_TRUE(contents.contains(Sectors("sss")));
  EXPECT_TRUE(contents.contains(std::string(1536, '\0')));
  EXPECT_GT(damage.stale_hole, 0u);
  SyncAll();
  EXPECT_EQ(Contents(500).begin()->first, std::string(1536, '\0'));
}

TEST_F(SimCrashImageTest, EntryOfSyncedFileVanishesWithoutDirectorySync) {
  Write(0, "content");
  ASSERT_EQ(file_->Sync(), 0);
  const std::map<std::string, int> contents = Contents(100);
  EXPECT_TRUE(contents.contains("(no entry)"));
  EXPECT_TRUE(contents.contains("content"));
  EXPECT_EQ(contents.size(), 2u);
  ASSERT_EQ(directory_->Sync(), 0);
  EXPECT_EQ(Contents(100), (std::map<std::string, int>{{"content", 1}}));
}

TEST_F(SimCrashImageTest, EntryOfSyncedFileStaysWhereTheFileSystemSaysSo) {
  Start({.new_entry = SimOptions::NewEntry::kSyncedWithFile});
  Write(0, "content");
  ASSERT_EQ(file_->Sync(), 0);
  EXPECT_EQ(Contents(100), (std::map<std::string, int>{{"content", 1}}));
}

// The names that images hold after a create, a rename and an unlink.
std::set<std::string> NameSets(const SimFileSystem& disk) {
  std::set<std::string> sets;
  disk.ForEachCrashImage(500, kSeed, [&](SimFileSystem& image, ImageId) {
    std::string names;
    for (const std::string& name : image.FileNames("/log")) names += name;
    sets.insert(names);
  });
  return sets;
}

TEST_F(SimCrashImageTest, EntryOperationsAreLostInAnySubsetOrOnlyFromTheEnd) {
  for (const SimOptions::Entries kind :
       {SimOptions::Entries::kAnySubset, SimOptions::Entries::kPrefix}) {
    Start({.entries = kind});
    Open("a");
    Open("b");
    SyncAll();
    Open("c");
    ASSERT_EQ(directory_->Rename("a", "A"), 0);
    ASSERT_EQ(directory_->Unlink("b"), 0);
    const std::set<std::string> all = {"abf", "abcf", "Abf", "Abcf", "af", "acf", "Af", "Acf"};
    const std::set<std::string> prefixes = {"abf", "abcf", "Abcf", "Acf"};
    EXPECT_EQ(NameSets(*disk_), kind == SimOptions::Entries::kAnySubset ? all : prefixes);
  }
}

TEST_F(SimCrashImageTest, RenameMayOvertakeTheDataOfItsFile) {
  SyncAll();
  {
    const std::unique_ptr<File> fresh = Open("tmp");
    ASSERT_EQ(WriteFully(*fresh, 0, "fresh").error, 0);
  }
  Write(0, "before");
  SyncAll();
  ASSERT_EQ(directory_->Rename("tmp", "f"), 0);
  const std::map<std::string, int> contents = Contents(200);
  EXPECT_TRUE(contents.contains("before"));
  EXPECT_TRUE(contents.contains("fresh"));
  EXPECT_TRUE(contents.contains(""));
}

TEST_F(SimCrashImageTest, SameIdGivesTheSameImageAndHashTellsStatesApart) {
  Write(0, Sectors("abcdefgh"));
  std::map<uint64_t, std::string> by_hash;
  for (ImageId id = 0; id < 500; ++id) {
    const std::unique_ptr<SimFileSystem> image = disk_->CrashImage(id);
    EXPECT_EQ(image->Hash(), disk_->CrashImage(id)->Hash());
    const std::string content = image->ReadFileBytes("/log/f").value_or("(no entry)");
    const auto [found, is_new] = by_hash.emplace(image->Hash(), content);
    EXPECT_EQ(found->second, content);
  }
  std::set<std::string> distinct;
  for (const auto& [hash, content] : by_hash) distinct.insert(content);
  EXPECT_EQ(distinct.size(), by_hash.size());
  EXPECT_GT(distinct.size(), 100u);
}

TEST_F(SimCrashImageTest, ImagesCrashAgain) {
  SyncAll();
  Write(0, Sectors("ab"));
  const std::unique_ptr<SimFileSystem> image = disk_->CrashImage(kSubsetImage | 7);
  ASSERT_EQ(*image->ReadFileBytes("/log/f"), Sectors("ab"));
  EXPECT_EQ(image->PendingUnits(), 0u);  // what the disk holds is durable now
  std::unique_ptr<Directory> directory;
  ASSERT_EQ(image->OpenDirectory("/log", DirectoryMode::kMustExist, &directory), 0);
  std::unique_ptr<File> file;
  ASSERT_EQ(directory->Open("f", OpenMode::kReadWrite, &file), 0);
  ASSERT_EQ(WriteFully(*file, 0, Sectors("X")).error, 0);
  EXPECT_EQ(*image->CrashImage(kSubsetImage)->ReadFileBytes("/log/f"), Sectors("ab"));
  EXPECT_EQ(*image->CrashImage(kSubsetImage | 1)->ReadFileBytes("/log/f"), Sectors("Xb"));
  EXPECT_EQ(*disk_->ReadFileBytes("/log/f"), Sectors("ab"));
}

TEST_F(SimCrashImageTest, EveryKindOfDamageOccursAtBothSectorSizes) {
  for (const uint32_t sector_bytes : {512u, 4096u}) {
    Start({.sector_bytes = sector_bytes, .powersafe_overwrite = false});
    Write(0, std::string(20'000, 'a'));
    const std::unique_ptr<File> doomed = Open("doomed");
    ASSERT_EQ(WriteFully(*doomed, 0, std::string(50'000, 'd')).error, 0);
    Open("tmp");
    SyncAll();
    for (const char letter : {'b', 'c', 'd'}) Write(5'000, std::string(10'000, letter));
    ASSERT_EQ(file_->Truncate(40'000), 0);
    Write(30'000, std::string(500, 'e'));
    ASSERT_EQ(directory_->Unlink("doomed"), 0);
    ASSERT_EQ(directory_->Rename("tmp", "renamed"), 0);
    Open("created");
    DamageCounts damage;
    Contents(500, &damage);
    EXPECT_EQ(damage.images, 500u);
    EXPECT_GT(damage.lost_write, 0u);
    EXPECT_GT(damage.old_version, 0u);
    EXPECT_GT(damage.torn_sector, 0u);
    EXPECT_GT(damage.garbage, 0u);
    EXPECT_GT(damage.neighbour_garbage, 0u);
    EXPECT_GT(damage.size_lost, 0u);
    EXPECT_GT(damage.zero_hole, 0u);
    EXPECT_GT(damage.stale_hole, 0u);
    EXPECT_GT(damage.lost_create, 0u);
    EXPECT_GT(damage.lost_rename, 0u);
    EXPECT_GT(damage.lost_unlink, 0u);
    EXPECT_GT(damage.overtaken_entry, 0u);
    DamageCounts sum = damage;
    sum += damage;
    EXPECT_EQ(sum.zero_hole, 2 * damage.zero_hole);
    EXPECT_EQ(sum.overtaken_entry, 2 * damage.overtaken_entry);
  }
}

TEST_F(SimCrashImageTest, DamageThatAnOptionExcludesDoesNotOccur) {
  Start({.entries = SimOptions::Entries::kPrefix,
         .torn_sectors = false,
         .garbage = false,
         .stale_holes = false});
  Write(0, Sectors("ab"));
  SyncAll();
  for (const char letter : {'X', 'Y'}) Write(100, std::string(2000, letter));
  Open("a");
  Open("b");
  DamageCounts damage;
  Contents(1000, &damage);
  EXPECT_GT(damage.lost_write, 0u);
  EXPECT_GT(damage.lost_create, 0u);
  EXPECT_EQ(damage.torn_sector, 0u);
  EXPECT_EQ(damage.garbage, 0u);
  EXPECT_EQ(damage.neighbour_garbage, 0u);
  EXPECT_EQ(damage.stale_hole, 0u);
  EXPECT_EQ(damage.overtaken_entry, 0u);
}

// The size at which crash tests draw: several segments, one of them being
// written. Prints the rate, which is above 10 000; demands far less of it, for
// sanitizers on a busy machine.
TEST_F(SimCrashImageTest, ImagesOfSmallLogAreCheap) {
  SyncAll();
  for (int i = 0; i < 4; ++i) {
    const std::unique_ptr<File> sealed = Open("sealed" + std::to_string(i));
    ASSERT_EQ(WriteFully(*sealed, 0, std::string(32 << 10, 's')).error, 0);
    ASSERT_EQ(sealed->Sync(), 0);
  }
  Write(0, std::string(32 << 10, 'a'));
  SyncAll();
  for (uint64_t i = 0; i < 40; ++i) Write(i * 200, std::string(200, 'n'));
  constexpr uint64_t kImages = 5000;
  std::set<uint64_t> hashes;
  const auto start = std::chrono::steady_clock::now();
  disk_->ForEachCrashImage(kImages, kSeed,
                           [&](SimFileSystem& image, ImageId) { hashes.insert(image.Hash()); });
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::printf("%.0f images a second, %zu of %d distinct\n", kImages / elapsed.count(),
              hashes.size(), static_cast<int>(kImages));
  EXPECT_GT(hashes.size(), kImages / 4);
  EXPECT_GT(kImages / elapsed.count(), 200);
}

}  // namespace
}  // namespace millrace
