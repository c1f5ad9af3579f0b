#include "protocol/encode_parts.hpp"
#include "protocol/json.hpp"

#include <algorithm>

namespace deepseek::protocol {
namespace {

std::int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

class CompletionsStream final : public StreamEncoder {
 public:
  CompletionsStream(const AnswerHead& head, const Request& request)
      : StreamEncoder(head.usage_before),
        prefix_("data: " + answer_prefix(head, "text_completion") + ",\"choices\":["),
        suffix_(request.stream_usage ? "],\"usage\":null}\n\n" : "]}\n\n"),
        with_usage_(request.stream_usage),
        is_chat_(request.operation == Operation::chat),
        sequences_(request.sequence_count()) {
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      if (!head.resumed) sequences_[i].echo = echoed_prompt(request, i);
      sequences_[i].text_offset = characters(sequences_[i].echo);
    }
  }

  void on_event(const Event& event, std::vector<std::string>& frames) override {
    const std::int32_t number = std::visit([](const auto& e) { return e.sequence; }, event);
    if (number < 0 || static_cast<std::size_t>(number) >= sequences_.size()) return;
    if (std::holds_alternative<Started>(event)) return;
    Sequence& sequence = sequences_[static_cast<std::size_t>(number)];
    begin(number, sequence, frames);
    if (const auto* delta = std::get_if<Delta>(&event)) {
      on_delta(*delta, sequence, frames);
    } else if (const auto* end = std::get_if<Finished>(&event)) {
      usage_ += end->usage;
      append_frame(number, {}, {}, nullptr, &sequence,
                   "\"" + std::string(to_string(end->reason)) + "\"", frames);
    }
  }

  void finish(std::vector<std::string>& frames) override {
    if (with_usage_) frames.push_back(usage_frame(prefix_, usage_));
    frames.emplace_back(stream_end);
  }

 private:
  struct Sequence {
    std::string echo;
    bool begun = false;
    std::int64_t text_offset = 0;
  };

  // The echoed prompt is the first frame; a chat has its role in the first delta.
  void begin(std::int32_t number, Sequence& sequence, std::vector<std::string>& frames) const {
    if (sequence.begun) return;
    sequence.begun = true;
    if (!sequence.echo.empty()) {
      append_frame(number, sequence.echo, {}, nullptr, &sequence, "null", frames);
      sequence.echo.clear();
    }
  }

  void on_delta(const Delta& delta, Sequence& sequence, std::vector<std::string>& frames) const {
    if (delta.content.empty() && delta.reasoning.empty() && delta.logprobs.empty()) return;
    append_frame(delta.sequence, delta.content, delta.reasoning, &delta.logprobs, &sequence, "null",
                 frames);
  }

  void append_frame(std::int32_t number, std::string_view text, std::string_view reasoning,
                    const std::vector<TokenLogprob>* logprobs, Sequence* sequence,
                    std::string_view finish_reason, std::vector<std::string>& frames) const {
    std::string& out = frames.emplace_back();
    out.reserve(prefix_.size() + suffix_.size() + text.size() * (is_chat_ ? 2 : 1) + 160);
    out += prefix_;
    out += "{\"text\":";
    append_json_string(out, text);
    out += ",\"index\":";
    append_json_integer(out, number);
    if (is_chat_) append_delta(out, text, reasoning);
    out += ",\"logprobs\":";
    if (logprobs != nullptr && !logprobs->empty()) {
      append_completion_logprobs(out, *logprobs, sequence->text_offset);
    } else {
      out += "null";
    }
    out += ",\"finish_reason\":";
    out += finish_reason;
    out += '}';
    out += suffix_;
  }

  static void append_delta(std::string& out, std::string_view text, std::string_view reasoning) {
    out += ",\"delta\":{\"role\":\"assistant\",\"content\":";
    append_json_string(out, text);
    if (!reasoning.empty()) {
      out += ",\"reasoning_content\":";
      append_json_string(out, reasoning);
    }
    out += '}';
  }

  const std::string prefix_;
  const std::string suffix_;
  const bool with_usage_;
  const bool is_chat_;
  std::vector<Sequence> sequences_;
};

void append_choice(std::string& out, std::size_t index, const Request& request,
                   const AnswerChoice& choice, bool with_logprobs) {
  const std::string_view echo = echoed_prompt(request, index);
  out += "{\"text\":\"";
  append_json_escaped(out, echo);
  append_json_escaped(out, choice.content);
  out += "\",\"index\":";
  append_json_integer(out, static_cast<std::int64_t>(index));
  if (request.operation == Operation::chat) {
    out += ",\"message\":{\"role\":\"assistant\",\"content\":";
    append_json_string(out, choice.content);
    if (!choice.reasoning.empty()) {
      out += ",\"reasoning_content\":";
      append_json_string(out, choice.reasoning);
    }
    out += '}';
  }
  out += ",\"logprobs\":";
  if (with_logprobs) {
    std::int64_t text_offset = characters(echo);
    append_completion_logprobs(out, choice.logprobs, text_offset);
  } else {
    out += "null";
  }
  out += ",\"finish_reason\":\"";
  out += to_string(choice.finish_reason);
  out += "\"}";
}

}  // namespace

std::unique_ptr<StreamEncoder> make_completions_stream(const AnswerHead& head,
                                                       const Request& request) {
  return std::make_unique<CompletionsStream>(head, request);
}

std::string completions_body(const AnswerHead& head, const Request& request, const Answer& answer) {
  std::string out = answer_prefix(head, "text_completion") + ",\"choices\":[";
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    if (i > 0) out += ',';
    append_choice(out, i, request, answer.choices[i], answer.with_logprobs);
  }
  out += "],\"usage\":";
  append_usage(out, answer.usage);
  out += '}';
  return out;
}

}  // namespace deepseek::protocol
