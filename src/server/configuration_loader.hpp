// From the command line to a checked Configuration: defaults < YAML file < INI file < environment
// < --set < flags.
//
// Blocking file reads: called by main() at start and, for a reload, from a thread that may block.
// Every error has the code invalid_request and a message of one or more lines, each with file and
// line, what was found and what is allowed; no message shows a secret. The caller prints it and
// exits with status 2 (at start) or keeps what it has (on a reload).
#pragma once

#include "base/result.hpp"
#include "server/command_line.hpp"
#include "server/configuration.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::server {

// What lies outside the process, handed in so that tests and the fuzzer need no files.
struct Outside {
  // The text of a file; fails with a reason ("no such file", "larger than 1MB").
  std::function<base::Result<std::string>(const std::string& path)> read_file;
  // NAME and value of every environment variable.
  std::vector<std::pair<std::string, std::string>> environment;
};
// The real files and the real environment.
Outside system_outside();

struct LoadedConfiguration {
  Configuration values;
  // Setting → where its value came from ("config/dev.yaml:12", "--port"); defaults are not in it.
  std::map<std::string, std::string> origins;
};

base::Result<LoadedConfiguration> load_configuration(const CommandLine& command_line,
                                                     const Outside& outside);

// As resolve_model_path(), for another file of the model; `setting` is where it is named.
base::Result<std::string> resolve_beside_model(const Configuration::Model& model,
                                               const std::string& path, const std::string& setting,
                                               const std::vector<std::string>& share_directories);

// The model's file: an absolute path is itself; a relative one is looked for in the folder of the
// configuration file that names it, then in each of `share_directories` (as
// "<program>/../share/models"), then in the working directory. The error names every place tried.
base::Result<std::string> resolve_model_path(const Configuration::Model& model,
                                             const std::vector<std::string>& share_directories);

// The effective configuration as YAML that can be loaded again; secrets are ***. For
// --print-config.
std::string print_configuration(const LoadedConfiguration& configuration);

// docs/configuration.md and config/dev.yaml, both made from the table.
std::string configuration_document();
std::string development_configuration();

struct SettingChange {
  std::string name;         // "log.level", "models"
  bool reloadable = false;  // false: needs a restart
};
// What differs, in the order of the table. No values: some are secret.
std::vector<SettingChange> diff_reloadable(const Configuration& before, const Configuration& after);

// `after` with everything that needs a restart taken back to `before`: what a reload may put into
// effect.
Configuration reloadable_part(const Configuration& before, const Configuration& after);

}  // namespace deepseek::server
