#include "gateway/engine_wire.hpp"

#include "gateway/engine_chat.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <functional>
#include <utility>

namespace deepseek::gateway {

using base::ErrorCode;

namespace {

template <class Message>
std::uint64_t hash_message(const Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream output(&bytes);
    google::protobuf::io::CodedOutputStream coded(&output);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return std::hash<std::string>()(bytes);
}

template <class Input>
void set_prompt(const protocol::Prompt& prompt, Input& input) {
  if (const auto* text = std::get_if<std::string>(&prompt)) {
    input.set_text(*text);
  } else {
    const auto& ids = std::get<protocol::TokenIds>(prompt);
    input.mutable_tokens()->mutable_ids()->Add(ids.begin(), ids.end());
  }
}

void set_sampling(const protocol::Sampling& from, std::int32_t choice, wire::Sampling& to) {
  if (from.temperature) to.set_temperature(*from.temperature);
  if (from.top_p) to.set_top_p(*from.top_p);
  if (from.min_p) to.set_min_p(*from.min_p);
  if (from.top_k) to.set_top_k(*from.top_k);
  if (from.frequency_penalty) to.set_frequency_penalty(*from.frequency_penalty);
  if (from.presence_penalty) to.set_presence_penalty(*from.presence_penalty);
  if (from.repetition_penalty) to.set_repetition_penalty(*from.repetition_penalty);
  // The same seed for every choice would give the same answer n times.
  if (from.seed) to.set_seed(*from.seed + static_cast<std::uint64_t>(choice));
  for (const auto& [token, bias] : from.logit_bias) (*to.mutable_logit_bias())[token] = bias;
  to.set_ignore_eos(from.ignore_eos);
}

wire::Submit make_submit(const protocol::Request& request, std::int32_t choice,
                         const EngineBackendOptions& options) {
  wire::Submit submit;
  set_sampling(request.sampling, choice, *submit.mutable_sampling());
  submit.set_echo(protocol::echo_is_told(request));
  // No token at all is another wish than no bound.
  submit.set_tokens_max(request.tokens_max == 0 ? -1 : request.tokens_max.value_or(0));
  for (const std::string& stop : request.stop) submit.add_stop(stop);
  submit.set_user_id(request.user_id.empty() ? request.user : request.user_id);
  submit.set_queue_timeout_ms(options.queue_timeout.count());
  if (request.logprobs) submit.set_logprobs(*request.logprobs);
  submit.set_credits(options.stream_credits);
  submit.set_request_id(request.id);
  if (options.command.adapters.contains(request.model)) submit.set_adapter(request.model);
  submit.set_count_prompt(choice == 0);
  submit.set_prompt_field(request.prompt_field);
  if (request.constraint.kind != protocol::Constraint::Kind::none) {
    set_constraint(request.constraint, *submit.mutable_constraint());
  }
  return submit;
}

void set_resume(const protocol::Spoken& spoken, wire::Resume& resume) {
  resume.mutable_token_ids()->Add(spoken.token_ids.begin(), spoken.token_ids.end());
  resume.set_content(spoken.content);
  resume.set_reasoning(spoken.reasoning);
}

std::vector<protocol::TokenLogprob> to_logprobs(
    google::protobuf::RepeatedPtrField<wire::TokenLogprob>&& told) {
  std::vector<protocol::TokenLogprob> all;
  all.reserve(static_cast<std::size_t>(told.size()));
  for (wire::TokenLogprob& one : told) {
    protocol::TokenLogprob& added = all.emplace_back();
    added.token_id = one.token_id();
    added.bytes = std::move(*one.mutable_text());
    added.logprob = one.logprob();
    added.first = one.first();
    for (wire::TokenLogprob& other : *one.mutable_alternatives()) {
      added.alternatives.push_back(
          {other.token_id(), std::move(*other.mutable_text()), other.logprob()});
    }
  }
  return all;
}

protocol::FinishReason to_reason(wire::Finished::Reason reason) {
  switch (reason) {
    case wire::Finished::LENGTH:
      return protocol::FinishReason::length;
    case wire::Finished::TOOL_CALLS:
      return protocol::FinishReason::tool_calls;
    default:
      return protocol::FinishReason::stop;
  }
}

protocol::Finished to_finished(const wire::Finished& told, std::int32_t sequence) {
  protocol::Finished finished;
  finished.sequence = sequence;
  finished.reason = to_reason(told.reason());
  finished.usage.prompt_tokens = told.prompt_tokens();
  finished.usage.completion_tokens = told.completion_tokens();
  finished.usage.prompt_cache_hit_tokens = told.cached_tokens();
  finished.usage.reasoning_tokens = told.reasoning_tokens();
  finished.timings = {told.queue_ms(), told.prefill_ms(), told.decode_ms()};
  finished.stop_sequence = told.stop_sequence();
  return finished;
}

protocol::ToolCallDelta to_tool_call(wire::ToolCallDelta&& told, std::int32_t sequence) {
  return {sequence, told.index(), std::move(*told.mutable_id()), std::move(*told.mutable_name()),
          std::move(*told.mutable_arguments())};
}

ErrorCode to_code(wire::Failed::Code code) {
  switch (code) {
    case wire::Failed::INVALID_REQUEST:
      return ErrorCode::invalid_request;
    case wire::Failed::CONTEXT_LENGTH:
      return ErrorCode::context_length;
    case wire::Failed::QUEUE_FULL:
      return ErrorCode::queue_full;
    case wire::Failed::DEADLINE_EXCEEDED:
      return ErrorCode::deadline_exceeded;
    // The engine gave it up on its own: a stream that we cancelled no longer listens.
    case wire::Failed::CANCELLED:
      return ErrorCode::unavailable;
    case wire::Failed::NOT_IMPLEMENTED:
      return ErrorCode::not_implemented;
    default:
      return ErrorCode::internal;
  }
}

}  // namespace

std::vector<wire::Submit> make_submits(const protocol::Request& request,
                                       const EngineBackendOptions& options,
                                       const protocol::Spoken* spoken) {
  const bool chat = request.operation == protocol::Operation::chat;
  const std::size_t inputs = chat ? 1 : request.prompts.size();
  std::vector<wire::Submit> submits;
  submits.reserve(request.sequence_count());
  for (std::size_t input = 0; input < inputs; ++input) {
    for (std::int32_t choice = 0; choice < request.choices; ++choice) {
      wire::Submit& submit = submits.emplace_back(make_submit(request, choice, options));
      if (chat) {
        set_chat(request, *submit.mutable_chat());
      } else if (!request.suffix.empty()) {
        submit.mutable_infill()->set_prefix(std::get<std::string>(request.prompts[input]));
        submit.mutable_infill()->set_suffix(request.suffix);
      } else {
        set_prompt(request.prompts[input], submit);
      }
    }
  }
  if (spoken != nullptr && !spoken->empty() && submits.size() == 1) {
    set_resume(*spoken, *submits.front().mutable_resume());
  }
  return submits;
}

wire::Embed make_embed(const protocol::EmbeddingRequest& request) {
  wire::Embed embed;
  for (const protocol::Prompt& input : request.inputs) set_prompt(input, *embed.add_inputs());
  return embed;
}

wire::ToEngine make_tokenize(const protocol::TokenizeRequest& request) {
  wire::ToEngine message;
  if (const auto* tokens = std::get_if<protocol::TokenIds>(&request.input)) {
    message.mutable_detokenize()->mutable_ids()->Add(tokens->begin(), tokens->end());
    return message;
  }
  wire::Tokenize& call = *message.mutable_tokenize();
  call.set_add_special(request.add_special);
  if (const auto* chat = std::get_if<protocol::Request>(&request.input)) {
    set_chat(*chat, *call.mutable_chat());
  } else {
    call.set_text(std::get<std::string>(request.input));
  }
  return message;
}

std::uint64_t fingerprint(const wire::Submit& submit) {
  wire::Submit bare = submit;
  bare.clear_request();
  bare.clear_request_id();
  bare.clear_credits();
  bare.clear_queue_timeout_ms();
  bare.clear_resume();  // a request that kills engines is the same one when it goes on
  return hash_message(bare);
}

std::uint64_t fingerprint(const wire::Embed& embed) {
  wire::Embed bare = embed;
  bare.clear_call();
  return hash_message(bare);
}

std::uint64_t fingerprint(const wire::ToEngine& call) {
  return hash_message(call);
}

protocol::Event to_event(wire::SequenceEvent&& event, std::int32_t sequence) {
  if (event.has_started()) {
    return protocol::Started{sequence, event.started().prompt_tokens(),
                             event.started().cached_tokens()};
  }
  if (event.has_finished()) return to_finished(event.finished(), sequence);
  if (event.has_tool_call()) return to_tool_call(std::move(*event.mutable_tool_call()), sequence);
  protocol::Delta delta;
  delta.sequence = sequence;
  wire::Delta& told = *event.mutable_delta();
  delta.content = std::move(*told.mutable_content());
  delta.reasoning = std::move(*told.mutable_reasoning());
  delta.token_ids.assign(told.token_ids().begin(), told.token_ids().end());
  delta.logprobs = to_logprobs(std::move(*told.mutable_logprobs()));
  delta.echo = told.echo();
  return delta;
}

base::Error to_error(const wire::Failed& failed, std::string_view model) {
  base::Error error = base::make_error(to_code(failed.code()), failed.message(), failed.param());
  if (error.message.empty()) {
    error.message = "The engine of model \"" + std::string(model) + "\" gave no reason.";
  }
  if (failed.retry_after_ms() > 0) {
    error.retry_after = std::chrono::milliseconds(failed.retry_after_ms());
  } else if (error.code == ErrorCode::unavailable || error.code == ErrorCode::queue_full) {
    error.retry_after = std::chrono::milliseconds(1000);
  }
  return error;
}

EngineDescription to_description(const wire::Description& told) {
  EngineDescription description;
  description.architecture = told.architecture();
  description.file_type = told.file_type();
  description.parameters = told.parameters();
  description.model_bytes = told.model_bytes();
  description.kv_bytes = told.kv_bytes();
  description.kv_cells = told.kv_cells();
  description.repacked_bytes = told.repacked_bytes();
  description.context_train = told.context_train();
  description.context_max = told.context_max();
  description.sequences_max = told.sequences_max();
  description.embedding_dimensions = told.embedding_dimensions();
  description.vocabulary = told.vocabulary();
  description.queue_max = told.queue_max();
  description.has_chat_template = told.has_chat_template();
  description.embeddings = told.embeddings();
  description.devices.assign(told.devices().begin(), told.devices().end());
  for (const wire::WeightLayout& layout : told.layouts()) {
    description.layouts.push_back({layout.format(), layout.layout(), layout.weights(),
                                   layout.bytes(), layout.speed_one(), layout.speed_many()});
  }
  description.load = std::chrono::milliseconds(told.load_ms());
  return description;
}

std::vector<EngineSequence> to_sequences(const wire::Step& told) {
  std::vector<EngineSequence> all;
  all.reserve(static_cast<std::size_t>(told.sequences_size()));
  for (const wire::SequenceView& view : told.sequences()) {
    all.push_back({view.request(), view.state(), view.tenant(), view.user_id(), view.priority(),
                   base::Milliseconds(view.age_ms()), view.prompt_tokens(), view.cached_tokens(),
                   view.completion_tokens(), view.cells()});
  }
  return all;
}

EngineLoadFigures to_load(const wire::EngineLoad& told) {
  EngineLoadFigures load;
  load.running = told.running();
  load.waiting = told.waiting();
  load.kv_cells_used = told.kv_cells_used();
  load.kv_cells_resting = told.kv_cells_resting();
  load.kv_cells_taken = told.kv_cells_taken();
  load.kv_cells_span = told.kv_cells_span();
  load.cached_tokens = told.cached_tokens();
  load.evicted_cells = told.evicted_cells();
  load.prefill_tokens = told.prefill_tokens();
  load.decode_tokens = told.decode_tokens();
  load.preemptions = told.preemptions();
  load.batch_sizes.assign(told.batch_sizes().begin(), told.batch_sizes().end());
  load.drafted_tokens = told.drafted_tokens();
  load.accepted_tokens = told.accepted_tokens();
  load.state_bytes = told.state_bytes();
  load.states_put_back = told.states_put_back();
  load.disk_bytes = told.disk_bytes();
  load.disk_reads = told.disk_reads();
  load.steps = told.steps();
  load.step_ms = told.step_ms();
  load.unread_tokens = told.unread_tokens();
  load.prefill_tokens_per_second = told.prefill_tokens_per_second();
  load.answer_ms = told.answer_ms();
  return load;
}

double fragmentation(const EngineLoadFigures& load) {
  if (load.kv_cells_span <= load.kv_cells_taken) return 0;
  return static_cast<double>(load.kv_cells_span - load.kv_cells_taken) /
         static_cast<double>(load.kv_cells_span);
}

}  // namespace deepseek::gateway
