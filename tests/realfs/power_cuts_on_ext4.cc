#include "tests/realfs/power_cuts_on_ext4.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/realfs/cut_check.h"
#include "tests/realfs/cut_workload.h"
#include "tests/realfs/make_ext4.h"
#include "tests/realfs/private_mounts.h"
#include "tests/realfs/rebooted_file_system.h"

namespace millrace {
namespace {

constexpr uint64_t kDiskBytes = uint64_t{16} << 20;
constexpr const char* kMountOptions[] = {"data=ordered", "data=ordered,nodelalloc",
                                         "data=writeback", "data=journal"};

}  // namespace

PowerCutsOnExt4::PowerCutsOnExt4(std::string directory, FileSystem* disk, uint64_t seed)
    : directory_(std::move(directory)), file_system_(disk), seed_(seed), random_(seed) {}

absl::StatusOr<std::unique_ptr<PowerCutsOnExt4>> PowerCutsOnExt4::Make(const std::string& directory,
                                                                       FileSystem* disk,
                                                                       uint64_t seed) {
  std::unique_ptr<PowerCutsOnExt4> cuts(new PowerCutsOnExt4(directory, disk, seed));
  const absl::Status prepared = cuts->Prepare();
  if (!prepared.ok()) return prepared;
  return cuts;
}

PowerCutsOnExt4::~PowerCutsOnExt4() {
  if (!image_.empty()) munmap(image_.data(), image_.size());
  if (image_file_ >= 0) close(image_file_);
}

absl::Status PowerCutsOnExt4::Prepare() {
  for (const char* name : {"live", "image"}) {
    if (mkdir(Sub(name).c_str(), 0700) != 0) return absl::ErrnoToStatus(errno, Sub(name));
  }
  const int served = open(Sub("disk").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (served < 0) return absl::ErrnoToStatus(errno, Sub("disk"));
  close(served);
  absl::StatusOr<std::unique_ptr<RamDisk>> disk = RamDisk::Make(Sub("disk"), kDiskBytes);
  if (!disk.ok()) return disk.status();
  disk_ = *std::move(disk);

  image_file_ = memfd_create("crash_image", MFD_CLOEXEC);
  if (image_file_ < 0 || ftruncate(image_file_, kDiskBytes) != 0) {
    return absl::ErrnoToStatus(errno, "memfd_create");
  }
  void* memory = mmap(nullptr, kDiskBytes, PROT_READ | PROT_WRITE, MAP_SHARED, image_file_, 0);
  if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "mmap");
  image_ = {static_cast<char*>(memory), kDiskBytes};
  const absl::Status made = MakeExt4(image_file_);
  if (!made.ok()) return made;
  pristine_.assign(image_.begin(), image_.end());
  return absl::OkStatus();
}

absl::Status PowerCutsOnExt4::Work() {
  const bool anew = tally_.images == 0 || random_() % 2 == 0;
  if (anew) {
    oracle_ = CutOracle();
    generation_ = 0;
    before_ = pristine_;
    mount_options_ = kMountOptions[random_() % std::size(kMountOptions)];
  } else {
    // A power cut while nobody looked, and the machine goes on.
    const uint64_t cut = DrawCut(disk_->recording(), random_);
    DrawImage(disk_->recording(), cut, random_, before_);
    oracle_.CutAt(cut);
  }
  std::copy(before_.begin(), before_.end(), disk_->content().begin());
  disk_->recording().Clear();

  const int file = open(disk_->path().c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return absl::ErrnoToStatus(errno, disk_->path());
  absl::StatusOr<std::unique_ptr<LoopMount>> mounted =
      LoopMount::Make(file, Sub("live"), "ext4", mount_options_);
  close(file);
  if (!mounted.ok()) return mounted.status();
  ++generation_;
  ++tally_.workloads;
  RebootedFileSystem rebooted(file_system_, generation_);
  const absl::Status worked = RunCutWorkload({.directory = Sub("live/log"),
                                              .file_system = &rebooted,
                                              .recording = &disk_->recording(),
                                              .oracle = &oracle_,
                                              .seed = seed_,
                                              .generation = generation_,
                                              .records_each = 20 + random_() % 60});
  if (!worked.ok())
    return absl::Status(worked.code(), absl::StrCat("workload: ", worked.message()));
  return (*mounted)->Unmount();
}

std::string PowerCutsOnExt4::Describe(const CrashImage& image) const {
  return absl::StrFormat(
      "seed %u, workload %u (generation %u, %s), image %u: cut after %u of %u calls, %u of %u "
      "units "
      "of %u bytes kept",
      seed_, tally_.workloads, generation_, mount_options_, tally_.images, image.cut,
      disk_->recording().position(), image.units_kept, image.units, image.unit_bytes);
}

void PowerCutsOnExt4::Count(const CrashImage& image, const CutCheck& check) {
  const OracleVerdict& verdict = check.verdict;
  tally_.acknowledged += verdict.acknowledged;
  tally_.records += verdict.records;
  tally_.lost_acknowledged += verdict.lost_acknowledged;
  tally_.invented += verdict.invented;
  tally_.out_of_order += verdict.duplicated + verdict.reordered + verdict.gaps;
  tally_.silent += check.silent;
  if (!verdict.ok() && tally_.first_problem.empty()) {
    tally_.first_problem = absl::StrCat(Describe(image), ": ", verdict.ToString());
  }
}

absl::Status PowerCutsOnExt4::CheckImage() {
  std::copy(before_.begin(), before_.end(), image_.begin());
  const uint64_t cut = DrawCut(disk_->recording(), random_);
  const CrashImage image = DrawImage(disk_->recording(), cut, random_, image_);
  ++tally_.images;
  if (image.units_kept < image.units) ++tally_.images_short;
  const absl::StatusOr<std::unique_ptr<LoopMount>> mounted =
      LoopMount::Make(image_file_, Sub("image"), "ext4", mount_options_);
  if (!mounted.ok()) {
    ++tally_.failed_mounts;
    if (tally_.first_problem.empty()) {
      tally_.first_problem = absl::StrCat(Describe(image), ": ", mounted.status().ToString());
    }
    return absl::OkStatus();
  }
  const CutExpectation expected = ExpectationAt(oracle_, cut);
  RebootedFileSystem rebooted(PosixFileSystem(), generation_ + 1);
  Count(image, CheckAfterCut(Sub("image/log"), &rebooted, expected, seed_));
  return (*mounted)->Unmount();
}

absl::Status PowerCutsOnExt4::Cut(uint64_t images) {
  absl::Status status = Work();
  for (uint64_t i = 0; i < images && status.ok(); ++i) status = CheckImage();
  return status;
}

}  // namespace millrace
