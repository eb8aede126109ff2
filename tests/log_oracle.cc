#include "tests/log_oracle.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace millrace {
namespace {

constexpr size_t kProblemsInWords = 8;
constexpr std::string_view kOriginName = "origin";

// splitmix64's finaliser.
uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t ContentSeed(uint64_t seed, const OracleRecord& r) {
  uint64_t h = Mix(seed + 0x9e3779b97f4a7c15);
  for (const uint64_t field : {uint64_t{r.producer}, uint64_t{r.generation}, r.index, r.first_index,
                               uint64_t{r.payload_bytes}}) {
    h = Mix((h ^ field) * 0x9e3779b97f4a7c15 + 1);
  }
  return h;
}

std::string Name(const OracleRecord& r) {
  return absl::StrFormat("record %u of producer %u in generation %u", r.index, r.producer,
                         r.generation);
}

}  // namespace

void OracleContent::Make(const OracleRecord& record) {
  char* p = header_.data();
  std::memcpy(p, &record.producer, 4);
  std::memcpy(p + 4, &record.generation, 4);
  std::memcpy(p + 8, &record.index, 8);
  std::memcpy(p + 16, &record.first_index, 8);
  std::memcpy(p + 24, &record.payload_bytes, 4);
  const uint64_t content_seed = ContentSeed(seed_, record);
  // Of an empty payload the header is all there is: it must not pass for another's.
  std::memcpy(p + 28, &content_seed, 4);

  payload_.resize(record.payload_bytes);
  header_is_key_ = record.payload_bytes < kOracleHeaderBytes;
  uint64_t at = 0;
  if (!header_is_key_) {
    std::memcpy(payload_.data(), header_.data(), header_.size());
    at = header_.size();
  }
  for (uint64_t k = 0; at < payload_.size(); ++k) {
    const uint64_t word = Mix(content_seed + k * 0x9e3779b97f4a7c15);
    const size_t bytes = std::min<size_t>(sizeof word, payload_.size() - at);
    std::memcpy(payload_.data() + at, &word, bytes);
    at += bytes;
  }
  has_attribute_ = content_seed % 8 == 0;
  std::memcpy(origin_.data(), &content_seed, origin_.size());
  attributes_[0] = {kOriginName, std::string_view(origin_.data(), origin_.size())};
}

AppendOptions OracleContent::options(Durability durability) const {
  AppendOptions options;
  options.durability = durability;
  if (header_is_key_) options.key = std::string_view(header_.data(), header_.size());
  if (has_attribute_) options.attributes = attributes_;
  return options;
}

std::optional<OracleRecord> OracleContent::Recognize(const Record& record) {
  std::string_view header = record.payload.substr(0, kOracleHeaderBytes);
  if (record.payload.empty()) header = record.key.value_or(std::string_view());
  if (header.size() != kOracleHeaderBytes) return std::nullopt;
  OracleRecord id;
  std::memcpy(&id.producer, header.data(), 4);
  std::memcpy(&id.generation, header.data() + 4, 4);
  std::memcpy(&id.index, header.data() + 8, 8);
  std::memcpy(&id.first_index, header.data() + 16, 8);
  std::memcpy(&id.payload_bytes, header.data() + 24, 4);
  if (id.payload_bytes != record.payload.size()) return std::nullopt;

  Make(id);
  const AppendOptions made = options(Durability::kDurable);
  const bool same_attributes =
      std::equal(made.attributes.begin(), made.attributes.end(), record.attributes.begin(),
                 record.attributes.end(), [](const Attribute& a, const Attribute& b) {
                   return a.name == b.name && a.value == b.value;
                 });
  if (record.payload != payload() || record.key != made.key || !same_attributes) {
    return std::nullopt;
  }
  return id;
}

std::string OracleVerdict::ToString() const {
  std::string text = absl::StrFormat(
      "%u records, %u of them acknowledged: lost_acked=%u invented=%u duplicated=%u reordered=%u "
      "gaps=%u",
      records, acknowledged, lost_acknowledged, invented, duplicated, reordered, gaps);
  for (const std::string& problem : problems) absl::StrAppend(&text, "\n  ", problem);
  return text;
}

OracleCheck::OracleCheck(uint64_t seed, std::vector<ProducerHistory> histories,
                         SequenceNumber first_retained)
    : histories_(std::move(histories)),
      first_retained_(first_retained),
      content_(seed),
      next_(first_retained),
      progress_(histories_.size()),
      beginning_(first_retained == 1 ? Beginning::kRead : Beginning::kTrimmed) {}

void OracleCheck::Problem(uint64_t* count, std::string text) {
  ++*count;
  if (verdict_.problems.size() < kProblemsInWords) verdict_.problems.push_back(std::move(text));
}

void OracleCheck::SeeLoss(const LostRange& lost) {
  Problem(&verdict_.gaps, lost.ToString());
  next_ = std::max(next_, lost.last + 1);
}

void OracleCheck::See(const Record& record) {
  ++verdict_.records;
  if (record.sequence != next_) {
    Problem(&verdict_.gaps, absl::StrFormat("number %u where %u was due", record.sequence, next_));
  }
  next_ = std::max(next_, record.sequence + 1);

  const std::optional<OracleRecord> id = content_.Recognize(record);
  if (!id.has_value() || id->producer >= histories_.size()) {
    Problem(&verdict_.invented,
            absl::StrFormat("number %u holds bytes that nobody appended", record.sequence));
    return;
  }
  if (id->index >= histories_[id->producer].issued) {
    Problem(&verdict_.invented, absl::StrCat(Name(*id), " was never issued"));
    return;
  }
  CheckOrder(*id, record.sequence);
  if (seen_.empty() || seen_.back().sequence < record.sequence) {
    seen_.push_back({record.sequence, *id});
  }
}

void OracleCheck::CheckOrder(const OracleRecord& record, SequenceNumber sequence) {
  if (record.generation != generation_) {
    if (record.generation < generation_) {
      Problem(&verdict_.reordered,
              absl::StrCat(Name(record), " follows one of generation ", generation_));
      return;
    }
    if (!seen_.empty()) beginning_ = Beginning::kRead;
    generation_ = record.generation;
  }
  Progress& progress = progress_[record.producer];
  if (!progress.indexes.insert(record.index).second) {
    Problem(&verdict_.duplicated, absl::StrCat(Name(record), " is there twice"));
    return;
  }
  const auto& acknowledged = histories_[record.producer].acknowledged;
  const SequenceNumber promised =
      record.index < acknowledged.size() ? acknowledged[record.index] : kNoSequence;
  if (promised != kNoSequence && promised != sequence) {
    Problem(&verdict_.reordered,
            absl::StrFormat("%s was acknowledged as number %u and is number %u", Name(record),
                            promised, sequence));
  }
  const std::optional<OracleRecord> last = std::exchange(progress.last, record);
  const bool first_of_generation = !last.has_value() || last->generation != record.generation;
  if (first_of_generation && beginning_ == Beginning::kTrimmed) return;
  const uint64_t due = first_of_generation ? record.first_index : last->index + 1;
  if (record.index != due) {
    Problem(&verdict_.reordered,
            absl::StrFormat("%s stands where its record %u was due", Name(record), due));
  }
}

bool OracleCheck::Holds(SequenceNumber sequence, uint32_t producer, uint64_t index) const {
  const auto at =
      std::lower_bound(seen_.begin(), seen_.end(), sequence,
                       [](const Seen& seen, SequenceNumber s) { return seen.sequence < s; });
  return at != seen_.end() && at->sequence == sequence && at->record.producer == producer &&
         at->record.index == index;
}

void OracleCheck::CheckAcknowledged(uint32_t producer) {
  const ProducerHistory& history = histories_[producer];
  // A producer's numbers ascend, so that the first trimmed one ends the search.
  for (uint64_t i = std::min<uint64_t>(history.issued, history.acknowledged.size()); i-- > 0;) {
    const SequenceNumber sequence = history.acknowledged[i];
    if (sequence == kNoSequence) continue;
    if (sequence < first_retained_) break;
    ++verdict_.acknowledged;
    if (Holds(sequence, producer, i)) continue;
    Problem(&verdict_.lost_acknowledged,
            absl::StrFormat("record %u of producer %u, acknowledged as number %u, is gone", i,
                            producer, sequence));
  }
  // With none of its records left there is no telling what was trimmed.
  const std::optional<OracleRecord>& last = progress_[producer].last;
  if (last.has_value() && last->index + 1 < history.kept) {
    Problem(&verdict_.lost_acknowledged,
            absl::StrFormat("producer %u flushed %u records, of which the last is %u", producer,
                            history.kept, last->index));
  }
}

OracleVerdict OracleCheck::Finish() {
  for (uint32_t p = 0; p < histories_.size(); ++p) CheckAcknowledged(p);
  return verdict_;
}

}  // namespace millrace
