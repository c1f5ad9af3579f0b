#include "engine/llama/log_bridge.hpp"

#include <llama.h>
#include <mtmd-helper.h>
#include <cstdlib>
#include <mutex>
#include <string_view>

namespace deepseek::engine::llama {
namespace {

// llama.cpp's log callback is a global: this is its one user data.
struct Bridge {
  base::Logger log;
  std::mutex mutex;
  std::string line;
  std::string errors;
  std::uint64_t repacked = 0;
  ggml_log_level level = GGML_LOG_LEVEL_INFO;
};

constexpr std::size_t kErrorsMax = 2000;

// "load_tensors:   CPU_REPACK model buffer size =    71.78 MiB"
void read_repacked(Bridge& bridge) {
  const std::string_view line = bridge.line;
  constexpr std::string_view kMark = "REPACK model buffer size =";
  const std::size_t found = line.find(kMark);
  if (found == std::string_view::npos) return;
  const double mebibytes = std::strtod(bridge.line.c_str() + found + kMark.size(), nullptr);
  bridge.repacked += static_cast<std::uint64_t>(mebibytes * 1024 * 1024);
}

// What llama.cpp says when a decode is interrupted on purpose: no error, and traffic causes it.
bool tells_interruption(const std::string& line) {
  return line.find("compute status: 1") != std::string::npos ||
         line.find("failed with error 1") != std::string::npos ||
         line.find("failed to decode, ret = 2") != std::string::npos;
}

void end_line(Bridge& bridge) {
  read_repacked(bridge);
  if (bridge.level == GGML_LOG_LEVEL_ERROR && !tells_interruption(bridge.line)) {
    if (bridge.errors.size() + bridge.line.size() < kErrorsMax) {
      if (!bridge.errors.empty()) bridge.errors += "; ";
      bridge.errors += bridge.line;
    }
    bridge.log.warning("llama.cpp", {{"line", bridge.line}});
  } else {
    bridge.log.debug("llama.cpp", {{"line", bridge.line}});
  }
  bridge.line.clear();
}

void on_log(ggml_log_level level, const char* text, void* data) {
  Bridge& bridge = *static_cast<Bridge*>(data);
  const std::lock_guard lock(bridge.mutex);
  if (level != GGML_LOG_LEVEL_CONT) bridge.level = level;
  for (const char character : std::string_view(text)) {
    if (character == '\n') {
      end_line(bridge);
    } else {
      bridge.line += character;
    }
  }
}

Bridge& bridge() {
  static Bridge instance;
  return instance;
}

}  // namespace

void bridge_log(base::Logger log) {
  {
    const std::lock_guard lock(bridge().mutex);
    bridge().log = log;
  }
  llama_log_set(on_log, &bridge());
  mtmd_helper_log_set(on_log, &bridge());
}

std::string last_errors() {
  const std::lock_guard lock(bridge().mutex);
  return bridge().errors;
}

void clear_errors() {
  const std::lock_guard lock(bridge().mutex);
  bridge().errors.clear();
}

std::uint64_t repacked_bytes() {
  const std::lock_guard lock(bridge().mutex);
  return bridge().repacked;
}

}  // namespace deepseek::engine::llama
