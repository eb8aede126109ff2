#include "tests/kill_test_oracle.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace millrace {

static_assert(std::atomic<uint64_t>::is_always_lock_free, "a lock would not outlive the process");

KillOracle* MapKillOracle(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  // Zeros are what the members begin with, so that mapping constructs them.
  if (fd >= 0 && ftruncate(fd, sizeof(KillOracle)) == 0) {
    memory = mmap(nullptr, sizeof(KillOracle), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (memory == MAP_FAILED) {
    std::perror(path.c_str());
    std::abort();
  }
  close(fd);
  return static_cast<KillOracle*>(memory);
}

std::vector<ProducerHistory> Histories(const KillOracle& oracle) {
  std::vector<ProducerHistory> histories;
  for (const KillProducerNotes& notes : oracle.producers) {
    histories.push_back({notes.issued.Read(), notes.kept.Read(), notes.acknowledged});
  }
  return histories;
}

uint64_t AppendsInFlight(const KillOracle& oracle) {
  uint64_t in_flight = 0;
  for (const KillProducerNotes& notes : oracle.producers) {
    const uint64_t answered = notes.returned.Read() + notes.called_back.Read();
    in_flight += notes.issued.Read() - answered;
  }
  return in_flight;
}

}  // namespace millrace
