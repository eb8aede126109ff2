#ifndef MILLRACE_WAL_SEGMENT_SUPPLY_H_
#define MILLRACE_WAL_SEGMENT_SUPPLY_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "wal/segment_factory.h"
#include "wal/segment_list.h"

namespace millrace {

// Where the writer gets its next segment from and gives trimmed ones to.
class SegmentSupply {
 public:
  SegmentSupply() = default;
  SegmentSupply(const SegmentSupply&) = delete;
  SegmentSupply& operator=(const SegmentSupply&) = delete;
  virtual ~SegmentSupply() = default;

  // Called once, before anything else. `factory` is valid until Detach().
  virtual void Attach(SegmentFactory* factory) = 0;

  // Called once, after everything else: stops using the factory. What was
  // prepared and not taken is deleted.
  virtual void Detach() = 0;

  // The next segment: the one prepared ahead if there is one, however large;
  // else a new one of `file_bytes`.
  virtual absl::StatusOr<PreparedSegment> Take(uint64_t file_bytes, Fill fill) = 0;

  // A segment of `file_bytes` will be wanted: the moment to prepare it.
  virtual void Expect(uint64_t file_bytes, Fill fill) = 0;

  // These were trimmed, oldest first, durably: to be recycled or deleted.
  virtual void Retire(std::vector<std::shared_ptr<SegmentNode>> nodes) = 0;
};

// The trimmed segments that wait to be recycled.
class RetiredSegments {
 public:
  // Takes in trimmed segments, oldest first, and deletes what exceeds the few
  // that are worth keeping. A failed deletion is left to the next open.
  void Add(std::vector<std::shared_ptr<SegmentNode>> nodes, SegmentFactory& factory);

  // Prepares the next segment: from a retired one if one suits, else anew.
  absl::StatusOr<PreparedSegment> Prepare(SegmentFactory& factory, uint64_t file_bytes, Fill fill);

  // Of the files that wait.
  uint64_t bytes() const;

  // Deletes all that wait.
  void Clear(SegmentFactory& factory);

 private:
  std::deque<std::shared_ptr<SegmentNode>> waiting_;  // oldest first
};

// Prepares in the caller's thread, inside Expect: for simulation and tools.
class InlineSegmentSupply : public SegmentSupply {
 public:
  void Attach(SegmentFactory* factory) override { factory_ = factory; }
  void Detach() override;
  absl::StatusOr<PreparedSegment> Take(uint64_t file_bytes, Fill fill) override;
  void Expect(uint64_t file_bytes, Fill fill) override;
  void Retire(std::vector<std::shared_ptr<SegmentNode>> nodes) override;

 private:
  SegmentFactory* factory_ = nullptr;
  RetiredSegments retired_;
  std::optional<PreparedSegment> prepared_;
};

}  // namespace millrace

#endif  // MILLRACE_WAL_SEGMENT_SUPPLY_H_
