#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "millrace/stats.h"
#include "wal/strings.h"

namespace millrace {
namespace {

// The length of the character of UTF-8 with which `text` begins; 0 if it begins with none.
size_t CharacterBytes(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t bytes = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (bytes == 0 || bytes > text.size()) return 0;
  // What the second byte may be, without overlong forms, surrogates and numbers too large.
  const uint8_t lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < lowest || byte(1) > highest) return 0;
  for (size_t i = 2; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return bytes;
}

// A label's value, escaped. A directory may have any bytes in its name, but one that is no
// UTF-8 would make the reader refuse all of the text: it becomes U+FFFD.
std::string Escape(std::string_view value) {
  std::string escaped;
  while (!value.empty()) {
    const size_t bytes = CharacterBytes(value);
    if (bytes == 0) {
      escaped += "\xEF\xBF\xBD";
    } else if (value[0] == '\\') {
      escaped += "\\\\";
    } else if (value[0] == '"') {
      escaped += "\\\"";
    } else if (value[0] == '\n') {
      escaped += "\\n";
    } else {
      escaped += value.substr(0, bytes);
    }
    value.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return escaped;
}

// As short as it can be without becoming another number.
std::string Number(double value) {
  char text[32];
  const std::to_chars_result end = std::to_chars(text, text + sizeof(text), value);
  return std::string(text, end.ptr);
}

// What the values of a histogram are.
struct Unit {
  double per_unit;  // of them make one second; 1: they are no times
  int first_power;  // the bounds of its buckets are the powers of two from here
  int last_power;   // to here; values above are in +Inf
};
constexpr Unit kNanoseconds = {1e9, 10, 34};  // 1 us to 17 s
constexpr Unit kMicroseconds = {1e6, 0, 25};  // 1 us to 34 s
constexpr Unit kRecords = {1, 1, 22};         // up to Options::queue_records
constexpr Unit kBytes = {1, 9, 30};           // up to a segment

class PrometheusText {
 public:
  explicit PrometheusText(std::string_view log)
      : log_label_(absl::StrCat("log=\"", Escape(log), "\"")) {}

  void Counter(std::string_view name, std::string_view help, uint64_t value) {
    const std::string metric = Begin(name, "_total", "counter", help);
    Sample(metric, "", absl::StrCat(value));
  }

  void Gauge(std::string_view name, std::string_view help, const std::string& value) {
    const std::string metric = Begin(name, "", "gauge", help);
    Sample(metric, "", value);
  }
  void Gauge(std::string_view name, std::string_view help, uint64_t value) {
    Gauge(name, help, absl::StrCat(value));
  }

  void Distribution(std::string_view name, std::string_view help, const Histogram& histogram,
                    const Unit& unit) {
    const std::string metric = Begin(name, "", "histogram", help);
    uint64_t below = 0;
    size_t next = 0;
    for (int power = unit.first_power; power <= unit.last_power; ++power) {
      // The buckets of values below 2^power. A time is cut to whole units, so one of 2^power
      // lasted longer than that; a count of 2^power belongs to the next bound.
      const uint64_t bound = uint64_t{1} << power;
      for (; next < Histogram::BucketOf(bound); ++next) below += histogram.buckets[next];
      const double le = unit.per_unit == 1 ? static_cast<double>(bound - 1)
                                           : static_cast<double>(bound) / unit.per_unit;
      Sample(metric + "_bucket", absl::StrCat("le=\"", Number(le), "\""), absl::StrCat(below));
    }
    Sample(metric + "_bucket", "le=\"+Inf\"", absl::StrCat(histogram.count));
    Sample(metric + "_sum", "", Number(static_cast<double>(histogram.sum) / unit.per_unit));
    Sample(metric + "_count", "", absl::StrCat(histogram.count));
  }

  // Begins a metric of several samples and returns its name.
  std::string Begin(std::string_view name, std::string_view suffix, std::string_view type,
                    std::string_view help) {
    std::string metric = absl::StrCat("millrace_", ToAbsl(name), ToAbsl(suffix));
    absl::StrAppend(&text_, "# HELP ", metric, " ", ToAbsl(help), "\n");
    absl::StrAppend(&text_, "# TYPE ", metric, " ", ToAbsl(type), "\n");
    return metric;
  }

  // `label`: one more, as it is to be written; or none.
  void Sample(const std::string& name, std::string_view label, const std::string& value) {
    absl::StrAppend(&text_, name, "{", log_label_, label.empty() ? "" : ",", ToAbsl(label), "} ",
                    value, "\n");
  }

  std::string Take() { return std::move(text_); }

 private:
  const std::string log_label_;
  std::string text_;
};

void AddAppends(const LogStats& s, PrometheusText& text) {
  text.Counter("accepted_records", "Records taken in.", s.accepted);
  text.Counter("acknowledged_records", "Records that became as durable as was asked for.",
               s.acknowledged);
  text.Counter("failed_records", "Accepted records that will not become so.", s.failed);
  text.Counter("withdrawn_records", "Of the failed ones, those that their callers withdrew.",
               s.withdrawn);
  text.Counter("waited_appends", "Appends that found the queue full and waited.", s.waited_appends);
  text.Counter("refused_records", "Records refused because the queue was full.", s.refused_records);
  text.Counter("dropped_records", "Records given up because the queue was full.",
               s.dropped_records);
  text.Gauge("pending_records", "Accepted records that are neither acknowledged nor failed.",
             s.pending);
  text.Gauge("oldest_pending_seconds", "No pending record has been in the queue for longer.",
             Number(absl::ToDoubleSeconds(s.oldest_pending)));
  text.Gauge("queue_records", "Records and flushes in the queue.", s.queue_records);
  text.Gauge("queue_bytes", "Bytes in the queue.", s.queue_bytes);
  text.Gauge("producer_memory_bytes", "Memory that producers hold.", s.producer_memory_bytes);
  text.Distribution("append_seconds", "Time that calls of Append took; a sample.", s.append_ns,
                    kNanoseconds);
  text.Distribution("acknowledge_seconds",
                    "Time from taking a record in to acknowledging it; a sample.", s.acknowledge_us,
                    kMicroseconds);
}

void AddWriter(const LogStats& s, PrometheusText& text) {
  text.Counter("records", "Records given a sequence number.", s.records);
  text.Counter("groups", "Writes that carried records.", s.groups);
  text.Counter("syncs", "Syncs of segment data.", s.syncs);
  text.Counter("written_bytes", "Bytes written to segments.", s.bytes_written);
  text.Gauge("unsynced_records", "Records written and not yet durable.", s.unsynced_records);
  text.Gauge("unsynced_bytes", "Bytes written and not yet durable.", s.unsynced_bytes);
  text.Distribution("write_seconds", "Time of one write of a group.", s.write_ns, kNanoseconds);
  text.Distribution("sync_seconds", "Time of one sync.", s.sync_ns, kNanoseconds);
  text.Distribution("group_records", "Records in one write.", s.records_per_group, kRecords);
  text.Distribution("group_bytes", "Bytes in one write.", s.bytes_per_group, kBytes);

  const std::string metric = text.Begin("syncs_by_reason", "_total", "counter",
                                        "Syncs of segment data, by what made them due.");
  const SyncReasons& reasons = s.sync_reasons;
  const auto add = [&text, &metric](std::string_view reason, uint64_t value) {
    text.Sample(metric, absl::StrCat("reason=\"", ToAbsl(reason), "\""), absl::StrCat(value));
  };
  add("durable_append", reasons.durable_append);
  add("flush", reasons.flush);
  add("policy_records", reasons.policy_records);
  add("policy_bytes", reasons.policy_bytes);
  add("policy_interval", reasons.policy_interval);
  add("unsynced_bytes", reasons.unsynced_bytes);
  add("rotation", reasons.rotation);
  add("idle_mark", reasons.idle_mark);
  add("trim", reasons.trim);
  add("close", reasons.close);
}

void AddSegments(const LogStats& s, PrometheusText& text) {
  text.Counter("rotations", "Segments that were full.", s.rotations);
  text.Counter("recycled_segments", "Segments made of trimmed ones.", s.recycled_segments);
  text.Counter("prepared_segments", "Segments that were ready when they were needed.",
               s.prepared_segments);
  text.Gauge("segments", "Segments that hold the log.", s.segments);
  text.Gauge("log_bytes", "Bytes of the segments, up to where their frames end.", s.log_bytes);
  text.Gauge("spare_bytes", "Bytes of files prepared or waiting to be used again.", s.spare_bytes);
  text.Gauge("last_written_sequence", "The last record written.", s.last_written);
  text.Gauge("last_durable_sequence", "The last record durable.", s.last_durable);
  text.Gauge("first_retained_sequence", "The oldest record not trimmed.", s.first_retained);
}

void AddCursors(const LogStats& s, PrometheusText& text) {
  const auto add = [&](std::string_view name, std::string_view help, auto value) {
    if (s.cursors.empty()) return;
    const std::string metric = text.Begin(name, "", "gauge", help);
    for (const CursorStatus& cursor : s.cursors) {
      text.Sample(metric, absl::StrCat("cursor=\"", Escape(cursor.name), "\""),
                  absl::StrCat(uint64_t{value(cursor)}));
    }
  };
  add("cursor_open", "1 if the cursor is open in this process.",
      [](const CursorStatus& cursor) { return cursor.open ? 1u : 0u; });
  add("cursor_checkpointed_sequence", "The cursor's durable checkpoint.",
      [](const CursorStatus& cursor) { return cursor.checkpointed; });
  add("cursor_lag_records", "Durable records that the cursor has not consumed.",
      [](const CursorStatus& cursor) { return cursor.lag_records; });
  add("cursor_lag_bytes", "Bytes of the segments that hold them.",
      [](const CursorStatus& cursor) { return cursor.lag_bytes; });
}

}  // namespace

std::string ToPrometheusText(const LogStats& stats, std::string_view log) {
  PrometheusText text(log);
  AddAppends(stats, text);
  AddWriter(stats, text);
  AddSegments(stats, text);
  AddCursors(stats, text);
  return text.Take();
}

}  // namespace millrace
