// Answers of POST /api/v1/infer and POST /generate.
#include "protocol/encode_parts.hpp"
#include "protocol/json.hpp"

namespace deepseek::protocol {
namespace {

std::string infer_prefix(const AnswerHead& head) {
  std::string out = "{\"id\":";
  append_json_string(out, head.id);
  out += ",\"model\":";
  append_json_string(out, head.model);
  return out;
}

void append_infer_end(std::string& out, FinishReason reason, const Usage& usage,
                      const Timings& timings) {
  out += ",\"finish_reason\":\"";
  out += to_string(reason);
  out += "\",\"usage\":";
  append_usage(out, usage);
  out += ",\"timings\":";
  append_timings(out, timings);
  out += '}';
}

class InferStream final : public StreamEncoder {
 public:
  explicit InferStream(const AnswerHead& head)
      : StreamEncoder(head.usage_before), prefix_(infer_prefix(head)) {}

  void on_event(const Event& event, std::vector<std::string>& frames) override {
    if (const auto* delta = std::get_if<Delta>(&event)) {
      if (delta->content.empty() && delta->reasoning.empty()) return;
      std::string& out = frames.emplace_back("data: {\"delta\":");
      append_json_string(out, delta->content);
      if (!delta->reasoning.empty()) {
        out += ",\"reasoning\":";
        append_json_string(out, delta->reasoning);
      }
      out += "}\n\n";
    } else if (const auto* end = std::get_if<Finished>(&event)) {
      usage_ += end->usage;
      std::string& out = frames.emplace_back("data: " + prefix_);
      append_infer_end(out, end->reason, usage_, end->timings);
      out += "\n\n";
    }
  }

  void finish(std::vector<std::string>& frames) override { frames.emplace_back(stream_end); }

 private:
  const std::string prefix_;
};

class GenerateStream final : public StreamEncoder {
 public:
  GenerateStream(const AnswerHead& head, const Request& request)
      : StreamEncoder(head.usage_before), echo_(head.resumed ? "" : echoed_prompt(request, 0)) {}

  void on_event(const Event& event, std::vector<std::string>& frames) override {
    if (const auto* end = std::get_if<Finished>(&event)) usage_ += end->usage;
    const auto* delta = std::get_if<Delta>(&event);
    if (delta == nullptr || (delta->content.empty() && echo_.empty())) return;
    std::string& out = frames.emplace_back("data: \"");
    append_json_escaped(out, echo_);
    echo_.clear();
    append_json_escaped(out, delta->content);
    out += "\"\n\n";
  }

  void finish(std::vector<std::string>& frames) override { frames.emplace_back(stream_end); }

 private:
  std::string echo_;
};

}  // namespace

std::unique_ptr<StreamEncoder> make_infer_stream(const AnswerHead& head, const Request&) {
  return std::make_unique<InferStream>(head);
}

std::string infer_body(const AnswerHead& head, const Answer& answer) {
  const AnswerChoice none;
  const AnswerChoice& choice = answer.choices.empty() ? none : answer.choices.front();
  std::string out = infer_prefix(head) + ",\"answer\":";
  append_json_string(out, choice.content);
  if (!choice.reasoning.empty()) {
    out += ",\"reasoning\":";
    append_json_string(out, choice.reasoning);
  }
  append_infer_end(out, choice.finish_reason, answer.usage, answer.timings);
  return out;
}

std::unique_ptr<StreamEncoder> make_generate_stream(const AnswerHead& head,
                                                    const Request& request) {
  return std::make_unique<GenerateStream>(head, request);
}

std::string generate_body(const Request& request, const Answer& answer) {
  std::string out = "\"";
  append_json_escaped(out, echoed_prompt(request, 0));
  if (!answer.choices.empty()) append_json_escaped(out, answer.choices.front().content);
  out += '"';
  return out;
}

}  // namespace deepseek::protocol
