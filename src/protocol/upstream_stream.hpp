// Reads the event stream of an upstream: frames as they came, to be passed on unchanged, with what
// a relay has to know about each.
//
// Pure; one reader per stream, used from its thread. It never keeps more than one unfinished frame,
// and never more of it than frame_bytes_max. Whatever is no event of such a stream is an error:
// nothing of it reaches a client.
#pragma once

#include "base/result.hpp"
#include "protocol/anthropic_chunk.hpp"
#include "protocol/upstream_chunk.hpp"

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

struct UpstreamFrame {
  enum class Kind : std::uint8_t {
    comment,  // ": keep-alive", blank lines, an event without data: the upstream lives
    chunk,
    done,   // data: [DONE], or message_stop
    error,  // {"error": …}, or an answer that the upstream broke off: see upstream_error.hpp
  };
  Kind kind = Kind::comment;
  std::string_view raw;   // the frame's bytes, with the blank line at its end
  std::string_view data;  // the JSON text
  UpstreamChunk chunk;

  bool has_content() const { return chunk.has_content(); }
  // The chunk that stream_options.include_usage brings.
  bool usage_only() const { return chunk.usage.has_value() && chunk.choices.empty(); }
};

class UpstreamStreamReader {
 public:
  static constexpr std::size_t frame_bytes_max_default = 1 << 20;

  explicit UpstreamStreamReader(std::size_t frame_bytes_max = frame_bytes_max_default,
                                UpstreamWire wire = UpstreamWire::openai)
      : frame_bytes_max_(frame_bytes_max), wire_(wire) {}

  // Appends the frames that are complete; put together, their `raw` is what was pushed. They are
  // views into `bytes` and into this reader: gone with the next call. upstream_failed for a frame
  // that is too long, no JSON or no UTF-8; the frames before it are in `frames`, and the reader
  // stays failed. What comes after the last frame is ignored.
  base::Result<void> push(std::string_view bytes, std::vector<UpstreamFrame>& frames);
  // The upstream has closed. Takes a last "data: [DONE]" without its blank line, which some servers
  // leave out; an unfinished frame is dropped.
  void end(std::vector<UpstreamFrame>& frames);

  bool done() const { return done_; }
  // Bytes kept for a frame that is not complete.
  std::size_t pending_bytes() const { return pending_.size(); }

 private:
  std::size_t find_frame_end(std::string_view bytes);
  std::size_t take_blank_lines(std::string_view bytes, std::vector<UpstreamFrame>& frames);
  bool take_frame(std::string_view raw, std::vector<UpstreamFrame>& frames);
  std::string_view read_data(std::string_view raw, bool& has_data, bool& is_error);

  std::size_t frame_bytes_max_;
  UpstreamWire wire_;
  AnthropicChunkReader anthropic_;
  std::string pending_;             // the beginning of a frame
  std::string completed_;           // the frame that pending_ became
  std::deque<std::string> joined_;  // data of several lines; addresses must stay
  bool at_line_start_ = true;
  bool after_cr_ = false;  // the last byte was a CR; an LF that follows belongs to it
  bool at_start_ = true;
  bool done_ = false;
  bool failed_ = false;
};

}  // namespace deepseek::protocol
