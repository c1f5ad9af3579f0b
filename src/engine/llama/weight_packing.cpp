#include "engine/llama/weight_packing.hpp"

#include <ggml.h>
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace deepseek::engine::llama {
namespace {

// So much is packed before another thread would have begun.
constexpr std::size_t thread_bytes_min = std::size_t{1} << 20;

// What is no number makes a scale that is none.
void convert(const WeightsToPack& weights, kernels::Shape shape, std::span<const std::byte> from,
             std::vector<std::byte>& to) {
  const auto type = static_cast<ggml_type>(weights.type);
  const auto wanted = static_cast<ggml_type>(type_of(weights.target.format));
  const std::size_t from_row = ggml_row_size(type, shape.columns);
  const std::size_t to_row = ggml_row_size(wanted, shape.columns);
  to.resize(to_row * static_cast<std::size_t>(shape.rows));
  std::vector<float> values(static_cast<std::size_t>(shape.columns));
  for (std::size_t row = 0; row < static_cast<std::size_t>(shape.rows); ++row) {
    ggml_get_type_traits(type)->to_float(from.data() + row * from_row, values.data(),
                                         shape.columns);
    ggml_get_type_traits(wanted)->from_float_ref(values.data(), to.data() + row * to_row,
                                                 shape.columns);
  }
}

class Packing {
 public:
  explicit Packing(const WeightsToPack& weights)
      : weights_(weights),
        groups_((weights.shape.rows + kernels::group_rows - 1) / kernels::group_rows),
        row_bytes_(ggml_row_size(static_cast<ggml_type>(weights.type), weights.shape.columns)),
        group_bytes_(kernels::group_bytes(weights.target.format, weights.shape.columns)) {}

  std::int64_t groups() const { return groups_ * weights_.matrices; }

  // Groups [begin, end) of all matrices.
  base::Result<void> pack(std::int64_t begin, std::int64_t end) const {
    std::vector<std::byte> converted;
    while (begin < end) {
      const std::int64_t matrix = begin / groups_;
      const std::int64_t first = begin % groups_;
      const std::int64_t count = std::min(groups_ - first, end - begin);
      const std::int64_t row = first * kernels::group_rows;
      const kernels::Shape part{std::min(weights_.shape.rows - row, count * kernels::group_rows),
                                weights_.shape.columns};
      const auto before = static_cast<std::size_t>(matrix * weights_.shape.rows + row);
      std::span<const std::byte> file = weights_.file.subspan(
          before * row_bytes_, static_cast<std::size_t>(part.rows) * row_bytes_);
      if (weights_.target.converted) {
        convert(weights_, part, file, converted);
        file = converted;
      }
      const auto done =
          kernels::pack(weights_.target.format, part, file,
                        weights_.packed.subspan(static_cast<std::size_t>(begin) * group_bytes_,
                                                static_cast<std::size_t>(count) * group_bytes_));
      if (done.has_error()) return done;
      begin += count;
    }
    return {};
  }

 private:
  const WeightsToPack& weights_;
  std::int64_t groups_;  // of a matrix
  std::size_t row_bytes_;
  std::size_t group_bytes_;
};

}  // namespace

base::Result<void> pack_weights(const WeightsToPack& weights, int threads) {
  const Packing packing(weights);
  const auto parts = std::clamp(static_cast<std::int64_t>(weights.file.size() / thread_bytes_min),
                                std::int64_t{1}, std::int64_t{threads});
  const auto border = [&](std::int64_t part) { return packing.groups() * part / parts; };
  std::atomic<bool> damaged = false;
  {
    std::vector<std::jthread> others;
    for (std::int64_t part = 1; part < parts; ++part) {
      others.emplace_back([&, part] {
        if (packing.pack(border(part), border(part + 1)).has_error()) damaged = true;
      });
    }
    if (packing.pack(0, border(1)).has_error()) damaged = true;
  }
  // Once more from the first row on: the error names it.
  return damaged ? packing.pack(0, packing.groups()) : base::Result<void>();
}

}  // namespace deepseek::engine::llama
