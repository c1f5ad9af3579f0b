// Just enough HTTP/1.1 to find where a message ends, for both ends of the benchmark. Pure: bytes
// in, positions out. Trusts its peers: this is no parser for strangers.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace bench {

struct Head {
  std::string_view start_line;
  std::size_t size = 0;    // bytes up to and with the empty line
  std::size_t length = 0;  // Content-Length; 0 when there is none
  bool has_length = false;
  bool chunked = false;
  bool close = false;

  /// The status of a response; 0 when this is none.
  int status() const;
};

/// The head at the front of `data`, or nothing while it is incomplete. Views into `data`.
std::optional<Head> scan_head(std::string_view data);

/// Takes a body in pieces and hands its payload on, without the framing.
class BodyScanner {
 public:
  using Sink = std::function<void(std::string_view)>;

  /// Begins the body that `head` announces. Without a length and chunks there is no body.
  void start(const Head& head);

  /// Returns how many bytes of `data` belong to this body; `sink` gets the payload among them.
  std::size_t feed(std::string_view data, const Sink& sink);

  bool done() const { return state_ == State::kDone; }
  bool broken() const { return state_ == State::kBroken; }

 private:
  enum class State { kLength, kSizeLine, kChunk, kChunkEnd, kTrailer, kDone, kBroken };

  void end_of_size_line();
  void end_of_line();

  State state_ = State::kDone;
  std::size_t left_ = 0;
  std::string line_;
};

}  // namespace bench
