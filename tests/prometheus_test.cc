// Goal: what ToPrometheusText gives, a Prometheus server takes: every line of it, with the
// numbers that the stats held.
// Method: a parser of the text format that refuses whatever the format does not allow, and
// the rules that the server's own linter has for names.

#include <cctype>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/stats.h"

namespace millrace {
namespace {

using Labels = std::map<std::string, std::string>;

struct Sample {
  std::string name;
  Labels labels;
  std::string value;
};

struct Metric {
  std::string type;
  std::string help;
  std::vector<Sample> samples;
};

// Reads the text format; records what is wrong as failures of the test.
class Parser {
 public:
  explicit Parser(std::string_view text) {
    EXPECT_TRUE(text.ends_with('\n')) << "the last line has to end";
    while (!text.empty()) {
      const size_t end = text.find('\n');
      if (end == std::string_view::npos) break;
      line_ = text.substr(0, end);
      rest_ = line_;
      Line();
      text.remove_prefix(end + 1);
    }
  }

  const std::map<std::string, Metric>& metrics() const { return metrics_; }

  // The value of the one sample with exactly these labels beside `log`.
  double Value(const std::string& name, Labels labels = {}) const {
    labels["log"] = "x";
    for (const auto& [_, metric] : metrics_) {
      for (const Sample& sample : metric.samples) {
        if (sample.name == name && sample.labels == labels) {
          return std::strtod(sample.value.c_str(), nullptr);
        }
      }
    }
    ADD_FAILURE() << "no sample " << name;
    return -1;
  }

 private:
  void Line() {
    if (Take("# HELP ")) {
      current_ = Name();
      Expect(" ");
      EXPECT_FALSE(metrics_.contains(current_)) << line_ << ": metrics must not be split";
      metrics_[current_].help = rest_;
      EXPECT_FALSE(rest_.empty());
    } else if (Take("# TYPE ")) {
      EXPECT_EQ(Name(), current_) << "HELP and TYPE stand together";
      Expect(" ");
      EXPECT_TRUE(rest_ == "counter" || rest_ == "gauge" || rest_ == "histogram") << line_;
      EXPECT_TRUE(metrics_[current_].samples.empty()) << "TYPE comes before the samples";
      metrics_[current_].type = rest_;
    } else {
      SampleLine();
    }
  }

  void SampleLine() {
    Sample sample;
    sample.name = Name();
    Expect("{");
    while (!Take("}")) {
      if (!sample.labels.empty()) Expect(",");
      const std::string label = Name();
      EXPECT_EQ(label.find(':'), std::string::npos) << line_;
      Expect("=\"");
      EXPECT_TRUE(sample.labels.emplace(label, Quoted()).second) << line_;
      if (testing::Test::HasFailure()) return;
    }
    Expect(" ");
    sample.value = rest_;
    char* end = nullptr;
    std::strtod(sample.value.c_str(), &end);
    EXPECT_TRUE(!sample.value.empty() && *end == '\0') << line_;
    const std::string& metric = current_;
    if (metrics_[metric].type == "histogram") {
      EXPECT_TRUE(sample.name == metric + "_bucket" || sample.name == metric + "_sum" ||
                  sample.name == metric + "_count")
          << line_;
    } else {
      EXPECT_EQ(sample.name, metric) << "samples follow their TYPE";
    }
    metrics_[metric].samples.push_back(sample);
  }

  std::string Name() {
    size_t n = 0;
    while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) ||
                                rest_[n] == '_' || rest_[n] == ':')) {
      ++n;
    }
    EXPECT_TRUE(n > 0 && !std::isdigit(static_cast<unsigned char>(rest_[0]))) << line_;
    const std::string name(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return name;
  }

  // Up to and with the closing quote.
  std::string Quoted() {
    std::string value;
    while (!rest_.empty() && rest_[0] != '"') {
      if (rest_[0] == '\\') {
        rest_.remove_prefix(1);
        EXPECT_TRUE(!rest_.empty() && (rest_[0] == '\\' || rest_[0] == '"' || rest_[0] == 'n'))
            << line_;
        value += rest_[0] == 'n' ? '\n' : rest_[0];
      } else {
        value += rest_[0];
      }
      rest_.remove_prefix(1);
    }
    Expect("\"");
    return value;
  }

  bool Take(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
  }
  void Expect(std::string_view what) { EXPECT_TRUE(Take(what)) << what << " in " << line_; }

  std::string_view line_;
  std::string_view rest_;
  std::string current_;
  std::map<std::string, Metric> metrics_;
};

void Record(Histogram* histogram, uint64_t value) {
  ++histogram->count;
  histogram->sum += value;
  histogram->max = std::max(histogram->max, value);
  ++histogram->buckets[Histogram::BucketOf(value)];
}

LogStats SomeStats() {
  LogStats stats;
  stats.accepted = std::numeric_limits<uint64_t>::max();
  stats.acknowledged = 12;
  stats.oldest_pending = absl::Milliseconds(1500);
  stats.sync_reasons.flush = 3;
  stats.first_retained = 5;
  for (const uint64_t ns : {1u, 1023u, 1024u, 1'000'000u}) Record(&stats.sync_ns, ns);
  Record(&stats.sync_ns, uint64_t{60} * 1'000'000'000);
  for (const uint64_t records : {1u, 1u, 2u, 3u, 4u}) Record(&stats.records_per_group, records);
  stats.cursors = {{.name = "a", .open = true, .checkpointed = 7, .lag_records = 8, .lag_bytes = 9},
                   {.name = "b"}};
  return stats;
}

TEST(PrometheusTest, EveryMetricIsWellFormed) {
  for (const LogStats& stats : {LogStats(), SomeStats()}) {
    const Parser parser(ToPrometheusText(stats, "x"));
    EXPECT_GT(parser.metrics().size(), 30u);
    for (const auto& [name, metric] : parser.metrics()) {
      EXPECT_TRUE(name.starts_with("millrace_")) << name;
      EXPECT_EQ(metric.type == "counter", name.ends_with("_total")) << name;
      EXPECT_FALSE(metric.samples.empty()) << name;
      std::set<std::pair<std::string, Labels>> seen;
      for (const Sample& sample : metric.samples) {
        EXPECT_TRUE(seen.emplace(sample.name, sample.labels).second) << "twice: " << sample.name;
        EXPECT_EQ(sample.labels.at("log"), "x");
      }
    }
  }
}

TEST(PrometheusTest, BucketsOfEveryHistogramAreCumulativeAndEndWithInfinity) {
  const Parser parser(ToPrometheusText(SomeStats(), "x"));
  int histograms = 0;
  for (const auto& [name, metric] : parser.metrics()) {
    if (metric.type != "histogram") continue;
    ++histograms;
    double bound = -1;
    double count = 0;
    std::string last;
    for (const Sample& sample : metric.samples) {
      if (sample.name != name + "_bucket") continue;
      last = sample.labels.at("le");
      EXPECT_GT(std::strtod(last.c_str(), nullptr), bound) << name;
      EXPECT_GE(std::strtod(sample.value.c_str(), nullptr), count) << name;
      bound = std::strtod(last.c_str(), nullptr);
      count = std::strtod(sample.value.c_str(), nullptr);
    }
    EXPECT_EQ(last, "+Inf") << name;
    EXPECT_EQ(parser.Value(name + "_count"), count) << name;
  }
  EXPECT_EQ(histograms, 6);
}

TEST(PrometheusTest, TimesAreInSecondsAndAboveABoundIfTheyReachedIt) {
  const Parser parser(ToPrometheusText(SomeStats(), "x"));
  const std::string bucket = "millrace_sync_seconds_bucket";
  EXPECT_EQ(parser.Value(bucket, {{"le", "1.024e-06"}}), 2) << "1024 ns and a part were longer";
  EXPECT_EQ(parser.Value(bucket, {{"le", "2.048e-06"}}), 3);
  EXPECT_EQ(parser.Value(bucket, {{"le", "17.179869184"}}), 4);
  EXPECT_EQ(parser.Value(bucket, {{"le", "+Inf"}}), 5);
  EXPECT_DOUBLE_EQ(parser.Value("millrace_sync_seconds_sum"), 60.001002048);
  EXPECT_EQ(parser.Value("millrace_oldest_pending_seconds"), 1.5);
}

TEST(PrometheusTest, CountsAreWithinTheirBounds) {
  const Parser parser(ToPrometheusText(SomeStats(), "x"));
  const std::string bucket = "millrace_group_records_bucket";
  EXPECT_EQ(parser.Value(bucket, {{"le", "1"}}), 2);
  EXPECT_EQ(parser.Value(bucket, {{"le", "3"}}), 4);
  EXPECT_EQ(parser.Value(bucket, {{"le", "7"}}), 5);
}

TEST(PrometheusTest, CountersGaugesReasonsAndCursorsHaveTheirValues) {
  const Parser parser(ToPrometheusText(SomeStats(), "x"));
  EXPECT_EQ(parser.Value("millrace_accepted_records_total"), 18446744073709551615.0);
  EXPECT_EQ(parser.Value("millrace_acknowledged_records_total"), 12);
  EXPECT_EQ(parser.Value("millrace_first_retained_sequence"), 5);
  EXPECT_EQ(parser.Value("millrace_syncs_by_reason_total", {{"reason", "flush"}}), 3);
  EXPECT_EQ(parser.metrics().at("millrace_syncs_by_reason_total").samples.size(), 10u);
  EXPECT_EQ(parser.Value("millrace_cursor_open", {{"cursor", "a"}}), 1);
  EXPECT_EQ(parser.Value("millrace_cursor_open", {{"cursor", "b"}}), 0);
  EXPECT_EQ(parser.Value("millrace_cursor_checkpointed_sequence", {{"cursor", "a"}}), 7);
  EXPECT_EQ(parser.Value("millrace_cursor_lag_records", {{"cursor", "a"}}), 8);
  EXPECT_EQ(parser.Value("millrace_cursor_lag_bytes", {{"cursor", "a"}}), 9);
}

TEST(PrometheusTest, SeveralLogsShareEachMetric) {
  const LogStats none;
  const LogStats some = SomeStats();
  const NamedStats logs[] = {{&none, "idle"}, {&some, "x"}};
  const Parser parser(ToPrometheusText(logs));
  EXPECT_EQ(parser.Value("millrace_acknowledged_records_total"), 12);
  EXPECT_EQ(parser.Value("millrace_cursor_lag_records", {{"cursor", "a"}}), 8);
  EXPECT_EQ(parser.metrics().at("millrace_segments").samples.size(), 2u);
  EXPECT_EQ(parser.metrics().at("millrace_cursor_open").samples.size(), 2u);
  EXPECT_EQ(ToPrometheusText(std::span<const NamedStats>()), "");
}

// What a log of that name is called in the text.
std::string LabelOf(std::string_view log) {
  const Parser parser(ToPrometheusText(LogStats(), log));
  return parser.metrics().at("millrace_segments").samples.at(0).labels.at("log");
}

TEST(PrometheusTest, LabelsComeBackAsTheyWere) {
  for (const std::string log : {"", "/var/lib/app", "quote \" in", "back \\ slash", "line\nend",
                                "\\n", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"}) {
    EXPECT_EQ(LabelOf(log), log);
  }
}

TEST(PrometheusTest, BytesThatAreNoUtf8AreReplaced) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(LabelOf("a\xFF"
                    "b"),
            "a" + r + "b");
  EXPECT_EQ(LabelOf("cut \xE2\x82"), "cut " + r + r);
  EXPECT_EQ(LabelOf("overlong \xC0\xAF"), "overlong " + r + r);
  EXPECT_EQ(LabelOf("overlong \xE0\x80\x80"), "overlong " + r + r + r);
  EXPECT_EQ(LabelOf("surrogate \xED\xA0\x80"), "surrogate " + r + r + r);
  EXPECT_EQ(LabelOf("too large \xF4\x90\x80\x80"), "too large " + r + r + r + r);
  EXPECT_EQ(LabelOf("broken \xE2\x41\x82"), "broken " + r + "A" + r);
}

}  // namespace
}  // namespace millrace
