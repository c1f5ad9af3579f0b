#include "server/configuration_loader.hpp"

#include "gateway/managed/managed_command.hpp"
#include "server/configuration_check.hpp"
#include "server/configuration_text.hpp"
#include "server/setting.hpp"
#include "server/setting_form.hpp"

#include <algorithm>
#include <set>

namespace deepseek::server {
namespace {

using base::Error;
using base::ErrorCode;
using base::make_error;
using base::Result;

// Puts one layer after another onto the defaults, and remembers where each value came from.
class Assembly {
 public:
  explicit Assembly(const Outside& outside) : outside_(outside) {}

  void yaml_file(const std::string& path) {
    auto text = outside_.read_file(path);
    if (text.has_error()) return fail(text.error().message);
    auto tree = parse_yaml(text.value(), path);
    if (tree.has_error()) return fail(tree.error().message);
    const Entries entries = flatten_yaml(tree.value(), path, problems_);
    for (const auto& [name, list] : entries.lists) start_list(name, list);
    if (!entries.aliases_source.empty()) {
      loaded_.values.aliases.clear();
      loaded_.origins["aliases"] = entries.aliases_source;
    }
    layer(entries.values, true);
  }

  void ini_file(const std::string& path) {
    auto text = outside_.read_file(path);
    if (text.has_error()) return fail(text.error().message);
    if (text->size() > configuration_file_max) return fail(path + ":1: larger than 2MB");
    layer(parse_ini(text.value(), path, problems_), true);
  }

  void environment() {
    std::vector<Entry> entries;
    for (const auto& [variable, value] : outside_.environment) {
      const auto name = setting_of_variable(variable);
      if (name.empty()) continue;
      entries.push_back({name, value, "environment variable " + variable, ""});
    }
    // In the order of the entries, so that several can be added to a list.
    std::sort(entries.begin(), entries.end(), [](const Entry& left, const Entry& right) {
      return std::pair(index_of(left.name), left.name) <
             std::pair(index_of(right.name), right.name);
    });
    expand_ = false;
    layer(entries, true);
    expand_ = true;
  }

  void overrides(const std::vector<Override>& settings) {
    std::vector<Entry> entries;
    for (const Override& setting : settings) {
      entries.push_back({setting.name, setting.value, setting.source, ""});
    }
    layer(entries, false);
  }

  // "true", "false", or the name of a model or alias.
  void preload(const Override& flag) {
    auto& values = loaded_.values;
    if (flag.value == "true" || flag.value == "false") {
      for (auto& model : values.models) model.preload = flag.value == "true";
      return;
    }
    const auto alias = values.aliases.find(flag.value);
    const std::string name = alias == values.aliases.end() ? flag.value : alias->second;
    for (auto& model : values.models) {
      if (model.name != name) continue;
      model.preload = true;
      return;
    }
    fail(flag.source + ": found \"" + flag.value.substr(0, 80) +
         "\"; allowed is true, false, or one of the models " + model_names(values));
  }

  // Settings that follow from others when nobody wrote them.
  void derive() {
    auto& values = loaded_.values;
    for (std::size_t i = 0; i < values.backends.size(); ++i) {
      auto& backend = values.backends[i];
      const std::string entry = entry_name("backends", i);
      if (!is_written(entry + ".continuation")) backend.continuation = usual(backend);
      if (backend.type == BackendType::deepseek && !is_written(entry + ".token_limit_field")) {
        backend.token_limit_field = "max_tokens";
      }
      if (backend.type != BackendType::managed || is_written(entry + ".health_path")) continue;
      backend.health_path = "/health";
    }
    if (!values.routes.empty()) drop_defaults();
    if (values.models.empty()) return;
    if (!is_written("default_model") || values.default_model.empty()) {
      values.default_model = values.models.front().name;
    }
    if (is_written("aliases") || !values.routes.empty()) return;
    for (auto& [alias, model] : Configuration::default_aliases(values.default_model)) {
      if (is_written("aliases." + alias)) continue;
      values.aliases[alias] = model;
    }
    for (const auto& model : values.models) values.aliases.erase(model.name);
  }

  void check() {
    if (problems_.empty()) check_configuration(loaded_, problems_);
  }

  Result<LoadedConfiguration> finish() {
    if (problems_.empty()) return std::move(loaded_);
    std::string text;
    for (std::size_t i = 0; i < problems_.size() && i < configuration_problems_max; ++i) {
      if (i > 0) text += "\n";
      text += problems_[i];
    }
    if (problems_.size() > configuration_problems_max) text += "\nand more like these";
    return make_error(ErrorCode::invalid_request, std::move(text));
  }

  void fail(std::string problem) { problems_.push_back(std::move(problem)); }

 private:
  static Continuation usual(const Configuration::Backend& backend) {
    if (backend.type == BackendType::deepseek) return Continuation::prefix;
    if (backend.type == BackendType::anthropic) return Continuation::assistant_last;
    return backend.engine == ManagedEngine::none ? backend.continuation
                                                 : gateway::facts_of(backend.engine).continuation;
  }

  bool is_written(const std::string& name) const { return loaded_.origins.contains(name); }

  bool is_default_model_named() const {
    const auto& name = loaded_.values.models.front().name;
    const auto names_it = [&name](const std::string& target) {
      return target == local_target || target == name;
    };
    return std::any_of(loaded_.values.routes.begin(), loaded_.values.routes.end(),
                       [&names_it](const Configuration::Route& route) {
                         return names_it(route.shadow) ||
                                std::any_of(route.backends.begin(), route.backends.end(), names_it);
                       });
  }

  // Routes replace the defaults: the aliases, and the model unless one of them names it.
  void drop_defaults() {
    auto& values = loaded_.values;
    if (!is_written("aliases")) {
      std::erase_if(values.aliases,
                    [this](const auto& alias) { return !is_written("aliases." + alias.first); });
    }
    if (values.models.empty() || is_written("models") || is_written("models[0]")) return;
    if (is_default_model_named()) return;
    values.models.clear();
    if (!is_written("default_model")) values.default_model.clear();
  }

  void start_list(const std::string& name, const Entries::List& list) {
    const ListRow& row = *find_list(name);
    loaded_.origins[name] = list.source;
    row.resize(loaded_.values, 0);
    row.resize(loaded_.values, list.items.size());
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      loaded_.origins[entry_name(name, i)] = list.items[i];
    }
  }

  // The sources after the file may change an entry, or add one behind the last.
  bool reach(const Entry& entry, const Match& match) {
    const ListRow* const list = list_of(*match.setting);
    if (list == nullptr) return true;
    const std::size_t size = list->size(loaded_.values);
    const std::string item = entry_name(list->name, match.item.index);
    if (match.item.index > size || match.item.index >= list->entries_max) {
      fail(entry.source + ": " + entry.name.substr(0, 80) +
           ": found an index behind the list; allowed is 0 to " +
           std::to_string(std::min(size, list->entries_max - 1)));
      return false;
    }
    if (match.item.index == size) list->resize(loaded_.values, size + 1);
    loaded_.origins.emplace(item, entry.source);
    return true;
  }

  void layer(const std::vector<Entry>& entries, bool once) {
    std::map<std::string, std::string> seen;
    for (const Entry& entry : entries) {
      const auto match = find_setting(entry.name);
      if (!match) {
        fail(entry.source + ": found the unknown key " + entry.name.substr(0, 80) + "; " +
             describe_unknown(entry.name));
        continue;
      }
      const auto [before, fresh] = seen.emplace(match->name, entry.source);
      if (once && !fresh) {
        fail(entry.source + ": " + entry.name + ": found " + match->name +
             " again; it is set already at " + before->second);
        continue;
      }
      apply(entry, *match);
    }
  }

  void apply(const Entry& entry, const Match& match) {
    if (!reach(entry, match)) return;
    constexpr std::size_t key_bytes_max = 256;
    if (match.item.key.size() > key_bytes_max || !form::is_printable(match.item.key)) {
      return fail(entry.source + ": " + std::string(match.setting->section()) +
                  ": found a name that cannot be one; allowed is a text of 1 to 256 bytes");
    }
    const ValueContext context{entry.directory, expand_,
                               [this](std::string_view name) { return variable(name); },
                               outside_.read_file};
    const auto result = assign(*match.setting, match.setting->field(loaded_.values, match.item),
                               entry.value, context);
    if (result.has_error()) {
      fail(entry.source + ": " + entry.name + ": " + result.error().message);
      return;
    }
    loaded_.origins[match.name] = entry.source;
  }

  std::optional<std::string> variable(std::string_view name) const {
    for (const auto& [known, value] : outside_.environment) {
      if (known == name) return value;
    }
    return std::nullopt;
  }

  // DEEPSEEK_SERVER__PORT → "server.port", DEEPSEEK_MODELS__0__PATH → "models[0].path",
  // DEEPSEEK_DEFAULT_MODEL → "default_model". Empty for variables that are none of ours: without
  // a double underscore only settings outside sections count, since others set DEEPSEEK_API_KEY
  // and Kubernetes sets DEEPSEEK_SERVER_PORT.
  static std::string setting_of_variable(std::string_view variable) {
    constexpr std::string_view prefix = "DEEPSEEK_";
    if (!variable.starts_with(prefix)) return {};
    variable.remove_prefix(prefix.size());
    std::string name;
    for (const char c : variable) name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (name.find("__") == std::string::npos) {
      const auto match = find_setting(name);
      return match && match->setting->section().empty() ? name : std::string{};
    }
    std::string result;
    std::string_view rest = name;
    while (true) {
      const auto end = rest.find("__");
      const auto part = rest.substr(0, end);
      if (!part.empty() && part.find_first_not_of("0123456789") == part.npos && !result.empty()) {
        result += "[" + std::string(part) + "]";
      } else {
        if (!result.empty()) result += ".";
        result += part;
      }
      if (end == std::string_view::npos) return result;
      rest.remove_prefix(end + 2);
    }
  }

  static std::size_t index_of(const std::string& name) {
    const auto match = find_setting(name);
    return match ? match->item.index : 0;
  }

  const Outside& outside_;
  LoadedConfiguration loaded_;
  std::vector<std::string> problems_;
  bool expand_ = true;
};

}  // namespace

Result<LoadedConfiguration> load_configuration(const CommandLine& command_line,
                                               const Outside& outside) {
  Assembly assembly(outside);
  if (!command_line.config_path.empty()) assembly.yaml_file(command_line.config_path);
  if (!command_line.system_path.empty()) assembly.ini_file(command_line.system_path);
  assembly.environment();
  assembly.overrides(command_line.settings);
  std::vector<Override> flags;
  std::vector<Override> preloads;
  for (const Override& flag : command_line.flags) {
    (flag.name == "preload_model" ? preloads : flags).push_back(flag);
  }
  assembly.overrides(flags);
  assembly.derive();
  for (const Override& flag : preloads) assembly.preload(flag);
  assembly.check();
  return assembly.finish();
}

}  // namespace deepseek::server
