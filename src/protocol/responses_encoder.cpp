// Answers of POST /v1/responses, whole and streamed.
#include "protocol/encode.hpp"
#include "protocol/json.hpp"
#include "protocol/object_writer.hpp"
#include "protocol/quote.hpp"
#include "protocol/sse.hpp"

namespace deepseek::protocol {
namespace {

constexpr std::size_t message_bytes_max = 1024;

void append_usage(std::string& out, const Usage& usage) {
  ObjectWriter object(out);
  object.integer("input_tokens", usage.prompt_tokens);
  ObjectWriter input(object.name("input_tokens_details"));
  input.integer("cached_tokens", usage.prompt_cache_hit_tokens);
  input.close();
  object.integer("output_tokens", usage.completion_tokens);
  ObjectWriter output(object.name("output_tokens_details"));
  output.integer("reasoning_tokens", usage.reasoning_tokens);
  output.close();
  object.integer("total_tokens", usage.total_tokens());
  object.close();
}

// One item of the output, as far as it is said.
struct Item {
  enum class Kind { reasoning, message, call };
  Kind kind = Kind::message;
  std::string id;
  std::string text;  // or arguments
  std::string call_id;
  std::string name;
};

void append_part(std::string& out, const std::string& text) {
  ObjectWriter part(out);
  part.string("type", "output_text");
  part.string("text", text);
  part.json("annotations", "[]");
  part.json("logprobs", "[]");
  part.close();
}

void append_item(std::string& out, const Item& item, std::string_view status) {
  ObjectWriter object(out);
  object.string("id", item.id);
  const bool begins = status == "in_progress";
  if (item.kind == Item::Kind::call) {
    object.string("type", "function_call");
    object.string("status", status);
    object.string("call_id", item.call_id);
    object.string("name", item.name);
    object.string("arguments", item.text);
  } else if (item.kind == Item::Kind::message) {
    object.string("type", "message");
    object.string("status", status);
    object.string("role", "assistant");
    std::string& content = object.name("content");
    content += '[';
    if (!begins) append_part(content, item.text);
    content += ']';
  } else {
    object.string("type", "reasoning");
    object.json("summary", "[]");
    std::string& content = object.name("content");
    content += '[';
    if (!begins) {
      ObjectWriter part(content);
      part.string("type", "reasoning_text");
      part.string("text", item.text);
      part.close();
    }
    content += ']';
    object.string("status", status);
  }
  object.close();
}

std::string item_id(const AnswerHead& head, Item::Kind kind, std::size_t index) {
  std::string id = kind == Item::Kind::call ? "fc_" : kind == Item::Kind::message ? "msg_" : "rs_";
  const std::size_t mark = head.id.find('_');
  id += head.id.substr(mark == std::string::npos ? 0 : mark + 1);
  return id + "_" + std::to_string(index);
}

// An answer that ended for want of room is incomplete; a call and an end are whole.
std::string_view status_of(FinishReason reason) {
  const bool whole = reason == FinishReason::stop || reason == FinishReason::tool_calls;
  return whole ? "completed" : "incomplete";
}

struct ResponseEnd {
  std::string_view status = "in_progress";
  FinishReason reason = FinishReason::stop;
  const base::Error* error = nullptr;
  const Usage* usage = nullptr;
};

void append_error(std::string& out, const base::Error& error) {
  ObjectWriter object(out);
  const auto code = base::describe(error.code);
  object.string("code", code.http_status == 429 ? "rate_limit_exceeded" : "server_error");
  object.string("message", utf8_prefix(redact(utf8_prefix(error.message, 2 * message_bytes_max)),
                                       message_bytes_max));
  object.close();
}

// What a response is made of beside its head and its end.
struct ResponseParts {
  const std::vector<Item>& items;
  const std::string& echo;
};

// Appends to `out.text`, and notes where the output is.
void append_response(ResponseText& into, const AnswerHead& head, const ResponseParts& parts,
                     const ResponseEnd& end) {
  into.id = head.id;
  std::string& out = into.text;
  const std::vector<Item>& items = parts.items;
  ObjectWriter object(out);
  object.string("id", head.id);
  object.string("object", "response");
  object.integer("created_at", head.created);
  object.string("status", end.status);
  if (end.error != nullptr) {
    append_error(object.name("error"), *end.error);
  } else {
    object.json("error", "null");
  }
  if (end.status == "incomplete") {
    object.json("incomplete_details", end.reason == FinishReason::length
                                          ? "{\"reason\":\"max_output_tokens\"}"
                                          : "{\"reason\":\"content_filter\"}");
  } else {
    object.json("incomplete_details", "null");
  }
  object.string("model", head.model);
  std::string& list = object.name("output");
  const bool told = end.usage != nullptr || end.error != nullptr;
  into.output_begin = out.size();
  list += '[';
  for (std::size_t i = 0; told && i < items.size(); ++i) {
    if (i > 0) list += ',';
    const bool last = i + 1 == items.size();
    append_item(list, items[i], last && end.status != "completed" ? "incomplete" : "completed");
  }
  list += ']';
  into.output_end = out.size();
  if (end.usage != nullptr) {
    append_usage(object.name("usage"), *end.usage);
  } else {
    object.json("usage", "null");
  }
  object.boolean("store", head.stored);
  if (parts.echo.empty()) {
    object.close();
  } else {
    out += ',';
    out += parts.echo;
  }
}

class ResponsesStream final : public StreamEncoder {
 public:
  ResponsesStream(const AnswerHead& head, const Request& request)
      : StreamEncoder(head.usage_before), head_(head), echo_(request.response_echo) {}

  void on_event(const Event& event, std::vector<std::string>& frames) override {
    if (sequence_of(event) != 0) return;
    if (const auto* delta = std::get_if<Delta>(&event)) {
      if (!delta->reasoning.empty()) add(Item::Kind::reasoning, delta->reasoning, frames);
      if (!delta->content.empty()) add(Item::Kind::message, delta->content, frames);
    } else if (const auto* call = std::get_if<ToolCallDelta>(&event)) {
      on_tool_call(*call, frames);
    } else if (const auto* end = std::get_if<Finished>(&event)) {
      usage_ += end->usage;
      reason_ = end->reason;
    }
  }

  // Not with Finished: who keeps responses does so in between.
  void finish(std::vector<std::string>& frames) override {
    start(frames);
    const ResponseEnd end = this->end(nullptr);
    close(end.status, frames);
    tell_response(end.status == "completed" ? "response.completed" : "response.incomplete", end,
                  frames);
  }

  void fail(const base::Error& error, std::vector<std::string>& frames) override {
    tell_response("response.failed", end(&error), frames);
  }

  ResponseText response_text(const base::Error* error) const override {
    ResponseText out;
    append_response(out, head_, {items_, echo_}, end(error));
    return out;
  }

  void set_unstored() override { head_.stored = false; }

 private:
  // One event, whose fields `fill` writes behind the type.
  template <class Fill>
  void tell(std::string_view type, std::vector<std::string>& frames, const Fill& fill) {
    std::string out;
    ObjectWriter event(out);
    event.string("type", type);
    event.integer("sequence_number", number_++);
    fill(event);
    event.close();
    frames.push_back(sse_frame(out, type));
  }

  void tell_response(std::string_view type, const ResponseEnd& end,
                     std::vector<std::string>& frames) {
    tell(type, frames, [&](ObjectWriter& event) {
      ResponseText response;
      append_response(response, head_, {items_, echo_}, end);
      event.json("response", response.text);
    });
  }

  ResponseEnd end(const base::Error* error) const {
    if (error != nullptr) return {"failed", FinishReason::stop, error, nullptr};
    return {status_of(reason_), reason_, nullptr, &usage_};
  }

  void tell_item(std::string_view type, std::string_view status, std::vector<std::string>& frames) {
    tell(type, frames, [&](ObjectWriter& event) {
      event.integer("output_index", index());
      append_item(event.name("item"), items_.back(), status);
    });
  }

  // An event about the text of an item; messages and reasoning count their parts.
  template <class Fill>
  void tell_text(std::string_view type, std::size_t index, std::vector<std::string>& frames,
                 const Fill& fill) {
    tell(type, frames, [&](ObjectWriter& event) {
      event.string("item_id", items_[index].id);
      event.integer("output_index", static_cast<std::int64_t>(index));
      if (items_[index].kind != Item::Kind::call) event.integer("content_index", 0);
      fill(event);
    });
  }

  std::int64_t index() const { return static_cast<std::int64_t>(items_.size()) - 1; }

  void start(std::vector<std::string>& frames) {
    if (std::exchange(started_, true)) return;
    tell_response("response.created", {}, frames);
    tell_response("response.in_progress", {}, frames);
  }

  void open(Item item, std::vector<std::string>& frames) {
    start(frames);
    close("completed", frames);
    item.id = item_id(head_, item.kind, items_.size());
    items_.push_back(std::move(item));
    open_ = true;
    tell_item("response.output_item.added", "in_progress", frames);
    if (items_.back().kind != Item::Kind::message) return;
    tell_text("response.content_part.added", items_.size() - 1, frames,
              [](ObjectWriter& event) { append_part(event.name("part"), ""); });
  }

  void close(std::string_view status, std::vector<std::string>& frames) {
    if (!std::exchange(open_, false)) return;
    const Item& item = items_.back();
    const std::size_t at = items_.size() - 1;
    if (item.kind == Item::Kind::call) {
      tell_text("response.function_call_arguments.done", at, frames, [&](ObjectWriter& event) {
        event.string("name", item.name);
        event.string("arguments", item.text);
      });
    } else if (item.kind == Item::Kind::reasoning) {
      tell_text("response.reasoning_text.done", at, frames,
                [&](ObjectWriter& event) { event.string("text", item.text); });
    } else {
      tell_text("response.output_text.done", at, frames, [&](ObjectWriter& event) {
        event.string("text", item.text);
        event.json("logprobs", "[]");
      });
      tell_text("response.content_part.done", at, frames,
                [&](ObjectWriter& event) { append_part(event.name("part"), item.text); });
    }
    tell_item("response.output_item.done", status, frames);
  }

  void add(Item::Kind kind, const std::string& text, std::vector<std::string>& frames) {
    if (!open_ || items_.back().kind != kind) {
      Item item;
      item.kind = kind;
      open(std::move(item), frames);
    }
    items_.back().text += text;
    const bool message = kind == Item::Kind::message;
    tell_text(message ? "response.output_text.delta" : "response.reasoning_text.delta",
              items_.size() - 1, frames, [&](ObjectWriter& event) {
                event.string("delta", text);
                if (message) event.json("logprobs", "[]");
              });
  }

  void on_tool_call(const ToolCallDelta& call, std::vector<std::string>& frames) {
    if (call.index < 0 || static_cast<std::size_t>(call.index) > calls_.size()) return;
    const auto number = static_cast<std::size_t>(call.index);
    if (number == calls_.size()) {
      Item item;
      item.kind = Item::Kind::call;
      item.call_id = call.id;
      item.name = call.name;
      open(std::move(item), frames);
      calls_.push_back(items_.size() - 1);
    }
    if (call.arguments.empty()) return;
    items_[calls_[number]].text += call.arguments;
    tell_text("response.function_call_arguments.delta", calls_[number], frames,
              [&](ObjectWriter& event) { event.string("delta", call.arguments); });
  }

  AnswerHead head_;
  const std::string echo_;
  std::vector<Item> items_;
  std::vector<std::size_t> calls_;  // the item of each call
  std::int64_t number_ = 0;         // of the next event
  FinishReason reason_ = FinishReason::stop;
  bool started_ = false;
  bool open_ = false;  // the last item goes on
};

}  // namespace

std::unique_ptr<StreamEncoder> make_responses_stream(const AnswerHead& head,
                                                     const Request& request) {
  return std::make_unique<ResponsesStream>(head, request);
}

ResponseText responses_body(const AnswerHead& head, const Request& request, const Answer& answer) {
  const AnswerChoice none;
  const AnswerChoice& choice = answer.choices.empty() ? none : answer.choices.front();
  std::vector<Item> items;
  const auto add = [&](Item::Kind kind, const std::string& text) -> Item& {
    Item& item = items.emplace_back();
    item.kind = kind;
    item.id = item_id(head, kind, items.size() - 1);
    item.text = text;
    return item;
  };
  if (!choice.reasoning.empty()) add(Item::Kind::reasoning, choice.reasoning);
  if (!choice.content.empty()) add(Item::Kind::message, choice.content);
  for (const ToolCall& call : choice.tool_calls) {
    Item& item = add(Item::Kind::call, call.arguments);
    item.call_id = call.id;
    item.name = call.name;
  }
  ResponseText out;
  const ResponseEnd end{status_of(choice.finish_reason), choice.finish_reason, nullptr,
                        &answer.usage};
  append_response(out, head, {items, request.response_echo}, end);
  return out;
}

}  // namespace deepseek::protocol
