#include "engine/file_version.hpp"

#include <filesystem>

namespace deepseek::engine {

namespace fs = std::filesystem;

std::string version_of(const std::string& file) {
  std::error_code ignored;
  const auto changed = fs::last_write_time(file, ignored).time_since_epoch().count();
  return "size " + std::to_string(fs::file_size(file, ignored)) + ", changed " +
         std::to_string(changed);
}

}  // namespace deepseek::engine
