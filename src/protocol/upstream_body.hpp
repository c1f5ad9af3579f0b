// The body that an upstream of OpenAI's form gets: the client's own bytes where nothing must
// change, otherwise pieces of them with a field or two replaced.
//
// Pure; linear, one copy at most.
#pragma once

#include "protocol/body_outline.hpp"
#include "protocol/continuation_kind.hpp"
#include "protocol/relayed_fields.hpp"
#include "protocol/request.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace deepseek::protocol {

struct UpstreamForm {
  std::string_view model = {};                     // as the upstream names it; empty: as the client
  std::span<const std::string> allow_fields = {};  // sorted; they pass besides the known ones
  Continuation continuation = Continuation::none;
  bool stream_usage = true;                 // it knows stream_options
  std::string_view token_limit_field = {};  // what it calls max_tokens; empty: as the client
  // The fields that pass to it.
  const RelayedField* (*known)(std::string_view name) = find_relayed_field;
};

struct UpstreamBody {
  std::string_view same;    // the outline's own text, if nothing had to change
  std::string text;         // otherwise
  bool hide_usage = false;  // the client did not ask for the usage chunk that will come

  std::string_view bytes() const { return text.empty() ? same : std::string_view(text); }
};

// `outline` is of Request::raw_body, or of openai_body() for a client of another form; its text
// must outlive the result. The model is replaced, fields that nobody knows are dropped, a stream is
// told to end with its usage, and a client's "prefix": true is said as the upstream says it.
UpstreamBody upstream_body(const Request& request, const BodyOutline& outline,
                           const UpstreamForm& form);

}  // namespace deepseek::protocol
