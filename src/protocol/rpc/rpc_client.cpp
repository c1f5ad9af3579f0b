#include "protocol/rpc/rpc_client.hpp"

#include "deepseek/v1/answer.pb.h"
#include "deepseek/v1/request.pb.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

namespace deepseek::protocol {
namespace {

using base::ErrorCode;

template <class Message>
void write_shared(const Request& from, std::string_view model, Message& out) {
  out.set_model(std::string(model));
  const Sampling& sampling = from.sampling;
  if (sampling.temperature) out.set_temperature(*sampling.temperature);
  if (sampling.top_p) out.set_top_p(*sampling.top_p);
  if (sampling.min_p) out.set_min_p(*sampling.min_p);
  if (sampling.top_k) out.set_top_k(*sampling.top_k);
  if (sampling.frequency_penalty) out.set_frequency_penalty(*sampling.frequency_penalty);
  if (sampling.presence_penalty) out.set_presence_penalty(*sampling.presence_penalty);
  if (sampling.repetition_penalty) out.set_repetition_penalty(*sampling.repetition_penalty);
  if (sampling.seed) out.set_seed(*sampling.seed);
  for (const auto& [token, bias] : sampling.logit_bias) (*out.mutable_logit_bias())[token] = bias;
  out.set_ignore_eos(sampling.ignore_eos);
  if (from.tokens_max) out.set_max_tokens(*from.tokens_max);
  for (const std::string& stop : from.stop) out.add_stop(stop);
  if (from.choices != 1) out.set_n(from.choices);
  if (from.logprobs) out.set_logprobs(*from.logprobs);
  out.set_user(from.user);
  out.set_user_id(from.user_id);
}

void write_constraint(const Constraint& from, v1::Constraint& out) {
  switch (from.kind) {
    case Constraint::Kind::json_object:
      out.set_json_object(true);
      break;
    case Constraint::Kind::json_schema:
      out.set_json_schema(from.text);
      break;
    case Constraint::Kind::grammar:
      out.set_grammar(from.text);
      break;
    case Constraint::Kind::regex:
      out.set_regex(from.text);
      break;
    case Constraint::Kind::choice:
      for (const std::string& choice : from.choices) out.add_choice(choice);
      break;
    case Constraint::Kind::none:
      break;
  }
}

void write_content(const Message& from, v1::Message& out) {
  const bool plain = from.content.size() == 1 && std::holds_alternative<TextPart>(from.content[0]);
  if (plain) {
    out.set_content(std::get<TextPart>(from.content[0]).text);
    return;
  }
  for (const ContentPart& part : from.content) {
    v1::ContentPart& one = *out.add_parts();
    if (const auto* text = std::get_if<TextPart>(&part)) {
      one.set_type("text");
      one.set_text(text->text);
    } else if (const auto* image = std::get_if<ImagePart>(&part)) {
      one.set_type("image_url");
      one.mutable_image_url()->set_url(image->url);
      one.mutable_image_url()->set_detail(image->detail);
    }
  }
}

void write_message(const Message& from, v1::Message& out) {
  out.set_role(std::string(to_string(from.role)));
  write_content(from, out);
  out.set_name(from.name);
  out.set_reasoning_content(from.reasoning_content);
  out.set_tool_call_id(from.tool_call_id);
  out.set_prefix(from.prefix);
  for (const ToolCall& call : from.tool_calls) {
    v1::ToolCall& one = *out.add_tool_calls();
    one.set_id(call.id);
    one.set_type("function");
    one.mutable_function()->set_name(call.name);
    one.mutable_function()->set_arguments(call.arguments);
  }
}

void write_tools(const Request& from, v1::ChatRequest& out) {
  for (const Tool& tool : from.tools) {
    v1::Tool& one = *out.add_tools();
    one.set_type("function");
    one.mutable_function()->set_name(tool.name);
    one.mutable_function()->set_description(tool.description);
    one.mutable_function()->set_parameters(tool.parameters);
    one.mutable_function()->set_strict(tool.strict);
  }
  if (!from.parallel_tool_calls) out.set_parallel_tool_calls(false);
  constexpr std::array<const char*, 4> kinds{"auto", "none", "required", "function"};
  const auto kind = static_cast<std::size_t>(from.tool_choice.kind);
  if (from.tool_choice.kind == ToolChoice::Kind::automatic) return;
  out.mutable_tool_choice()->set_type(kinds[kind]);
  out.mutable_tool_choice()->set_name(from.tool_choice.name);
}

// What this form has no field for would be left out in silence.
std::optional<base::Error> cannot_say(const Request& request) {
  for (const FeatureUse& use : request.features) {
    switch (use.feature) {
      case Feature::hosted_tools:
      case Feature::audio:
      case Feature::web_search:
      case Feature::best_of:
      case Feature::echo_logprobs:
      case Feature::echo_tokens:
        return base::make_error(ErrorCode::not_implemented,
                                use.param + ": " + std::string(to_string(use.feature)) +
                                    " cannot be asked of a backend of the type grpc",
                                use.param);
      default:
        break;
    }
  }
  return std::nullopt;
}

template <class Message>
void lower_limit(const Spoken* spoken, Message& out) {
  if (spoken == nullptr || !out.has_max_tokens()) return;
  const std::int64_t left = out.max_tokens() - std::max<std::int64_t>(spoken->tokens, 0);
  out.set_max_tokens(static_cast<std::int32_t>(std::max<std::int64_t>(left, 1)));
}

v1::ChatRequest chat_message(const Request& request, std::string_view model, const Spoken* spoken) {
  v1::ChatRequest out;
  write_shared(request, model, out);
  for (const Message& message : request.messages) write_message(message, *out.add_messages());
  write_tools(request, out);
  if (request.constraint.kind != Constraint::Kind::none) {
    write_constraint(request.constraint, *out.mutable_constraint());
  }
  if (request.thinking) {
    out.mutable_thinking()->set_type(*request.thinking ? "enabled" : "disabled");
  }
  out.set_reasoning_effort(request.reasoning_effort);
  if (spoken == nullptr) return out;
  const bool joins = !request.messages.empty() && request.messages.back().prefix;
  v1::Message& last = joins ? *out.mutable_messages(out.messages_size() - 1) : *out.add_messages();
  last.set_role("assistant");
  last.set_content((joins ? request.messages.back().text() : std::string{}) + spoken->content);
  last.clear_parts();
  last.set_reasoning_content(last.reasoning_content() + spoken->reasoning);
  last.set_prefix(true);
  lower_limit(spoken, out);
  return out;
}

v1::GenerateRequest generate_message(const Request& request, std::string_view model,
                                     const Spoken* spoken) {
  v1::GenerateRequest out;
  write_shared(request, model, out);
  out.set_suffix(request.suffix);
  for (const Prompt& prompt : request.prompts) {
    v1::Prompt& one = *out.add_prompts();
    if (const auto* text = std::get_if<std::string>(&prompt)) {
      one.set_text(spoken == nullptr ? *text : *text + spoken->content);
    } else {
      const TokenIds& ids = std::get<TokenIds>(prompt);
      one.mutable_token_ids()->Add(ids.begin(), ids.end());
    }
  }
  if (request.constraint.kind != Constraint::Kind::none) {
    write_constraint(request.constraint, *out.mutable_constraint());
  }
  lower_limit(spoken, out);
  return out;
}

FinishReason finish_reason(std::string_view word) {
  for (const FinishReason reason :
       {FinishReason::length, FinishReason::tool_calls, FinishReason::content_filter}) {
    if (word == to_string(reason)) return reason;
  }
  return FinishReason::stop;
}

TokenLogprob read_logprob(const v1::TokenLogprob& from) {
  TokenLogprob out;
  out.token_id = from.token_id();
  out.bytes = from.token();
  out.logprob = from.logprob();
  for (const v1::TokenLogprob& other : from.top_logprobs()) {
    TokenLogprob& one = out.alternatives.emplace_back();
    one.token_id = other.token_id();
    one.bytes = other.token();
    one.logprob = other.logprob();
  }
  return out;
}

Usage read_usage(const v1::Usage& from) {
  Usage usage;
  usage.prompt_tokens = std::max(from.prompt_tokens(), 0);
  usage.completion_tokens = std::max(from.completion_tokens(), 0);
  usage.prompt_cache_hit_tokens =
      std::clamp<std::int64_t>(from.prompt_cache_hit_tokens(), 0, usage.prompt_tokens);
  usage.reasoning_tokens =
      std::clamp<std::int64_t>(from.reasoning_tokens(), 0, usage.completion_tokens);
  return usage;
}

void read_choice(v1::ChoiceDelta& from, std::vector<Event>& events) {
  if (!from.content().empty() || !from.reasoning_content().empty() || from.token_ids_size() > 0 ||
      from.logprobs_size() > 0) {
    Delta delta;
    delta.sequence = from.index();
    delta.content = std::move(*from.mutable_content());
    delta.reasoning = std::move(*from.mutable_reasoning_content());
    delta.token_ids.assign(from.token_ids().begin(), from.token_ids().end());
    for (const v1::TokenLogprob& one : from.logprobs()) {
      delta.logprobs.push_back(read_logprob(one));
    }
    events.emplace_back(std::move(delta));
  }
  for (const v1::ToolCallDelta& call : from.tool_calls()) {
    events.emplace_back(
        ToolCallDelta{from.index(), call.index(), call.id(), call.name(), call.arguments()});
  }
  if (from.finish_reason().empty()) return;
  Finished end;
  end.sequence = from.index();
  end.reason = finish_reason(from.finish_reason());
  end.usage = read_usage(from.usage());
  end.timings = {from.timings().queue_ms(), from.timings().prefill_ms(),
                 from.timings().decode_ms()};
  events.emplace_back(end);
}

base::Error bad_answer(const char* what) {
  return base::make_error(ErrorCode::upstream_failed, what);
}

template <class Message>
bool parse(std::string_view bytes, Message& message) {
  return bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

std::string_view rpc_stream_path(const Request& request) {
  return request.operation == Operation::chat ? "/deepseek.v1.DeepSeekService/StreamChat"
                                              : "/deepseek.v1.DeepSeekService/StreamGenerate";
}

base::Result<std::string> rpc_request_bytes(const Request& request, std::string_view model,
                                            const Spoken* spoken) {
  if (auto refused = cannot_say(request)) return std::move(*refused);
  // Echo is put in front of the answer here, by whoever encodes it.
  return request.operation == Operation::chat
             ? chat_message(request, model, spoken).SerializeAsString()
             : generate_message(request, model, spoken).SerializeAsString();
}

std::string rpc_embed_bytes(const EmbeddingRequest& request, std::string_view model) {
  v1::EmbedRequest out;
  out.set_model(std::string(model));
  for (const Prompt& prompt : request.inputs) {
    v1::Prompt& one = *out.add_inputs();
    if (const auto* text = std::get_if<std::string>(&prompt)) {
      one.set_text(*text);
    } else {
      const TokenIds& ids = std::get<TokenIds>(prompt);
      one.mutable_token_ids()->Add(ids.begin(), ids.end());
    }
  }
  if (request.dimensions) out.set_dimensions(*request.dimensions);
  out.set_user(request.user);
  return out.SerializeAsString();
}

base::Result<RpcEmbeddings> read_rpc_embeddings(std::string_view bytes, std::size_t inputs) {
  v1::EmbedResponse message;
  if (!parse(bytes, message)) return bad_answer("the answer is no EmbedResponse");
  if (static_cast<std::size_t>(message.embeddings_size()) != inputs) {
    return bad_answer("the answer has not one vector for each text");
  }
  RpcEmbeddings out;
  out.vectors.resize(inputs);
  for (int i = 0; i < message.embeddings_size(); ++i) {
    const v1::Embedding& one = message.embeddings(i);
    if (one.index() != i || one.values().empty()) {
      return bad_answer("the answer has not one vector for each text");
    }
    out.vectors[static_cast<std::size_t>(i)].assign(one.values().begin(), one.values().end());
  }
  out.prompt_tokens = std::max(message.usage().prompt_tokens(), 0);
  return out;
}

base::Result<void> RpcAnswerReader::push(std::string_view bytes, std::vector<Event>& events) {
  v1::AnswerChunk chunk;
  if (!parse(bytes, chunk)) return bad_answer("a piece of the answer is no AnswerChunk");
  for (v1::ChoiceDelta& choice : *chunk.mutable_choices()) {
    const auto index = static_cast<std::size_t>(choice.index());
    if (choice.index() < 0 || index >= ended_.size() || ended_[index]) {
      return bad_answer("a piece of the answer is of a choice that was not asked for or has ended");
    }
    read_choice(choice, events);
    if (choice.finish_reason().empty()) continue;
    ended_[index] = true;
    ++ended_count_;
  }
  return {};
}

}  // namespace deepseek::protocol
