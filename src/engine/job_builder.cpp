#include "engine/job_builder.hpp"

#include "engine/resumption.hpp"
#include "engine/tool_check.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

using base::ErrorCode;
using base::make_error;

// Fields that hold text, as refusals of a call name them; a Submit says its own.
constexpr const char* kMessages = "messages";
constexpr const char* kPrompt = "prompt";
constexpr const char* kInput = "input";

base::Error too_long(const std::string& tokens, std::int32_t tokens_max, const std::string& field) {
  return make_error(ErrorCode::context_length,
                    (field == kInput ? "An input has " : "The prompt has ") + tokens +
                        " tokens; this model takes at most " + std::to_string(tokens_max) +
                        ". Shorten it.",
                    field);
}

// Text that cannot fit whatever its tokens are is not tokenized at all: that could take long.
base::Result<void> check_text(std::size_t bytes, const TextModel& model, std::int32_t tokens_max,
                              const std::string& field) {
  const std::size_t piece = std::max<std::size_t>(model.longest_piece(), 1);
  const std::size_t tokens_min = (bytes + piece - 1) / piece;
  if (tokens_min <= static_cast<std::size_t>(tokens_max)) return {};
  return too_long("at least " + std::to_string(tokens_min), tokens_max, field);
}

base::Result<std::vector<Token>> take_tokens(const wire::TokenIds& ids, const TextModel& model,
                                             const std::string& field) {
  for (const Token token : ids.ids()) {
    if (token >= 0 && token < model.vocabulary()) continue;
    return make_error(ErrorCode::invalid_request,
                      "Token " + std::to_string(token) + " is not in the vocabulary (0 to " +
                          std::to_string(model.vocabulary() - 1) + ").",
                      field);
  }
  return std::vector<Token>(ids.ids().begin(), ids.ids().end());
}

base::Result<RenderedPrompt> render(const wire::Chat& chat, const TextModel& model,
                                    std::int32_t tokens_max, const std::string& field) {
  std::size_t bytes = 0;
  for (const wire::ChatMessage& message : chat.messages()) bytes += message.content().size();
  base::Result<void> checked = check_text(bytes, model, tokens_max, field);
  if (checked.has_error()) return checked.error();
  checked = check_text(bytes + tool_bytes(chat), model, tokens_max, "tools");
  if (checked.has_error()) return checked.error();
  checked = check_tools(chat);
  if (checked.has_error()) return checked.error();
  return model.render(chat);
}

// What was said already stands behind the mark.
base::Result<RenderedPrompt> take_infill(const wire::Submit& submit, const TextModel& model,
                                         const JobLimits& limits) {
  const wire::Infill& infill = submit.infill();
  const base::Result<void> checked = check_text(infill.prefix().size() + infill.suffix().size(),
                                                model, limits.context_max, submit.prompt_field());
  if (checked.has_error()) return checked.error();
  base::Result<std::vector<Token>> tokens = model.infill(infill.prefix(), infill.suffix());
  if (tokens.has_error()) return tokens.error();
  RenderedPrompt prompt;
  prompt.tokens = std::move(tokens.value());
  if (!resumes_by_text(submit)) return prompt;
  const base::Result<std::vector<Token>> spoken = model.tokenize(submit.resume().content(), false);
  if (spoken.has_error()) return spoken.error();
  prompt.tokens.insert(prompt.tokens.end(), spoken->begin(), spoken->end());
  return prompt;
}

base::Result<RenderedPrompt> take_prompt(const wire::Submit& submit, const TextModel& model,
                                         const JobLimits& limits) {
  const std::string& field = submit.prompt_field();
  const bool by_text = resumes_by_text(submit);
  if (submit.has_chat()) {
    const wire::Chat chat = by_text ? begin_answer(submit.chat(), submit.resume()) : submit.chat();
    return render(chat, model, limits.context_max, field);
  }
  if (submit.has_infill()) return take_infill(submit, model, limits);
  // Text in front of the spoken one is tokenized together with it.
  const std::string text = submit.text() + (by_text ? submit.resume().content() : std::string());
  const base::Result<void> checked = check_text(text.size(), model, limits.context_max, field);
  if (checked.has_error()) return checked.error();
  base::Result<std::vector<Token>> tokens = std::vector<Token>{};
  if (submit.has_tokens()) tokens = take_tokens(submit.tokens(), model, field);
  if (tokens.has_error()) return tokens.error();
  if (!submit.has_tokens() || !text.empty()) {
    const base::Result<std::vector<Token>> more = model.tokenize(text, !submit.has_tokens());
    if (more.has_error()) return more.error();
    tokens->insert(tokens->end(), more->begin(), more->end());
  }
  RenderedPrompt prompt;
  prompt.tokens = std::move(tokens.value());
  return prompt;
}

// What of the prompt's tokens the client wrote, to be told in front of the answer.
base::Result<PromptEcho> take_echo(const wire::Submit& submit, const TextModel& model,
                                   const SequenceSpec& spec) {
  if (submit.has_chat() || submit.has_infill()) {
    return make_error(ErrorCode::invalid_request,
                      "Only a prompt of its own can be told with its logprobs, no chat and none "
                      "with a suffix.",
                      "echo");
  }
  PromptEcho::Options options;
  if (submit.has_logprobs()) options.alternatives = static_cast<std::size_t>(submit.logprobs());
  if (!submit.has_tokens()) {
    options.written = submit.text();
    const base::Result<std::vector<Token>> bare = model.tokenize(submit.text(), false);
    if (bare.has_error()) return bare.error();
    options.hidden = spec.prompt.size() - std::min(bare->size(), spec.prompt.size());
  }
  return PromptEcho(model, std::move(options));
}

// The adapter's number; 0 if none is asked for.
base::Result<std::int32_t> adapter_number(const std::string& name, const JobLimits& limits) {
  if (name.empty()) return 0;
  const auto found = std::find(limits.adapters.begin(), limits.adapters.end(), name);
  if (found == limits.adapters.end()) {
    return make_error(ErrorCode::invalid_request, "There is no adapter \"" + name + "\".", "model");
  }
  return static_cast<std::int32_t>(found - limits.adapters.begin()) + 1;
}

}  // namespace

base::Result<SubmitJob> build_job(const wire::Submit& submit, const TextModel& model,
                                  const JobLimits& limits, base::TimePoint now,
                                  std::shared_ptr<ConstrainedAnswer> constraint) {
  if (static_cast<std::size_t>(submit.stop_size()) > limits.stops_max) {
    return make_error(ErrorCode::invalid_request,
                      "There are " + std::to_string(submit.stop_size()) +
                          " stop strings; at most " + std::to_string(limits.stops_max) +
                          " are taken.",
                      "stop");
  }
  if (submit.has_logprobs() && (submit.logprobs() < 0 || submit.logprobs() > limits.logprobs_max)) {
    return make_error(ErrorCode::invalid_request,
                      "logprobs must be between 0 and " + std::to_string(limits.logprobs_max) + ".",
                      "logprobs");
  }
  const base::Result<std::int32_t> adapter = adapter_number(submit.adapter(), limits);
  if (adapter.has_error()) return adapter.error();
  base::Result<RenderedPrompt> prompt = take_prompt(submit, model, limits);
  if (prompt.has_error()) return prompt.error();
  base::Result<std::unique_ptr<TokenSampler>> sampler = model.make_sampler(submit.sampling());
  if (sampler.has_error()) return sampler.error();

  SubmitJob job;
  job.spec.id = submit.request();
  job.spec.prompt = std::move(prompt->tokens);
  job.answers = submit.tokens_max() >= 0;
  job.spec.tokens_max = job.answers ? submit.tokens_max() : 1;
  job.spec.priority = submit.priority();
  job.spec.tenant = submit.tenant();
  job.spec.adapter = *adapter;
  job.spec.reads_all = submit.sampling().has_seed();
  if (submit.weight() > 0) job.spec.weight = submit.weight();
  job.spec.user_id = submit.user_id();
  job.spec.arrival = now;
  job.spec.credits = submit.credits();
  job.spec.prompt_field = submit.prompt_field();
  if (submit.queue_timeout_ms() > 0) {
    job.spec.deadline = now + base::Milliseconds(submit.queue_timeout_ms());
  }
  ReasoningSplitter splitter;
  if (submit.has_chat()) {
    ReasoningTags tags = model.reasoning_tags();
    tags.calls = std::move(prompt->call_marks);
    splitter = ReasoningSplitter(std::move(tags), prompt->place);
  }
  job.text = AnswerText({submit.stop().begin(), submit.stop().end()}, std::move(splitter),
                        std::move(prompt->tools));
  job.sampler = std::move(sampler.value());
  job.constraint = std::move(constraint);
  if (submit.has_logprobs()) job.logprobs = submit.logprobs();
  job.count_prompt = submit.count_prompt();
  if (submit.echo()) {
    base::Result<PromptEcho> echo = take_echo(submit, model, job.spec);
    if (echo.has_error()) return echo.error();
    job.echo = std::move(echo.value());
    job.spec.tells_prompt = submit.has_logprobs();
    job.spec.reads_all = job.spec.reads_all || job.spec.tells_prompt;
  }
  if (submit.has_resume()) {
    const base::Result<void> resumed = resume(submit.resume(), model, limits.context_max, job);
    if (resumed.has_error()) return resumed.error();
  }
  return job;
}

base::Result<wire::TokenizeReply> tokenize(const wire::Tokenize& call, const TextModel& model,
                                           const JobLimits& limits) {
  wire::TokenizeReply reply;
  reply.set_call(call.call());
  if (call.has_chat()) {
    base::Result<RenderedPrompt> prompt = render(call.chat(), model, limits.context_max, kMessages);
    if (prompt.has_error()) return prompt.error();
    reply.mutable_ids()->Assign(prompt->tokens.begin(), prompt->tokens.end());
    reply.set_rendered(std::move(prompt->text));
    return reply;
  }
  const base::Result<void> checked =
      check_text(call.text().size(), model, limits.context_max, kPrompt);
  if (checked.has_error()) return checked.error();
  const base::Result<std::vector<Token>> tokens = model.tokenize(call.text(), call.add_special());
  if (tokens.has_error()) return tokens.error();
  reply.mutable_ids()->Assign(tokens->begin(), tokens->end());
  return reply;
}

base::Result<wire::DetokenizeReply> detokenize(const wire::Detokenize& call,
                                               const TextModel& model) {
  wire::DetokenizeReply reply;
  reply.set_call(call.call());
  wire::TokenIds ids;
  *ids.mutable_ids() = call.ids();
  const base::Result<std::vector<Token>> tokens = take_tokens(ids, model, "tokens");
  if (tokens.has_error()) return tokens.error();
  for (const Token token : *tokens) reply.mutable_text()->append(model.piece(token, true));
  return reply;
}

base::Result<EmbedJob> build_embed(const wire::Embed& call, const TextModel& model,
                                   const JobLimits& limits) {
  EmbedJob job;
  job.call = call.call();
  for (const wire::Embed::Input& input : call.inputs()) {
    base::Result<std::vector<Token>> tokens = std::vector<Token>{};
    if (input.has_tokens()) {
      tokens = take_tokens(input.tokens(), model, kInput);
    } else {
      const base::Result<void> checked =
          check_text(input.text().size(), model, limits.embedding_max, kInput);
      if (checked.has_error()) return checked.error();
      tokens = model.tokenize(input.text(), true);
    }
    if (tokens.has_error()) return tokens.error();
    if (tokens->empty()) {
      return make_error(ErrorCode::invalid_request, "An input has no tokens.", kInput);
    }
    if (tokens->size() > static_cast<std::size_t>(limits.embedding_max)) {
      return too_long(std::to_string(tokens->size()), limits.embedding_max, kInput);
    }
    job.inputs.push_back(std::move(tokens.value()));
  }
  return job;
}

}  // namespace deepseek::engine
