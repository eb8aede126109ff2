#ifndef MILLRACE_KILL_TEST_FILE_SYSTEM_H_
#define MILLRACE_KILL_TEST_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "millrace/file_system.h"
#include "tests/kill_test_oracle.h"

namespace millrace {

// Hands every call on, and notes in the oracle from before until after the call
// what it is part of, so that whoever kills the process knows what he hit:
//
//   kRotation    making, naming, filling and heading a segment's file
//   kCheckpoint  changing a cursor's file
//   kRecovery    each call made while the oracle says that the log is being opened
//
// (ForwardingFileSystem sees no call end.) Stops for good at the call that the
// oracle's aim names, to be killed there. Overwrites in place wherever it is, so
// that segments are recycled on every machine: SIGKILL takes nothing from the page
// cache.
class KillFileSystem final : public FileSystem {
 public:
  KillFileSystem(FileSystem* target, KillOracle* oracle) : target_(target), oracle_(oracle) {}

  IoResult OpenDirectory(const std::string& path, DirectoryMode mode,
                         std::unique_ptr<Directory>* directory) override;
  IoResult Random(std::span<char> out) override { return target_->Random(out); }
  uint64_t BootId() override { return target_->BootId(); }

 private:
  FileSystem* const target_;
  KillOracle* const oracle_;
};

}  // namespace millrace

#endif  // MILLRACE_KILL_TEST_FILE_SYSTEM_H_
