// Goal: whatever stands in a log's directory, opening never hangs, crashes, follows a link,
// cuts or removes what is none of its files, or takes memory for what a file claims to be.
// Method: real directories on the real file system, with something hostile under every name
// that means anything: FIFO, socket, directory, links to nothing, to themselves, to a file
// elsewhere; files empty, sparse, huge, and 20000 of them (MILLRACE_FOREIGN_FILES: more). A
// watchdog ends what hangs.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/log_reader.h"
#include "tests/temp_directory.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kHangSeconds = 240;  // of a machine that others keep busy
constexpr int kRecords = 24;

Options Small() {
  Options options;
  options.segment_bytes = 8192;
  options.initial_segment_bytes = 8192;
  return options;
}

std::string Payload(int i) { return "record " + std::to_string(i) + std::string(900, 'p'); }

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

uint64_t PeakKilobytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss);
}

class HostileDirectoryTest : public ::testing::Test {
 protected:
  HostileDirectoryTest() : path_(temp_.Sub("log")), outside_(temp_.Sub("outside")) {
    alarm(kHangSeconds);
    std::ofstream(outside_) << "somebody's";
    auto log = Log::Open(path_, Small());
    EXPECT_TRUE(log.ok()) << log.status();
    for (int i = 1; i <= kRecords; ++i) EXPECT_TRUE((*log)->Append(Payload(i)).ok());
    EXPECT_TRUE((*log)->Close().ok());
    for (const auto& entry : fs::directory_iterator(path_)) {
      const auto number = ParseSegmentName(entry.path().filename().string());
      if (number.has_value()) highest_ = std::max(highest_, *number);
    }
  }
  ~HostileDirectoryTest() override { alarm(0); }

  std::string At(const std::string& name) const { return path_ + "/" + name; }
  std::string Segment(uint64_t above) const { return At(SegmentName(highest_ + above)); }

  struct Thing {
    const char* what;
    std::function<void(const std::string&)> make;
  };
  std::vector<Thing> Things() const {
    const std::string outside = outside_;
    return {
        {"FIFO", [](const std::string& p) { ASSERT_EQ(mkfifo(p.c_str(), 0600), 0); }},
        {"socket", &HostileDirectoryTest::MakeSocket},
        {"directory", [](const std::string& p) { fs::create_directory(p); }},
        {"link to itself", [](const std::string& p) { fs::create_symlink(p, p); }},
        {"dangling link", [](const std::string& p) { fs::create_symlink("nowhere", p); }},
        {"link to a file", [outside](const std::string& p) { fs::create_symlink(outside, p); }},
        {"link to a directory", [](const std::string& p) { fs::create_symlink("/", p); }},
        {"link to a device", [](const std::string& p) { fs::create_symlink("/dev/zero", p); }},
    };
  }

  static void MakeSocket(const std::string& path) {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_GE(fd, 0);
    // The name may be too long for a socket's address: bound by way of the directory.
    const int cwd = open(".", O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(chdir(fs::path(path).parent_path().c_str()), 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string name = fs::path(path).filename();
    ASSERT_LT(name.size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, name.c_str(), name.size());
    EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(fchdir(cwd), 0);
    close(cwd);
    close(fd);
  }

  static struct stat Identity(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info;
  }
  static bool Same(const struct stat& a, const struct stat& b) {
    return a.st_ino == b.st_ino && a.st_mode == b.st_mode && a.st_size == b.st_size;
  }

  uint64_t ReadFromOutside() const {
    auto reader = LogReader::Open(path_);
    EXPECT_TRUE(reader.ok()) << reader.status();
    if (!reader.ok()) return 0;
    uint64_t records = 0;
    for (auto entry = (*reader)->Next(); entry.ok(); entry = (*reader)->Next()) {
      if (entry->kind != Entry::Kind::kRecord) continue;
      ++records;
      if (records <= kRecords) {
        EXPECT_EQ(entry->record.payload, Payload(static_cast<int>(records)));
      }
    }
    return records;
  }

  // Opened, appended to, closed; all records are there.
  void ExpectAllGoesOn() {
    auto log = Log::Open(path_, Small());
    ASSERT_TRUE(log.ok()) << log.status();
    EXPECT_TRUE((*log)->recovery().lost.empty()) << (*log)->recovery().ToString();
    EXPECT_TRUE((*log)->Append(Payload(kRecords + ++more_)).ok());
    ASSERT_TRUE((*log)->Close().ok());
    EXPECT_EQ(ReadFromOutside(), static_cast<uint64_t>(kRecords + more_));
    EXPECT_EQ(Contents(outside_), "somebody's");
  }

  TempDirectory temp_;
  const std::string path_;
  const std::string outside_;
  uint64_t highest_ = 0;
  int more_ = 0;
};

TEST_F(HostileDirectoryTest, WhatIsNoFileUnderASegmentsNameIsIgnoredAndLeftAlone) {
  uint64_t above = 100;
  for (const Thing& thing : Things()) {
    SCOPED_TRACE(thing.what);
    const std::string place = Segment(above);
    above += 100;
    thing.make(place);
    const struct stat before = Identity(place);
    EXPECT_EQ(ReadFromOutside(), static_cast<uint64_t>(kRecords + more_));
    ExpectAllGoesOn();
    EXPECT_TRUE(Same(Identity(place), before)) << "touched";
  }
}

// In place of a segment that is needed: a loss that is named, and nothing else.
TEST_F(HostileDirectoryTest, WhatIsNoFileInPlaceOfASegmentIsALoss) {
  const std::string place = At(SegmentName(2));
  const std::string own = temp_.Sub("own");
  fs::rename(place, own);
  for (const Thing& thing : Things()) {
    SCOPED_TRACE(thing.what);
    thing.make(place);
    const struct stat before = Identity(place);
    auto reader = LogReader::Open(path_);
    ASSERT_TRUE(reader.ok()) << reader.status();
    uint64_t read = 0;
    uint64_t lost = 0;
    for (auto entry = (*reader)->Next(); entry.ok(); entry = (*reader)->Next()) {
      if (entry->kind == Entry::Kind::kRecord) {
        ++read;
      } else {
        EXPECT_EQ(entry->lost.segment, 2u);
        lost += entry->lost.records();
      }
    }
    EXPECT_GT(lost, 0u);
    EXPECT_EQ(read + lost, static_cast<uint64_t>(kRecords));
    Options strict = Small();
    strict.recovery_policy = RecoveryPolicy::kStrict;
    EXPECT_TRUE(absl::IsDataLoss(Log::Open(path_, strict).status()));
    EXPECT_TRUE(Same(Identity(place), before)) << "touched";
    EXPECT_EQ(Contents(outside_), "somebody's");
    fs::remove(place);
  }
  fs::rename(own, place);
  ExpectAllGoesOn();
}

// The log's own names: refused, or done without; never followed.
TEST_F(HostileDirectoryTest, WhatIsNoFileUnderTheLogsOwnNamesIsRefusedAndLeftAlone) {
  for (const char* name : {"LOG", "LOCK", "CURSORS", "audit.cursor"}) {
    const std::string place = At(name);
    const std::string own = temp_.Sub("own");
    const bool had = fs::exists(place);
    if (had) fs::rename(place, own);
    for (const Thing& thing : Things()) {
      SCOPED_TRACE(std::string(name) + ": " + thing.what);
      thing.make(place);
      const struct stat before = Identity(place);
      auto log = Log::Open(path_, Small());
      if (log.ok()) {
        EXPECT_TRUE((*log)->recovery().lost.empty()) << (*log)->recovery().ToString();
        EXPECT_TRUE((*log)->Close().ok());
      }
      auto reader = LogReader::Open(path_);
      if (reader.ok()) {
        EXPECT_EQ(ReadFromOutside(), static_cast<uint64_t>(kRecords));
      }
      // Set aside, at most.
      const bool moved = !fs::exists(fs::symlink_status(place));
      const std::string now = moved ? place + ".aside" : place;
      EXPECT_TRUE(Same(Identity(now), before)) << "touched";
      EXPECT_EQ(Contents(outside_), "somebody's");
      fs::remove(now);
      fs::remove(place);
    }
    if (had) fs::rename(own, place);
  }
  ExpectAllGoesOn();
}

TEST_F(HostileDirectoryTest, FilesThatClaimToBeSegmentsTakeNeitherMemoryNorTime) {
  const uint64_t before = PeakKilobytes();
  std::ofstream(Segment(10));  // empty
  const std::string own = Contents(At(SegmentName(highest_)));
  const auto sparse = [&](uint64_t above, const std::string& head) {
    std::ofstream(Segment(above), std::ios::binary) << head;
    // As large as the file system lets it be.
    for (uint64_t size = uint64_t{1} << 62; size > (uint64_t{1} << 32); size >>= 1) {
      if (truncate(Segment(above).c_str(), static_cast<off_t>(size)) == 0) return;
    }
  };
  sparse(20, "");
  sparse(30, "something");
  sparse(40, own);
  EXPECT_EQ(ReadFromOutside(), static_cast<uint64_t>(kRecords));
  ExpectAllGoesOn();
  EXPECT_LT(PeakKilobytes() - before, 65536u);
}

TEST_F(HostileDirectoryTest, OddNamesAreIgnoredAndListed) {
  const std::vector<std::string> names = {"99999999999999999999.seg",
                                          "18446744073709551615.seg",
                                          "04611686018427387904.seg",  // 2^62
                                          "00000000000000000000.seg",
                                          "0000000000000000001.seg",
                                          "000000000000000000001.seg",
                                          "-0000000000000000001.seg",
                                          "00000000000000000001.SEG",
                                          "\xff\xfe\x80.seg",
                                          "\xc3\x28.cursor",
                                          ".cursor",
                                          "...",
                                          "new\nline",
                                          std::string(255, 'n')};
  for (const std::string& name : names) std::ofstream(At(name)) << "x";
  ExpectAllGoesOn();
  auto reader = LogReader::Open(path_);
  ASSERT_TRUE(reader.ok());
  for (const std::string& name : names) EXPECT_EQ(Contents(At(name)), "x") << name;
}

TEST_F(HostileDirectoryTest, AHardLinkedSegmentKeepsItsOtherName) {
  const std::string backup = temp_.Sub("backup");
  fs::create_hard_link(At(SegmentName(1)), backup);
  const std::string bytes = Contents(backup);
  auto log = Log::Open(path_, Small());
  ASSERT_TRUE(log.ok()) << log.status();
  // Trimmed, and files wanted: it is not recycled.
  for (int i = 0; i < 100; ++i) ASSERT_TRUE((*log)->Append(Payload(i)).ok());
  ASSERT_TRUE((*log)->TrimBefore(60).ok());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE((*log)->Append(Payload(i)).ok());
  ASSERT_TRUE((*log)->Close().ok());
  EXPECT_EQ(Contents(backup), bytes);
}

TEST_F(HostileDirectoryTest, ManyForeignFilesAreOnlyListed) {
  const char* more = std::getenv("MILLRACE_FOREIGN_FILES");
  const int files = more == nullptr ? 20000 : std::atoi(more);
  const uint64_t before = PeakKilobytes();
  for (int i = 0; i < files; ++i) {
    const int fd = open(At("foreign." + std::to_string(i)).c_str(), O_CREAT | O_WRONLY, 0600);
    ASSERT_GE(fd, 0);
    close(fd);
  }
  ExpectAllGoesOn();
  EXPECT_LT(PeakKilobytes() - before, 131072u);
}

TEST_F(HostileDirectoryTest, AnyPathToTheDirectoryMeetsTheSameLock) {
  auto log = Log::Open(path_, Small());
  ASSERT_TRUE(log.ok()) << log.status();
  const std::string link = temp_.Sub("link");
  fs::create_directory_symlink(path_, link);
  for (const std::string& other : {link, path_ + "/", path_ + "/.", temp_.path() + "/./log"}) {
    EXPECT_TRUE(absl::IsAborted(Log::Open(other, Small()).status())) << other;
  }
  EXPECT_TRUE((*log)->Append("still writes").ok());
}

TEST_F(HostileDirectoryTest, DirectoryMovedOrDeletedUnderAnOpenLogIsNotReplaced) {
  auto log = Log::Open(path_, Small());
  ASSERT_TRUE(log.ok()) << log.status();
  const std::string moved = temp_.Sub("moved");
  fs::rename(path_, moved);
  // Somebody else's directory, where the log was.
  fs::create_directory(path_);
  for (int i = 1; i <= 40; ++i) ASSERT_TRUE((*log)->Append(Payload(kRecords + i)).ok()) << i;
  EXPECT_TRUE(fs::is_empty(path_));
  fs::remove_all(moved);
  // It may go on in files without a name, or say that it cannot; it comes back from each call.
  for (int i = 0; i < 40; ++i) (*log)->Append("into nowhere").status().IgnoreError();
  (*log)->Close().IgnoreError();
  EXPECT_TRUE(fs::is_empty(path_));
  EXPECT_FALSE(fs::exists(moved));
}

}  // namespace
}  // namespace millrace
