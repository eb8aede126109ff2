// Records whose payloads are pieces of the log itself: frames, headers, whole segments. Where
// the frame around one is damaged, the search for the next one goes through the payload, and
// must find nothing there: what is read is what was appended, byte for byte.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "fuzz/damage_check.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/valid_log.h"
#include "wal/format.h"

namespace millrace {
namespace {

constexpr int kMostRecords = 40;
constexpr int kMostDamage = 4;

// A piece of a segment, moved by up to 7 bytes.
std::string Piece(const ValidLogWriter& log, FuzzInput& input) {
  const std::string bytes = log.SegmentBytes(1 + input.Number(1) % 4);
  const size_t shift = input.Number(1) % 8;
  const size_t block = input.Number(1);
  const size_t size = 8 * input.Number(1) + 4096 * (block >> 7);
  // From the frames on, mostly: headers stand at the first two blocks.
  const size_t begin = block % 4 == 3 ? 0 : kFramesOffset + 64 * (block & 0x7f) / 4;
  if (begin >= bytes.size()) return std::string(size % 5500, 'p');
  return std::string(shift, '\0') + bytes.substr(begin, std::min<size_t>(size, 5500));
}

ValidLog LogWithPieces(FuzzInput& input) {
  ValidLogWriter log(1);
  const int records = 1 + static_cast<int>(input.Number(1)) % kMostRecords;
  for (int i = 0; i < records; ++i) {
    const uint64_t kind = input.Number(1);
    ValidLogWriter::Content record{.payload = Piece(log, input)};
    if (kind % 8 == 1) record.attribute = Piece(log, input).substr(0, 500);
    if (kind % 8 == 2) {
      log.AddBatch({record, {.payload = Piece(log, input).substr(0, 2000)}});
    } else {
      log.Add(record);
    }
    if (kind & 0x40) log.EndGroup();
    if (kind & 0x80) log.Idle();
  }
  return log.Finish(static_cast<LogEnding>(input.Number(1) % 3));
}

// Hits a frame's header, or some other of its bytes.
void Damage(const std::vector<FramePlace>& frames, FuzzInput& input,
            std::map<std::string, std::string>& files) {
  const FramePlace& frame = frames[input.Number(1) % frames.size()];
  std::string& bytes = files[frame.file];
  const uint64_t at = input.Number(1);
  const uint64_t kind = input.Number(1);
  switch (kind % 4) {
    case 0:
      bytes[frame.offset + at % kFrameHeaderBytes] ^= static_cast<char>(1 << kind / 4 % 8);
      return;
    case 1:
      bytes.replace(frame.offset, kFrameHeaderBytes, kFrameHeaderBytes, '\0');
      return;
    case 2:  // of the payload, from the front
      bytes.replace(frame.offset, std::min(8 * at, frame.bytes), std::min(8 * at, frame.bytes),
                    '\0');
      return;
    default:
      bytes[frame.offset + 8 * at % frame.bytes] ^= 1;
      return;
  }
}

}  // namespace
}  // namespace millrace

// How many records, and how the damaged log is opened; each one's kind and piece; how the log
// ended; damage.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  millrace::FuzzInput input(data, size);
  const millrace::ValidLog log = millrace::LogWithPieces(input);
  const std::vector<millrace::FramePlace> frames = millrace::FramesOf(log);
  std::map<std::string, std::string> files = log.files;
  for (int i = 0; i < millrace::kMostDamage && !input.empty(); ++i) {
    millrace::Damage(frames, input, files);
  }
  millrace::CheckDamaged(log, files, data[0] / 64);
  return 0;
}
