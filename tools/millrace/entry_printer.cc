#include "tools/millrace/entry_printer.h"

#include "absl/status/statusor.h"

namespace millrace {

absl::Status EntryPrinter::PrintAll(LogReader* reader) {
  while (!output_closed()) {
    const absl::StatusOr<Entry> entry = reader->Next();
    if (absl::IsOutOfRange(entry.status())) break;
    if (!entry.ok()) return entry.status();
    if (entry->kind == Entry::Kind::kLost) {
      PrintLost(entry->lost);
    } else {
      output_->Write(RecordText(style_, entry->record));
    }
  }
  output_->Flush();
  return absl::OkStatus();
}

void EntryPrinter::PrintLost(const LostRange& lost) {
  // What a live writer gave up meanwhile is gone on purpose.
  if (lost.cause != LossCause::kTrimmed) damage_ = true;
  if (style_.form == EntryStyle::Form::kJson) {
    output_->Write(JsonLine({{"lost", LostJson(lost)}}));
  } else {
    Complain(command_, "lost: " + lost.ToString());
  }
}

ExitCode EntryPrinter::Finish(const absl::Status& status) {
  output_->Flush();
  if (!status.ok()) return Fail(command_, status);
  if (!output_->status().ok()) return Fail(command_, output_->status());
  return damage_ ? ExitCode::kDamage : ExitCode::kFine;
}

}  // namespace millrace
