// How a WalCore comes to be: lock, recovery, and the segment whose header makes
// what recovery decided take effect.

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "wal/io.h"
#include "wal/io_status.h"
#include "wal/segment_name.h"
#include "wal/wal_core.h"

namespace millrace {
namespace {

// How far ahead of the first segment's number the superblock is raised at open.
constexpr uint64_t kRaiseAtOpen = 16;

SequenceNumber FirstToWrite(const RecoveredLog& recovered) {
  return recovered.unsynced.empty() ? recovered.next_sequence : recovered.unsynced.front().first;
}

// Of the first segment: what is to be copied into it stays in one piece. Each of its groups
// may become several, one for each large body.
uint64_t FirstFileBytes(const RecoveredLog& recovered, const Options& options) {
  uint64_t copied = 0;
  for (const UnsyncedRun& run : recovered.unsynced) {
    copied += run.end - run.begin + FrameBytes(kGroupBodyBytes);
  }
  copied = RoundUp(copied + copied / 32, kBlockBytes);
  return kFramesOffset + std::max(options.initial_segment_bytes, copied);
}

// An epoch that begins at a loss leaves out numbers of which only some are known to have
// been durable; later opens say of them what this mark says.
SequenceNumber MarkToState(const RecoveredLog& recovered) {
  if (!recovered.starts_new_epoch) return FirstToWrite(recovered) - 1;
  return std::max(recovered.mark, recovered.predecessor.last_sequence);
}

}  // namespace

absl::StatusOr<std::unique_ptr<WalCore>> WalCore::Open(FileSystem& file_system,
                                                       std::unique_ptr<Directory> directory,
                                                       const Options& options,
                                                       SegmentSupply* supply, int64_t now_ns,
                                                       RecoveryReport* report) {
  std::unique_ptr<WalCore> core(
      new WalCore(file_system, std::move(directory), options, supply, now_ns));
  absl::Status status = core->TakeLock();
  if (!status.ok()) return status;
  RecoveryOptions recovery;
  recovery.policy = options.recovery_policy;
  absl::StatusOr<RecoveredLog> recovered =
      Recover(file_system, *core->directory_, recovery, report);
  if (!recovered.ok()) return recovered.status();
  if (recovered->exists && options.create_mode == CreateMode::kMustNotExist) {
    return absl::AlreadyExistsError(
        "the directory holds a log, and create_mode is kMustNotExist: choose another directory or "
        "kCreateOrOpen");
  }
  status = core->Begin(std::move(*recovered), report);
  if (!status.ok()) return status;
  return core;
}

absl::Status WalCore::TakeLock() {
  if (options_.create_mode == CreateMode::kMustExist) {
    std::vector<std::string> names;
    const IoResult listed = directory_->List(&names);
    if (listed < 0) return IoError("list", "the log's directory", listed);
    const bool found = std::any_of(names.begin(), names.end(), [](const std::string& name) {
      return name == kSuperblockName || ParseSegmentName(name).has_value();
    });
    if (!found) {
      return absl::NotFoundError(
          "the directory holds no log, and create_mode is kMustExist: check the path or choose "
          "kCreateOrOpen");
    }
  }
  const IoResult opened = OpenFile(*directory_, kLockName, OpenMode::kCreate, &lock_);
  if (opened < 0) return IoError("open", kLockName, opened);
  const IoResult locked = lock_->TryLock(LockMode::kExclusive);
  if (locked == -EAGAIN || locked == -EACCES) {
    return absl::AbortedError(
        "the log is locked: another Log, in this or another process, has it open; close that one "
        "first");
  }
  return locked < 0 ? IoError("lock", kLockName, locked) : absl::OkStatus();
}

absl::Status WalCore::Begin(RecoveredLog recovered, RecoveryReport* report) {
  if (recovered.exists) {
    log_id_ = recovered.log_id;
  } else {
    const IoResult drawn = file_system_.Random(log_id_);
    if (drawn < 0) return IoError("draw random bytes for", "the log's id", drawn);
  }
  body_seed_ = BodySeed(log_id_);
  boot_id_ = file_system_.BootId();
  epoch_ = recovered.epoch + (recovered.starts_new_epoch ? 1 : 0);
  next_ = FirstToWrite(recovered);
  epoch_base_ =
      recovered.starts_new_epoch ? recovered.predecessor.last_sequence : recovered.epoch_base;
  epoch_bases_ = recovered.epoch_bases;
  if (recovered.starts_new_epoch) epoch_bases_.Push(epoch_, epoch_base_);
  below_ = recovered.below;
  first_retained_ = recovered.first_retained;
  // Recovery has synced whatever it kept.
  last_written_ = last_durable_ = marked_ = next_ - 1;

  // Of another log's superblock only the generation counts, which the next must exceed.
  Superblock current;
  if (recovered.superblock.log_id == log_id_) current = recovered.superblock;
  current.generation = recovered.superblock.generation;
  current.log_id = log_id_;
  absl::StatusOr<std::unique_ptr<SuperblockFile>> superblock =
      SuperblockFile::Open(*directory_, current);
  if (!superblock.ok()) return superblock.status();
  superblock_ = std::move(*superblock);
  absl::Status status = superblock_->Update([&recovered](Superblock& s) {
    s.clean = false;
    s.epoch = recovered.epoch;
    s.epoch_base = recovered.epoch_base;
    s.first_retained = std::max(s.first_retained, recovered.first_retained);
    s.mark = recovered.mark;
    s.highest_segment = std::max(s.highest_segment, recovered.next_segment + kRaiseAtOpen - 1);
  });
  if (!status.ok()) return status;
  factory_ =
      std::make_unique<SegmentFactory>(*directory_, *superblock_, log_id_, recovered.next_segment);
  supply_->Attach(factory_.get());

  status = BeginChain(recovered);
  if (status.ok()) status = CopyUnsynced(recovered);
  if (!status.ok()) return status;
  // Only with this header durable does what recovery decided count.
  status = active_->Write();
  if (status.ok()) status = active_->Sync();
  if (!status.ok()) return status;
  if (last_durable_ > marked_) active_node_->PublishDurableEnd(active_->end());
  status = superblock_->Update([this, &recovered](Superblock& s) {
    s.begun_segment = active_->header().number;
    if (!recovered.starts_new_epoch) return;
    s.epoch = epoch_;
    s.epoch_base = epoch_base_;
    s.mark = MarkToState(recovered);
  });
  if (!status.ok()) return status;
  report->epoch = epoch_;
  return TidyUp(recovered);
}

absl::Status WalCore::BeginChain(const RecoveredLog& recovered) {
  absl::Status status = BeginSegment({epoch_, next_, MarkToState(recovered), recovered.predecessor},
                                     FirstFileBytes(recovered, options_), Fill::kZeros);
  if (!status.ok()) return status;
  std::shared_ptr<SegmentNode> next = active_node_;
  for (auto it = recovered.chain.rbegin(); it != recovered.chain.rend(); ++it) {
    auto node = std::make_shared<SegmentNode>(it->number, it->incarnation, it->first_sequence);
    node->Seal(it->end, it->last_sequence, next);
    next = std::move(node);
  }
  segments_ = std::make_shared<SegmentList>(std::move(next));
  return absl::OkStatus();
}

absl::Status WalCore::TidyUp(const RecoveredLog& recovered) {
  for (const std::string& name : recovered.set_aside) {
    const IoResult renamed = directory_->Rename(name, absl::StrCat(name, ".aside"));
    if (renamed < 0) return IoError("set aside", name, renamed);
  }
  // What cannot be deleted now is offered again by the next open.
  for (const std::string& name : recovered.removable) factory_->Remove(name).IgnoreError();
  if (recovered.set_aside.empty() && recovered.removable.empty()) return absl::OkStatus();
  return factory_->SyncDirectoryEntries();
}

}  // namespace millrace
