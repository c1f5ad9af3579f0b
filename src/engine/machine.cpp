#include "engine/machine.hpp"

#include <sched.h>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

namespace deepseek::engine {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

// The path behind "0::" (version 2) or "…:memory:" (version 1) in /proc/self/cgroup.
std::string cgroup_path(const std::string& text, std::string_view marker) {
  std::size_t line = 0;
  while (line < text.size()) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    const std::string_view entry = std::string_view(text).substr(line, end - line);
    const std::size_t found = entry.find(marker);
    if (found != std::string_view::npos) return std::string(entry.substr(found + marker.size()));
    line = end + 1;
  }
  return {};
}

struct GroupFiles {
  std::string root;
  std::string path;
  const char* limit;
  const char* usage;
};

// What the tightest group from the process's own up to the root leaves.
std::optional<std::uint64_t> group_room(const GroupFiles& files) {
  std::optional<std::uint64_t> room;
  std::string path = files.path;
  for (;;) {
    const std::string directory = files.root + (path == "/" ? "" : path) + "/";
    const auto limit = parse_cgroup_limit(read_file(directory + files.limit));
    if (limit) {
      const std::uint64_t used = parse_number(read_file(directory + files.usage)).value_or(0);
      // The group's page cache gives way to allocations, but how much of it is not told simply.
      const auto cache = parse_meminfo(read_file(directory + "memory.stat"), "inactive_file");
      const std::uint64_t held = used - std::min(used, cache.value_or(0) / 1024);
      const std::uint64_t left = *limit - std::min(*limit, held);
      room = room ? std::min(*room, left) : left;
    }
    const std::size_t slash = path.rfind('/');
    if (path.empty() || slash == std::string::npos) return room;
    path.resize(slash);
  }
}

}  // namespace

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::int32_t physical_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return std::max(1, static_cast<std::int32_t>(std::thread::hardware_concurrency()));
  }
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string base = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::string siblings = read_file(base + "thread_siblings");
    cores.insert(siblings.empty() ? "cpu" + std::to_string(cpu) : siblings);
  }
  return std::max(1, static_cast<std::int32_t>(cores.size()));
}

std::uint64_t resident_bytes() {
  return parse_meminfo(read_file("/proc/self/status"), "VmRSS").value_or(0);
}

MemoryLimits memory_limits() {
  MemoryLimits limits;
  limits.available = parse_meminfo(read_file("/proc/meminfo"), "MemAvailable").value_or(0);
  const std::string groups = read_file("/proc/self/cgroup");
  for (const GroupFiles& files :
       {GroupFiles{"/sys/fs/cgroup", cgroup_path(groups, "0::"), "memory.max", "memory.current"},
        GroupFiles{"/sys/fs/cgroup/memory", cgroup_path(groups, ":memory:"),
                   "memory.limit_in_bytes", "memory.usage_in_bytes"}}) {
    const auto room = group_room(files);
    if (!room || (limits.available != 0 && *room >= limits.available)) continue;
    limits.available = *room;
    limits.limited_by = "the control group";
  }
  return limits;
}

std::optional<std::uint64_t> parse_meminfo(std::string_view text, std::string_view key) {
  std::size_t line = 0;
  while (line < text.size()) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    std::string_view entry = text.substr(line, end - line);
    line = end + 1;
    if (!entry.starts_with(key)) continue;
    entry.remove_prefix(key.size());
    if (entry.empty() || (entry.front() != ':' && entry.front() != ' ')) continue;
    entry.remove_prefix(1);
    const auto number = parse_number(entry);
    if (number) return *number * 1024;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_cgroup_limit(std::string_view text) {
  const auto value = parse_number(text);
  constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60U;
  if (!value || *value >= kNoLimit) return std::nullopt;
  return value;
}

}  // namespace deepseek::engine
