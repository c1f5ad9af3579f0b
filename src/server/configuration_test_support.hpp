// For the tests of the configuration: files and environment in memory. Not part of the server.
#pragma once

#include "server/configuration_loader.hpp"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::server {

// Files and environment in memory.
struct Memory {
  std::map<std::string, std::string> files;
  std::vector<std::pair<std::string, std::string>> environment;

  Outside outside() const {
    Outside result;
    result.read_file = [this](const std::string& path) -> base::Result<std::string> {
      const auto found = files.find(path);
      if (found != files.end()) return found->second;
      return base::make_error(base::ErrorCode::invalid_request, path + ": no such file");
    };
    result.environment = environment;
    return result;
  }

  base::Result<LoadedConfiguration> load(std::vector<std::string_view> arguments = {}) const {
    const auto line = parse_command_line(arguments);
    if (line.has_error()) return line.error();
    return load_configuration(line.value(), outside());
  }
};

inline base::Result<LoadedConfiguration> load_yaml(const std::string& text) {
  return Memory{{{"config/x.yaml", text}}, {}}.load({"--config", "config/x.yaml"});
}

inline std::string yaml_error(const std::string& text) {
  const auto loaded = load_yaml(text);
  return loaded.has_error() ? loaded.error().message : "no error";
}

inline std::string error_of(const base::Result<LoadedConfiguration>& loaded) {
  return loaded.has_error() ? loaded.error().message : "no error";
}

}  // namespace deepseek::server
