// Goal: batches deliver what Next delivers, byte for byte, whatever records there are, however they
// are laid out and damaged, and wherever the caller's memory ends; and a cursor that commits after
// any batch goes on behind it.
// Method: random logs over the simulated disk, with plain records, keys, attributes and batches in
// groups of all sizes, over several segments, some with a byte flipped. One cursor reads by Next,
// another by NextBatch with memory of random size, committed and opened anew now and then.

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "millrace/log.h"
#include "millrace/testing/sim_file_system.h"
#include "wal/segment_name.h"

namespace millrace {
namespace {

constexpr size_t kMostBytes = 1500;  // of one record with all it has

std::string Shown(const Entry& entry) {
  if (entry.kind == Entry::Kind::kLost) return entry.lost.ToString();
  const Record& record = entry.record;
  std::string text = absl::StrCat(record.sequence, " ", absl::ToUnixNanos(record.time), " ",
                                  record.key.has_value() ? std::string(*record.key) : "-");
  for (const Attribute& a : record.attributes) {
    absl::StrAppend(&text, " ", std::string(a.name), "=", std::string(a.value));
  }
  return absl::StrCat(text, " ", std::string(record.payload));
}

class CursorBatchEqualityTest : public testing::TestWithParam<uint32_t> {
 protected:
  CursorBatchEqualityTest() : random_(GetParam()), disk_({.seed = GetParam()}) {
    options_.file_system = &disk_;
    options_.segment_bytes = options_.initial_segment_bytes = Below(2) == 0 ? 16384 : 262144;
  }

  uint32_t Below(uint32_t bound) { return random_() % bound; }
  std::string Bytes(uint32_t most) {
    return std::string(Below(most), static_cast<char>('a' + Below(26)));
  }
  Durability AnyDurability() {
    return Below(30) == 0 ? Durability::kDurable : Durability::kBuffered;
  }

  void AppendSome(Log& log) {
    for (int i = 0; i < 500; ++i) {
      AppendOptions options = {.durability = AnyDurability()};
      const std::string key = Bytes(20), value = Bytes(20);
      const uint32_t kind = Below(20);
      if (kind == 0) {
        std::vector<std::string> payloads;
        for (uint32_t n = 1 + Below(4); n > 0; --n) payloads.push_back(Bytes(200));
        std::vector<NewRecord> records(payloads.size());
        for (size_t n = 0; n < records.size(); ++n) records[n].payload = payloads[n];
        if (Below(2) == 0) records.back().key = key;
        ASSERT_TRUE(log.AppendBatch(records, options).ok());
        continue;
      }
      const Attribute attribute = {"name", value};
      if (kind == 1) options.key = key;
      if (kind == 2) options.attributes = {&attribute, 1};
      ASSERT_TRUE(log.Append(Bytes(300), options).ok());
    }
  }

  void Damage() {
    for (uint32_t flips = Below(4); flips > 0; --flips) {
      const std::string path = absl::StrCat("/log/", SegmentName(1 + Below(4)));
      const auto bytes = disk_.ReadFileBytes(path);
      if (bytes.has_value() && bytes->size() > 8192) {
        disk_.FlipBit(path, 8192 + random_() % (bytes->size() - 8192), 3);
      }
    }
  }

  std::mt19937 random_;
  SimFileSystem disk_;
  Options options_;
};

TEST_P(CursorBatchEqualityTest, BatchesDeliverWhatNextDelivers) {
  {
    auto log = Log::Open("/log", options_).value();
    AppendSome(*log);
    ASSERT_TRUE(log->Close().ok());
  }
  Damage();
  auto log = Log::Open("/log", options_).value();
  AppendSome(*log);
  ASSERT_TRUE(log->Flush().ok());

  std::vector<std::string> one_by_one;
  auto next = log->OpenCursor("next").value();
  for (auto entry = next->Next(absl::ZeroDuration()); entry.ok();
       entry = next->Next(absl::ZeroDuration())) {
    one_by_one.push_back(Shown(*entry));
  }

  std::vector<std::string> in_batches;
  auto batches = log->OpenCursor("batches").value();
  std::vector<Entry> entries;
  while (true) {
    // Filled, so that a view of what was there before is seen.
    std::string memory(kMostBytes + Below(Below(2) == 0 ? 500 : 20000), '?');
    entries.clear();
    const auto count =
        batches->NextBatch({memory.data(), memory.size()}, &entries, absl::ZeroDuration());
    if (!count.ok()) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(count.status())) << count.status();
      break;
    }
    ASSERT_EQ(*count, entries.size());
    for (const Entry& entry : entries) {
      in_batches.push_back(Shown(entry));
      if (entry.kind != Entry::Kind::kRecord || entry.record.payload.empty()) continue;
      EXPECT_GE(entry.record.payload.data(), memory.data());
      EXPECT_LE(entry.record.payload.data() + entry.record.payload.size(),
                memory.data() + memory.size());
    }
    const Entry& last = entries.back();
    EXPECT_EQ(batches->delivered(),
              last.kind == Entry::Kind::kLost ? last.lost.last : last.record.sequence);
    if (Below(3) != 0) continue;
    ASSERT_TRUE(batches->Commit(batches->delivered()).ok());
    if (Below(2) != 0) continue;
    batches.reset();
    batches = log->OpenCursor("batches").value();
  }
  ASSERT_EQ(in_batches.size(), one_by_one.size());
  EXPECT_EQ(in_batches, one_by_one);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CursorBatchEqualityTest, testing::Range(1u, 41u));

}  // namespace
}  // namespace millrace
