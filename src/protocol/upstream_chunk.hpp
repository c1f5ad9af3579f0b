// What a relay needs of one JSON object of an upstream: a chunk of a stream, or a whole answer.
// Upstreams of Anthropic's form are read into the same values by anthropic_chunk.hpp.
//
// Pure values; all views are into the JSON text. Nothing is copied before somebody asks for text.
#pragma once

#include "protocol/event.hpp"
#include "protocol/json_scanner.hpp"

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

namespace deepseek::protocol {

// What an upstream speaks.
enum class UpstreamWire : std::uint8_t { openai, anthropic };

struct UpstreamChoice {
  std::int32_t index = 0;
  JsonText content;             // of `delta`, `message` or `text`
  JsonText reasoning;           // reasoning_content, or reasoning as some servers call it
  std::string_view tool_calls;  // a JSON list that is not empty
  std::string_view logprobs;    // a JSON object
  bool other = false;           // a refusal, audio, a call of the old form, a list of parts
  std::optional<FinishReason> finish_reason;
  JsonText finish_text;  // as the upstream said it
  JsonText stop_text;    // vLLM's stop_reason: the text of `stop` that ended it

  // Of Anthropic's form, where each piece of a call comes alone.
  struct ToolPiece {
    std::int32_t index = -1;  // among the calls; -1: none
    JsonText id, name;        // only in the first piece
    JsonText arguments;       // a piece of the JSON text
  };
  ToolPiece tool = {};
  JsonText signature;  // proves the reasoning before it
  JsonText redacted;   // reasoning that only its own model can read

  bool has_content() const {
    return !content.empty() || !reasoning.empty() || calls_tool() || other || !redacted.empty();
  }
  bool calls_tool() const { return !tool_calls.empty() || tool.index >= 0; }
};

struct UpstreamChunk {
  boost::container::small_vector<UpstreamChoice, 1> choices;
  // As the upstream says it, -1 for a count that is missing or no integer: for check_usage() only.
  std::optional<Usage> usage;
  std::string_view error;  // the value of `error`, or the object itself in vLLM's old form
  JsonText id, model, system_fingerprint;
  std::int64_t created = 0;
  bool has_choices = false;  // there was a list, perhaps an empty one
  // A finish reason that is none: insufficient_system_resource, abort, error. The answer broke.
  bool interrupted = false;
  bool last = false;          // nothing follows
  MessageBlocks blocks = {};  // of Anthropic's form: behind this chunk

  bool has_content() const;
};

// Reads `json` into an empty chunk. False if it is no valid JSON object; what it does not know is
// passed over, and a known field of another type counts as absent.
bool read_upstream_chunk(std::string_view json, UpstreamChunk& chunk);

}  // namespace deepseek::protocol
