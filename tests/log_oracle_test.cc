#include "tests/log_oracle.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

// Goal: the judge of the crash tests sees each way in which a log can be wrong.
// Method: a log of two producers and two generations as plain data, right in every
// respect, and then wrong in exactly one.

namespace millrace {
namespace {

constexpr uint64_t kSeed = 7;
constexpr uint32_t kProducers = 2;
constexpr uint64_t kFirstGeneration = 20;  // records of each producer

// One record read back, owning its bytes.
struct StoredRecord {
  explicit StoredRecord(const OracleRecord& record) {
    OracleContent content(kSeed);
    content.Make(record);
    const AppendOptions options = content.options(Durability::kDurable);
    if (options.key.has_value()) key = std::string(*options.key);
    for (const Attribute& a : options.attributes) {
      attributes.emplace_back(std::string(a.name), std::string(a.value));
    }
    payload = std::string(content.payload());
  }

  std::optional<std::string> key;
  std::vector<std::pair<std::string, std::string>> attributes;
  std::string payload;
};

// What is in the log: numbers first, first + 1, ...
class LogOracleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (uint32_t generation : {1, 2}) {
      const uint64_t begin = generation == 1 ? 0 : kFirstGeneration + 2;
      for (uint64_t i = 0; i < kFirstGeneration; ++i) {
        for (uint32_t p = 0; p < kProducers; ++p) {
          Append({.producer = p,
                  .generation = generation,
                  .index = begin + i,
                  .first_index = begin,
                  .payload_bytes = PayloadBytes(i)});
        }
      }
      // The last two of each generation were issued and are lost with the process.
      for (uint32_t p = 0; p < kProducers; ++p) {
        issued_[p] = begin + kFirstGeneration + 2;
        acknowledged_[p].resize(issued_[p], kNoSequence);
      }
    }
  }

  // 0, 32, and larger ones.
  static uint32_t PayloadBytes(uint64_t i) {
    return i % 5 == 0 ? 0 : static_cast<uint32_t>(kOracleHeaderBytes + i % 5 * 37 - 37);
  }

  void Append(const OracleRecord& record) {
    ids_.push_back(record);
    records_.emplace_back(record);
    auto& acknowledged = acknowledged_[record.producer];
    acknowledged.resize(record.index + 1, kNoSequence);
    // Every third asked for no durability, so that nothing was promised for it.
    if (record.index % 3 != 0) acknowledged[record.index] = records_.size();
  }

  OracleVerdict Judge(SequenceNumber first = 1) const {
    std::vector<ProducerHistory> histories;
    for (uint32_t p = 0; p < kProducers; ++p) {
      histories.push_back({issued_[p], kept_[p], acknowledged_[p]});
    }
    OracleCheck check(kSeed, std::move(histories), first);
    SequenceNumber sequence = first;
    for (const StoredRecord& stored : records_) {
      Record record;
      record.sequence = sequence++;
      record.key = stored.key;
      for (const auto& [name, value] : stored.attributes)
        record.attributes.push_back({name, value});
      record.payload = stored.payload;
      check.See(record);
    }
    return check.Finish();
  }

  // Positions in records_ of a producer's i-th record of the first generation.
  static size_t At(uint32_t producer, uint64_t index) { return index * kProducers + producer; }

  std::vector<OracleRecord> ids_;
  std::vector<StoredRecord> records_;
  uint64_t issued_[kProducers] = {};
  uint64_t kept_[kProducers] = {};
  std::vector<SequenceNumber> acknowledged_[kProducers];
};

TEST_F(LogOracleTest, AcceptsALogWithoutItsUnacknowledgedTails) {
  const OracleVerdict verdict = Judge();
  EXPECT_TRUE(verdict.ok()) << verdict.ToString();
  EXPECT_EQ(verdict.records, 2 * kProducers * kFirstGeneration);
  EXPECT_GT(verdict.acknowledged, kProducers * kFirstGeneration);
}

TEST_F(LogOracleTest, AcceptsALogTrimmedAtItsFront) {
  records_.erase(records_.begin(), records_.begin() + 17);
  const OracleVerdict verdict = Judge(18);
  EXPECT_TRUE(verdict.ok()) << verdict.ToString();
}

TEST_F(LogOracleTest, MissesAnAcknowledgedRecordThatWasRemoved) {
  records_.erase(records_.begin() + At(1, 7));
  const OracleVerdict verdict = Judge();
  EXPECT_GE(verdict.lost_acknowledged, 1u) << verdict.ToString();
}

TEST_F(LogOracleTest, MissesTheLastAcknowledgedRecord) {
  while (ids_.back().index % 3 == 0) {
    ids_.pop_back();
    records_.pop_back();
  }
  records_.pop_back();
  EXPECT_EQ(Judge().lost_acknowledged, 1u);
}

TEST_F(LogOracleTest, MissesAnUnacknowledgedRecordBeforeLaterOnes) {
  // Its number is given to no other one: what follows moves up, which alone must
  // not be what gives it away.
  for (auto& acknowledged : acknowledged_) {
    for (SequenceNumber& s : acknowledged) s = kNoSequence;
  }
  records_.erase(records_.begin() + At(0, 6));
  const OracleVerdict verdict = Judge();
  EXPECT_EQ(verdict.lost_acknowledged, 0u);
  EXPECT_EQ(verdict.reordered, 1u) << verdict.ToString();
}

TEST_F(LogOracleTest, MissesAFlushedRecordAtTheEnd) {
  for (auto& acknowledged : acknowledged_) {
    for (SequenceNumber& s : acknowledged) s = kNoSequence;
  }
  kept_[1] = ids_.back().index + 1;
  EXPECT_TRUE(Judge().ok());
  records_.pop_back();
  EXPECT_EQ(Judge().lost_acknowledged, 1u);
}

TEST_F(LogOracleTest, SeesTwoRecordsThatWereSwapped) {
  std::swap(records_[At(0, 4)], records_[At(1, 4)]);  // of two producers
  EXPECT_GE(Judge().reordered, 2u);
  std::swap(records_[At(0, 4)], records_[At(1, 4)]);
  std::swap(records_[At(0, 3)], records_[At(0, 6)]);  // of one, not acknowledged
  const OracleVerdict verdict = Judge();
  EXPECT_EQ(verdict.lost_acknowledged, 0u);
  EXPECT_GE(verdict.reordered, 2u) << verdict.ToString();
}

TEST_F(LogOracleTest, SeesEveryAlteredBit) {
  for (const size_t at : {At(0, 0), At(1, 1), At(0, 8)}) {
    const StoredRecord whole = records_[at];
    std::vector<std::string*> parts = {&records_[at].payload};
    if (whole.key.has_value()) parts.push_back(&*records_[at].key);
    for (auto& [name, value] : records_[at].attributes) {
      parts.push_back(&name);
      parts.push_back(&value);
    }
    for (std::string* part : parts) {
      for (size_t bit = 0; bit < 8 * part->size(); ++bit) {
        (*part)[bit / 8] ^= static_cast<char>(1 << bit % 8);
        const OracleVerdict verdict = Judge();
        EXPECT_EQ(verdict.invented, 1u) << "bit " << bit << ": " << verdict.ToString();
        (*part)[bit / 8] ^= static_cast<char>(1 << bit % 8);
      }
    }
  }
  EXPECT_TRUE(Judge().ok());
}

TEST_F(LogOracleTest, SeesAKeyOrAnAttributeThatIsGoneOrNew) {
  ASSERT_TRUE(records_[At(0, 0)].payload.empty());
  records_[At(0, 0)].attributes.emplace_back("more", "");
  EXPECT_EQ(Judge().invented, 1u);
  records_[At(0, 0)].attributes.pop_back();
  records_[At(0, 1)].key = "";
  EXPECT_EQ(Judge().invented, 1u);
}

TEST_F(LogOracleTest, SeesADuplicateNextToItsOriginalAndFarFromIt) {
  records_.push_back(records_.back());
  EXPECT_EQ(Judge().duplicated, 1u);
  records_.back() = records_[At(1, 2)];
  EXPECT_GE(Judge().duplicated + Judge().reordered, 1u);
  records_.back() = records_[At(1, kFirstGeneration + 2)];
  EXPECT_EQ(Judge().duplicated, 1u);
}

TEST_F(LogOracleTest, SeesARecordThatWasNeverIssued) {
  Append({.producer = 1,
          .generation = 2,
          .index = issued_[1],
          .first_index = kFirstGeneration + 2,
          .payload_bytes = 100});
  EXPECT_EQ(Judge().invented, 1u);
  Append({.producer = 0, .generation = 2, .index = 0, .first_index = 0, .payload_bytes = 100});
  EXPECT_GE(Judge().duplicated, 1u) << "the index of another record";
}

TEST_F(LogOracleTest, SeesALogThatBeginsTooLate) {
  // Says that it begins at 18, and does at 19.
  records_.erase(records_.begin(), records_.begin() + 18);
  EXPECT_GE(Judge(18).lost_acknowledged, 1u);
}

TEST_F(LogOracleTest, CountsAReportedLoss) {
  OracleCheck check(kSeed, std::vector<ProducerHistory>(1), 5);
  LostRange lost;
  lost.first = 5;
  lost.last = 6;
  check.SeeLoss(lost);
  const OracleVerdict verdict = check.Finish();
  EXPECT_EQ(verdict.gaps, 1u);
  EXPECT_FALSE(verdict.ok());
}

}  // namespace
}  // namespace millrace
