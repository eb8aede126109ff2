#include "bench/compare/child_program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

extern char** environ;

namespace millrace {
namespace {

// All that can be read from `fd`, which is closed.
std::string ReadAll(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t bytes = read(fd, buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(bytes));
  }
  close(fd);
  return text;
}

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& words, int output) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t child = 0;
  const int error = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return absl::ErrnoToStatus(error, "cannot run " + words[0]);
  return child;
}

}  // namespace

absl::StatusOr<nlohmann::json> RunForJson(const std::vector<std::string>& words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  const absl::StatusOr<pid_t> child = Spawn(words, ends[1]);
  close(ends[1]);
  const std::string text = ReadAll(ends[0]);
  if (!child.ok()) return child.status();
  int status = 0;
  while (waitpid(*child, &status, 0) < 0) {
    if (errno != EINTR) return absl::ErrnoToStatus(errno, "waitpid");
  }
  nlohmann::json document = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (status != 0 || document.is_discarded()) {
    return absl::AbortedError(
        absl::StrCat(words[0], " failed with status ", status, ", having written: ", text));
  }
  return document;
}

absl::StatusOr<LoadResult> RunDiskqueue(const Bench& bench, const DiskqueueWork& work,
                                        const std::string& directory) {
  if (bench.diskqueue.empty()) {
    return absl::UnimplementedError("go-diskqueue was not built: no --diskqueue (see tools/bench)");
  }
  const bool reads = work.kind == DiskqueueWork::Kind::kRead;
  const absl::StatusOr<nlohmann::json> document = RunForJson(
      {bench.diskqueue, "--dir=" + directory, reads ? "--work=read" : "--work=put",
       absl::StrCat("--producers=", work.producers),
       absl::StrCat("--record_bytes=", work.record_bytes),
       absl::StrCat("--seconds=", bench.seconds), absl::StrCat("--warm_up=", bench.warm_up_seconds),
       absl::StrCat("--sync_every=", work.sync_every), absl::StrCat("--records=", work.records)});
  if (!document.ok()) return document.status();
  LoadResult result;
  result.records = document->value("records", uint64_t{0});
  const double elapsed = document->value("elapsed_ns", 1.0) / 1e9;
  result.records_per_second = static_cast<double>(result.records) / elapsed;
  const auto latency = document->find("latency");
  if (latency == document->end() || !latency->is_array()) return result;
  for (const nlohmann::json& pair : *latency) {
    result.latency.RecordMany(pair[0].get<uint64_t>(), pair[1].get<uint64_t>());
  }
  return result;
}

}  // namespace millrace
