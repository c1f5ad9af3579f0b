#include "engine/llama/weight_product.hpp"

#include "engine/llama/weight_columns.hpp"

#include <algorithm>
#include <array>

namespace deepseek::engine::llama {
namespace {

using kernels::panel_width;

// So few columns are sorted and quantized by each thread for itself.
constexpr std::int64_t own_columns_max = 2;
constexpr std::int64_t own_choices_max = 8;  // of experts
// Panels that are multiplied with the same weights one after the other: they stay in the second
// cache while the weights pass.
constexpr std::int64_t run_bytes_max = 256 << 10;
// Parts for each thread, so that a thread that is held up does not hold up the rest.
constexpr std::int64_t parts_per_thread = 4;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kernels::packed_alignment - 1) / kernels::packed_alignment *
         kernels::packed_alignment;
}

std::size_t panels_bytes(const ggml_tensor* operation, std::int64_t columns) {
  return static_cast<std::size_t>(columns) * kernels::panel_bytes(1, operation->src[0]->ne[0]);
}

template <class Columns>
class Product {
 public:
  Product(const kernels::Kernels& kernels, kernels::Format format, const ggml_tensor* weights,
          const Columns& columns, std::byte* panels)
      : kernels_(kernels),
        columns_(columns),
        panels_(panels),
        width_(weights->ne[0]),
        rows_(weights->ne[1]),
        group_bytes_(kernels::group_bytes(format, width_)) {}

  // Those of all panels whose number leaves this remainder.
  void quantize(std::int64_t remainder, std::int64_t divisor) const {
    std::int64_t number = 0;
    for (std::int64_t index = 0; index < columns_.shares(); ++index) {
      const Share share = columns_.share(index);
      for (std::int64_t panel = 0; panel < share.panels(); ++panel) {
        if (number++ % divisor == remainder) quantize_panel(share, panel);
      }
    }
  }

  std::int64_t groups() const { return (rows_ + kernels::group_rows - 1) / kernels::group_rows; }

  // Groups [begin, end) of the weights with all columns.
  void multiply(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t index = 0; index < columns_.shares(); ++index) {
      const Share share = columns_.share(index);
      const std::int64_t run = panels_of_a_run();
      for (std::int64_t panel = 0; panel < share.panels(); panel += run) {
        multiply_run(share, panel, std::min(panel + run, share.panels()), begin, end);
      }
    }
  }

 private:
  std::int64_t panels_of_a_run() const {
    const auto bytes = static_cast<std::int64_t>(kernels::panel_bytes(panel_width, width_));
    return std::max<std::int64_t>(1, run_bytes_max / bytes);
  }

  kernels::Panel panel_of(const Share& share, std::int64_t panel) const {
    const std::int64_t first = share.panel_begin(panel);
    const auto wide = static_cast<int>(share.panel_begin(panel + 1) - first);
    return kernels::panel_at(
        panels_ + static_cast<std::size_t>(first) * kernels::panel_bytes(1, width_), wide, width_);
  }

  void quantize_panel(const Share& share, std::int64_t number) const {
    const kernels::Panel panel = panel_of(share, number);
    std::array<const float*, panel_width> in{};
    const std::int64_t first = share.panel_begin(number);
    for (int at = 0; at < panel.width; ++at) {
      in[static_cast<std::size_t>(at)] = columns_.column(first + at).in;
    }
    kernels_.quantize(in.data(), panel);
  }

  void multiply_run(const Share& share, std::int64_t panel, std::int64_t stop, std::int64_t begin,
                    std::int64_t end) const {
    if (stop - panel == 1) return multiply_groups(share, panel, begin, end);
    for (std::int64_t group = begin; group < end; ++group) {
      for (std::int64_t now = panel; now < stop; ++now) {
        multiply_groups(share, now, group, group + 1);
      }
    }
  }

  void multiply_groups(const Share& share, std::int64_t number, std::int64_t begin,
                       std::int64_t end) const {
    const kernels::Panel panel = panel_of(share, number);
    const std::int64_t row = begin * kernels::group_rows;
    std::array<float*, panel_width> out{};
    const std::int64_t first = share.panel_begin(number);
    for (int at = 0; at < panel.width; ++at) {
      out[static_cast<std::size_t>(at)] = columns_.column(first + at).out + row;
    }
    const std::int64_t rows = std::min(rows_, end * kernels::group_rows) - row;
    kernels_.multiply(share.weights + static_cast<std::size_t>(begin) * group_bytes_, group_bytes_,
                      rows, panel, out.data());
  }

  const kernels::Kernels& kernels_;
  const Columns& columns_;
  std::byte* panels_;
  std::int64_t width_;
  std::int64_t rows_;
  std::size_t group_bytes_;
};

// All threads: the panels are ready when each has quantized its own.
template <class Columns>
void multiply_together(const Product<Columns>& product, const GgmlCpu& cpu,
                       const ggml_compute_params& params) {
  if (params.ith == 0) cpu.set_counter(params.threadpool, params.nth);
  product.quantize(params.ith, params.nth);
  cpu.barrier(params.threadpool);
  const std::int64_t groups = product.groups();
  const std::int64_t parts = params.nth == 1 ? 1 : std::min(groups, params.nth * parts_per_thread);
  for (std::int64_t part = params.ith; part < parts;
       part = cpu.add_to_counter(params.threadpool, 1)) {
    product.multiply(groups * part / parts, groups * (part + 1) / parts);
  }
}

// Each thread has quantized all columns itself, and waits for nobody.
template <class Columns>
void multiply_alone(const Product<Columns>& product, const ggml_compute_params& params) {
  product.quantize(0, 1);
  const std::int64_t groups = product.groups();
  product.multiply(groups * params.ith / params.nth, groups * (params.ith + 1) / params.nth);
}

}  // namespace

kernels::Shape shape_of(const ggml_tensor* weights) {
  return {weights->ne[1], weights->ne[0]};
}

bool can_multiply(kernels::Format format, const ggml_tensor* operation) {
  const ggml_tensor* weights = operation->src[0];
  const ggml_tensor* values = operation->src[1];
  const bool experts = operation->op == GGML_OP_MUL_MAT_ID;
  if (operation->op != GGML_OP_MUL_MAT && !experts) return false;
  if (weights->ne[3] != 1 || (weights->ne[2] != 1 && !experts)) return false;
  return kernels::can_pack(format, shape_of(weights)) && values->type == GGML_TYPE_F32 &&
         values->nb[0] == sizeof(float) && operation->nb[0] == sizeof(float);
}

std::size_t work_bytes(const ggml_tensor* operation, int threads) {
  if (operation->op == GGML_OP_MUL_MAT_ID) {
    const std::int64_t choices = ggml_nelements(operation->src[2]);
    const std::size_t once =
        aligned(ExpertColumns::bytes(operation)) + aligned(panels_bytes(operation, choices));
    return choices <= own_choices_max ? static_cast<std::size_t>(threads) * once : once;
  }
  const std::int64_t columns = ggml_nrows(operation->src[1]);
  return columns <= own_columns_max
             ? static_cast<std::size_t>(threads) * aligned(panels_bytes(operation, columns))
             : panels_bytes(operation, columns);
}

void multiply(const kernels::Kernels& kernels, kernels::Format format, const GgmlCpu& cpu,
              const ggml_compute_params& params, ggml_tensor* operation) {
  auto* memory = static_cast<std::byte*>(params.wdata);
  const ggml_tensor* weights = operation->src[0];
  if (operation->op == GGML_OP_MUL_MAT_ID) {
    const std::size_t sorted_bytes = aligned(ExpertColumns::bytes(operation));
    const std::size_t expert_bytes = kernels::packed_bytes(format, shape_of(weights));
    const std::int64_t choices = ggml_nelements(operation->src[2]);
    if (choices <= own_choices_max) {
      memory += static_cast<std::size_t>(params.ith) *
                (sorted_bytes + aligned(panels_bytes(operation, choices)));
      ExpertColumns columns(operation, expert_bytes, memory);
      columns.sort();
      return multiply_alone(Product(kernels, format, weights, columns, memory + sorted_bytes),
                            params);
    }
    ExpertColumns columns(operation, expert_bytes, memory);
    if (params.ith == 0) columns.sort();
    cpu.barrier(params.threadpool);
    memory += sorted_bytes;
    return multiply_together(Product(kernels, format, weights, columns, memory), cpu, params);
  }
  const PlainColumns columns(operation);
  if (columns.count() > own_columns_max) {
    return multiply_together(Product(kernels, format, weights, columns, memory), cpu, params);
  }
  memory +=
      static_cast<std::size_t>(params.ith) * aligned(panels_bytes(operation, columns.count()));
  multiply_alone(Product(kernels, format, weights, columns, memory), params);
}

}  // namespace deepseek::engine::llama
