#include "engine/llama/layout_loss.hpp"

#include "engine/llama/perplexity.hpp"
#include "engine/llama/text.hpp"

#include <cmath>
#include <limits>
#include <numeric>

namespace deepseek::engine::llama {
namespace {

constexpr std::int32_t stretch_tokens = 256;
constexpr double not_measurable = std::numeric_limits<double>::infinity();
constexpr std::int64_t too_much = 1'000'000'000;  // more than any setting allows

// The mean surprise per token of the sample text; nothing if the model cannot be loaded.
std::optional<double> mean_surprise(const Model::Options& options, std::int32_t threads,
                                    const std::function<bool(float)>& progress) {
  const auto model = Model::load(options, progress);
  if (model.has_error()) return std::nullopt;
  const auto text = Text::make(**model);
  if (text.has_error()) return not_measurable;
  const auto tokens = (*text)->tokenize(sample_text(), true);
  if (tokens.has_error() || tokens->size() < 2) return not_measurable;
  const auto all = surprises(**model, *tokens, stretch_tokens, threads);
  if (all.has_error()) return not_measurable;
  const double sum = std::accumulate(all->begin(), all->end(), 0.0);
  return sum / static_cast<double>(all->size());
}

}  // namespace

std::optional<std::int64_t> measure_loss(const Model::Options& options, LayoutPlanner& planner,
                                         const std::function<bool(float)>& progress) {
  Model::Options alone = options;
  alone.layouts = nullptr;  // the planner's plan of the moment holds
  planner.use_plan(false);
  const auto without = mean_surprise(alone, planner.threads(), progress);
  if (!without) return std::nullopt;
  if (*without == not_measurable) return too_much;
  planner.use_plan(true);
  const auto with = mean_surprise(alone, planner.threads(), progress);
  if (!with) return std::nullopt;
  const double ratio = std::exp(*with - *without);
  return std::isfinite(ratio) ? std::llround((ratio - 1) * 1e6) : too_much;
}

}  // namespace deepseek::engine::llama
