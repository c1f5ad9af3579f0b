// Fuzzes everything that reads a configuration: YAML, INI and --set text. The input is split at
// zero bytes: YAML file, INI file, then one argument for --set each.
//
// What must hold: no crash, an error has a text, and what loads can be printed and loaded again.
#include "server/configuration_loader.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

using deepseek::base::ErrorCode;
using deepseek::base::make_error;
using deepseek::base::Result;
using deepseek::server::CommandLine;
using deepseek::server::load_configuration;
using deepseek::server::Outside;

namespace {

std::vector<std::string> split(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < size; ++i) {
    if (data[i] == 0 && parts.size() < 16) {
      parts.emplace_back();
    } else {
      parts.back() += static_cast<char>(data[i]);
    }
  }
  return parts;
}

Outside outside_with(std::string yaml, std::string ini) {
  Outside outside;
  outside.read_file = [yaml = std::move(yaml),
                       ini = std::move(ini)](const std::string& path) -> Result<std::string> {
    if (path == "x.yaml") return yaml;
    if (path == "x.ini") return ini;
    return make_error(ErrorCode::invalid_request, "no such file");
  };
  outside.environment = {{"HOME", "/home/x"}};
  return outside;
}

// Secrets print as ***, which an access key must not be: other words in their place.
std::string with_secrets(std::string text) {
  int number = 0;
  for (const std::string line : {"\n    - key: \"***\"", "\n    api_key: \"***\""}) {
    for (auto at = text.find(line); at != std::string::npos; at = text.find(line, at)) {
      text.replace(at + line.size() - 5, 5, "secret-" + std::to_string(++number));
    }
  }
  return text;
}

bool is_secret_or_path(const std::string& name) {
  return name == "tls.key_password" || name.ends_with(".api_key") || name.ends_with("].key") ||
         name == "models[0].path";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parts = split(data, size);
  CommandLine line;
  line.config_path = "x.yaml";
  if (parts.size() > 1) line.system_path = "x.ini";
  for (std::size_t i = 2; i < parts.size(); ++i) {
    const auto equals = parts[i].find('=');
    if (equals == std::string::npos) continue;
    line.settings.push_back({parts[i].substr(0, equals), parts[i].substr(equals + 1), "--set"});
  }
  const auto loaded =
      load_configuration(line, outside_with(parts[0], parts.size() > 1 ? parts[1] : ""));
  if (loaded.has_error()) {
    if (loaded.error().message.empty()) std::abort();
    return 0;
  }
  CommandLine again;
  again.config_path = "x.yaml";
  const auto reloaded =
      load_configuration(again, outside_with(with_secrets(print_configuration(*loaded)), ""));
  // Nothing but the secrets may differ.
  if (reloaded.has_error()) std::abort();
  for (const auto& change : diff_reloadable(loaded->values, reloaded->values)) {
    if (!is_secret_or_path(change.name)) std::abort();
  }
  return 0;
}
