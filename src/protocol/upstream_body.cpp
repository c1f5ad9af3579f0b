#include "protocol/upstream_body.hpp"

#include "protocol/body_splice.hpp"
#include "protocol/continuation.hpp"

namespace deepseek::protocol {
namespace {

// The client wrote "prefix": true, which this upstream says in another way.
bool translates_prefix(const Request& request, const UpstreamForm& form) {
  if (request.messages.empty() || !request.messages.back().prefix) return false;
  return form.continuation == Continuation::continue_final_message ||
         form.continuation == Continuation::assistant_last;
}

}  // namespace

UpstreamBody upstream_body(const Request& request, const BodyOutline& outline,
                           const UpstreamForm& form) {
  BodySplice splice(outline, &form);
  set_common_fields(splice, request, form);
  set_token_limit(splice, request, outline, form);
  const BodyField* messages = outline.find("messages");
  if (messages != nullptr && translates_prefix(request, form)) {
    splice.set("messages",
               continued_messages(messages->value, request, true, {}, form.continuation));
    set_continuation_fields(splice, form.continuation);
  }
  UpstreamBody body;
  body.hide_usage = hides_usage(request, form);
  if (splice.changes()) {
    body.text = splice.text();
  } else {
    body.same = outline.text;
  }
  return body;
}

}  // namespace deepseek::protocol
