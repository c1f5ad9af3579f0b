// Bodies of clients of Anthropic's form for an upstream of the same form: pieces of the client's
// own text, so that what nobody here knows inside of them arrives too.
#include "protocol/anthropic_body.hpp"
#include "protocol/body_splice.hpp"
#include "protocol/json.hpp"
#include "protocol/json_scanner.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::protocol {
namespace {

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

bool is_text(const BodyField* field, std::string_view wanted) {
  if (field == nullptr || field->kind != BodyField::Kind::string) return false;
  JsonText text;
  JsonScanner scanner(field->value);
  return scanner.string(text) && text.is(wanted);
}

bool is_foreign_thinking(std::string_view block) {
  const BodyOutline outline = outline_body(block);
  if (!is_text(outline.find("type"), "thinking")) return false;
  const BodyField* const signature = outline.find("signature");
  if (signature == nullptr || signature->kind != BodyField::Kind::string) return true;
  JsonText text;
  JsonScanner scanner(signature->value);
  return !scanner.string(text) || !is_real_signature(text.text());
}

// A list of what `keep` leaves of the entries; each entry may be replaced.
template <class Keep>
std::string filtered(std::string_view list, const Keep& keep) {
  std::string out = "[";
  JsonScanner scanner(list);
  if (scanner.enter_array()) {
    while (scanner.next_entry()) {
      std::string kept = keep(scanner.known_value());
      if (kept.empty()) continue;
      if (out.size() > 1) out += ',';
      out += kept;
    }
  }
  out += ']';
  return out;
}

// The messages without thinking that no model of Anthropic signed; empty if there is none. A
// message that held nothing else goes.
std::string without_foreign_thinking(std::string_view messages) {
  bool dropped = false;
  std::string kept = filtered(messages, [&dropped](std::string_view text) -> std::string {
    const BodyOutline message = outline_body(text);
    const BodyField* const content = message.find("content");
    if (content == nullptr || content->kind != BodyField::Kind::array) return std::string(text);
    bool dropped_here = false;
    std::string blocks = filtered(content->value, [&dropped_here](std::string_view block) {
      if (!is_foreign_thinking(block)) return std::string(block);
      dropped_here = true;
      return std::string();
    });
    if (!dropped_here) return std::string(text);
    dropped = true;
    if (blocks == "[]") return {};
    BodySplice splice(message);
    splice.set("content", std::move(blocks));
    return splice.text();
  });
  return dropped ? kept : std::string();
}

// Of several blocks the neutral message has only the last signature, so this asks for a closer
// look.
bool may_hold_thinking(const Request& request) {
  return std::ranges::any_of(request.messages, [](const Message& message) {
    return !message.reasoning_content.empty() || !message.reasoning_signature.empty();
  });
}

// The list with the text so far at its end, behind what the client itself gave to go on with.
std::string with_prefill(std::string_view messages, const Request& request,
                         const AnswerSoFar& so_far, SaidSpace& said) {
  const bool joins = !request.messages.empty() && request.messages.back().role == Role::assistant &&
                     request.messages.back().tool_calls.empty();
  std::string text = (joins ? request.messages.back().text() : std::string()) + so_far.content;
  said = SaidSpace::cut_from(text);
  std::size_t count = 0;
  JsonScanner scanner(messages);
  if (scanner.enter_array()) {
    while (scanner.next_entry()) {
      scanner.known_value();
      ++count;
    }
  }
  std::size_t index = 0;
  std::string out = filtered(messages, [&](std::string_view message) {
    return joins && ++index == count ? std::string() : std::string(message);
  });
  if (text.empty()) return out;
  out.pop_back();
  if (out.size() > 1) out += ',';
  out += R"({"role":"assistant","content":)" + json_text(text) + "}]";
  return out;
}

UpstreamForm form_of(const AnthropicTarget& target) {
  UpstreamForm form;
  form.model = target.model;
  form.allow_fields = target.allow_fields;
  form.known = find_messages_field;
  return form;
}

// True if thinking was left out.
bool set_messages(BodySplice& splice, const BodyOutline& outline, const Request& request,
                  const AnswerSoFar* so_far, SaidSpace& said) {
  const BodyField* const messages = outline.find("messages");
  if (messages == nullptr) return false;
  std::string changed;
  if (may_hold_thinking(request)) changed = without_foreign_thinking(messages->value);
  const bool dropped = !changed.empty();
  if (so_far != nullptr) {
    changed = with_prefill(changed.empty() ? messages->value : std::string_view(changed), request,
                           *so_far, said);
  }
  if (!changed.empty()) splice.set("messages", std::move(changed));
  return dropped;
}

void set_model(BodySplice& splice, const AnthropicTarget& target) {
  if (!target.model.empty()) splice.set("model", json_text(target.model));
}

}  // namespace

AnthropicBody anthropic_body(const Request& request, const AnthropicTarget& target,
                             const AnswerSoFar* so_far) {
  if (request.form != ClientForm::messages || request.raw_body.empty()) {
    return made_anthropic_body(request, target, so_far);
  }
  AnthropicBody made;
  const BodyOutline outline = outline_body(request.raw_body);
  const UpstreamForm form = form_of(target);
  BodySplice splice(outline, &form);
  set_model(splice, target);
  if (so_far != nullptr && request.tokens_max) {
    const std::int64_t left = *request.tokens_max - std::max<std::int64_t>(so_far->tokens, 0);
    made.complete = left < 1;
    if (made.complete) return made;
    splice.set("max_tokens", std::to_string(left));
  }
  const bool dropped = set_messages(splice, outline, request, so_far, made.said);
  // It would refuse to think on behind a turn that it did not begin.
  if (so_far != nullptr || (dropped && !may_think(request, false))) splice.drop("thinking");
  if (splice.changes()) {
    made.text = splice.text();
  } else {
    made.same = request.raw_body;
  }
  return made;
}

std::string anthropic_count_body(const Request& request, const AnthropicTarget& target) {
  const BodyOutline outline = outline_body(request.raw_body);
  const UpstreamForm form = form_of(target);
  BodySplice splice(outline, &form);
  SaidSpace said;
  set_model(splice, target);
  set_messages(splice, outline, request, nullptr, said);
  for (const std::string_view name : {"max_tokens", "stream", "temperature", "top_p", "top_k",
                                      "stop_sequences", "metadata", "service_tier"}) {
    splice.drop(name);
  }
  return splice.text();
}

}  // namespace deepseek::protocol
