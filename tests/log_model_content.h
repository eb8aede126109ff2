#ifndef MILLRACE_LOG_MODEL_CONTENT_H_
#define MILLRACE_LOG_MODEL_CONTENT_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "millrace/cursor.h"
#include "millrace/options.h"

namespace millrace {

// Cheap to seed, which matters where every record has a seed of its own (splitmix64).
class ModelRandom {
 public:
  explicit ModelRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  void Fill(char* out, size_t size) {
    while (size > 0) {
      const uint64_t word = Next();
      const size_t step = std::min(size, sizeof word);
      std::memcpy(out, &word, step);
      out += step;
      size -= step;
    }
  }

 private:
  uint64_t state_;
};

// Where a run's decisions come from: a seed, or the bytes of a fuzzer, behind which
// everything is zero.
class ModelChoices {
 public:
  explicit ModelChoices(uint64_t seed) : random_(seed) {}
  explicit ModelChoices(std::span<const uint8_t> bytes)
      : random_(1), bytes_(bytes), from_bytes_(true) {}

  // One of [0, bound); `bound` > 0.
  uint64_t Below(uint64_t bound) {
    if (!from_bytes_) return random_.Next() % bound;
    uint64_t value = 0;
    for (uint64_t rest = bound - 1; rest > 0 && !bytes_.empty(); rest >>= 8) {
      value = value << 8 | bytes_.front();
      bytes_ = bytes_.subspan(1);
    }
    return value % bound;
  }
  bool OneIn(uint64_t n) { return Below(n) == n - 1; }
  template <class T, size_t kSize>
  T Of(const T (&choices)[kSize]) {
    return choices[Below(kSize)];
  }
  // True when a fuzzer's bytes are used up; never for a seed.
  bool exhausted() const { return from_bytes_ && bytes_.empty(); }

 private:
  ModelRandom random_;
  std::span<const uint8_t> bytes_;
  const bool from_bytes_ = false;
};

// What a record holds: all its bytes follow from this.
struct ModelContent {
  uint64_t id = 0;  // no other record of the run has it
  uint32_t payload_bytes = 0;
  uint8_t key_bytes = 0;  // 0: no key; 1: an empty one
  uint8_t attributes = 0;

  static constexpr size_t kMaxAttributes = 2;
  // More than key and attributes take in the log.
  static constexpr size_t kMaxExtrasBytes = 400;
};

// The bytes of such a record. Views are valid until the next Make.
class ModelBytes {
 public:
  void Make(const ModelContent& content) {
    payload_ = Bytes(content.id, content.payload_bytes);
    key_ = Bytes(content.id + 1, content.key_bytes == 0 ? 0 : content.key_bytes - 1);
    has_key_ = content.key_bytes != 0;
    used_attributes_ = content.attributes;
    for (size_t i = 0; i < used_attributes_; ++i) {
      names_[i] = Bytes(content.id + 2 + i, content.id % 5);
      values_[i] = Bytes(content.id + 4 + i, content.id % 40);
      attributes_[i] = {names_[i], values_[i]};
    }
  }

  std::string_view payload() const { return payload_; }
  std::optional<std::string_view> key() const {
    return has_key_ ? std::optional<std::string_view>(key_) : std::nullopt;
  }
  std::span<const Attribute> attributes() const {
    return std::span(attributes_).first(used_attributes_);
  }

  bool Equals(const Record& record) const {
    if (record.payload != payload_ || record.key != key()) return false;
    if (record.attributes.size() != used_attributes_) return false;
    for (size_t i = 0; i < used_attributes_; ++i) {
      if (record.attributes[i].name != names_[i]) return false;
      if (record.attributes[i].value != values_[i]) return false;
    }
    return true;
  }

 private:
  // The number first, so that no two payloads with room for it are alike.
  static std::string Bytes(uint64_t id, size_t size) {
    std::string bytes(size, '\0');
    ModelRandom random(id);
    random.Fill(bytes.data(), size);
    if (size >= sizeof id)
      bytes.replace(0, sizeof id, reinterpret_cast<const char*>(&id), sizeof id);
    return bytes;
  }

  std::string payload_;
  std::string key_;
  bool has_key_ = false;
  size_t used_attributes_ = 0;
  std::array<std::string, ModelContent::kMaxAttributes> names_;
  std::array<std::string, ModelContent::kMaxAttributes> values_;
  std::array<Attribute, ModelContent::kMaxAttributes> attributes_;
};

}  // namespace millrace

#endif  // MILLRACE_LOG_MODEL_CONTENT_H_
