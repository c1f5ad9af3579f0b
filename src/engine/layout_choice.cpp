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
constexpr std::size_t losses_max = 128;
constexpr std::size_t file_bytes_max = 1 << 20;

json::array to_json(const LayoutMemory& memory) {
  json::array all;
  for (const MeasuredLayout& measured : memory.measured) {
    json::array timings;
    for (const LayoutTiming& timing : measured.timings) {
      timings.push_back(json::array{timing.columns, timing.own_ns, timing.as_is_ns});
    }
    all.push_back(json::object{{"type", measured.type},
                               {"rows", measured.shape.rows},
                               {"columns", measured.shape.columns},
                               {"timings", std::move(timings)}});
  }
  return all;
}

json::array to_json(const std::vector<MeasuredLoss>& losses) {
  json::array all;
  for (const MeasuredLoss& loss : losses) {
    all.push_back(json::object{{"model", loss.model}, {"per_million", loss.per_million}});
  }
  return all;
}

std::string checksum(std::string_view machine, const json::array& measured,
                     const json::array& losses) {
  return base::to_hex(
      base::sha256(std::string(machine) + json::serialize(measured) + json::serialize(losses)));
}

// Throws what Boost.JSON throws where something is missing or of another kind.
MeasuredLayout read_measured(const json::value& value) {
  MeasuredLayout measured;
  measured.type = value.at("type").as_string();
  measured.shape = {value.at("rows").to_number<std::int64_t>(),
                    value.at("columns").to_number<std::int64_t>()};
  for (const json::value& timing : value.at("timings").as_array()) {
    measured.timings.push_back({timing.at(0).to_number<std::int32_t>(),
                                timing.at(1).to_number<std::int64_t>(),
                                timing.at(2).to_number<std::int64_t>()});
  }
  return measured;
}

// They stand last.
template <class Entry>
void keep_newest(std::vector<Entry>& entries, std::size_t count) {
  if (entries.size() <= count) return;
  entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(count));
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

const MeasuredLayout* LayoutMemory::find(std::string_view type, kernels::Shape shape) const {
  const auto found = std::ranges::find_if(
      measured, [&](const MeasuredLayout& one) { return one.type == type && one.shape == shape; });
  return found == measured.end() ? nullptr : &*found;
}

const MeasuredLoss* LayoutMemory::find_loss(std::string_view model) const {
  const auto found = std::ranges::find(losses, model, &MeasuredLoss::model);
  return found == losses.end() ? nullptr : &*found;
}

std::string to_text(const LayoutMemory& memory) {
  json::array measured = to_json(memory);
  json::array losses = to_json(memory.losses);
  json::object out{{"machine", memory.machine},
                   {"checksum", checksum(memory.machine, measured, losses)}};
  out["measured"] = std::move(measured);
  out["losses"] = std::move(losses);
  return json::serialize(out) + "\n";
}

std::optional<LayoutMemory> parse_layout_memory(std::string_view text, std::string_view machine) {
  try {
    const json::value value = json::parse(text);
    const json::array& measured = value.at("measured").as_array();
    const json::array& losses = value.at("losses").as_array();
    if (value.at("machine").as_string() != machine || measured.size() > measured_max ||
        losses.size() > losses_max ||
        value.at("checksum").as_string() != checksum(machine, measured, losses)) {
      return std::nullopt;
    }
    LayoutMemory memory{std::string(machine), {}, {}};
    for (const json::value& one : losses) {
      memory.losses.push_back({std::string(one.at("model").as_string()),
                               one.at("per_million").to_number<std::int64_t>()});
    }
    for (const json::value& one : measured) memory.measured.push_back(read_measured(one));
    return memory;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

LayoutMemory read_layout_memory(const std::string& file, const std::string& machine) {
  std::error_code error;
  const LayoutMemory nothing{machine, {}, {}};
  if (file.empty() || std::filesystem::file_size(file, error) > file_bytes_max || error) {
    return nothing;
  }
  std::stringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return parse_layout_memory(text.str(), machine).value_or(nothing);
}

base::Result<void> write_layout_memory(const std::string& file, const LayoutMemory& memory) {
  LayoutMemory kept = memory;
  keep_newest(kept.measured, measured_max);
  keep_newest(kept.losses, losses_max);
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
