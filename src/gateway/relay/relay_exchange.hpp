// One request to an upstream and its answer's bytes, with every time-out and what a failure means.
// Knows HTTP, not JSON.
//
// Owned by a RelayStream or RelayCall; lives on its coroutine's thread.
#pragma once

#include "gateway/backend.hpp"
#include "gateway/relay/relay_backend.hpp"

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace deepseek::gateway {

class RelayExchange {
 public:
  struct Limits {
    base::TimePoint first_by;  // of the answer's first useful bytes
    base::TimePoint end_by;
    bool continues = false;  // the rest of an answer is asked for
  };

  RelayExchange(RelayBackend& backend, Limits limits);
  ~RelayExchange();

  // Sends the request and reads the head of its answer: 200. Any other status is an error, with the
  // upstream's own words in it.
  boost::asio::awaitable<base::Result<void>> begin(std::string_view path, std::string_view model,
                                                   std::string_view request_id,
                                                   std::string_view body);
  // The next piece of the body; empty at its end, after which the connection is kept for others.
  boost::asio::awaitable<base::Result<std::string>> read_piece();
  // All of the body.
  boost::asio::awaitable<base::Result<std::string>> read_whole();

  // The answer has said all; what is left of it is nobody's, and its connection is kept for others.
  void finish();

  // Useful bytes came: from now on only the gap between pieces counts.
  void progressed(base::TimePoint now);
  std::string_view content_type() const { return content_type_; }

  void cancel();
  const AttemptFailure& failure() const { return failure_; }
  // What the answer's content is not what it should be: bad_answer, stream_error …
  base::Error refuse(FailureKind kind, std::string what);
  void set_failure(FailureKind kind) { failure_.kind = kind; }

 private:
  boost::asio::awaitable<base::Result<void>> exchange(const io::HttpRequestHead& head,
                                                      std::string_view request_id,
                                                      std::string_view body, bool& stale);
  boost::asio::awaitable<base::Result<void>> connect();
  boost::asio::awaitable<base::Result<std::string>> read_error_body();
  base::Error fail(base::Error error);
  base::Error word_status(const io::HttpClientHead& head, std::string body);
  base::TimePoint next_by() const;
  io::HttpPool& pool() const;

  RelayBackend& backend_;
  const Limits limits_;
  std::unique_ptr<io::HttpClient> client_;
  std::shared_ptr<io::ConnectStop> stop_;
  base::TimePoint last_progress_{};
  std::string content_type_;
  AttemptFailure failure_{};
  bool answering_ = false;  // useful bytes have come
  bool cancelled_ = false;
};

}  // namespace deepseek::gateway
