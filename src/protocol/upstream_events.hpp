// From an upstream's frames and answers to neutral events, for clients of other forms, for stored
// answers, and for the second leg of a continued answer.
//
// Pure; one object per answer, used from its coroutine's thread.
#pragma once

#include "protocol/encode.hpp"
#include "protocol/event.hpp"
#include "protocol/upstream_chunk.hpp"

#include <cstddef>
#include <vector>

namespace deepseek::protocol {

class UpstreamEvents {
 public:
  // `sequences` is Request::sequence_count(); choices beyond it are ignored.
  explicit UpstreamEvents(std::size_t sequences) : sequences_(sequences) {}

  // Appends Started, Delta and ToolCallDelta. What a chunk says about the end of a choice is kept
  // for finish(), since the usage comes after it.
  void add(const UpstreamChunk& chunk, std::vector<Event>& events);

  // Whether every choice has said why it ended.
  bool finished() const;
  // Appends Finished for every sequence; `usage`, which check_usage() has seen, goes to the first.
  // A choice that gave no reason has stopped.
  void finish(const Usage& usage, std::vector<Event>& events);

 private:
  struct Sequence {
    bool started = false;
    std::optional<FinishReason> finish_reason = {};
    std::string stop_sequence = {};
  };

  std::vector<Sequence> sequences_;
};

// What the chunks of an answer have in common, for a second leg that goes on under the first one's
// name. Bounded.
AnswerHead read_answer_head(const UpstreamChunk& chunk);

}  // namespace deepseek::protocol
