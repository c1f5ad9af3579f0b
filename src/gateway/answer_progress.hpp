// What one answer has said so far, over all the attempts that make it up; and the events of each
// attempt as the client shall see them: one answer, no text lost or doubled.
//
// Pure; one object per request, owned by its answer_run.
#pragma once

#include "gateway/backend.hpp"
#include "protocol/event.hpp"
#include "protocol/request.hpp"
#include "protocol/usage_check.hpp"

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

class AnswerProgress {
 public:
  // `continuation_bytes_max`: an answer with more text is not remembered, so not continued.
  AnswerProgress(const protocol::Request& request, std::size_t continuation_bytes_max);

  // The next attempt begins: events of another one follow. `speaker` is who answers: token ids of
  // one are nothing to another.
  void begin_leg(std::size_t speaker);
  // Takes the events of the current leg and makes them those that the client's encoder shall see.
  void take(std::vector<protocol::Event>& events);
  // The leg broke, and cost that much.
  void end_leg(const protocol::Usage& cost);
  // Nothing was sent yet: what the leg said is void, and the next one begins anew.
  void restart();

  // Text was sent, or something else that cannot be taken back.
  bool spoken() const { return begun_; }
  // Frames of an upstream were sent as they were, perhaps without any text: what follows must bear
  // their head.
  bool headed() const { return verbatim_; }
  const protocol::Spoken& text() const { return spoken_; }
  // Why no other backend can go on behind the text; empty if one can.
  std::string_view cannot_continue() const { return cannot_continue_; }
  // Every sequence has come to its end.
  bool finished() const { return unfinished_ == 0; }
  // What the current leg has told of its cost, and said.
  struct Leg {
    protocol::Usage usage;           // of the sequences that have finished
    std::int64_t prompt_tokens = 0;  // told at its start
    std::int64_t token_ids = 0;
    protocol::DeliveredAnswer delivered;
    bool finished_any = false;
  };
  const Leg& leg() const { return leg_; }

 private:
  void take_delta(const protocol::Delta& delta);
  void take_verbatim(const protocol::Verbatim& verbatim);
  void remember(std::string_view content, std::string_view reasoning);
  void decline(std::string_view why);

  const protocol::Request& request_;
  const std::size_t bytes_max_;
  protocol::Spoken spoken_;
  protocol::Usage earlier_;  // of legs that broke
  Leg leg_;
  std::size_t unfinished_;
  std::size_t legs_ = 0;
  std::size_t speaker_ = 0;  // of the current leg
  std::string_view cannot_continue_;
  std::optional<protocol::Resumed> head_;  // of a verbatim first leg
  bool verbatim_ = false;                  // frames were passed as they are
  bool resumed_ = false;                   // and the client's encoder has the head of them
  bool restarted_ = false;                 // the next events begin anew
  bool begun_ = false;
};

}  // namespace deepseek::gateway
