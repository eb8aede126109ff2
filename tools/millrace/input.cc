#include "tools/millrace/input.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"

namespace millrace {
namespace {

constexpr size_t kReadBytes = size_t{256} * 1024;
constexpr size_t kPrefixBytes = 4;

}  // namespace

RecordInput::RecordInput(int fd, Framing framing, uint64_t max_record_bytes,
                         InterruptWatch* interrupt)
    : fd_(fd),
      framing_(framing),
      max_record_bytes_(max_record_bytes),
      interrupt_(interrupt),
      buffer_(kReadBytes) {}

RecordInput::Result RecordInput::Next(std::string* record) {
  while (status_.ok()) {
    const Found found = framing_ == Framing::kLines ? TakeLine(record) : TakeLengthPrefixed(record);
    if (found == Found::kRecord) {
      ++records_;
      return Result::kRecord;
    }
    if (found == Found::kTooLarge) {
      status_ = absl::InvalidArgumentError(absl::StrFormat(
          "input record %d is larger than the log takes, %d bytes; raise --segment-bytes",
          records_ + 1, max_record_bytes_));
      break;
    }
    if (ended_) return AtEnd(record);
    const Result result = ReadMore();
    if (result == Result::kInterrupted) return result;
  }
  return Result::kError;
}

RecordInput::Found RecordInput::TakeLine(std::string* record) {
  const std::string_view bytes = unread();
  const size_t newline = bytes.find('\n', searched_);
  if (newline == std::string_view::npos) {
    searched_ = bytes.size();
    return bytes.size() > max_record_bytes_ ? Found::kTooLarge : Found::kNeedsMore;
  }
  if (newline > max_record_bytes_) return Found::kTooLarge;
  record->assign(bytes.substr(0, newline));
  begin_ += newline + 1;
  searched_ = 0;
  return Found::kRecord;
}

RecordInput::Found RecordInput::TakeLengthPrefixed(std::string* record) {
  const std::string_view bytes = unread();
  if (bytes.size() < kPrefixBytes) return Found::kNeedsMore;
  uint32_t length = 0;
  for (size_t i = 0; i < kPrefixBytes; ++i) {
    length |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  if (length > max_record_bytes_) return Found::kTooLarge;
  if (bytes.size() < kPrefixBytes + length) return Found::kNeedsMore;
  record->assign(bytes.substr(kPrefixBytes, length));
  begin_ += kPrefixBytes + length;
  return Found::kRecord;
}

RecordInput::Result RecordInput::AtEnd(std::string* record) {
  if (unread().empty()) return Result::kEnd;
  if (framing_ == Framing::kLength) {
    status_ = absl::InvalidArgumentError(
        absl::StrFormat("the input ends %d bytes into record %d", unread().size(), records_ + 1));
    return Result::kError;
  }
  // A last line without a newline is a record like the others.
  record->assign(unread());
  begin_ = end_ = searched_ = 0;
  ++records_;
  return Result::kRecord;
}

RecordInput::Result RecordInput::ReadMore() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // Bounded by max_record_bytes_, beyond which a record is refused.
  if (end_ == buffer_.size()) buffer_.resize(buffer_.size() * 2);
  while (true) {
    if (interrupt_->WaitForInput(fd_) == InterruptWatch::Ready::kInterrupt) {
      return Result::kInterrupted;
    }
    const ssize_t got = read(fd_, buffer_.data() + end_, buffer_.size() - end_);
    if (got >= 0) {
      ended_ = got == 0;
      end_ += static_cast<size_t>(got);
      return Result::kRecord;
    }
    if (errno == EINTR || errno == EAGAIN) continue;
    status_ = absl::ErrnoToStatus(errno, "read standard input");
    return Result::kError;
  }
}

}  // namespace millrace
