#include "engine/layout_choice.hpp"

#include "base/digest.hpp"

#include <unistd.h>
#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace deepseek::engine {
namespace {

namespace json = boost::json;

// Two measurements of the same work differ by so much.
constexpr double noise = 1.03;
constexpr std::size_t measured_max = 512;
constexpr std::size_t file_bytes_max = 1 << 20;

std::optional<kernels::Format> format_named(std::string_view name) {
  for (const kernels::Format format : kernels::formats) {
    if (kernels::name(format) == name) return format;
  }
  return std::nullopt;
}

json::array to_json(const LayoutMemory& memory) {
  json::array all;
  for (const MeasuredLayout& measured : memory.measured) {
    json::array timings;
    for (const LayoutTiming& timing : measured.timings) {
      timings.push_back(json::array{timing.columns, timing.own_ns, timing.as_is_ns});
    }
    all.push_back(json::object{{"format", std::string(kernels::name(measured.format))},
                               {"rows", measured.shape.rows},
                               {"columns", measured.shape.columns},
                               {"timings", std::move(timings)}});
  }
  return all;
}

std::string checksum(std::string_view machine, const json::array& measured) {
  return base::to_hex(base::sha256(std::string(machine) + json::serialize(measured)));
}

// Throws what Boost.JSON throws where something is missing or of another kind.
MeasuredLayout read_measured(const json::value& value) {
  MeasuredLayout measured;
  measured.format = format_named(value.at("format").as_string()).value();
  measured.shape = {value.at("rows").to_number<std::int64_t>(),
                    value.at("columns").to_number<std::int64_t>()};
  for (const json::value& timing : value.at("timings").as_array()) {
    measured.timings.push_back({timing.at(0).to_number<std::int32_t>(),
                                timing.at(1).to_number<std::int64_t>(),
                                timing.at(2).to_number<std::int64_t>()});
  }
  return measured;
}

}  // namespace

bool pays(const MeasuredLayout& measured) {
  bool faster = false;
  for (const LayoutTiming& timing : measured.timings) {
    const auto own = static_cast<double>(timing.own_ns);
    const auto as_is = static_cast<double>(timing.as_is_ns);
    if (own > as_is * noise) return false;
    faster = faster || own * noise < as_is;
  }
  return faster;
}

const MeasuredLayout* LayoutMemory::find(kernels::Format format, kernels::Shape shape) const {
  const auto found = std::ranges::find_if(measured, [&](const MeasuredLayout& one) {
    return one.format == format && one.shape == shape;
  });
  return found == measured.end() ? nullptr : &*found;
}

std::string to_text(const LayoutMemory& memory) {
  json::array measured = to_json(memory);
  json::object out{{"machine", memory.machine}, {"checksum", checksum(memory.machine, measured)}};
  out["measured"] = std::move(measured);
  return json::serialize(out) + "\n";
}

std::optional<LayoutMemory> parse_layout_memory(std::string_view text, std::string_view machine) {
  try {
    const json::value value = json::parse(text);
    const json::array& measured = value.at("measured").as_array();
    if (value.at("machine").as_string() != machine || measured.size() > measured_max ||
        value.at("checksum").as_string() != checksum(machine, measured)) {
      return std::nullopt;
    }
    LayoutMemory memory{std::string(machine), {}};
    for (const json::value& one : measured) memory.measured.push_back(read_measured(one));
    return memory;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

LayoutMemory read_layout_memory(const std::string& file, const std::string& machine) {
  std::error_code error;
  const LayoutMemory nothing{machine, {}};
  if (file.empty() || std::filesystem::file_size(file, error) > file_bytes_max || error) {
    return nothing;
  }
  std::stringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return parse_layout_memory(text.str(), machine).value_or(nothing);
}

base::Result<void> write_layout_memory(const std::string& file, const LayoutMemory& memory) {
  LayoutMemory kept = memory;
  if (kept.measured.size() > measured_max) {
    // The newest stand last.
    kept.measured.erase(kept.measured.begin(),
                        kept.measured.end() - static_cast<std::ptrdiff_t>(measured_max));
  }
  const std::string beside = file + "." + std::to_string(::getpid());
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
  std::ofstream out(beside, std::ios::binary | std::ios::trunc);
  out << to_text(kept);
  out.close();
  if (out) std::filesystem::rename(beside, file, error);
  if (!out || error) {
    std::filesystem::remove(beside, error);
    return base::make_error(base::ErrorCode::unavailable,
                            file + " cannot be written: measurements of layouts are not kept");
  }
  return {};
}

}  // namespace deepseek::engine
