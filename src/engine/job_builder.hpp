// From a message of the server to a job of the loop: template, tokens, sampler, stop strings.
//
// Pure but for the model's text side, which is thread-safe; runs on the link's worker thread,
// because a long prompt takes milliseconds. Everything that is wrong with a request is said here.
#pragma once

#include "engine/engine_loop.hpp"

namespace deepseek::engine {

inline constexpr Token kHiddenToken = -1;

struct JobLimits {
  std::int32_t context_max = 8192;    // tokens of one sequence
  std::int32_t embedding_max = 8192;  // tokens of one input of Embed
  std::size_t stops_max = 64;
  std::int32_t logprobs_max = 100;
  std::vector<std::string> adapters{};  // their names; the first has number 1
};

// The files of a chat's images, in its order, with the client's fields that held them.
std::vector<const wire::Image*> images_of(const wire::Chat& chat);

// `constraint`: what constraint_of(submit) became; null where there is none. `pictures`: what
// images_of(submit.chat()) became.
base::Result<SubmitJob> build_job(const wire::Submit& submit, const TextModel& model,
                                  const JobLimits& limits, base::TimePoint now,
                                  std::shared_ptr<ConstrainedAnswer> constraint = nullptr,
                                  Pictures pictures = {});
// Rows of images are told as kHiddenToken.
base::Result<wire::TokenizeReply> tokenize(const wire::Tokenize& call, const TextModel& model,
                                           const JobLimits& limits, const Pictures& pictures = {});
base::Result<wire::DetokenizeReply> detokenize(const wire::Detokenize& call,
                                               const TextModel& model);
base::Result<EmbedJob> build_embed(const wire::Embed& call, const TextModel& model,
                                   const JobLimits& limits);

}  // namespace deepseek::engine
