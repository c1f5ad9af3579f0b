// What the command line of deepseek-server asks for. Pure: no file is read here.
//
// --config FILE, --system FILE, --set NAME=VALUE, --host, --port, --preload_model[=…],
// --enable_flash_attn[=…], --check-config, --print-config, --explain-route, --help, --version;
// `--flag value` and `--flag=value`. The caller prints an error and exits with status 2.
#pragma once

#include "base/result.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::server {

// One setting given outside a file. `source` is how messages name it: "--set", "--port".
struct Override {
  std::string name;
  std::string value;
  std::string source;
};

struct CommandLine {
  enum class Action {
    serve,
    check_config,
    print_config,
    print_config_docs,
    explain_route,
    help,
    version
  };
  Action action = Action::serve;
  std::string config_path;         // empty: none given, the built-in defaults
  std::string system_path;         // --system: an INI file; empty: none
  std::vector<Override> settings;  // --set, in order
  std::vector<Override> flags;     // --host and the like: stronger than --set
};

// `arguments` without argv[0].
base::Result<CommandLine> parse_command_line(std::span<const std::string_view> arguments);

// The text of --help: the flags, then every setting with its default.
std::string help_text();

}  // namespace deepseek::server
