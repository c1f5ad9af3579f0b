// The columns of activations that one operation of ggml multiplies with packed weights, in shares
// that meet the same weights: one share for a MUL_MAT, one for each expert of a MUL_MAT_ID.
//
// Only weight_product.cpp includes this. Read by all threads; ExpertColumns is sorted by one first.
#pragma once

#include "kernels/product.hpp"

#include <ggml-cpu-impl.h>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace deepseek::engine::llama {

// Activations, and where their products go.
struct Column {
  const float* in;
  float* out;
};

// Columns [begin, end) meet these weights. They are cut into panels of nearly equal width.
struct Share {
  const std::byte* weights;
  std::int64_t begin;
  std::int64_t end;

  std::int64_t panels() const {
    return (end - begin + kernels::panel_width - 1) / kernels::panel_width;
  }
  std::int64_t panel_begin(std::int64_t panel) const {
    return begin + (end - begin) * panel / panels();
  }
};

inline const std::byte* at(const ggml_tensor* tensor, std::int64_t first, std::int64_t second,
                           std::int64_t third) {
  return static_cast<const std::byte*>(tensor->data) +
         static_cast<std::size_t>(first) * tensor->nb[1] +
         static_cast<std::size_t>(second) * tensor->nb[2] +
         static_cast<std::size_t>(third) * tensor->nb[3];
}

inline Column column_of(const float* in, ggml_tensor* out, std::int64_t first, std::int64_t second,
                        std::int64_t third) {
  std::byte* place = static_cast<std::byte*>(out->data) +
                     (at(out, first, second, third) - static_cast<const std::byte*>(out->data));
  return {in, reinterpret_cast<float*>(place)};
}

class PlainColumns {
 public:
  explicit PlainColumns(ggml_tensor* operation) : operation_(operation) {}

  std::int64_t count() const { return ggml_nrows(operation_->src[1]); }
  std::int64_t shares() const { return 1; }
  Share share(std::int64_t) const {
    return {static_cast<const std::byte*>(operation_->src[0]->data), 0, count()};
  }
  Column column(std::int64_t index) const {
    const std::int64_t* sizes = operation_->src[1]->ne;
    const std::int64_t first = index % sizes[1];
    const std::int64_t second = index / sizes[1] % sizes[2];
    const std::int64_t third = index / (sizes[1] * sizes[2]);
    const auto* in = reinterpret_cast<const float*>(at(operation_->src[1], first, second, third));
    return column_of(in, operation_, first, second, third);
  }

 private:
  ggml_tensor* operation_;
};

class ExpertColumns {
 public:
  static std::size_t bytes(const ggml_tensor* operation) {
    return static_cast<std::size_t>(ggml_nelements(operation->src[2])) * sizeof(Column) +
           static_cast<std::size_t>(operation->src[0]->ne[2] + 2) * sizeof(std::int64_t);
  }

  // `memory` has the bytes above; `expert_bytes` is what the packed weights of one expert take.
  ExpertColumns(ggml_tensor* operation, std::size_t expert_bytes, std::byte* memory)
      : operation_(operation),
        expert_bytes_(expert_bytes),
        columns_(reinterpret_cast<Column*>(memory)),
        begins_(reinterpret_cast<std::int64_t*>(columns_ + count())) {}

  // A counting sort of the chosen experts. While columns are put in place, begins_[e + 1] moves
  // from the begin of share e to its end, which is the begin of the next.
  void sort() {
    std::fill(begins_, begins_ + shares() + 2, 0);
    for_each_choice(
        [this](std::int64_t expert, std::int64_t, std::int64_t) { ++begins_[expert + 2]; });
    for (std::int64_t expert = 0; expert < shares(); ++expert) {
      begins_[expert + 2] += begins_[expert + 1];
    }
    for_each_choice([this](std::int64_t expert, std::int64_t slot, std::int64_t token) {
      const ggml_tensor* values = operation_->src[1];
      const auto* in = reinterpret_cast<const float*>(at(values, slot % values->ne[1], token, 0));
      columns_[begins_[expert + 1]++] = column_of(in, operation_, slot, token, 0);
    });
  }

  std::int64_t count() const { return ggml_nelements(operation_->src[2]); }
  std::int64_t shares() const { return operation_->src[0]->ne[2]; }
  Share share(std::int64_t expert) const {
    return {static_cast<const std::byte*>(operation_->src[0]->data) +
                static_cast<std::size_t>(expert) * expert_bytes_,
            begins_[expert], begins_[expert + 1]};
  }
  Column column(std::int64_t index) const { return columns_[index]; }

 private:
  template <class Function>
  void for_each_choice(Function function) {
    const ggml_tensor* chosen = operation_->src[2];
    for (std::int64_t token = 0; token < chosen->ne[1]; ++token) {
      for (std::int64_t slot = 0; slot < chosen->ne[0]; ++slot) {
        std::int32_t expert = 0;
        std::memcpy(&expert,
                    at(chosen, token, 0, 0) + static_cast<std::size_t>(slot) * chosen->nb[0],
                    sizeof expert);
        GGML_ASSERT(expert >= 0 && expert < shares());
        function(expert, slot, token);
      }
    }
  }

  ggml_tensor* operation_;
  std::size_t expert_bytes_;
  Column* columns_;
  std::int64_t* begins_;  // of the shares, then the last one's end, then one to sort with
};

}  // namespace deepseek::engine::llama
