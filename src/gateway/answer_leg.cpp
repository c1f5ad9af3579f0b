#include "gateway/answer_leg.hpp"

#include "protocol/usage_check.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using protocol::Event;

namespace {

// A leg that says so much without a word of text has won all the same: nothing is held for ever.
constexpr std::size_t held_bytes_max = 64u << 10;
constexpr std::size_t held_events_max = 256;

bool speaks(const Event& event) {
  if (const auto* delta = std::get_if<protocol::Delta>(&event)) {
    return !delta->content.empty() || !delta->reasoning.empty();
  }
  if (const auto* verbatim = std::get_if<protocol::Verbatim>(&event)) {
    return verbatim->whole || verbatim->uncontinuable || !verbatim->content.empty() ||
           !verbatim->reasoning.empty();
  }
  return std::holds_alternative<protocol::ToolCallDelta>(event) ||
         std::holds_alternative<protocol::Finished>(event);
}

// Whatever ends the task, the run hears of it.
class TellRun {
 public:
  TellRun(AnswerLeg& leg, RunAlarm& alarm) : leg_(leg), alarm_(alarm) {}
  ~TellRun() {
    if (!leg_.settled()) {
      leg_.error = base::make_error(base::ErrorCode::unavailable, "The server is stopping.");
    }
    alarm_.timer.cancel();
  }
  TellRun(const TellRun&) = delete;
  TellRun& operator=(const TellRun&) = delete;

 private:
  AnswerLeg& leg_;
  RunAlarm& alarm_;
};

}  // namespace

bool AnswerLeg::hear(base::Result<std::vector<Event>> events) {
  if (events.has_error()) {
    error = events.error();
  } else if (events->empty()) {
    error = base::make_error(base::ErrorCode::upstream_failed, "The answer ended before its end.");
  } else {
    for (const Event& event : *events) {
      speaks = speaks || gateway::speaks(event);
      if (const auto* frames = std::get_if<protocol::Verbatim>(&event)) {
        held_bytes += frames->bytes.size();
      }
    }
    held.insert(held.end(), std::make_move_iterator(events->begin()),
                std::make_move_iterator(events->end()));
    speaks = speaks || held_bytes > held_bytes_max || held.size() > held_events_max;
  }
  return settled();
}

asio::awaitable<void> race_leg(std::shared_ptr<AnswerLeg> leg, std::shared_ptr<RunAlarm> alarm) {
  const TellRun tell(*leg, *alarm);
  bool over = false;
  while (!over && !leg->given_up) {
    auto events = co_await leg->stream->read();
    over = leg->hear(std::move(events));
  }
}

protocol::Usage cost_of(const AnswerProgress::Leg& leg, const protocol::Request& request,
                        CountedBy& counted_by) {
  counted_by = leg.finished_any ? CountedBy::backend : CountedBy::us;
  if (leg.finished_any) return leg.usage;
  const bool began = leg.delivered.text.bytes() > 0 || leg.delivered.other;
  protocol::Usage usage =
      protocol::usage_of_broken(std::nullopt, request, leg.delivered, began).usage;
  // An engine tells what it has read and made.
  if (leg.prompt_tokens > 0) usage.prompt_tokens = leg.prompt_tokens;
  if (leg.token_ids > 0) usage.completion_tokens = leg.token_ids;
  return usage;
}

protocol::Usage cost_of_loser(const AnswerLeg& leg, const protocol::Request& request,
                              CountedBy& counted_by) {
  AnswerProgress::Leg told;
  for (const Event& event : leg.held) {
    if (const auto* started = std::get_if<protocol::Started>(&event)) {
      told.prompt_tokens += started->prompt_tokens;
    }
    told.delivered.other = told.delivered.other || speaks(event);
  }
  return cost_of(told, request, counted_by);
}

}  // namespace deepseek::gateway
