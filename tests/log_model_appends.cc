// Appending: what is drawn, what each call may answer, and the calls without tickets.

#include "tests/log_model_appends.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

uint32_t DrawPayloadBytes(ModelChoices& choices) {
  switch (choices.Below(8)) {
    case 0:
      return 0;
    case 1:
      return static_cast<uint32_t>(choices.Below(2000));
    default:
      return static_cast<uint32_t>(choices.Below(200));
  }
}

ModelContent DrawContent(ModelRun& run) {
  ModelContent content;
  content.id = run.next_id;
  run.next_id += 8;  // of key and attributes too
  content.payload_bytes = DrawPayloadBytes(run.choices);
  if (run.choices.OneIn(4)) {
    content.key_bytes = static_cast<uint8_t>(1 + run.choices.Below(30));
    content.attributes = static_cast<uint8_t>(run.choices.Below(ModelContent::kMaxAttributes + 1));
  }
  return content;
}

void DrawOptions(ModelRun& run, Waits waits, DrawnAppend* append) {
  ModelChoices& choices = run.choices;
  AppendOptions& options = append->options;
  options.durability =
      choices.Of({Durability::kBuffered, Durability::kBuffered, Durability::kBuffered,
                  Durability::kWritten, Durability::kDurable});
  // A blocking call costs two switches of threads; without it many more operations fit in.
  if (waits == Waits::kForResult && choices.OneIn(2)) options.durability = Durability::kBuffered;
  if (choices.OneIn(4)) {
    options.when_full = choices.Of({WhenFull::kFail, WhenFull::kDropNewest});
    if (options.durability != Durability::kBuffered) options.when_full = WhenFull::kFail;
  }
  if (choices.OneIn(8)) {
    options.timeout = choices.Of(
        {absl::ZeroDuration(), absl::Microseconds(20), absl::Seconds(60), -absl::Seconds(1)});
  }
  if (run.writer_held && options.when_full == WhenFull::kWait) {
    options.timeout = choices.Of({absl::ZeroDuration(), absl::Microseconds(20)});
  }
  if (run.writer_held && waits == Waits::kForResult) {
    options.timeout = choices.Of({absl::ZeroDuration(), absl::Microseconds(20)});
  }
  if (!run.producers.empty() && choices.OneIn(2)) {
    append->producer = &run.producers[choices.Below(run.producers.size())];
  }
}

void MakeBytes(DrawnAppend* append) {
  append->bytes.resize(append->contents.size());
  for (size_t i = 0; i < append->contents.size(); ++i) append->bytes[i].Make(append->contents[i]);
}

std::string Description(const DrawnAppend& append) {
  static constexpr const char* kDurability[] = {"buffered", "written", "durable"};
  static constexpr const char* kWhenFull[] = {"", ", fail if full", ", drop if full"};
  const AppendOptions& options = append.options;
  uint64_t bytes = 0;
  for (const ModelContent& content : append.contents) bytes += content.payload_bytes;
  std::string text =
      absl::StrCat("id ", append.id, ", ", append.count(), " of ", bytes, " bytes, ",
                   kDurability[static_cast<int>(options.durability)],
                   kWhenFull[static_cast<int>(options.when_full)],
                   append.producer ? ", by a producer" : "", append.invalid ? ", invalid" : "");
  if (options.timeout != absl::InfiniteDuration()) {
    absl::StrAppend(&text, ", within ", absl::FormatDuration(options.timeout));
  }
  return text;
}

// Ok was said. True unless the append was dropped all the same, which the counter says.
bool WasKept(ModelRun& run, const DrawnAppend& append) {
  if (append.options.when_full != WhenFull::kDropNewest) return true;
  const uint64_t dropped = run.log->stats().dropped_records - run.counters.dropped;
  if (dropped == 0) return true;
  if (dropped != append.count()) {
    run.Differ(absl::StrCat("0 or ", append.count(), " more records are dropped"),
               absl::StrCat(dropped));
  }
  run.counters.dropped += append.count();
  run.Describe("-> dropped");
  ++run.tally.dropped;
  return false;
}

SequenceNumber Accept(ModelRun& run, const DrawnAppend& append) {
  const SequenceNumber first = run.model.Accept(append.contents);
  run.counters.accepted += append.count();
  if (append.producer != nullptr) append.producer->last = run.model.last();
  return first;
}

// An error of a valid append. Enters the records if they may be in the log.
void CheckError(ModelRun& run, const DrawnAppend& append, const absl::Status& status) {
  const bool in_log = MayHaveBeenAppended(status);
  const AppendOptions& options = append.options;
  run.Describe(absl::StrCat("-> ", absl::StatusCodeToString(status.code()),
                            in_log ? ", may be in the log" : ""));
  if (absl::IsDeadlineExceeded(status) && options.timeout != absl::InfiniteDuration()) {
    ++run.tally.timed_out;
    if (in_log) {
      Accept(run, append);
    } else {
      // Refused for want of space, or accepted and withdrawn.
      run.counters.in_doubt += append.count();
    }
    return;
  }
  if (absl::IsResourceExhausted(status) && options.when_full == WhenFull::kFail && !in_log &&
      !status.GetPayload("millrace.errno").has_value()) {
    ++run.tally.refused;
    return;
  }
  if (!run.ExpectOk("the append", status) && in_log) {
    Accept(run, append);
    run.counters.failed += append.count();
  }
}

}  // namespace

DrawnAppend DrawRecord(ModelRun& run, Waits waits) {
  DrawnAppend append;
  ModelContent content = DrawContent(run);
  append.id = content.id;
  DrawOptions(run, waits, &append);
  if (run.choices.OneIn(64)) {
    // The largest, or one byte more.
    append.invalid = run.choices.OneIn(2);
    content.payload_bytes =
        static_cast<uint32_t>(run.log->max_payload_bytes()) + (append.invalid ? 1 : 0);
    content.key_bytes = content.attributes = 0;
  }
  append.contents = {content};
  MakeBytes(&append);
  append.options.key = append.bytes[0].key();
  append.options.attributes = append.bytes[0].attributes();
  run.Describe(Description(append));
  append.given = append.options;
  run.fault.BeforeAppend(&append.given);
  return append;
}

DrawnAppend DrawBatch(ModelRun& run, Waits waits) {
  DrawnAppend append;
  uint64_t count = 1 + run.choices.Below(run.choices.OneIn(8) ? 16 : 5);
  DrawOptions(run, waits, &append);
  const uint64_t wrong = run.choices.OneIn(32) ? 1 + run.choices.Below(4) : 0;
  append.invalid = wrong != 0;
  if (wrong == 1) count = 0;
  if (wrong == 2) count = run.log->max_batch_records() + 1;
  append.id = run.next_id;
  for (uint64_t i = 0; i < count; ++i) {
    ModelContent content = DrawContent(run);
    // So that every batch fits the smallest segment.
    content.payload_bytes %= 256;
    append.contents.push_back(content);
  }
  if (wrong == 3) {
    append.contents.back().payload_bytes = static_cast<uint32_t>(run.log->max_payload_bytes()) + 1;
  }
  MakeBytes(&append);
  if (wrong == 4) append.options.key = "the key of a batch";
  for (const ModelBytes& bytes : append.bytes) {
    append.records.push_back({bytes.payload(), bytes.key(), bytes.attributes()});
  }
  run.Describe(Description(append));
  append.given = append.options;
  run.fault.BeforeAppend(&append.given);
  run.fault.BeforeBatch(&append.records);
  return append;
}

void CheckAppend(ModelRun& run, const DrawnAppend& append, absl::StatusOr<SequenceNumber> result) {
  run.fault.AfterAppend(&result);
  if (append.invalid) {
    run.ExpectCode("an invalid append", result.status(), absl::StatusCode::kInvalidArgument);
    return;
  }
  if (!result.ok()) return CheckError(run, append, result.status());
  if (run.state != ModelRun::State::kOpen) {
    return run.Differ("a closed log accepts nothing", "the append succeeded");
  }
  if (!WasKept(run, append)) return;
  const SequenceNumber first = Accept(run, append);
  const bool buffered = append.options.durability == Durability::kBuffered;
  if (!buffered) run.counters.acknowledged += append.count();
  const SequenceNumber number = buffered ? kNoSequence : first;
  if (*result != number) {
    return run.Differ(absl::StrCat("the append returns ", number), absl::StrCat(*result));
  }
  if (append.options.durability == Durability::kDurable) run.model.KnowDurable(run.model.last());
  if (append.options.durability == Durability::kWritten) run.model.KnowWritten(run.model.last());
}

PendingResult* CheckAccepted(ModelRun& run, const DrawnAppend& append, const absl::Status& status) {
  if (append.invalid) {
    run.ExpectCode("an invalid append", status, absl::StatusCode::kInvalidArgument);
    return nullptr;
  }
  if (!status.ok()) {
    // Nothing is pending, so nothing may be in the log.
    if (MayHaveBeenAppended(status) && !run.DiskExplains(status)) {
      run.Differ("an asynchronous append that is refused is not in the log", status.ToString());
    }
    CheckError(run, append, status);
    return nullptr;
  }
  if (run.state != ModelRun::State::kOpen) {
    run.Differ("a closed log accepts nothing", "the append succeeded");
    return nullptr;
  }
  PendingResult result;
  result.id = append.id;
  result.count = append.count();
  result.durability = append.options.durability;
  if (WasKept(run, append)) {
    result.first = Accept(run, append);
  } else {
    result.fate = PendingResult::Fate::kDropped;
  }
  return &run.pending.emplace_back(std::move(result));
}

AppendCallback CallbackFor(ModelRun& run, const DrawnAppend& append) {
  return [results = run.callbacks, id = append.id](absl::StatusOr<SequenceNumber> result) {
    results->Add(id, std::move(result));
  };
}

namespace {

void RunAppend(ModelRun& run) {
  const DrawnAppend append = DrawRecord(run, Waits::kForResult);
  CheckAppend(run, append,
              append.producer != nullptr
                  ? append.producer->producer->Append(append.payload(), append.given)
                  : run.log->Append(append.payload(), append.given));
}

void RunAppendAsync(ModelRun& run) {
  const DrawnAppend append = DrawRecord(run, Waits::kForSpaceOnly);
  AppendCallback callback = CallbackFor(run, append);
  CheckAccepted(run, append,
                append.producer != nullptr
                    ? append.producer->producer->AppendAsync(append.payload(), append.given,
                                                             std::move(callback))
                    : run.log->AppendAsync(append.payload(), append.given, std::move(callback)));
}

void RunNewProducer(ModelRun& run) {
  absl::StatusOr<std::unique_ptr<Producer>> producer = run.log->NewProducer();
  if (!run.ExpectOk("NewProducer", producer.status())) return;
  run.producers.push_back({*std::move(producer), kNoSequence});
  if (run.producers.size() > 4) {
    run.producers.erase(run.producers.begin() + static_cast<ptrdiff_t>(run.choices.Below(4)));
  }
}

constexpr ModelOperation kSteps[] = {
    {"Append", 1, RunAppend},
    {"AppendAsync with a callback", 1, RunAppendAsync},
};

constexpr ModelOperation kOperations[] = {
    {"Append", 150, RunAppend},
    {"AppendAsync with a callback", 120, RunAppendAsync},
    {"NewProducer", 8, RunNewProducer},
};

}  // namespace

std::span<const ModelOperation> RecordSteps() { return kSteps; }
std::span<const ModelOperation> AppendOperations() { return kOperations; }

}  // namespace millrace
