// The neutral events of one answer, in the order in which they happen, from any backend to any
// client form.
//
// Pure values. For each sequence (choice): Started, then Delta…, then exactly one Finished. A
// failure of the whole request is not an event: the stream's read returns an Error, and nothing
// follows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace deepseek::protocol {

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t prompt_cache_hit_tokens = 0;  // part of prompt_tokens that needed no prefill
  std::int64_t reasoning_tokens = 0;         // part of completion_tokens

  std::int64_t total_tokens() const { return prompt_tokens + completion_tokens; }
  std::int64_t prompt_cache_miss_tokens() const { return prompt_tokens - prompt_cache_hit_tokens; }
  Usage& operator+=(const Usage& other);
  bool operator==(const Usage&) const = default;
};

enum class FinishReason { stop, length, tool_calls, content_filter };

std::string_view to_string(FinishReason reason);

struct TokenLogprob {
  std::int32_t token_id = 0;
  std::string bytes;  // The token's own bytes; not always valid UTF-8 by itself.
  double logprob = 0;
  std::vector<TokenLogprob> alternatives =
      {};              // most likely first; their own alternatives are empty
  bool first = false;  // of an echoed prompt: nothing stands before it, and logprob means nothing
};

struct Started {
  std::int32_t sequence = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t prompt_cache_hit_tokens = 0;
};

struct Delta {
  std::int32_t sequence = 0;
  std::string content;    // valid UTF-8, never cut inside a character
  std::string reasoning;  // reasoning_content
  std::vector<std::int32_t>
      token_ids;  // what the text came from; empty from backends that do not tell
  std::vector<TokenLogprob> logprobs;  // if asked for; one per token
  bool echo = false;                   // of the prompt, as the backend tells it
  // Anthropic's: what proves the reasoning so far, and reasoning that only its own model can read.
  std::string reasoning_signature = {};
  std::string redacted_reasoning = {};
};

struct ToolCallDelta {
  std::int32_t sequence = 0;
  std::int32_t index = 0;
  std::string id;         // only in the first delta of a call
  std::string name;       // only in the first delta of a call
  std::string arguments;  // a piece of the JSON text
};

// Where the time went, as the backend measured it; milliseconds.
struct Timings {
  double queue_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
};

struct Finished {
  std::int32_t sequence = 0;
  FinishReason reason = FinishReason::stop;
  Usage usage;  // of this sequence alone; with n > 1 the prompt is counted in the first sequence of
                // each prompt
  Timings timings;
  std::string stop_sequence = {};  // of Request::stop, if it ended the answer and the backend tells
};

// Where an answer of Anthropic's form stands: it is made of blocks, each opened and closed.
struct MessageBlocks {
  enum class Open : std::uint8_t { none, thinking, text, other };
  std::int32_t next = 0;  // the index of the block that is opened next
  Open open = Open::none;
  bool operator==(const MessageBlocks&) const = default;
};

// Only in an answer that began with Verbatim frames: from here on its text comes as events, which
// are encoded with this head, so that the client sees one answer.
struct Resumed {
  std::string id;
  std::string model;
  std::int64_t created = 0;
  MessageBlocks blocks = {};  // of Anthropic's form
};

// Bytes of an upstream's answer that the client gets as they are, since both speak the same form:
// SSE frames, or one whole JSON body. `content` and `reasoning` are the text in them. Finished
// still follows, for the accounts; its frames are among the bytes.
struct Verbatim {
  std::string bytes;
  std::string content;
  std::string reasoning;
  std::int64_t deltas = 0;     // frames with text: about as many tokens
  bool whole = false;          // a JSON body
  bool uncontinuable = false;  // a tool call or something else that cannot be gone on with
  // Of frames of Anthropic's form: the head of the answer, where they hold it, and its blocks
  // behind them.
  std::optional<Resumed> head = {};
  MessageBlocks blocks = {};
};

// What was said so far is void; the answer begins anew. Only while nothing of it was sent.
struct Restarted {};

using Event = std::variant<Started, Delta, ToolCallDelta, Finished, Verbatim, Resumed, Restarted>;

// The sequence that an event belongs to; -1 for those that belong to none.
std::int32_t sequence_of(const Event& event);

// What an answer of one sequence has said so far, for a backend that shall go on behind it.
struct Spoken {
  std::string content;
  std::string reasoning;
  std::vector<std::int32_t> token_ids;  // of all of it; empty if not known
  std::int64_t tokens = 0;              // counted or told; with token_ids: their number
  bool empty() const { return content.empty() && reasoning.empty() && token_ids.empty(); }
};

}  // namespace deepseek::protocol
