#include "protocol/answer.hpp"

#include <algorithm>
#include <iterator>

namespace deepseek::protocol {
namespace {

constexpr std::size_t tool_calls_max = 1024;

void add_delta(AnswerChoice& choice, Delta&& delta) {
  choice.content += delta.content;
  choice.reasoning += delta.reasoning;
  choice.reasoning_signature += delta.reasoning_signature;
  if (!delta.redacted_reasoning.empty()) {
    choice.redacted_reasoning.push_back(std::move(delta.redacted_reasoning));
  }
  choice.logprobs.insert(choice.logprobs.end(), std::make_move_iterator(delta.logprobs.begin()),
                         std::make_move_iterator(delta.logprobs.end()));
}

void add_tool_call(AnswerChoice& choice, ToolCallDelta&& delta) {
  if (delta.index < 0) return;
  const auto index = static_cast<std::size_t>(delta.index);
  if (index > choice.tool_calls.size() || index >= tool_calls_max) return;
  if (index == choice.tool_calls.size()) choice.tool_calls.emplace_back();
  ToolCall& call = choice.tool_calls[index];
  if (!delta.id.empty()) call.id = std::move(delta.id);
  if (!delta.name.empty()) call.name = std::move(delta.name);
  call.arguments += delta.arguments;
}

}  // namespace

void Answer::add(Event&& event) {
  if (std::holds_alternative<Restarted>(event)) {
    choices.assign(choices.size(), {});
    usage = {};
    timings = {};
    return;
  }
  const std::int32_t sequence = sequence_of(event);
  if (sequence < 0 || static_cast<std::size_t>(sequence) >= choices.size()) return;
  AnswerChoice& choice = choices[static_cast<std::size_t>(sequence)];
  if (auto* delta = std::get_if<Delta>(&event)) {
    add_delta(choice, std::move(*delta));
  } else if (auto* call = std::get_if<ToolCallDelta>(&event)) {
    add_tool_call(choice, std::move(*call));
  } else if (const auto* end = std::get_if<Finished>(&event); end != nullptr && !choice.finished) {
    choice.finished = true;
    choice.finish_reason = end->reason;
    choice.stop_sequence = end->stop_sequence;
    usage += end->usage;
    timings.queue_ms = std::max(timings.queue_ms, end->timings.queue_ms);
    timings.prefill_ms = std::max(timings.prefill_ms, end->timings.prefill_ms);
    timings.decode_ms = std::max(timings.decode_ms, end->timings.decode_ms);
  }
}

bool Answer::finished() const {
  return std::all_of(choices.begin(), choices.end(),
                     [](const AnswerChoice& choice) { return choice.finished; });
}

}  // namespace deepseek::protocol
