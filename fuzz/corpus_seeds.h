#ifndef MILLRACE_FUZZ_CORPUS_SEEDS_H_
#define MILLRACE_FUZZ_CORPUS_SEEDS_H_

#include <filesystem>
#include <string>
#include <string_view>

namespace millrace {

// Writes one seed. Ends the process if it cannot.
void SaveSeed(const std::filesystem::path& directory, const std::string& name,
              std::string_view bytes);

// The seeds of the fuzzers that take bytes for parts of the format; `golden` is the directory of
// a golden log.
void SaveFrames(const std::filesystem::path& directory);
void SaveSlots(const std::filesystem::path& directory, const std::filesystem::path& golden);
void SaveCursorFiles(const std::filesystem::path& directory);
// Of those that damage a log that was written.
void SaveDamage(const std::filesystem::path& directory);
void SaveEmbedded(const std::filesystem::path& directory);

}  // namespace millrace

#endif  // MILLRACE_FUZZ_CORPUS_SEEDS_H_
