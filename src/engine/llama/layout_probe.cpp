#include "engine/llama/layout_probe.hpp"

#include "engine/llama/ggml_owners.hpp"

#include <ggml-cpu.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <vector>

namespace deepseek::engine::llama {
namespace {

// One answer, some that are decoded together, a piece of a prompt.
constexpr std::array<std::int32_t, 3> columns_measured = {1, 8, 96};
// A part of a large weight tells as much as the whole.
constexpr std::int64_t rows_max = 1024;
constexpr int tries = 5;
constexpr int rounds_max = 4;
// What could not be computed counts as slow.
constexpr std::int64_t failed_ns = std::numeric_limits<std::int32_t>::max();
// The same product so often in a step, so that starting the threads counts little.
constexpr int products_max = 16;
constexpr std::int64_t work_per_step = std::int64_t{1} << 25;  // multiplications

ContextPointer make_context(std::size_t tensors) {
  ggml_init_params params{};
  params.mem_size = tensors * ggml_tensor_overhead() + ggml_graph_overhead();
  params.no_alloc = true;
  return ContextPointer(ggml_init(params));
}

// Weights of zeros in a buffer of one type, and products with them.
class Bench {
 public:
  Bench(ggml_backend* backend, ggml_backend_buffer_type* type, ggml_type kind, kernels::Shape shape)
      : backend_(backend), context_(make_context(1)) {
    weights_ = ggml_new_tensor_2d(context_.get(), kind, shape.columns, shape.rows);
    buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(context_.get(), type));
    if (buffer_ == nullptr) return;
    ggml_backend_buffer_set_usage(buffer_.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    supported_ = supports();
    if (!supported_) return;  // and must not be filled
    const std::vector<char> zeros(ggml_nbytes(weights_));
    ggml_backend_tensor_set(weights_, zeros.data(), 0, zeros.size());
  }

  // There is memory, and this type multiplies such weights.
  bool ready() const { return supported_; }

  // The shortest of some steps, for one product.
  std::int64_t nanoseconds(std::int32_t columns) const {
    const ContextPointer context = make_context(products_max * 2 + 4);
    ggml_cgraph* graph = ggml_new_graph(context.get());
    const std::int64_t work = ggml_nelements(weights_) * columns;
    const auto products =
        static_cast<int>(std::clamp<std::int64_t>(work_per_step / work, 1, products_max));
    ggml_tensor* values = make_values(context.get(), columns);
    for (int number = 0; number < products; ++number) {
      ggml_build_forward_expand(graph, ggml_mul_mat(context.get(), weights_, values));
    }
    const AllocatorPointer allocator(
        ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend_)));
    if (!ggml_gallocr_alloc_graph(allocator.get(), graph)) return failed_ns;
    const std::vector<float> ones(static_cast<std::size_t>(ggml_nelements(values)), 1.0F);
    ggml_backend_tensor_set(values, ones.data(), 0, ggml_nbytes(values));
    std::int64_t best = std::numeric_limits<std::int64_t>::max();
    for (int round = 0; round < tries; ++round) {
      const auto start = std::chrono::steady_clock::now();
      if (ggml_backend_graph_compute(backend_, graph) != GGML_STATUS_SUCCESS) return failed_ns;
      const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start;
      best = std::min(best, took.count() / products);
    }
    return best;
  }

 private:
  ggml_tensor* make_values(ggml_context* context, std::int32_t columns) const {
    ggml_tensor* values = ggml_new_tensor_2d(context, GGML_TYPE_F32, weights_->ne[0], columns);
    ggml_set_input(values);
    return values;
  }
  bool supports() const {
    const ContextPointer context = make_context(4);
    return ggml_backend_supports_op(
        backend_, ggml_mul_mat(context.get(), weights_, make_values(context.get(), 1)));
  }

  ggml_backend* backend_;
  ContextPointer context_;
  ggml_tensor* weights_ = nullptr;
  BufferPointer buffer_;
  bool supported_ = false;
};

// As llama.cpp places weights: its first own type that takes them, else plain memory.
std::unique_ptr<Bench> bench_as_is(ggml_backend* backend, const ggml_backend_buffer_type* ours,
                                   ggml_type kind, kernels::Shape shape) {
  ggml_backend_dev_t device = ggml_backend_get_device(backend);
  auto* listed =
      reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
          ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  ggml_backend_buffer_type_t* types = listed == nullptr ? nullptr : listed(device);
  for (; types != nullptr && *types != nullptr; ++types) {
    if (*types == ours) continue;
    auto bench = std::make_unique<Bench>(backend, *types, kind, shape);
    if (bench->ready()) return bench;
  }
  return std::make_unique<Bench>(backend, ggml_backend_dev_buffer_type(device), kind, shape);
}

}  // namespace

LayoutProbe::LayoutProbe(const WeightLayouts& layouts, std::int32_t threads)
    : layouts_(layouts), backend_(make_cpu_backend(threads)) {}

LayoutProbe::~LayoutProbe() = default;

MeasuredLayout LayoutProbe::measure(std::int32_t type, kernels::Shape shape) const {
  const auto kind = static_cast<ggml_type>(type);
  MeasuredLayout measured{ggml_type_name(kind), shape, {}};
  if (backend_ == nullptr) return measured;
  const kernels::Shape part{std::min(shape.rows, rows_max), shape.columns};
  const Bench own(backend_.get(), layouts_.buffer_type(), kind, part);
  const auto as_is = bench_as_is(backend_.get(), layouts_.buffer_type(), kind, part);
  if (!own.ready() || !as_is->ready()) return measured;
  for (const std::int32_t columns : columns_measured) {
    measured.timings.push_back({columns, own.nanoseconds(columns), as_is->nanoseconds(columns)});
  }
  // Where others keep the machine busy, a short measurement may say anything once.
  for (int again = 1; again < rounds_max && !pays(measured); ++again) {
    for (LayoutTiming& timing : measured.timings) {
      timing.own_ns = std::min(timing.own_ns, own.nanoseconds(timing.columns));
      timing.as_is_ns = std::min(timing.as_is_ns, as_is->nanoseconds(timing.columns));
    }
  }
  return measured;
}

}  // namespace deepseek::engine::llama
