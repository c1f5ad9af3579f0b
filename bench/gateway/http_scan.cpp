#include "http_scan.hpp"

#include <algorithm>
#include <charconv>

namespace bench {
namespace {

constexpr std::size_t kLineMax = 256;

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
}

bool same(std::string_view left, std::string_view lower_right) {
  return std::equal(left.begin(), left.end(), lower_right.begin(), lower_right.end(),
                    [](char one, char other) { return lower(one) == other; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

void take_field(std::string_view name, std::string_view value, Head& head) {
  // Nearly every field of a message is none of these three: its length tells.
  if (name.size() == 14 && same(name, "content-length")) {
    std::from_chars(value.data(), value.data() + value.size(), head.length);
    head.has_length = true;
  } else if (name.size() == 17 && same(name, "transfer-encoding")) {
    head.chunked = same(value, "chunked");
  } else if (name.size() == 10 && same(name, "connection")) {
    head.close = same(value, "close");
  }
}

}  // namespace

int Head::status() const {
  if (!start_line.starts_with("HTTP/1.") || start_line.size() < 12) return 0;
  int found = 0;
  std::from_chars(start_line.data() + 9, start_line.data() + 12, found);
  return found;
}

std::optional<Head> scan_head(std::string_view data) {
  const std::size_t end = data.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  Head head;
  head.size = end + 4;
  std::string_view rest = data.substr(0, end + 2);
  std::size_t line_end = rest.find("\r\n");
  head.start_line = rest.substr(0, line_end);
  rest.remove_prefix(line_end + 2);
  while (!rest.empty()) {
    line_end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, line_end);
    rest.remove_prefix(line_end + 2);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      take_field(line.substr(0, colon), trimmed(line.substr(colon + 1)), head);
    }
  }
  return head;
}

void BodyScanner::start(const Head& head) {
  line_.clear();
  left_ = head.length;
  if (head.chunked) {
    state_ = State::kSizeLine;
  } else {
    state_ = left_ > 0 ? State::kLength : State::kDone;
  }
}

std::size_t BodyScanner::feed(std::string_view data, const Sink& sink) {
  std::size_t at = 0;
  while (at < data.size() && state_ != State::kDone && state_ != State::kBroken) {
    if (state_ == State::kLength || state_ == State::kChunk) {
      const std::size_t piece = std::min(left_, data.size() - at);
      sink(data.substr(at, piece));
      at += piece;
      left_ -= piece;
      if (left_ == 0) state_ = state_ == State::kLength ? State::kDone : State::kChunkEnd;
      continue;
    }
    const std::size_t end = data.find('\n', at);
    const std::size_t stop = end == std::string_view::npos ? data.size() : end;
    line_.append(data.substr(at, stop - at));
    at = stop;
    if (line_.size() > kLineMax) state_ = State::kBroken;
    if (end == std::string_view::npos) continue;
    ++at;
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    end_of_line();
    line_.clear();
  }
  return at;
}

void BodyScanner::end_of_line() {
  if (state_ == State::kSizeLine) {
    end_of_size_line();
  } else if (state_ == State::kChunkEnd) {
    state_ = line_.empty() ? State::kSizeLine : State::kBroken;
  } else if (state_ == State::kTrailer && line_.empty()) {
    state_ = State::kDone;
  }
}

void BodyScanner::end_of_size_line() {
  const auto found = std::from_chars(line_.data(), line_.data() + line_.size(), left_, 16);
  if (found.ec != std::errc()) {
    state_ = State::kBroken;
  } else {
    state_ = left_ == 0 ? State::kTrailer : State::kChunk;
  }
}

}  // namespace bench
