#ifndef MILLRACE_POWER_CUTS_ON_EXT4_H_
#define MILLRACE_POWER_CUTS_ON_EXT4_H_

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/file_system.h"
#include "tests/log_oracle.h"
#include "tests/realfs/crash_image.h"
#include "tests/realfs/cut_oracle.h"
#include "tests/realfs/ram_disk.h"

namespace millrace {

struct CutTally {
  uint64_t workloads = 0;
  uint64_t images = 0;
  uint64_t images_short = 0;   // in which something written is missing
  uint64_t failed_mounts = 0;  // the file system itself did not survive
  uint64_t acknowledged = 0;   // records that had to be there, over all images
  uint64_t records = 0;        // read back
  uint64_t lost_acknowledged = 0;
  uint64_t invented = 0;
  uint64_t out_of_order = 0;  // duplicated, reordered, gaps
  uint64_t silent = 0;
  std::string first_problem;  // with all that repeats it
};

// Runs workloads on an ext4 on a RamDisk and cuts the power: see CrashImage. Every other workload
// goes on on an image of the one before it.
class PowerCutsOnExt4 {
 public:
  // `directory`: an empty one for files and mounts. `disk`: what the log uses; a sabotaged one must
  // be found out.
  static absl::StatusOr<std::unique_ptr<PowerCutsOnExt4>> Make(const std::string& directory,
                                                               FileSystem* disk, uint64_t seed);
  ~PowerCutsOnExt4();

  // One workload, and `images` of it. An error says that the test itself could not go on.
  absl::Status Cut(uint64_t images);

  const CutTally& tally() const { return tally_; }

 private:
  PowerCutsOnExt4(std::string directory, FileSystem* disk, uint64_t seed);
  absl::Status Prepare();
  absl::Status Work();
  absl::Status CheckImage();
  void Count(const CrashImage& image, const struct CutCheck& check);
  std::string Describe(const CrashImage& image) const;
  std::string Sub(const char* name) const { return directory_ + "/" + name; }

  const std::string directory_;
  FileSystem* const file_system_;
  const uint64_t seed_;
  std::mt19937_64 random_;

  std::vector<char> pristine_;  // an ext4 without files
  std::vector<char> before_;    // what the disk held before the present workload
  std::unique_ptr<RamDisk> disk_;
  int image_file_ = -1;  // in memory
  std::span<char> image_;

  CutOracle oracle_;
  uint32_t generation_ = 0;
  std::string mount_options_;
  CutTally tally_;
};

}  // namespace millrace

#endif  // MILLRACE_POWER_CUTS_ON_EXT4_H_
