#include "protocol/rpc/rpc_encode.hpp"

#include "protocol/encode_parts.hpp"
#include "protocol/rpc/rpc_message.hpp"

#include "deepseek/v1/answer.pb.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace deepseek::protocol {
namespace {

std::int32_t count(std::int64_t value) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(value, 0, most));
}

void write_usage(const Usage& usage, v1::Usage& out) {
  out.set_prompt_tokens(count(usage.prompt_tokens));
  out.set_completion_tokens(count(usage.completion_tokens));
  out.set_total_tokens(count(usage.total_tokens()));
  out.set_prompt_cache_hit_tokens(count(usage.prompt_cache_hit_tokens));
  out.set_prompt_cache_miss_tokens(count(usage.prompt_cache_miss_tokens()));
  out.set_reasoning_tokens(count(usage.reasoning_tokens));
}

void write_timings(const Timings& timings, v1::Timings& out) {
  out.set_queue_ms(timings.queue_ms);
  out.set_prefill_ms(timings.prefill_ms);
  out.set_decode_ms(timings.decode_ms);
}

void write_logprob(const TokenLogprob& from, v1::TokenLogprob& out) {
  out.set_token_id(from.token_id);
  out.set_token(from.bytes);
  if (!from.first) out.set_logprob(from.logprob);
  for (const TokenLogprob& other : from.alternatives) write_logprob(other, *out.add_top_logprobs());
}

template <class Message>
void write_head(const AnswerHead& head, Message& out) {
  out.set_id(head.id);
  out.set_created(head.created);
  out.set_model(head.model);
  out.set_system_fingerprint(head.system_fingerprint);
}

class RpcStream final : public StreamEncoder {
 public:
  RpcStream(RpcCodec codec, const AnswerHead& head, const Request& request)
      : StreamEncoder(head.usage_before), codec_(codec) {
    write_head(head, chunk_);
    if (head.resumed) return;
    for (std::size_t i = 0; request.echo && i < request.sequence_count(); ++i) {
      echoes_.emplace_back(echoed_prompt(request, i));
    }
  }

  void on_event(const Event& event, std::vector<std::string>& frames) override {
    if (const auto* delta = std::get_if<Delta>(&event)) {
      add_delta(*delta, frames);
    } else if (const auto* call = std::get_if<ToolCallDelta>(&event)) {
      v1::ToolCallDelta& out = *begin(call->sequence).add_tool_calls();
      out.set_index(call->index);
      out.set_id(call->id);
      out.set_name(call->name);
      out.set_arguments(call->arguments);
      send(frames);
    } else if (const auto* end = std::get_if<Finished>(&event)) {
      usage_ += end->usage;
      v1::ChoiceDelta& out = begin(end->sequence);
      out.set_content(take_echo(end->sequence));
      out.set_finish_reason(std::string(to_string(end->reason)));
      write_usage(end->usage, *out.mutable_usage());
      write_timings(end->timings, *out.mutable_timings());
      send(frames);
    }
  }

  void finish(std::vector<std::string>& frames) override {
    chunk_.clear_choices();
    write_usage(usage_, *chunk_.mutable_usage());
    send(frames);
    if (codec_ == RpcCodec::json) frames.emplace_back(stream_end);
  }

  void fail(const base::Error& error, std::vector<std::string>& frames) override {
    if (codec_ == RpcCodec::json) frames.emplace_back(error_frame(error));
  }

 private:
  v1::ChoiceDelta& begin(std::int32_t sequence) {
    chunk_.clear_choices();
    v1::ChoiceDelta& out = *chunk_.add_choices();
    out.set_index(sequence);
    return out;
  }

  void add_delta(const Delta& delta, std::vector<std::string>& frames) {
    std::string echo = take_echo(delta.sequence);
    const bool empty = delta.content.empty() && delta.reasoning.empty() && delta.logprobs.empty() &&
                       delta.token_ids.empty() && echo.empty();
    if (empty) return;
    v1::ChoiceDelta& out = begin(delta.sequence);
    out.set_content(echo + delta.content);
    out.set_reasoning_content(delta.reasoning);
    out.mutable_token_ids()->Add(delta.token_ids.begin(), delta.token_ids.end());
    for (const TokenLogprob& one : delta.logprobs) write_logprob(one, *out.add_logprobs());
    send(frames);
  }

  std::string take_echo(std::int32_t sequence) {
    const auto index = static_cast<std::size_t>(sequence);
    return index < echoes_.size() ? std::exchange(echoes_[index], {}) : std::string{};
  }

  void send(std::vector<std::string>& frames) { frames.push_back(write_rpc_piece(codec_, chunk_)); }

  const RpcCodec codec_;
  v1::AnswerChunk chunk_;  // its head stays; its choices are replaced
  std::vector<std::string> echoes_;
};

void write_choice(const AnswerChoice& from, std::string_view echo, v1::Choice& out) {
  out.set_content(std::string(echo) + from.content);
  out.set_reasoning_content(from.reasoning);
  for (const ToolCall& call : from.tool_calls) {
    v1::ToolCall& one = *out.add_tool_calls();
    one.set_id(call.id);
    one.set_type("function");
    one.mutable_function()->set_name(call.name);
    one.mutable_function()->set_arguments(call.arguments);
  }
  out.set_finish_reason(std::string(to_string(from.finish_reason)));
  for (const TokenLogprob& one : from.logprobs) write_logprob(one, *out.add_logprobs());
}

}  // namespace

std::unique_ptr<StreamEncoder> make_rpc_stream(RpcCodec codec, const AnswerHead& head,
                                               const Request& request) {
  return std::make_unique<RpcStream>(codec, head, request);
}

std::string rpc_answer_body(RpcCodec codec, const AnswerHead& head, const Request& request,
                            const Answer& answer) {
  v1::AnswerResponse out;
  write_head(head, out);
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    v1::Choice& choice = *out.add_choices();
    choice.set_index(static_cast<std::int32_t>(i));
    write_choice(answer.choices[i], echoed_prompt(request, i), choice);
  }
  write_usage(answer.usage, *out.mutable_usage());
  write_timings(answer.timings, *out.mutable_timings());
  return write_rpc(codec, out);
}

std::string rpc_embed_body(RpcCodec codec, std::string_view model,
                           std::span<const std::vector<float>> vectors,
                           std::int64_t prompt_tokens) {
  v1::EmbedResponse out;
  out.set_model(std::string(model));
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    v1::Embedding& one = *out.add_embeddings();
    one.set_index(static_cast<std::int32_t>(i));
    one.mutable_values()->Add(vectors[i].begin(), vectors[i].end());
  }
  Usage usage;
  usage.prompt_tokens = prompt_tokens;
  write_usage(usage, *out.mutable_usage());
  return write_rpc(codec, out);
}

std::string rpc_models_body(RpcCodec codec, std::span<const ModelCard> models) {
  v1::ListModelsResponse out;
  for (const ModelCard& card : models) {
    v1::Model& one = *out.add_models();
    one.set_id(card.id);
    one.set_created(card.created);
    one.set_owned_by(card.owned_by);
    one.set_root(card.root);
  }
  return write_rpc(codec, out);
}

std::string rpc_health_body(RpcCodec codec, const RpcHealth& health) {
  v1::HealthResponse out;
  out.set_status(health.draining ? "draining" : "ok");
  out.set_version(std::string(health.version));
  out.set_uptime_seconds(health.uptime_seconds);
  for (const RpcModelHealth& model : health.models) {
    v1::ModelHealth& one = *out.add_models();
    one.set_model(model.model);
    one.set_state(model.state);
    one.set_reason(model.reason);
  }
  return write_rpc(codec, out);
}

}  // namespace deepseek::protocol
