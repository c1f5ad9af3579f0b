// What is known of one request for metrics and the log; and who hears of it.
//
// The record is a value owned by the request's coroutine. It holds no prompt, no key and no path
// that a client made up.
#pragma once

#include "base/clock.hpp"
#include "protocol/encode.hpp"
#include "protocol/event.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace deepseek::frontend {

struct RequestRecord {
  std::string id;
  std::string_view method;  // literals of the endpoint table, or "other"
  std::string_view label = "other";
  protocol::ErrorForm form = protocol::ErrorForm::openai;
  std::string model = {};  // the model's own id, once it is known
  std::string tenant = {};
  bool stream = false;
  base::TimePoint began{};
  std::optional<base::TimePoint> first_token{};
  std::int64_t tokens_seen = 0;  // of deltas, should the answer not come to its end
  protocol::Usage usage{};
  std::optional<base::Milliseconds> queued{};  // in an engine's queue, the longest sequence
  int status = 0;
  std::string_view error = {};  // the code's name
  std::string_view cache = {};  // what the response cache did, a CacheResult; empty: there is none
  bool reported = false;

  // No backend made this answer for this request.
  bool from_cache() const { return !cache.empty() && cache != "none" && cache != "miss"; }
  // Takes first token, token count and usage from an event.
  void note(const protocol::Event& event, base::TimePoint now);
};

// Hears of every request once, before the last byte of its answer is handed to the kernel, so that
// who has read an answer finds it counted. Called from any I/O thread.
class RequestObserver {
 public:
  virtual ~RequestObserver() = default;
  virtual void on_request(const RequestRecord& record, base::TimePoint now) = 0;
};

}  // namespace deepseek::frontend
