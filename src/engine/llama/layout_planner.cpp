#include "engine/llama/layout_planner.hpp"

#include "base/version.hpp"
#include "engine/file_version.hpp"
#include "engine/llama/ggml_owners.hpp"
#include "engine/llama/layout_probe.hpp"
#include "engine/machine.hpp"

#include <gguf.h>
#include <algorithm>
#include <map>
#include <utility>

namespace deepseek::engine::llama {
namespace {

struct FileEnd {
  void operator()(gguf_context* file) const { gguf_free(file); }
};

// Only matrices are multiplied; the rest stays as it is whatever the plan says.
bool is_matrix(const ggml_tensor* tensor) {
  return tensor->ne[1] > 1 && tensor->ne[3] == 1;
}

double speed(const MeasuredLayout& measured, bool one) {
  if (measured.timings.empty()) return 0;
  const LayoutTiming& timing = one ? measured.timings.front() : measured.timings.back();
  if (timing.own_ns <= 0) return 0;
  return static_cast<double>(timing.as_is_ns) / static_cast<double>(timing.own_ns);
}

}  // namespace

base::Result<std::unique_ptr<LayoutPlanner>> LayoutPlanner::make(Options options) {
  const kernels::InstructionSet best = kernels::instruction_sets_of_this_machine().back();
  if (best == kernels::InstructionSet::reference && !options.forced) {
    return base::make_error(base::ErrorCode::unavailable,
                            "this processor has none of the instruction sets with fast kernels");
  }
  auto layouts = WeightLayouts::install(options.forced.value_or(best));
  if (layouts.has_error()) return layouts.error();
  return std::unique_ptr<LayoutPlanner>(new LayoutPlanner(*layouts, std::move(options)));
}

LayoutPlanner::LayoutPlanner(WeightLayouts layouts, Options options)
    : layouts_(layouts), options_(std::move(options)) {
  const std::string machine = processor_name() + ", " + std::to_string(options_.threads) +
                              " threads, " + std::string(base::version()) + ", llama.cpp " +
                              std::string(base::llama_cpp());
  memory_ = read_layout_memory(options_.memory_file, machine);
}

void LayoutPlanner::prepare(const std::string& model_file) {
  weights_.clear();
  model_ = model_file + ", " + version_of(model_file);
  ggml_context* tensors = nullptr;
  const gguf_init_params params{.no_alloc = true, .ctx = &tensors};
  const std::unique_ptr<gguf_context, FileEnd> file(
      gguf_init_from_file(model_file.c_str(), params));
  const ContextPointer context(tensors);
  for (ggml_tensor* tensor = context ? ggml_get_first_tensor(tensors) : nullptr; tensor != nullptr;
       tensor = ggml_get_next_tensor(tensors, tensor)) {
    if (!is_matrix(tensor)) continue;
    const kernels::Shape shape{tensor->ne[1], tensor->ne[0]};
    auto found = std::ranges::find_if(weights_, [&](const Weights& kind) {
      return kind.type == tensor->type && kind.shape == shape;
    });
    if (found == weights_.end()) {
      auto target = target_of(tensor->type);
      if (target && !kernels::can_pack(target->format, shape)) target.reset();
      if (target && target->converted && options_.loss_max == 0) target.reset();
      found =
          weights_.insert(found, {tensor->type, ggml_type_name(tensor->type), target, shape, 0});
    }
    ++found->count;
  }
  if (!options_.forced) measure_missing();
  use_plan(loses_little());
}

void LayoutPlanner::use_plan(bool with_conversions) {
  const auto plan = [this, with_conversions](std::int32_t type, kernels::Shape shape) {
    return std::ranges::any_of(weights_, [&](const Weights& kind) {
      return kind.type == type && kind.shape == shape && faster(kind) &&
             (with_conversions || !kind.target->converted);
    });
  };
  layouts_.use_plan(plan, options_.threads);
}

bool LayoutPlanner::faster(const Weights& kind) const {
  if (!kind.target || options_.forced) return kind.target.has_value();
  const MeasuredLayout* measured = memory_.find(kind.name, kind.shape);
  return measured != nullptr && pays(*measured);
}

bool LayoutPlanner::loses_little() const {
  const MeasuredLoss* loss = memory_.find_loss(model_);
  return loss != nullptr && loss->per_million <= options_.loss_max;
}

bool LayoutPlanner::loss_is_missing() const {
  return memory_.find_loss(model_) == nullptr &&
         std::ranges::any_of(weights_, [this](const Weights& kind) {
           return kind.target && kind.target->converted && faster(kind);
         });
}

void LayoutPlanner::keep_loss(std::optional<std::int64_t> loss) {
  if (loss) {
    memory_.losses.push_back({model_, *loss});
    write_memory();
  }
  use_plan(loses_little());
}

void LayoutPlanner::measure_missing() {
  const std::size_t before = memory_.measured.size();
  const LayoutProbe probe(layouts_, options_.threads);
  for (const Weights& kind : weights_) {
    if (!kind.target || memory_.find(kind.name, kind.shape) != nullptr) continue;
    memory_.measured.push_back(probe.measure(kind.type, kind.shape));
  }
  if (memory_.measured.size() != before) write_memory();
}

// Without the file the next start measures again.
void LayoutPlanner::write_memory() const {
  if (!options_.memory_file.empty()) {
    static_cast<void>(write_layout_memory(options_.memory_file, memory_));
  }
}

base::Result<std::vector<LayoutReport>> LayoutPlanner::finish() {
  const std::string damage = layouts_.damage();
  std::map<std::string, LayoutReport> by_type;
  for (const Weights& kind : weights_) {
    LayoutReport& report = by_type[kind.name];
    report.format = kind.name;
    report.weights += kind.count;
    if (report.layout.empty()) report.layout = "as_is";
    if (!kind.target) continue;
    if (const MeasuredLayout* measured = memory_.find(kind.name, kind.shape)) {
      report.speed_one = std::max(report.speed_one, speed(*measured, true));
      report.speed_many = std::max(report.speed_many, speed(*measured, false));
    }
    report.bytes = layouts_.packed_bytes(kind.type);
    if (report.bytes == 0) continue;
    report.layout = "own (" + std::string(kernels::name(layouts_.instruction_set())) + ")";
    if (kind.target->converted) {
      report.layout += " as " + std::string(kernels::name(kind.target->format));
    }
  }
  layouts_.use_plan({});
  if (!damage.empty()) return base::make_error(base::ErrorCode::invalid_request, damage);
  std::vector<LayoutReport> reports;
  for (auto& [type, report] : by_type) reports.push_back(std::move(report));
  return reports;
}

}  // namespace deepseek::engine::llama
