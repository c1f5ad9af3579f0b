// Answers of POST /v1/messages, whole and streamed; errors in Anthropic's form.
#include "protocol/anthropic_signature.hpp"
#include "protocol/encode.hpp"
#include "protocol/encode_parts.hpp"
#include "protocol/json.hpp"
#include "protocol/object_writer.hpp"
#include "protocol/quote.hpp"
#include "protocol/sse.hpp"

#include <optional>

namespace deepseek::protocol {
namespace {

constexpr std::size_t message_bytes_max = 1024;

// What came from a cache is no part of input_tokens in this form.
void append_message_usage(std::string& out, const Usage& usage) {
  ObjectWriter object(out);
  object.integer("input_tokens", usage.prompt_cache_miss_tokens());
  object.integer("cache_creation_input_tokens", 0);
  object.integer("cache_read_input_tokens", usage.prompt_cache_hit_tokens);
  object.integer("output_tokens", usage.completion_tokens);
  object.close();
}

std::string_view stop_reason(FinishReason reason, bool calls_tools, bool at_stop_sequence) {
  switch (reason) {
    case FinishReason::length:
      return "max_tokens";
    case FinishReason::tool_calls:
      return "tool_use";
    case FinishReason::content_filter:
      return "refusal";
    case FinishReason::stop:
      break;
  }
  // Some upstreams of OpenAI's form end a call that was asked for by name with "stop".
  if (calls_tools) return "tool_use";
  return at_stop_sequence ? "stop_sequence" : "end_turn";
}

void append_stop(ObjectWriter& object, FinishReason reason, bool calls_tools,
                 const std::string& stop_sequence) {
  object.string("stop_reason", stop_reason(reason, calls_tools, !stop_sequence.empty()));
  if (stop_sequence.empty() || calls_tools || reason != FinishReason::stop) {
    object.json("stop_sequence", "null");
  } else {
    object.string("stop_sequence", stop_sequence);
  }
}

void begin_message(ObjectWriter& message, const AnswerHead& head) {
  message.string("id", head.id);
  message.string("type", "message");
  message.string("role", "assistant");
  message.string("model", head.model);
}

void append_content(std::string& out, const AnswerChoice& choice) {
  out += '[';
  bool first = true;
  const auto block = [&](std::string_view type) {
    if (!std::exchange(first, false)) out += ',';
    ObjectWriter made(out);
    made.string("type", type);
    return made;
  };
  if (!choice.reasoning.empty()) {
    ObjectWriter thinking = block("thinking");
    thinking.string("thinking", choice.reasoning);
    thinking.string("signature", choice.reasoning_signature.empty()
                                     ? own_signature
                                     : std::string_view(choice.reasoning_signature));
    thinking.close();
  }
  for (const std::string& data : choice.redacted_reasoning) {
    ObjectWriter redacted = block("redacted_thinking");
    redacted.string("data", data);
    redacted.close();
  }
  if (!choice.content.empty()) {
    ObjectWriter text = block("text");
    text.string("text", choice.content);
    text.close();
  }
  for (const ToolCall& call : choice.tool_calls) {
    ObjectWriter use = block("tool_use");
    use.string("id", call.id);
    use.string("name", call.name);
    append_tool_input(use.name("input"), call.arguments);
    use.close();
  }
  out += ']';
}

std::string bounded(std::string_view text, std::size_t bytes_max) {
  // Redacted before it is cut, so that a cut never shortens a secret to plain text.
  return std::string(utf8_prefix(redact(utf8_prefix(text, 2 * bytes_max)), bytes_max));
}

class MessagesStream final : public StreamEncoder {
 public:
  MessagesStream(const AnswerHead& head, const Request& request)
      : StreamEncoder(head.usage_before),
        head_(head),
        request_id_(request.id),
        started_(head.resumed) {
    if (!head.resumed) return;
    next_ = head.blocks.next;
    open_ = head.blocks.open;
  }

  void on_event(const Event& event, std::vector<std::string>& frames) override {
    if (sequence_of(event) != 0) return;
    if (const auto* started = std::get_if<Started>(&event)) {
      prompt_ = {started->prompt_tokens, 0, started->prompt_cache_hit_tokens, 0};
    } else if (const auto* delta = std::get_if<Delta>(&event)) {
      on_delta(*delta, frames);
    } else if (const auto* call = std::get_if<ToolCallDelta>(&event)) {
      on_tool_call(*call, frames);
    } else if (const auto* end = std::get_if<Finished>(&event)) {
      usage_ += end->usage;
      on_finished(*end, frames);
    }
  }

  void finish(std::vector<std::string>& frames) override {
    start(frames);
    if (!ended_) on_finished({}, frames);
    frames.push_back(sse_frame("{\"type\":\"message_stop\"}", "message_stop"));
  }

  void fail(const base::Error& error, std::vector<std::string>& frames) override {
    frames.push_back(anthropic_error_frame(error, request_id_));
  }

 private:
  using Block = MessageBlocks::Open;

  void start(std::vector<std::string>& frames) {
    if (std::exchange(started_, true)) return;
    std::string out = "{\"type\":\"message_start\",\"message\":";
    ObjectWriter message(out);
    begin_message(message, head_);
    message.json("content", "[]");
    message.json("stop_reason", "null");
    message.json("stop_sequence", "null");
    append_message_usage(message.name("usage"), prompt_);
    message.close();
    out += '}';
    frames.push_back(sse_frame(out, "message_start"));
  }

  // The head of an event of one block.
  std::string of_block(std::string_view type, std::int32_t index) const {
    std::string out = "{\"type\":\"";
    out += type;
    out += "\",\"index\":";
    append_json_integer(out, index);
    return out;
  }

  template <class Fill>
  void open(Block block, std::vector<std::string>& frames, const Fill& fill) {
    close(frames);
    start(frames);
    open_ = block;
    std::string out = of_block("content_block_start", next_);
    out += ",\"content_block\":";
    ObjectWriter object(out);
    fill(object);
    object.close();
    out += '}';
    ++next_;
    frames.push_back(sse_frame(out, "content_block_start"));
  }

  void add(std::string_view type, std::string_view field, std::string_view text, std::int32_t index,
           std::vector<std::string>& frames) const {
    std::string out = of_block("content_block_delta", index);
    out += ",\"delta\":";
    ObjectWriter delta(out);
    delta.string("type", type);
    delta.string(field, text);
    delta.close();
    out += '}';
    frames.push_back(sse_frame(out, "content_block_delta"));
  }

  void close(std::vector<std::string>& frames) {
    if (open_ == Block::none) return;
    if (open_ == Block::thinking) {
      const std::string_view signature =
          signature_.empty() ? own_signature : std::string_view(signature_);
      add("signature_delta", "signature", signature, next_ - 1, frames);
      signature_.clear();
    }
    open_ = Block::none;
    frames.push_back(
        sse_frame(of_block("content_block_stop", next_ - 1) + "}", "content_block_stop"));
  }

  void on_delta(const Delta& delta, std::vector<std::string>& frames) {
    if (!delta.reasoning.empty() || (!delta.reasoning_signature.empty() && !is_thinking())) {
      if (!is_thinking()) {
        open(Block::thinking, frames, [](ObjectWriter& block) {
          block.string("type", "thinking");
          block.string("thinking", "");
          block.string("signature", "");
        });
      }
      if (!delta.reasoning.empty()) {
        add("thinking_delta", "thinking", delta.reasoning, next_ - 1, frames);
      }
    }
    if (is_thinking()) signature_ += delta.reasoning_signature;
    if (!delta.redacted_reasoning.empty()) {
      open(Block::text, frames, [&](ObjectWriter& block) {
        block.string("type", "redacted_thinking");
        block.string("data", delta.redacted_reasoning);
      });
      close(frames);
    }
    if (delta.content.empty()) return;
    if (open_ != Block::text) {
      open(Block::text, frames, [](ObjectWriter& block) {
        block.string("type", "text");
        block.string("text", "");
      });
    }
    add("text_delta", "text", delta.content, next_ - 1, frames);
  }

  void on_tool_call(const ToolCallDelta& call, std::vector<std::string>& frames) {
    if (call.index < 0 || static_cast<std::size_t>(call.index) > tools_.size()) return;
    const auto index = static_cast<std::size_t>(call.index);
    if (index == tools_.size()) {
      tools_.push_back(next_);
      open(Block::other, frames, [&](ObjectWriter& block) {
        block.string("type", "tool_use");
        block.string("id", call.id);
        block.string("name", call.name);
        block.json("input", "{}");
      });
    }
    if (!call.arguments.empty()) {
      add("input_json_delta", "partial_json", call.arguments, tools_[index], frames);
    }
  }

  void on_finished(const Finished& end, std::vector<std::string>& frames) {
    if (std::exchange(ended_, true)) return;
    start(frames);
    close(frames);
    std::string out = "{\"type\":\"message_delta\",\"delta\":";
    ObjectWriter delta(out);
    append_stop(delta, end.reason, !tools_.empty(), end.stop_sequence);
    delta.close();
    out += ",\"usage\":";
    append_message_usage(out, usage_);
    out += '}';
    frames.push_back(sse_frame(out, "message_delta"));
  }

  bool is_thinking() const { return open_ == Block::thinking; }

  const AnswerHead head_;
  const std::string request_id_;
  Usage prompt_;  // as far as it is known at the start
  bool started_;
  bool ended_ = false;
  Block open_ = Block::none;
  std::int32_t next_ = 0;            // index of the next block
  std::string signature_;            // of the open block
  std::vector<std::int32_t> tools_;  // the block of each tool call
};

}  // namespace

std::unique_ptr<StreamEncoder> make_messages_stream(const AnswerHead& head,
                                                    const Request& request) {
  return std::make_unique<MessagesStream>(head, request);
}

std::string messages_body(const AnswerHead& head, const Answer& answer) {
  const AnswerChoice none;
  const AnswerChoice& choice = answer.choices.empty() ? none : answer.choices.front();
  std::string out;
  ObjectWriter message(out);
  begin_message(message, head);
  append_content(message.name("content"), choice);
  append_stop(message, choice.finish_reason, !choice.tool_calls.empty(), choice.stop_sequence);
  append_message_usage(message.name("usage"), answer.usage);
  message.close();
  return out;
}

std::string count_tokens_body(std::int64_t tokens) {
  std::string out;
  ObjectWriter object(out);
  object.integer("input_tokens", tokens);
  object.close();
  return out;
}

std::string anthropic_error_body(const base::Error& error, std::string_view request_id) {
  std::string message = bounded(error.message, message_bytes_max);
  // This form has no field for it.
  if (!error.param.empty() && message.find(error.param) == std::string::npos) {
    message = bounded(error.param, 256) + ": " + message;
  }
  std::string out;
  ObjectWriter object(out);
  object.string("type", "error");
  ObjectWriter inner(object.name("error"));
  inner.string("type", base::describe(error.code).anthropic_type);
  inner.string("message", message);
  inner.close();
  object.text("request_id", request_id);
  object.close();
  return out;
}

std::string anthropic_error_frame(const base::Error& error, std::string_view request_id) {
  return sse_frame(anthropic_error_body(error, request_id), "error");
}

}  // namespace deepseek::protocol
