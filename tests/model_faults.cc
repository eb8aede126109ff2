#include "tests/model_faults.h"

#include "millrace/testing/file_call.h"

namespace millrace {
namespace {

// --- Of the disk --------------------------------------------------------------------

SimRule Pretend(FileOp op, const char* name, uint64_t first) {
  SimRule rule;
  rule.op = op;
  rule.action = SimRule::Action::kPretend;
  rule.name = name;
  rule.first = first;
  rule.count = SimRule::kForever;
  return rule;
}

// fdatasync of a segment returns 0 and does nothing.
class SegmentSyncLies final : public ModelFault {
  void Arm(SimFileSystem& disk) override { disk.AddRule(Pretend(FileOp::kSync, "*.seg", 1)); }
};

// That of a cursor's file.
class CursorSyncLies final : public ModelFault {
  void Arm(SimFileSystem& disk) override { disk.AddRule(Pretend(FileOp::kSync, "*.cursor", 2)); }
};

// Names of files are never made durable.
class DirectorySyncLies final : public ModelFault {
  void Arm(SimFileSystem& disk) override { disk.AddRule(Pretend(FileOp::kDirectorySync, "*", 1)); }
};

// One write to a segment says that it was done, and was not.
class WriteIsLost final : public ModelFault {
  void Arm(SimFileSystem& disk) override {
    SimRule rule = Pretend(FileOp::kWrite, "*.seg", 40);
    rule.count = 1;
    disk.AddRule(rule);
  }
};

// A bit of a segment flips after it was synced.
class BitFlips final : public ModelFault {
  void Disturb(SimFileSystem& disk) override {
    if (++operations_ % 50 != 0) return;
    for (const std::string& name : disk.FileNames("log")) {
      if (!name.ends_with(".seg")) continue;
      const std::string path = "log/" + name;
      const auto bytes = disk.ReadDurableBytes(path);
      // Behind the headers, the first group and the first record's header.
      if (bytes.has_value() && bytes->size() > 8320 && (*bytes)[8320] != 0) {
        disk.FlipBit(path, 8320, 0);
        return;
      }
    }
  }
  uint64_t operations_ = 0;
};

// --- Of the log ---------------------------------------------------------------------

// Now and then a number is too high by one.
class NumberIsOffByOne final : public ModelFault {
  void AfterAppend(absl::StatusOr<SequenceNumber>* result) override {
    if (result->ok() && **result != kNoSequence && ++appends_ % 200 == 0) ++**result;
  }
  uint64_t appends_ = 0;
};

// Acknowledges before the sync.
class AcknowledgesTooSoon final : public ModelFault {
  void BeforeAppend(AppendOptions* options) override {
    if (options->durability == Durability::kDurable) options->durability = Durability::kWritten;
  }
};

// A batch without its last record.
class BatchLosesRecord final : public ModelFault {
  void BeforeBatch(std::vector<NewRecord>* records) override {
    if (records->size() > 1 && ++batches_ % 100 == 0) records->pop_back();
  }
  uint64_t batches_ = 0;
};

// A cursor passes over an entry.
class CursorSkipsEntry final : public ModelFault {
  bool SkipsEntry() override { return ++entries_ % 300 == 0; }
  uint64_t entries_ = 0;
};

// Checkpoint succeeds and leaves the old one.
class CheckpointIsLost final : public ModelFault {
  bool SwallowsCheckpoint() override { return true; }
};

// TruncateAfter succeeds, and the records are back.
class TruncationIsForgotten final : public ModelFault {
  bool SwallowsTruncation() override { return true; }
};

// LogStats misses one record.
class CounterMissesOne final : public ModelFault {
  void AfterStats(LogStats* stats) override {
    if (stats->accepted > 10) --stats->acknowledged;
  }
};

template <class Fault>
std::unique_ptr<ModelFault> Make() {
  return std::make_unique<Fault>();
}

constexpr NamedModelFault kFaults[] = {
    {"SegmentSyncLies", Make<SegmentSyncLies>},
    {"CursorSyncLies", Make<CursorSyncLies>},
    {"DirectorySyncLies", Make<DirectorySyncLies>},
    {"WriteIsLost", Make<WriteIsLost>},
    {"BitFlips", Make<BitFlips>},
    {"NumberIsOffByOne", Make<NumberIsOffByOne>},
    {"AcknowledgesTooSoon", Make<AcknowledgesTooSoon>},
    {"BatchLosesRecord", Make<BatchLosesRecord>},
    {"CursorSkipsEntry", Make<CursorSkipsEntry>},
    {"CheckpointIsLost", Make<CheckpointIsLost>},
    {"TruncationIsForgotten", Make<TruncationIsForgotten>},
    {"CounterMissesOne", Make<CounterMissesOne>},
};

}  // namespace

std::span<const NamedModelFault> ModelFaults() { return kFaults; }

}  // namespace millrace
