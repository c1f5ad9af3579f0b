// Something that answers requests: the engine of a local model, another server, a cloud.
//
// A backend object may be used from any I/O thread. An EventStream or Call belongs to the coroutine
// that started it and lives on that coroutine's thread.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "gateway/resilience/failure.hpp"
#include "protocol/event.hpp"
#include "protocol/request.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::gateway {

// For whom a backend with a queue of its own works, and how much that one may claim of it.
struct Claim {
  std::string_view tenant = {};
  double weight = 1;          // of the tenant's share beside others, > 0
  std::int32_t priority = 0;  // of the request beside the tenant's others
};

// One try at a request. The request and what was spoken outlive the stream.
struct Attempt {
  const protocol::Request& request;
  boost::asio::any_io_executor executor;     // of the coroutine that will read
  const protocol::Spoken* spoken = nullptr;  // the answer goes on behind it; null: a new one
  base::TimePoint first_token_by = base::TimePoint::max();
  base::TimePoint end_by = base::TimePoint::max();
  Claim claim{};  // its names outlive the stream
  // Verbatim events are welcome, of a backend that speaks the client's own form (request.form).
  bool verbatim = false;
};

// One try at what is answered at once. The request outlives the call.
template <class Request>
struct CallAttempt {
  const Request& request;
  boost::asio::any_io_executor executor;  // of the coroutine that will wait
  base::TimePoint end_by = base::TimePoint::max();
};
using EmbeddingAttempt = CallAttempt<protocol::EmbeddingRequest>;
using TokenizeAttempt = CallAttempt<protocol::TokenizeRequest>;

// What a read returns after cancel().
inline base::Error request_cancelled() {
  return base::make_error(base::ErrorCode::cancelled, "The request was cancelled.");
}

// Why a stream ended with an error, beside the error itself.
struct AttemptFailure {
  FailureKind kind = FailureKind::broken;
  int status = 0;  // of an upstream's answer; 0 if there was none
  std::optional<base::Milliseconds> retry_after{};
};

// A running answer. Destroying it cancels what still runs.
class EventStream {
 public:
  virtual ~EventStream() = default;

  // Waits for events and returns all that are there (at least one). After every sequence's
  // Finished, returns an empty vector. An error ends the stream: upstream_failed, queue_full,
  // context_length, cancelled, deadline_exceeded … Reading gives credit back to the backend: who
  // does not read slows only its own sequences.
  virtual boost::asio::awaitable<base::Result<std::vector<protocol::Event>>> read() = 0;

  // Stops the work now; a pending read() returns `cancelled`. Only from the stream's own thread.
  virtual void cancel() = 0;

  // After an error of read().
  virtual AttemptFailure failure() const = 0;
  // From the first events on: which backends answered and why they were chosen, in plain words for
  // a header; empty from a single backend.
  virtual std::string route_note() const { return {}; }
};

struct EmbeddingResult {
  std::vector<std::vector<float>> vectors;  // one per input
  std::int64_t prompt_tokens = 0;
  // Of a request that ranks, from a backend that does it itself: one per document, and no vectors.
  std::vector<double> scores{};
};

// What became of a text or a chat, or of tokens.
struct TokenizeResult {
  protocol::TokenIds tokens;
  std::string text;              // of the tokens, exactly: not always valid UTF-8
  std::int32_t context_max = 0;  // tokens that one sequence may have; 0: not known
  // Of a request that only counts, from a backend that tells no more than that.
  std::optional<std::int64_t> count{};
};

// A running call. Destroying it cancels it.
template <class Answer>
class Call {
 public:
  virtual ~Call() = default;
  // Once. Errors as EventStream::read().
  virtual boost::asio::awaitable<base::Result<Answer>> result() = 0;
  // Stops the work now; a pending result() returns `cancelled`. Only from the call's own thread.
  virtual void cancel() = 0;
  // After an error of result().
  virtual AttemptFailure failure() const = 0;
};
using EmbeddingCall = Call<EmbeddingResult>;
using TokenizeCall = Call<TokenizeResult>;

// `unloaded`: its program starts with the next request.
enum class BackendState { unloaded, starting, loading, ready, restarting, failed, stopped };

std::string_view to_string(BackendState state);

struct BackendStatus {
  BackendState state = BackendState::starting;
  std::string reason;   // plain words: "loading the model, 43 %", "the engine was killed by signal
                        // 9; restart in 0.5 s"
  double progress = 0;  // of loading, [0, 1]
  std::uint64_t restarts = 0;
  std::uint32_t pid = 0;  // 0 when there is no process
  std::string
      degraded{};  // why it works with less than it should: its GPU failed; empty: it does not
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Never waits and never fails: what is wrong comes from the stream's first read.
  virtual std::unique_ptr<EventStream> start(const Attempt& attempt) = 0;
  virtual std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt& attempt) = 0;
  // Of a backend that does not tell its tokens: `not_implemented`.
  virtual std::unique_ptr<TokenizeCall> tokenize(const TokenizeAttempt& attempt);
  virtual BackendStatus status() const = 0;  // any thread; never blocks on I/O
  // False while it starts and others should be asked first. Any thread; cheap.
  virtual bool ready() const { return true; }
  // How long a prompt of so many tokens would wait for its first token, as far as the backend knows
  // by itself; 0 where it knows nothing. Any thread; cheap.
  virtual base::Milliseconds expected_first_token(std::int64_t prompt_tokens) const {
    (void)prompt_tokens;
    return base::Milliseconds(0);
  }
};

}  // namespace deepseek::gateway
