// What the canned upstream answers, and how the load generator checks it. Each content frame of a
// stream carries its number and the time it was sent, as `[12@123456789]` inside the text, so that
// the check survives a proxy that writes the JSON anew. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

/// True when the body has `"name": true`, with or without the space.
bool has_true(std::string_view body, std::string_view name);

/// A whole response: head and a chat.completion of about 400 bytes.
std::string completion_response();

std::string json_response(std::string_view status, std::string_view body);

/// The head of a streamed response. It tells nginx to hand frames on at once.
std::string_view stream_head();

/// One content frame in its chunk of the transfer coding.
std::string content_chunk(int number, std::int64_t sent_ns);

/// Everything after the last content frame: finish, usage when asked for, [DONE], end of the body.
std::string stream_end(int frames, bool usage);

/// Reads the payload of one event stream in pieces.
class StreamCheck {
 public:
  struct Frame {
    bool found = false;
    std::int64_t sent_ns = 0;
  };

  void start() { *this = StreamCheck(); }

  /// Takes bytes; calls `on_frame(sent_ns)` for each content frame that is the next in order.
  template <typename OnFrame>
  void feed(std::string_view data, const OnFrame& on_frame) {
    text_.append(data);
    std::size_t begin = 0;
    for (std::size_t end; (end = text_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const Frame frame = line(std::string_view(text_).substr(begin, end - begin));
      if (frame.found) on_frame(frame.sent_ns);
    }
    text_.erase(0, begin);
  }

  int frames() const { return frames_; }
  int disordered() const { return disordered_; }
  /// All frames in order, a finish reason, and [DONE].
  bool complete(int frames) const {
    return frames_ == frames && disordered_ == 0 && finished_ && done_;
  }

 private:
  Frame line(std::string_view text);

  std::string text_;
  int frames_ = 0;
  int disordered_ = 0;
  bool finished_ = false;
  bool done_ = false;
};

}  // namespace bench
