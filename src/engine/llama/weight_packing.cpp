#include "engine/llama/weight_packing.hpp"

#include "engine/llama/ggml_cpu.hpp"

#include <ggml.h>
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <thread>
#include <vector>

namespace deepseek::engine::llama {
namespace {

// So much is packed before another thread would have begun.
constexpr std::size_t thread_bytes_min = std::size_t{1} << 20;

// Converted numbers that are still in a core's cache when they are packed.
constexpr std::int64_t converted_numbers = std::int64_t{1} << 18;

constexpr std::uint32_t infinite_bits = 0x7F80'0000;  // the exponent of what is no finite number

bool finite(std::span<const float> numbers) {
  std::uint32_t found = 0;
  for (const float number : numbers) {
    const std::uint32_t exponent = std::bit_cast<std::uint32_t>(number) & infinite_bits;
    found |= static_cast<std::uint32_t>(exponent == infinite_bits);
  }
  return found == 0;
}

// Rows of a file's format to Q8_0 by way of floats. A row with what is no finite number gets a
// scale that is none, which packing refuses.
class Conversion {
 public:
  Conversion(ggml_type type, std::int64_t columns, const GgmlCpu& cpu)
      : cpu_(cpu),
        type_(type),
        columns_(columns),
        from_row_(ggml_row_size(type, columns)),
        to_row_(ggml_row_size(GGML_TYPE_Q8_0, columns)),
        row_(static_cast<std::size_t>(columns)) {}

  std::span<const std::byte> convert(std::span<const std::byte> from) {
    const std::size_t rows = from.size() / from_row_;
    to_.resize(to_row_ * rows);
    for (std::size_t row = 0; row < rows; ++row) {
      to_float(from.data() + row * from_row_);
      std::byte* to = to_.data() + row * to_row_;
      if (finite(row_)) {
        cpu_.float_to_q8_0(row_.data(), to, columns_);
      } else {
        std::memset(to, 0xFF, to_row_);
      }
    }
    return to_;
  }

 private:
  void to_float(const std::byte* from) {
    const auto* halves = reinterpret_cast<const std::uint16_t*>(from);
    if (type_ == GGML_TYPE_F16) return cpu_.half_to_float(halves, row_.data(), columns_);
    if (type_ == GGML_TYPE_BF16) return cpu_.brain_to_float(halves, row_.data(), columns_);
    ggml_get_type_traits(type_)->to_float(from, row_.data(), columns_);
  }

  const GgmlCpu& cpu_;
  ggml_type type_;
  std::int64_t columns_;
  std::size_t from_row_;
  std::size_t to_row_;
  std::vector<float> row_;
  std::vector<std::byte> to_;
};

class Packing {
 public:
  Packing(const WeightsToPack& weights, const GgmlCpu& cpu)
      : weights_(weights),
        cpu_(cpu),
        groups_((weights.shape.rows + kernels::group_rows - 1) / kernels::group_rows),
        row_bytes_(ggml_row_size(static_cast<ggml_type>(weights.type), weights.shape.columns)),
        group_bytes_(kernels::group_bytes(weights.target.format, weights.shape.columns)) {}

  std::int64_t groups() const { return groups_ * weights_.matrices; }

  // Groups that are converted and packed before the next ones.
  std::int64_t step() const {
    const std::int64_t numbers = weights_.shape.columns * kernels::group_rows;
    if (!weights_.target.converted) return groups_;
    return std::max(std::int64_t{1}, converted_numbers / numbers);
  }

  // Groups [begin, end) of all matrices, `step` at a time. An error names the row as counted from
  // the step's first.
  base::Result<void> pack(std::int64_t begin, std::int64_t end, std::int64_t step) const {
    Conversion conversion(static_cast<ggml_type>(weights_.type), weights_.shape.columns, cpu_);
    while (begin < end) {
      const std::int64_t matrix = begin / groups_;
      const std::int64_t first = begin % groups_;
      const std::int64_t count = std::min({groups_ - first, end - begin, step});
      const std::int64_t row = first * kernels::group_rows;
      const kernels::Shape part{std::min(weights_.shape.rows - row, count * kernels::group_rows),
                                weights_.shape.columns};
      const auto before = static_cast<std::size_t>(matrix * weights_.shape.rows + row);
      std::span<const std::byte> file = weights_.file.subspan(
          before * row_bytes_, static_cast<std::size_t>(part.rows) * row_bytes_);
      if (weights_.target.converted) file = conversion.convert(file);
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
  const GgmlCpu& cpu_;
  std::int64_t groups_;  // of a matrix
  std::size_t row_bytes_;
  std::size_t group_bytes_;
};

}  // namespace

base::Result<void> pack_weights(const WeightsToPack& weights, int threads) {
  const auto cpu = find_ggml_cpu();
  if (cpu.has_error()) return cpu.error();
  const Packing packing(weights, cpu.value());
  const auto parts = std::clamp(static_cast<std::int64_t>(weights.file.size() / thread_bytes_min),
                                std::int64_t{1}, std::int64_t{threads});
  const auto border = [&](std::int64_t part) { return packing.groups() * part / parts; };
  std::atomic<bool> damaged = false;
  {
    std::vector<std::jthread> others;
    for (std::int64_t part = 1; part < parts; ++part) {
      others.emplace_back([&, part] {
        if (packing.pack(border(part), border(part + 1), packing.step()).has_error())
          damaged = true;
      });
    }
    if (packing.pack(0, border(1), packing.step()).has_error()) damaged = true;
  }
  // Once more, whole matrices at a time: the error names the row.
  return damaged ? packing.pack(0, packing.groups(), packing.groups()) : base::Result<void>();
}

}  // namespace deepseek::engine::llama
