#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
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

// Each metric once, with a sample of every log: the format does not allow one to be split.
class PrometheusText {
 public:
  explicit PrometheusText(std::span<const NamedStats> logs) : logs_(logs) {
    for (const NamedStats& log : logs) {
      labels_.push_back(absl::StrCat("log=\"", Escape(log.log), "\""));
    }
  }

  void Counter(std::string_view name, std::string_view help, uint64_t LogStats::*value) {
    const std::string metric = Begin(name, "_total", "counter", help);
    for (size_t i = 0; i < logs_.size(); ++i) {
      Sample(i, metric, "", absl::StrCat(logs_[i].stats->*value));
    }
  }

  void Gauge(std::string_view name, std::string_view help, uint64_t LogStats::*value) {
    const std::string metric = Begin(name, "", "gauge", help);
    for (size_t i = 0; i < logs_.size(); ++i) {
      Sample(i, metric, "", absl::StrCat(logs_[i].stats->*value));
    }
  }

  void Seconds(std::string_view name, std::string_view help, absl::Duration LogStats::*value) {
    const std::string metric = Begin(name, "", "gauge", help);
    for (size_t i = 0; i < logs_.size(); ++i) {
      Sample(i, metric, "", Number(absl::ToDoubleSeconds(logs_[i].stats->*value)));
    }
  }

  void Distribution(std::string_view name, std::string_view help, Histogram LogStats::*value,
                    const Unit& unit) {
    const std::string metric = Begin(name, "", "histogram", help);
    for (size_t i = 0; i < logs_.size(); ++i) {
      Buckets(i, metric, logs_[i].stats->*value, unit);
    }
  }

  void Reasons(std::string_view name, std::string_view help) {
    const std::string metric = Begin(name, "_total", "counter", help);
    for (size_t i = 0; i < logs_.size(); ++i) {
      for (const auto& [reason, count] : kReasons) {
        Sample(i, metric, absl::StrCat("reason=\"", ToAbsl(reason), "\""),
               absl::StrCat(logs_[i].stats->sync_reasons.*count));
      }
    }
  }

  // Nothing if no log has a cursor: a metric has samples.
  template <class Value>
  void Cursors(std::string_view name, std::string_view help, Value value) {
    std::string metric;
    for (size_t i = 0; i < logs_.size(); ++i) {
      for (const CursorStatus& cursor : logs_[i].stats->cursors) {
        if (metric.empty()) metric = Begin(name, "", "gauge", help);
        Sample(i, metric, absl::StrCat("cursor=\"", Escape(cursor.name), "\""),
               absl::StrCat(uint64_t{value(cursor)}));
      }
    }
  }

  std::string Take() { return std::move(text_); }

 private:
  static constexpr std::pair<std::string_view, uint64_t SyncReasons::*> kReasons[] = {
      {"durable_append", &SyncReasons::durable_append},
      {"flush", &SyncReasons::flush},
      {"policy_records", &SyncReasons::policy_records},
      {"policy_bytes", &SyncReasons::policy_bytes},
      {"policy_interval", &SyncReasons::policy_interval},
      {"unsynced_bytes", &SyncReasons::unsynced_bytes},
      {"rotation", &SyncReasons::rotation},
      {"idle_mark", &SyncReasons::idle_mark},
      {"trim", &SyncReasons::trim},
      {"close", &SyncReasons::close},
  };

  void Buckets(size_t log, const std::string& metric, const Histogram& histogram,
               const Unit& unit) {
    uint64_t below = 0;
    size_t next = 0;
    for (int power = unit.first_power; power <= unit.last_power; ++power) {
      // The buckets of values below 2^power. A time is cut to whole units, so one of 2^power
      // lasted longer than that; a count of 2^power belongs to the next bound.
      const uint64_t bound = uint64_t{1} << power;
      for (; next < Histogram::BucketOf(bound); ++next) below += histogram.buckets[next];
      const double le = unit.per_unit == 1 ? static_cast<double>(bound - 1)
                                           : static_cast<double>(bound) / unit.per_unit;
      Sample(log, metric + "_bucket", absl::StrCat("le=\"", Number(le), "\""), absl::StrCat(below));
    }
    Sample(log, metric + "_bucket", "le=\"+Inf\"", absl::StrCat(histogram.count));
    Sample(log, metric + "_sum", "", Number(static_cast<double>(histogram.sum) / unit.per_unit));
    Sample(log, metric + "_count", "", absl::StrCat(histogram.count));
  }

  // Begins a metric and returns its name.
  std::string Begin(std::string_view name, std::string_view suffix, std::string_view type,
                    std::string_view help) {
    std::string metric = absl::StrCat("millrace_", ToAbsl(name), ToAbsl(suffix));
    absl::StrAppend(&text_, "# HELP ", metric, " ", ToAbsl(help), "\n");
    absl::StrAppend(&text_, "# TYPE ", metric, " ", ToAbsl(type), "\n");
    return metric;
  }

  // `label`: one more, as it is to be written; or none.
  void Sample(size_t log, const std::string& name, std::string_view label,
              const std::string& value) {
    absl::StrAppend(&text_, name, "{", labels_[log], label.empty() ? "" : ",", ToAbsl(label), "} ",
                    value, "\n");
  }

  const std::span<const NamedStats> logs_;
  std::vector<std::string> labels_;  // of each log
  std::string text_;
};

void AddAppends(PrometheusText& text) {
  text.Counter("accepted_records", "Records taken in.", &LogStats::accepted);
  text.Counter("acknowledged_records", "Records that became as durable as was asked for.",
               &LogStats::acknowledged);
  text.Counter("failed_records", "Accepted records that will not become so.", &LogStats::failed);
  text.Counter("withdrawn_records", "Of the failed ones, those that their callers withdrew.",
               &LogStats::withdrawn);
  text.Counter("waited_appends", "Appends that found the queue full and waited.",
               &LogStats::waited_appends);
  text.Counter("refused_records", "Records refused because the queue was full.",
               &LogStats::refused_records);
  text.Counter("dropped_records", "Records given up because the queue was full.",
               &LogStats::dropped_records);
  text.Gauge("pending_records", "Accepted records that are neither acknowledged nor failed.",
             &LogStats::pending);
  text.Seconds("oldest_pending_seconds", "No pending record has been in the queue for longer.",
               &LogStats::oldest_pending);
  text.Gauge("queue_records", "Records and flushes in the queue.", &LogStats::queue_records);
  text.Gauge("queue_bytes", "Bytes in the queue.", &LogStats::queue_bytes);
  text.Gauge("producer_memory_bytes", "Memory that producers hold.",
             &LogStats::producer_memory_bytes);
  text.Distribution("append_seconds", "Time that calls of Append took; a sample.",
                    &LogStats::append_ns, kNanoseconds);
  text.Distribution("acknowledge_seconds",
                    "Time from taking a record in to acknowledging it; a sample.",
                    &LogStats::acknowledge_us, kMicroseconds);
}

void AddWriter(PrometheusText& text) {
  text.Counter("records", "Records given a sequence number.", &LogStats::records);
  text.Counter("groups", "Writes that carried records.", &LogStats::groups);
  text.Counter("syncs", "Syncs of segment data.", &LogStats::syncs);
  text.Counter("written_bytes", "Bytes written to segments.", &LogStats::bytes_written);
  text.Gauge("unsynced_records", "Records written and not yet durable.",
             &LogStats::unsynced_records);
  text.Gauge("unsynced_bytes", "Bytes written and not yet durable.", &LogStats::unsynced_bytes);
  text.Distribution("write_seconds", "Time of one write of a group.", &LogStats::write_ns,
                    kNanoseconds);
  text.Distribution("sync_seconds", "Time of one sync.", &LogStats::sync_ns, kNanoseconds);
  text.Distribution("group_records", "Records in one write.", &LogStats::records_per_group,
                    kRecords);
  text.Distribution("group_bytes", "Bytes in one write.", &LogStats::bytes_per_group, kBytes);

  text.Reasons("syncs_by_reason", "Syncs of segment data, by what made them due.");
}

void AddSegments(PrometheusText& text) {
  text.Counter("rotations", "Segments that were full.", &LogStats::rotations);
  text.Counter("recycled_segments", "Segments made of trimmed ones.", &LogStats::recycled_segments);
  text.Counter("fail_overs", "Segments given up after a failed write or sync, without a loss.",
               &LogStats::fail_overs);
  text.Counter("prepared_segments", "Segments that were ready when they were needed.",
               &LogStats::prepared_segments);
  text.Gauge("segments", "Segments that hold the log.", &LogStats::segments);
  text.Gauge("log_bytes", "Bytes of the segments, up to where their frames end.",
             &LogStats::log_bytes);
  text.Gauge("spare_bytes", "Bytes of files prepared or waiting to be used again.",
             &LogStats::spare_bytes);
  text.Gauge("last_written_sequence", "The last record written.", &LogStats::last_written);
  text.Gauge("last_durable_sequence", "The last record durable.", &LogStats::last_durable);
  text.Gauge("first_retained_sequence", "The oldest record not trimmed.",
             &LogStats::first_retained);
}

void AddCursors(PrometheusText& text) {
  text.Cursors("cursor_open", "1 if the cursor is open in this process.",
               [](const CursorStatus& cursor) { return cursor.open ? 1u : 0u; });
  text.Cursors("cursor_checkpointed_sequence", "The cursor's durable checkpoint.",
               [](const CursorStatus& cursor) { return cursor.checkpointed; });
  text.Cursors("cursor_lag_records", "Durable records that the cursor has not consumed.",
               [](const CursorStatus& cursor) { return cursor.lag_records; });
  text.Cursors("cursor_lag_bytes", "Bytes of the segments that hold them.",
               [](const CursorStatus& cursor) { return cursor.lag_bytes; });
}

}  // namespace

std::string ToPrometheusText(std::span<const NamedStats> logs) {
  if (logs.empty()) return "";
  PrometheusText text(logs);
  AddAppends(text);
  AddWriter(text);
  AddSegments(text);
  AddCursors(text);
  return text.Take();
}

std::string ToPrometheusText(const LogStats& stats, std::string_view log) {
  const NamedStats one = {&stats, log};
  return ToPrometheusText(std::span<const NamedStats>(&one, 1));
}

}  // namespace millrace
