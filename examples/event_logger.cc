// A durable event logger for a service.
//
// Request threads log events without waiting for the disk, and never wait for space either:
// under overload the newest events are dropped and counted. What must not be lost (a
// payment) is logged durably. One thread ships events elsewhere, in its own time, across
// restarts; what it has shipped is trimmed.
//
//   event_logger DIRECTORY [EVENTS]

#include <charconv>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/log.h"

namespace {

class EventLogger {
 public:
  static absl::StatusOr<std::unique_ptr<EventLogger>> Open(std::string directory) {
    millrace::Options options;
    options.segment_bytes = 1 << 20;  // trimming gives up whole segments
    // What nobody waits for is on disk after a tenth of a second.
    options.sync_policy.interval = absl::Milliseconds(100);
    absl::StatusOr<std::unique_ptr<millrace::Log>> log =
        millrace::Log::Open(std::move(directory), options);
    if (!log.ok()) return log.status();
    // Losses are named, never passed over in silence.
    if ((*log)->recovery().records_lost() != 0) std::cerr << (*log)->recovery().ToString();
    return std::unique_ptr<EventLogger>(new EventLogger(*std::move(log)));
  }

  // One for each thread that logs.
  absl::StatusOr<std::unique_ptr<millrace::Producer>> NewProducer() { return log_->NewProducer(); }

  // Returns at once, whatever the disk does.
  static absl::Status Log(millrace::Producer& producer, std::string_view type,
                          std::string_view user, std::string_view text) {
    return Append(producer, millrace::Durability::kBuffered, type, user, text);
  }

  // Returns when the event survives a power cut.
  static absl::Status LogDurably(millrace::Producer& producer, std::string_view type,
                                 std::string_view user, std::string_view text) {
    return Append(producer, millrace::Durability::kDurable, type, user, text);
  }

  // Hands every event to `ship`, each at least once, until the log is closed.
  absl::Status Ship(void (*ship)(const millrace::Record&)) {
    absl::StatusOr<std::unique_ptr<millrace::Cursor>> cursor = log_->OpenCursor("shipper");
    if (!cursor.ok()) return cursor.status();
    std::vector<char> memory(log_->max_payload_bytes());
    std::vector<millrace::Entry> entries;
    while (true) {
      entries.clear();
      absl::StatusOr<size_t> count = (*cursor)->NextBatch(memory, &entries);
      if (absl::IsCancelled(count.status())) return (*cursor)->Checkpoint();  // closed, all read
      if (!count.ok()) return count.status();
      for (const millrace::Entry& entry : entries) {
        if (entry.kind == millrace::Entry::Kind::kRecord) ship(entry.record);
        if (entry.kind == millrace::Entry::Kind::kLost) std::cerr << entry.lost.ToString() << "\n";
      }
      // Only now: a crash before this ships these events again.
      absl::Status status = (*cursor)->Commit((*cursor)->delivered());
      if (status.ok()) status = log_->TrimBefore((*cursor)->checkpointed() + 1);
      if (!status.ok() && !absl::IsCancelled(status)) return status;
    }
  }

  absl::Status Close() { return log_->Close(); }
  millrace::LogStats stats() const { return log_->stats(); }

 private:
  explicit EventLogger(std::unique_ptr<millrace::Log> log) : log_(std::move(log)) {}

  static absl::Status Append(millrace::Producer& producer, millrace::Durability durability,
                             std::string_view type, std::string_view user, std::string_view text) {
    const millrace::Attribute attributes[] = {{"user", user}};
    millrace::AppendOptions options;
    options.durability = durability;
    if (durability == millrace::Durability::kBuffered) {
      options.when_full = millrace::WhenFull::kDropNewest;
    }
    options.key = type;
    options.attributes = attributes;
    return producer.Append(text, options).status();
  }

  const std::unique_ptr<millrace::Log> log_;
};

uint64_t shipped = 0;

// Serves requests; every hundredth is a payment.
void Serve(EventLogger& logger, int thread, int events) {
  std::unique_ptr<millrace::Producer> producer = logger.NewProducer().value();
  const std::string user = "user-" + std::to_string(thread);
  for (int i = 0; i < events; ++i) {
    const std::string text = "request " + std::to_string(i);
    const absl::Status status = i % 100 == 99
                                    ? EventLogger::LogDurably(*producer, "payment", user, text)
                                    : EventLogger::Log(*producer, "request", user, text);
    if (!status.ok()) std::cerr << status << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  int events = 10000;
  if (argc == 3) std::from_chars(argv[2], argv[2] + std::string_view(argv[2]).size(), events);
  if (argc < 2 || argc > 3 || events <= 0) {
    std::cerr << "usage: event_logger DIRECTORY [EVENTS]\n";
    return 1;
  }
  absl::StatusOr<std::unique_ptr<EventLogger>> logger = EventLogger::Open(argv[1]);
  if (!logger.ok()) return std::cerr << logger.status() << "\n", 3;
  std::thread shipper([&] {
    absl::Status status = (*logger)->Ship([](const millrace::Record&) { ++shipped; });
    if (!status.ok()) std::cerr << "shipper: " << status << "\n";
  });
  std::vector<std::thread> servers;
  for (int i = 0; i < 4; ++i) servers.emplace_back([&, i] { Serve(**logger, i, events); });
  for (std::thread& server : servers) server.join();
  const absl::Status closed = (*logger)->Close();
  shipper.join();
  if (!closed.ok()) return std::cerr << closed << "\n", 3;
  const millrace::LogStats stats = (*logger)->stats();
  std::cout << stats.accepted << " events logged, " << stats.dropped_records << " dropped, "
            << shipped << " shipped, " << stats.syncs << " syncs, " << stats.segments
            << " segments left\n";
  return 0;
}
