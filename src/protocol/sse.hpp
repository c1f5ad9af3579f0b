// Server-sent events, both ways: frames out, and a reader for bytes that arrive in any pieces.
//
// Pure; a reader belongs to one stream and its thread. Follows the WHATWG event stream format: LF,
// CR and CRLF end a line, one byte order mark at the start is skipped.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

inline constexpr std::string_view sse_keep_alive = ": keep-alive\n\n";
// The same in Anthropic's form, whose clients know it as an event.
inline constexpr std::string_view sse_ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
inline constexpr std::string_view sse_done = "data: [DONE]\n\n";

// One frame; each line of `data` gets its own "data: ". `event` must not hold a line end; if it
// does, it is cut there.
std::string sse_frame(std::string_view data, std::string_view event = {});
// ": text"; line ends in `text` become spaces.
std::string sse_comment(std::string_view text);

struct SseEvent {
  std::string event;  // empty: "message"
  std::string data;
  std::string id;
  bool operator==(const SseEvent&) const = default;
};

class SseReader {
 public:
  struct Limits {
    std::size_t line_bytes_max = 1 << 20;
    std::size_t event_bytes_max = 4 << 20;
  };
  SseReader() = default;
  explicit SseReader(const Limits& limits) : limits_(limits) {}

  // Appends the events that are complete. upstream_failed when a limit is passed; the reader then
  // stays failed. An event that the end of the stream cuts is dropped, as the standard has it.
  base::Result<void> push(std::string_view bytes, std::vector<SseEvent>& events);
  // Bytes kept for a line or an event that is not complete.
  std::size_t pending_bytes() const { return line_.size() + current_.data.size(); }

 private:
  void end_line(std::vector<SseEvent>& events);
  void field(std::string_view name, std::string_view value);

  Limits limits_;
  std::string line_;
  SseEvent current_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;
  bool failed_ = false;
};

}  // namespace deepseek::protocol
