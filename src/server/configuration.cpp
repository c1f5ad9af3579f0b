#include "server/configuration.hpp"

#include "server/configuration_loader.hpp"
#include "server/setting.hpp"

#include <algorithm>

namespace deepseek::server {
namespace {

// A reload keeps the models that run, so a name may only point to one of those.
bool names_running(const Configuration& before, const std::string& model) {
  return std::any_of(before.models.begin(), before.models.end(),
                     [&model](const auto& running) { return running.name == model; });
}

bool aliases_fit(const Configuration& before, const Configuration& after) {
  return std::all_of(after.aliases.begin(), after.aliases.end(), [&before](const auto& alias) {
    return names_running(before, alias.second) && !names_running(before, alias.first);
  });
}

bool may_reload(const Setting& setting, const Configuration& before, const Configuration& after) {
  if (!setting.reloadable) return false;
  if (setting.in_map()) return aliases_fit(before, after);
  return setting.name != "default_model" || names_running(before, after.default_model);
}

}  // namespace

Configuration::Model Configuration::default_model_entry() {
  Model model;
  model.name = "smollm2-135m-instruct";
  model.path = "SmolLM2-135M-Instruct.Q4_1.gguf";
  model.embeddings = true;
  return model;
}

std::map<std::string, std::string> Configuration::default_aliases(const std::string& model) {
  std::map<std::string, std::string> aliases;
  for (const char* name : {"deepseek-chat", "deepseek-chat-7b", "deepseek-reasoner",
                           "deepseek-flash", "deepseek-v4-pro", "deepseek-v4-flash",
                           "deepseek-ai/DeepSeek-V2", "gpt-4-turbo", "gpt-4o"}) {
    aliases.emplace(name, model);
  }
  return aliases;
}

std::vector<SettingChange> diff_reloadable(const Configuration& before,
                                           const Configuration& after) {
  Configuration left = before;
  Configuration right = after;
  std::vector<SettingChange> changes;
  const auto note = [&changes](std::string name, bool reloadable) {
    changes.push_back({std::move(name), reloadable});
  };
  const bool same_length = left.models.size() == right.models.size();
  if (!same_length) note("models", false);
  for (const Setting* setting : settings()) {
    if (!setting->alias_of.empty()) continue;
    if (setting->in_map()) {
      if (left.aliases != right.aliases) note("aliases", may_reload(*setting, before, after));
      continue;
    }
    if (setting->in_list() && !same_length) continue;
    const std::size_t count = setting->in_list() ? left.models.size() : 1;
    for (std::size_t index = 0; index < count; ++index) {
      const Item item{index, {}};
      if (same_value(setting->field(left, item), setting->field(right, item))) continue;
      std::string name(setting->name);
      if (setting->in_list()) name.insert(name.find("[]") + 1, std::to_string(index));
      note(std::move(name), may_reload(*setting, before, after));
    }
  }
  return changes;
}

Configuration reloadable_part(const Configuration& before, const Configuration& after) {
  Configuration source = after;
  Configuration result = before;
  for (const Setting* setting : settings()) {
    if (setting->in_list() || !may_reload(*setting, before, after)) continue;
    if (setting->in_map()) {
      result.aliases = after.aliases;
      continue;
    }
    copy_value(setting->field(source, Item{}), setting->field(result, Item{}));
  }
  return result;
}

}  // namespace deepseek::server
