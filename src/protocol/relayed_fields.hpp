// Which fields of a client's body may pass to an upstream of its form. Of OpenAI's: its own, those
// of DeepSeek, and those of vLLM that are harmless. What is not here is dropped unless a backend's
// configuration allows it. Left out on purpose: templates and processors that a client would run
// on the upstream, and what steers its scheduler or cache (chat_template, logits_processors,
// priority, cache_salt, kv_transfer_params …).
//
// Pure; a table that is sorted when it is compiled.
#pragma once

#include "protocol/request.hpp"

#include <cstdint>
#include <string_view>

namespace deepseek::protocol {

struct RelayedField {
  // What it must be where no decoder reads it. min and max bound an integer or number, the bytes
  // of a text, or the entries of a list; `any` is bounded by the body alone.
  enum class Kind : std::uint8_t { any, flag, integer, number, text, list, object };
  std::string_view name;
  Kind kind = Kind::any;
  std::int32_t min = 0;
  std::int32_t max = 0;
};

// Nothing for a field that does not pass. A few comparisons.
const RelayedField* find_relayed_field(std::string_view name);
// The same for upstreams of Anthropic's form and bodies of POST /v1/messages.
const RelayedField* find_messages_field(std::string_view name);
// Of the form that a client speaks.
const RelayedField* find_field_of(ClientForm form, std::string_view name);

}  // namespace deepseek::protocol
