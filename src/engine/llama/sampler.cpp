#include "engine/llama/sampler.hpp"

#include "engine/logprobs.hpp"

#include <llama.h>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace deepseek::engine::llama {
namespace {

struct Settings {
  float temperature = 1;
  float top_p = 1;
  float min_p = 0.05F;
  std::int32_t top_k = 40;
  float repetition = 1;
  float frequency = 0;
  float presence = 0;
};

class Greedy final : public TokenSampler {
 public:
  Token sample(std::span<const float> logits) override { return argmax(logits); }
  void replay(std::span<const Token>) override {}
};

class Chain final : public TokenSampler {
 public:
  explicit Chain(std::size_t vocabulary) : candidates_(vocabulary) {
    llama_sampler_chain_params params = llama_sampler_chain_default_params();
    params.no_perf = true;
    chain_ = llama_sampler_chain_init(params);
  }
  ~Chain() override { llama_sampler_free(chain_); }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  void add(llama_sampler* sampler) { llama_sampler_chain_add(chain_, sampler); }
  void add_random(std::uint32_t seed) {
    random_ = llama_sampler_init_dist(seed);
    add(random_);
  }

  Token sample(std::span<const float> logits) override {
    for (std::size_t index = 0; index < candidates_.size(); ++index) {
      candidates_[index] = {static_cast<llama_token>(index), logits[index], 0};
    }
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(chain_, &array);
    const std::size_t selected = array.selected < 0 ? 0 : static_cast<std::size_t>(array.selected);
    const Token token = array.data[selected].id;
    llama_sampler_accept(chain_, token);
    return token;
  }

  // llama.cpp draws one random number for each token, also where there is no choice.
  void replay(std::span<const Token> tokens) override {
    for (const Token token : tokens) {
      llama_token_data only{token, 0, 0};
      llama_token_data_array array{&only, 1, -1, true};
      if (random_ != nullptr) llama_sampler_apply(random_, &array);
      llama_sampler_accept(chain_, token);
    }
  }

 private:
  llama_sampler* chain_;
  llama_sampler* random_ = nullptr;  // the last of the chain, where the choice is random
  std::vector<llama_token_data> candidates_;
};

float metadata_number(const Model& model, const char* key, float fallback) {
  const std::string text = model.metadata(std::string("general.sampling.") + key);
  if (text.empty()) return fallback;
  char* end = nullptr;
  const float value = std::strtof(text.c_str(), &end);
  return end == text.c_str() || !std::isfinite(value) ? fallback : value;
}

Settings settle(const Model& model, const wire::Sampling& sampling) {
  Settings settings;
  settings.temperature = metadata_number(model, "temp", settings.temperature);
  settings.top_p = metadata_number(model, "top_p", settings.top_p);
  settings.min_p = metadata_number(model, "min_p", settings.min_p);
  settings.top_k = static_cast<std::int32_t>(
      metadata_number(model, "top_k", static_cast<float>(settings.top_k)));
  if (sampling.has_temperature()) settings.temperature = static_cast<float>(sampling.temperature());
  if (sampling.has_top_p()) settings.top_p = static_cast<float>(sampling.top_p());
  if (sampling.has_min_p()) settings.min_p = static_cast<float>(sampling.min_p());
  if (sampling.has_top_k()) settings.top_k = sampling.top_k();
  settings.repetition =
      static_cast<float>(sampling.has_repetition_penalty() ? sampling.repetition_penalty() : 1.0);
  settings.frequency = static_cast<float>(sampling.frequency_penalty());
  settings.presence = static_cast<float>(sampling.presence_penalty());
  return settings;
}

base::Error out_of_range(const char* name, const char* allowed) {
  return base::make_error(base::ErrorCode::invalid_request,
                          std::string(name) + " must be " + allowed + ".", name);
}

base::Result<void> check(const Settings& settings) {
  const auto within = [](float value, float low, float high) {
    return value >= low && value <= high;  // false for NaN
  };
  if (!within(settings.temperature, 0, 100)) return out_of_range("temperature", "0 or more");
  if (!within(settings.top_p, 0, 1)) return out_of_range("top_p", "between 0 and 1");
  if (!within(settings.min_p, 0, 1)) return out_of_range("min_p", "between 0 and 1");
  if (settings.top_k < 0) return out_of_range("top_k", "0 (off) or more");
  if (!within(settings.repetition, 0.01F, 100)) {
    return out_of_range("repetition_penalty", "more than 0");
  }
  if (!within(settings.frequency, -100, 100)) return out_of_range("frequency_penalty", "a number");
  if (!within(settings.presence, -100, 100)) return out_of_range("presence_penalty", "a number");
  return {};
}

base::Result<std::vector<llama_logit_bias>> biases(const Model& model,
                                                   const wire::Sampling& sampling) {
  const std::int32_t vocabulary = model.facts().vocabulary;
  std::vector<llama_logit_bias> result;
  for (const auto& [token, bias] : sampling.logit_bias()) {
    if (token < 0 || token >= vocabulary) {
      return base::make_error(base::ErrorCode::invalid_request,
                              "logit_bias names token " + std::to_string(token) +
                                  "; the vocabulary has 0 to " + std::to_string(vocabulary - 1) +
                                  ".",
                              "logit_bias");
    }
    result.push_back({token, static_cast<float>(bias)});
  }
  if (!sampling.ignore_eos()) return result;
  const float never = -std::numeric_limits<float>::infinity();
  for (std::int32_t token = 0; token < vocabulary; ++token) {
    if (llama_vocab_is_eog(model.vocabulary(), token)) result.push_back({token, never});
  }
  return result;
}

std::uint32_t seed_of(const wire::Sampling& sampling) {
  if (!sampling.has_seed()) return std::random_device{}();
  const std::uint64_t seed = sampling.seed();
  const auto folded = static_cast<std::uint32_t>(seed ^ (seed >> 32U));
  // The one value that llama.cpp takes for "random".
  return folded == LLAMA_DEFAULT_SEED ? 0 : folded;
}

}  // namespace

base::Result<std::unique_ptr<TokenSampler>> make_sampler(const Model& model,
                                                         const wire::Sampling& sampling) {
  const Settings settings = settle(model, sampling);
  const base::Result<void> checked = check(settings);
  if (checked.has_error()) return checked.error();
  const base::Result<std::vector<llama_logit_bias>> bias = biases(model, sampling);
  if (bias.has_error()) return bias.error();

  const bool greedy = settings.temperature <= 0 || settings.top_k == 1;
  const bool penalties =
      settings.repetition != 1 || settings.frequency != 0 || settings.presence != 0;
  if (greedy && !penalties && bias->empty()) {
    return std::unique_ptr<TokenSampler>(std::make_unique<Greedy>());
  }
  const std::int32_t vocabulary = model.facts().vocabulary;
  auto chain = std::make_unique<Chain>(static_cast<std::size_t>(vocabulary));
  if (!bias->empty()) {
    chain->add(llama_sampler_init_logit_bias(vocabulary, static_cast<std::int32_t>(bias->size()),
                                             bias->data()));
  }
  if (penalties) {  // Over the whole answer, as OpenAI describes them.
    chain->add(llama_sampler_init_penalties(vocabulary, model.facts().context_train,
                                            settings.repetition, settings.frequency,
                                            settings.presence));
  }
  if (greedy) {
    chain->add(llama_sampler_init_greedy());
    return std::unique_ptr<TokenSampler>(std::move(chain));
  }
  if (settings.top_k > 0) chain->add(llama_sampler_init_top_k(settings.top_k));
  if (settings.top_p < 1) chain->add(llama_sampler_init_top_p(settings.top_p, 1));
  if (settings.min_p > 0) chain->add(llama_sampler_init_min_p(settings.min_p, 1));
  if (settings.temperature != 1) chain->add(llama_sampler_init_temp(settings.temperature));
  chain->add_random(seed_of(sampling));
  return std::unique_ptr<TokenSampler>(std::move(chain));
}

}  // namespace deepseek::engine::llama
