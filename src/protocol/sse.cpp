#include "protocol/sse.hpp"

#include <algorithm>

namespace deepseek::protocol {
namespace {

constexpr std::string_view line_ends = "\r\n";
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

}  // namespace

std::string sse_frame(std::string_view data, std::string_view event) {
  std::string out;
  out.reserve(data.size() + event.size() + 24);
  if (!event.empty()) {
    out += "event: ";
    out += event.substr(0, event.find_first_of(line_ends));
    out += '\n';
  }
  while (true) {
    const std::size_t end = data.find_first_of(line_ends);
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos) break;
    const bool both = data.substr(end, 2) == "\r\n";
    data.remove_prefix(end + (both ? 2 : 1));
  }
  out += '\n';
  return out;
}

std::string sse_comment(std::string_view text) {
  std::string out = ": ";
  out += text;
  std::replace_if(out.begin(), out.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  out += "\n\n";
  return out;
}

base::Result<void> SseReader::push(std::string_view bytes, std::vector<SseEvent>& events) {
  const auto refuse = [&](std::string_view what, std::size_t limit) {
    failed_ = true;
    return base::make_error(base::ErrorCode::upstream_failed,
                            "the event stream has " + std::string(what) + " of more than " +
                                std::to_string(limit) + " bytes");
  };
  if (failed_) return refuse("a line or an event", limits_.line_bytes_max);
  while (!bytes.empty()) {
    if (after_cr_ && bytes.front() == '\n') bytes.remove_prefix(1);
    after_cr_ = false;
    const std::size_t end = bytes.find_first_of(line_ends);
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > limits_.line_bytes_max) {
      return refuse("a line", limits_.line_bytes_max);
    }
    line_ += piece;
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (at_start_ && line_.starts_with(byte_order_mark)) line_.erase(0, byte_order_mark.size());
    at_start_ = false;
    end_line(events);
    if (current_.data.size() > limits_.event_bytes_max) {
      return refuse("an event", limits_.event_bytes_max);
    }
  }
  return {};
}

void SseReader::end_line(std::vector<SseEvent>& events) {
  if (line_.empty()) {
    if (has_data_) {
      current_.data.pop_back();  // the line end after the last line
      events.push_back(current_);
    }
    current_.event.clear();  // the id stays, as the standard has it
    current_.data.clear();
    has_data_ = false;
    return;
  }
  const std::string_view line = line_;
  const std::size_t colon = line.find(':');
  if (colon != 0) {
    std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    field(line.substr(0, colon), value);
  }
  line_.clear();
}

void SseReader::field(std::string_view name, std::string_view value) {
  if (name == "data") {
    current_.data += value;
    current_.data += '\n';
    has_data_ = true;
  } else if (name == "event") {
    current_.event = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    current_.id = value;
  }
}

}  // namespace deepseek::protocol
