#include "protocol/continuation.hpp"

#include "protocol/body_splice.hpp"
#include "protocol/json.hpp"
#include "protocol/json_scanner.hpp"

#include <algorithm>
#include <array>

namespace deepseek::protocol {
namespace {

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// Beside what nobody continues.
std::string_view why_not_by_upstream(const Request& request) {
  if (request.operation == Operation::chat) return {};
  if (!std::holds_alternative<std::string>(request.prompts.front())) {
    return "the prompt was given as token ids";
  }
  if (request.echo) return "the answer repeats the prompt (echo)";
  return {};
}

std::string_view why_not_for_answer(const AnswerSoFar& so_far) {
  if (so_far.finish_reason == FinishReason::content_filter) {
    return "a content filter has ended the answer";
  }
  if (so_far.finish_reason) return "the answer had ended";
  if (so_far.tool_call) return "a tool call was half-way";
  if (so_far.other) return "the answer held something besides text";
  if (so_far.cut) return "the answer was longer than what is kept for this";
  return {};
}

bool is_true(const BodyOutline& outline, std::string_view name) {
  const BodyField* field = outline.find(name);
  return field != nullptr && field->value == "true";
}

// Whether the client's own last message is what the answer goes on with.
bool joins_last_message(const Request& request, const BodyOutline& outline, Continuation kind) {
  if (request.messages.empty()) return false;
  const Message& last = request.messages.back();
  if (last.role != Role::assistant) return false;
  return last.prefix || kind == Continuation::assistant_last ||
         is_true(outline, "continue_final_message");
}

// The last entry of a list's text; empty if there is none.
std::string_view last_entry(std::string_view list) {
  JsonScanner scanner(list);
  std::string_view last;
  if (!scanner.enter_array()) return last;
  while (scanner.next_entry()) last = scanner.known_value();
  return last;
}

void set_text_so_far(BodySplice& message, std::string_view content, std::string_view reasoning,
                     Continuation kind) {
  message.set("content", json_text(content));
  if (!reasoning.empty()) message.set("reasoning_content", json_text(reasoning));
  if (kind == Continuation::prefix) {
    message.set("prefix", "true");
  } else {
    message.drop("prefix");
  }
}

// max_tokens and its like; false if none are left.
bool lower_token_limits(BodySplice& splice, const Request& request, const BodyOutline& outline,
                        const UpstreamForm& form, std::int64_t made) {
  if (request.tokens_max && limits_tokens(outline)) {
    const std::int64_t left = *request.tokens_max - std::max<std::int64_t>(made, 0);
    if (left < 1) return false;
    set_token_limit(splice, request, outline, form, left);
  }
  const BodyField* least = outline.find("min_tokens");
  const auto least_tokens = least == nullptr ? std::nullopt : json_integer(least->value);
  if (least_tokens && *least_tokens > 0) {
    splice.set("min_tokens", std::to_string(std::max<std::int64_t>(*least_tokens - made, 0)));
  }
  return true;
}

}  // namespace

void AnswerSoFar::add(const UpstreamChunk& chunk, std::size_t bytes_max) {
  for (const UpstreamChoice& choice : chunk.choices) {
    if (choice.index != 0) continue;
    tool_call = tool_call || choice.calls_tool();
    other = other || choice.other;
    if (choice.finish_reason) finish_reason = choice.finish_reason;
    if (choice.content.empty() && choice.reasoning.empty()) continue;
    choice.content.append_to(content);
    choice.reasoning.append_to(reasoning);
    estimate_.add(choice.content);
    estimate_.add(choice.reasoning);
    ++pieces_;
    settle(bytes_max);
  }
}

void AnswerSoFar::add(const Event& event, std::size_t bytes_max) {
  if (const auto* delta = std::get_if<Delta>(&event); delta != nullptr && delta->sequence == 0) {
    content += delta->content;
    reasoning += delta->reasoning;
    if (delta->token_ids.empty()) {
      estimate_.add(delta->content);
      estimate_.add(delta->reasoning);
      ++pieces_;
    } else {
      exact_ += static_cast<std::int64_t>(delta->token_ids.size());
    }
    settle(bytes_max);
  } else if (std::holds_alternative<ToolCallDelta>(event)) {
    tool_call = true;
  } else if (const auto* end = std::get_if<Finished>(&event); end != nullptr) {
    finish_reason = end->reason;
  }
}

void AnswerSoFar::settle(std::size_t bytes_max) {
  constexpr std::int64_t token_bytes_max = 16;  // on average; longer pieces hold several tokens
  const bool single = static_cast<std::int64_t>(estimate_.bytes()) <= token_bytes_max * pieces_;
  tokens = exact_ + (single ? pieces_ : std::max(pieces_, estimate_.tokens()));
  cut = cut || content.size() + reasoning.size() > bytes_max;
  if (!cut) return;
  content = {};
  reasoning = {};
}

std::string_view why_never_continued(const Request& request) {
  if (request.sequence_count() != 1) return "it has several choices";
  if (request.logprobs) return "logprobs were asked for";
  if (echo_is_told(request)) return "its backend echoes the prompt";
  if (request.uses(Feature::response_format)) return "its form is prescribed";
  if (request.uses(Feature::audio)) return "it may hold audio";
  if (request.uses(Feature::web_search)) return "it may hold results of a web search";
  if (request.uses(Feature::best_of)) return "the best of several answers was asked for";
  return {};
}

std::string_view why_not_continued(const Request& request, const AnswerSoFar& so_far,
                                   Continuation kind) {
  if (const std::string_view why = why_not_for_answer(so_far); !why.empty()) return why;
  if (const std::string_view why = why_never_continued(request); !why.empty()) return why;
  if (const std::string_view why = why_not_by_upstream(request); !why.empty()) return why;
  if (request.operation == Operation::completion) return {};
  if (kind == Continuation::none) return "this upstream cannot continue a message";
  // Only DeepSeek's form has a place for reasoning that has not come to its end.
  if (so_far.content.empty() && !so_far.reasoning.empty() && kind != Continuation::prefix) {
    return "the model was still reasoning, which this upstream cannot continue";
  }
  return {};
}

std::string continued_messages(std::string_view messages, const Request& request, bool joins,
                               const AnswerSoFar& so_far, Continuation kind) {
  const std::string_view last = last_entry(messages);
  std::string out;
  out.reserve(messages.size() + so_far.content.size() + so_far.reasoning.size() + 128);
  if (joins && !last.empty() && !request.messages.empty()) {
    const Message& own = request.messages.back();
    const BodyOutline outline = outline_body(last);
    BodySplice message(outline);
    set_text_so_far(message, own.text() + so_far.content, own.reasoning_content + so_far.reasoning,
                    kind);
    out += messages.substr(0, static_cast<std::size_t>(last.data() - messages.data()));
    out += message.text();
  } else {
    BodyOutline outline;
    outline.text = "{}";
    BodySplice message(outline);
    message.set("role", "\"assistant\"");
    set_text_so_far(message, so_far.content, so_far.reasoning, kind);
    const bool any = !last.empty();
    out += any ? messages.substr(
                     0, static_cast<std::size_t>(last.data() - messages.data()) + last.size())
               : "[";
    if (any) out += ',';
    out += message.text();
  }
  out += ']';
  return out;
}

ContinuationBody continuation_body(const Request& request, const BodyOutline& outline,
                                   const UpstreamForm& form, const AnswerSoFar& so_far) {
  ContinuationBody body;
  body.hide_usage = hides_usage(request, form);
  BodySplice splice(outline, &form);
  set_common_fields(splice, request, form);
  if (!lower_token_limits(splice, request, outline, form, so_far.tokens)) {
    body.complete = true;
    return body;
  }
  if (request.operation == Operation::completion) {
    const auto* prompt =
        request.prompts.empty() ? nullptr : std::get_if<std::string>(&request.prompts.front());
    splice.set("prompt", json_text((prompt == nullptr ? "" : *prompt) + so_far.content));
  } else if (const BodyField* messages = outline.find("messages")) {
    const bool joins = joins_last_message(request, outline, form.continuation);
    splice.set("messages",
               continued_messages(messages->value, request, joins, so_far, form.continuation));
    set_continuation_fields(splice, form.continuation);
    const bool must_not_think =
        !so_far.reasoning.empty() && form.continuation != Continuation::prefix;
    if (must_not_think) {
      splice.set("chat_template_kwargs", "{\"thinking\":false,\"enable_thinking\":false}");
    }
  }
  body.text = splice.text();
  return body;
}

}  // namespace deepseek::protocol
