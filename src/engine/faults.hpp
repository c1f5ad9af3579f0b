// Faults on request, for tests of what follows when a GPU fails: DEEPSEEK_ENGINE_FAULT.
//
// Pure but for the variable, which main() reads. "gpu_load" stands for a GPU on which the model
// does not load, "gpu_step:N" for one that fails from its N-th step on; both let the engine believe
// that there is one.
#pragma once

#include "engine/model_interface.hpp"

#include <charconv>
#include <optional>
#include <string_view>

namespace deepseek::engine {

struct Faults {
  bool gpu_load = false;
  std::optional<std::int64_t> gpu_step;
  bool any() const { return gpu_load || gpu_step.has_value(); }
};

inline Faults parse_faults(const char* text) {
  constexpr std::string_view step = "gpu_step:";
  const std::string_view wanted = text == nullptr ? "" : text;
  Faults faults;
  faults.gpu_load = wanted == "gpu_load";
  if (!wanted.starts_with(step)) return faults;
  std::int64_t number = 0;
  const std::string_view digits = wanted.substr(step.size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error == std::errc() && end == digits.data() + digits.size()) faults.gpu_step = number;
  return faults;
}

// Another decoder, which fails from its `step`-th batch on.
class FaultyDecoder final : public Decoder {
 public:
  FaultyDecoder(Decoder& decoder, std::int64_t step) : decoder_(decoder), left_(step) {}

  Outcome decode(std::span<const BatchSlice> slices) override {
    return --left_ <= 0 ? Outcome::failed : decoder_.decode(slices);
  }
  std::span<const float> logits(std::size_t slice_index, std::size_t row) override {
    return decoder_.logits(slice_index, row);
  }
  std::int32_t cells(std::int32_t slot) override { return decoder_.cells(slot); }
  void clear(std::int32_t slot) override { decoder_.clear(slot); }
  void share(std::int32_t slot, std::int32_t source, std::int32_t length) override {
    decoder_.share(slot, source, length);
  }
  std::string save(std::int32_t slot) override { return decoder_.save(slot); }
  bool restore(std::int32_t slot, std::string_view state) override {
    return decoder_.restore(slot, state);
  }
  void keep(std::int32_t slot, std::int32_t cells) override { decoder_.keep(slot, cells); }
  void slide(std::int32_t slot, std::int32_t first, std::int32_t count) override {
    decoder_.slide(slot, first, count);
  }
  CellUse cell_use() const override { return decoder_.cell_use(); }
  std::atomic<bool>& abort_flag() override { return decoder_.abort_flag(); }

 private:
  Decoder& decoder_;
  std::int64_t left_;
};

}  // namespace deepseek::engine
