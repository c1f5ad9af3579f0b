// The answer of an upstream as events: its own frames where the client speaks the
// same form, neutral events otherwise.
//
// An EventStream; lives on its coroutine's thread. It holds no more than one read of the upstream:
// a slow client slows the upstream.
#pragma once

#include "gateway/relay/relay_exchange.hpp"
#include "protocol/upstream_events.hpp"
#include "protocol/upstream_stream.hpp"
#include "protocol/usage_check.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

class RelayStream final : public EventStream {
 public:
  RelayStream(RelayBackend& backend, const Attempt& attempt);

  boost::asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override;
  void cancel() override { exchange_.cancel(); }
  AttemptFailure failure() const override { return exchange_.failure(); }

 private:
  using Events = std::vector<protocol::Event>;

  base::Result<void> make_body();
  boost::asio::awaitable<base::Result<void>> begin();
  boost::asio::awaitable<base::Result<Events>> read_whole();
  boost::asio::awaitable<base::Result<Events>> read_frames();
  void take_frames(Events& events);
  void take_chunk(const protocol::UpstreamFrame& frame, Events& events);
  void drop_said(Events& events);
  void finish_stream(Events& events, std::string_view end);
  protocol::Verbatim& verbatim(Events& events) const;

  RelayBackend& backend_;
  const Attempt attempt_;
  RelayExchange exchange_;
  std::string model_;      // the upstream's name
  const bool verbatim_;    // both ends speak one form, and the client may get its bytes
  std::string text_;       // the body, if it is not the client's own
  std::string_view body_;  // what is sent
  protocol::UpstreamStreamReader reader_;
  std::vector<protocol::UpstreamFrame> frames_;  // of one piece, between reads
  protocol::UpstreamEvents told_;
  Events scratch_;  // what told_ says of frames that pass as they are
  protocol::DeliveredAnswer delivered_;
  std::optional<protocol::Usage> usage_;  // as the upstream has it
  protocol::SaidSpace said_;
  bool hide_usage_ = false;
  bool headed_ = false;    // the head of a message was passed on
  bool complete_ = false;  // everything was said before this attempt
  bool begun_ = false;
  bool events_stream_ = true;           // the upstream answers with frames
  std::optional<base::Error> pending_;  // told when the events before it were taken
  bool over_ = false;
};

}  // namespace deepseek::gateway
