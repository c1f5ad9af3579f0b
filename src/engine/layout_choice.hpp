// Which weights get a layout of ours: those for which it was measured to be faster on this machine.
//
// Pure, but for the two functions that read and write the file in which measurements are kept.
// Used by the thread that loads models.
#pragma once

#include "base/result.hpp"
#include "kernels/pack.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

// One product of some weights with this many columns of activations, both ways.
struct LayoutTiming {
  std::int32_t columns = 0;
  std::int64_t own_ns = 0;
  std::int64_t as_is_ns = 0;
  bool operator==(const LayoutTiming&) const = default;
};

struct MeasuredLayout {
  std::string type;  // of the weights in the file, as ggml names it: "q4_1"
  kernels::Shape shape;
  std::vector<LayoutTiming> timings;
  bool operator==(const MeasuredLayout&) const = default;
};

// Never slower, within what measuring varies, and faster somewhere.
bool pays(const MeasuredLayout& measured);

// What a model file lost where weights without kernels were converted to a format that has some.
struct MeasuredLoss {
  std::string model;             // names the file and its state
  std::int64_t per_million = 0;  // by which the perplexity of a fixed text is larger
  bool operator==(const MeasuredLoss&) const = default;
};

// What was measured on one machine: `machine` names its processor, threads and versions.
struct LayoutMemory {
  std::string machine;
  std::vector<MeasuredLayout> measured;
  std::vector<MeasuredLoss> losses;

  const MeasuredLayout* find(std::string_view type, kernels::Shape shape) const;
  const MeasuredLoss* find_loss(std::string_view model) const;
};

// As JSON with a checksum. Nothing if the text is damaged or was measured on another machine.
std::string to_text(const LayoutMemory& memory);
std::optional<LayoutMemory> parse_layout_memory(std::string_view text, std::string_view machine);

// An empty memory of `machine` where the file is not there or not to be used.
LayoutMemory read_layout_memory(const std::string& file, const std::string& machine);
// Replaces the file as a whole. Fails with `unavailable`.
base::Result<void> write_layout_memory(const std::string& file, const LayoutMemory& memory);

// What the weights of one format came to, over all shapes of a model.
struct LayoutReport {
  std::string format;  // as ggml names it: "q4_1"
  std::string layout;  // as "own (avx512_vnni)", "own (avx512_vnni) as Q8_0", "as_is"
  std::int32_t weights = 0;
  std::uint64_t bytes = 0;  // that were packed
  double speed_one = 0;     // as_is / own, one column; 0: not measured
  double speed_many = 0;    // with many columns
};

}  // namespace deepseek::engine
