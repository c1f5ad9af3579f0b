#include "protocol/upstream_stream.hpp"

#include "base/utf8.hpp"
#include "protocol/sse.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::protocol {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::string_view done_data = "[DONE]";

// Finds the ends of lines one after the other. JSON text holds no raw CR, so looking for LF first
// is quick; where it is, is kept, so that a text of many CR alone stays linear.
class LineEnds {
 public:
  explicit LineEnds(std::string_view text) : text_(text), line_feed_(text.find('\n')) {}

  // The first LF or CR from `at` on, which never goes back; npos if there is none.
  std::size_t next(std::size_t at) {
    if (line_feed_ != std::string_view::npos && line_feed_ < at) line_feed_ = text_.find('\n', at);
    return std::min(line_feed_, text_.substr(0, line_feed_).find('\r', at));
  }
  // Behind the end of line at `end`.
  std::size_t behind(std::size_t end) const {
    return end + (text_.substr(end, 2) == "\r\n" ? 2 : 1);
  }

 private:
  std::string_view text_;
  std::size_t line_feed_;
};

std::string_view without_spaces(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

base::Error bad_stream(std::string what) {
  return base::make_error(base::ErrorCode::upstream_failed, std::move(what));
}

}  // namespace

// Behind the blank line that ends the frame whose next bytes are at the front of `bytes`; npos if
// it is not there yet.
std::size_t UpstreamStreamReader::find_frame_end(std::string_view bytes) {
  std::size_t at = 0;
  if (after_cr_ && !bytes.empty() && bytes[0] == '\n') at = 1;
  after_cr_ = false;
  LineEnds lines(bytes);
  while (at < bytes.size()) {
    const std::size_t end = lines.next(at);
    if (end == std::string_view::npos) {
      at_line_start_ = false;
      return end;
    }
    const bool blank = at_line_start_ && end == at;
    at = lines.behind(end);
    at_line_start_ = true;
    after_cr_ = at == bytes.size() && bytes.back() == '\r';
    if (blank) return at;
  }
  return std::string_view::npos;
}

// The values of all `data` lines; of several lines with line feeds between them.
std::string_view UpstreamStreamReader::read_data(std::string_view raw, bool& has_data,
                                                 bool& is_error) {
  std::string_view data;
  std::string* joined = nullptr;
  LineEnds lines(raw);
  for (std::size_t at = 0; at < raw.size();) {
    const std::size_t end = std::min(lines.next(at), raw.size());
    const std::string_view line = raw.substr(at, end - at);
    at = lines.behind(end);
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    std::string_view value =
        colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    // llama-server of old wrote "error: {…}".
    if (name == "error" || (name == "event" && value == "error")) is_error = true;
    if (name != "data" && name != "error") continue;
    if (!has_data) {
      has_data = true;
      data = value;
      continue;
    }
    if (joined == nullptr) joined = &joined_.emplace_back(data);
    *joined += '\n';
    *joined += value;
    data = *joined;
  }
  return data;
}

// Blank lines between frames, all that follow each other as one frame, so that a flood of them is
// no flood of frames. Returns how many bytes that are.
std::size_t UpstreamStreamReader::take_blank_lines(std::string_view bytes,
                                                   std::vector<UpstreamFrame>& frames) {
  if (!pending_.empty()) return 0;
  const std::size_t size = std::min(bytes.find_first_not_of("\r\n"), bytes.size());
  if (size > 0) frames.emplace_back().raw = bytes.substr(0, size);
  return size;
}

// False for a frame that cannot be passed on.
bool UpstreamStreamReader::take_frame(std::string_view raw, std::vector<UpstreamFrame>& frames) {
  if (!base::is_valid_utf8(raw)) return false;
  UpstreamFrame& frame = frames.emplace_back();
  frame.raw = raw;
  if (at_start_ && raw.starts_with(byte_order_mark)) raw.remove_prefix(byte_order_mark.size());
  at_start_ = false;
  bool has_data = false, is_error = false;
  frame.data = without_spaces(read_data(raw, has_data, is_error));
  if (frame.data.empty()) return true;
  if (frame.data == done_data) {
    frame.kind = UpstreamFrame::Kind::done;
    done_ = true;
    return true;
  }
  const bool read = wire_ == UpstreamWire::anthropic ? anthropic_.read(frame.data, frame.chunk)
                                                     : read_upstream_chunk(frame.data, frame.chunk);
  if (!read) {
    frames.pop_back();
    return false;
  }
  if (is_error && frame.chunk.error.empty()) frame.chunk.error = frame.data;
  const bool failed = !frame.chunk.error.empty() || frame.chunk.interrupted;
  frame.kind = failed ? UpstreamFrame::Kind::error : UpstreamFrame::Kind::chunk;
  if (!failed && frame.chunk.last) {
    frame.kind = UpstreamFrame::Kind::done;
    done_ = true;
  }
  return true;
}

base::Result<void> UpstreamStreamReader::push(std::string_view bytes,
                                              std::vector<UpstreamFrame>& frames) {
  const auto refuse = [&](std::string what) {
    failed_ = true;
    pending_.clear();
    return bad_stream(std::move(what));
  };
  if (failed_) return refuse("the upstream's stream was broken before");
  joined_.clear();
  completed_.clear();
  while (!bytes.empty() && !done_) {
    if (const std::size_t blank = take_blank_lines(bytes, frames); blank > 0) {
      bytes.remove_prefix(blank);
      continue;
    }
    const std::size_t end = find_frame_end(bytes);
    const std::string_view piece = bytes.substr(0, end);
    if (pending_.size() + piece.size() > frame_bytes_max_) {
      return refuse("the upstream sent an event of more than " + std::to_string(frame_bytes_max_) +
                    " bytes");
    }
    if (end == std::string_view::npos) {
      pending_ += piece;
      break;
    }
    std::string_view raw = piece;
    if (!pending_.empty()) {
      pending_ += piece;
      completed_.swap(pending_);
      pending_.clear();
      raw = completed_;
    }
    bytes.remove_prefix(end);
    if (!take_frame(raw, frames)) {
      return refuse("the upstream sent an event that is no JSON object");
    }
  }
  return {};
}

void UpstreamStreamReader::end(std::vector<UpstreamFrame>& frames) {
  const std::string last = std::exchange(pending_, {});
  if (failed_ || done_) return;
  bool has_data = false, is_error = false;
  joined_.clear();
  if (without_spaces(read_data(last, has_data, is_error)) != done_data) return;
  done_ = true;
  UpstreamFrame& frame = frames.emplace_back();
  frame.kind = UpstreamFrame::Kind::done;
  frame.raw = sse_done;
  frame.data = done_data;
}

}  // namespace deepseek::protocol
