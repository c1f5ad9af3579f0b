// What differs between two configurations, and how much of it a running server can take.
#include "server/configuration_check.hpp"
#include "server/configuration_loader.hpp"
#include "server/setting.hpp"

#include <algorithm>

namespace deepseek::server {
namespace {

// What a reload may put into effect. It keeps the models that run, so names may only point to
// those.
class Reload {
 public:
  Reload(const Configuration& before, const Configuration& after)
      : before_(before), after_(after), result_(before) {
    other_servers();
    result_.default_model = after.default_model;
    const bool nothing_to_name = after.default_model.empty() && result_.models.empty();
    default_model_ = nothing_to_name || names_running(after.default_model);
    if (!default_model_) result_.default_model = before.default_model;
    aliases_ = std::all_of(after.aliases.begin(), after.aliases.end(), [this](const auto& alias) {
      return names_running(alias.second) && !is_model(alias.first);
    });
  }

  bool allows(const Setting& setting) const {
    if (!reloads(setting)) return false;
    if (setting.in_map()) return aliases_;
    if (setting.name == "default_model") return default_model_;
    const ListRow* const list = list_of(setting);
    return list == nullptr || allows(*list);
  }

  bool allows(const ListRow& list) const {
    if (!list.reloadable) return false;
    return other_servers_ || (list.name != "backends" && list.name != "routes");
  }

  // Call once.
  Configuration take() {
    Configuration source = after_;
    for (const ListRow& list : lists()) {
      if (allows(list)) list.copy(after_, result_);
    }
    for (const Setting* setting : settings()) {
      if (setting->in_list() || !allows(*setting)) continue;
      if (setting->in_map()) {
        result_.aliases = after_.aliases;
        continue;
      }
      copy_value(setting->field(source, Item{}), setting->field(result_, Item{}));
    }
    return std::move(result_);
  }

 private:
  // Backends and routes name each other: both or neither.
  void other_servers() {
    result_.backends = after_.backends;
    result_.routes = after_.routes;
    result_.default_model = after_.default_model;
    const bool somewhere = !after_.routes.empty() || !before_.models.empty();
    other_servers_ =
        somewhere && std::all_of(after_.routes.begin(), after_.routes.end(),
                                 [this](const auto& route) { return reaches_running(route); });
    if (other_servers_) return;
    result_.backends = before_.backends;
    result_.routes = before_.routes;
  }

  bool reaches_running(const Configuration::Route& route) const {
    return (route.shadow.empty() || is_target(result_, route.shadow)) &&
           std::all_of(route.backends.begin(), route.backends.end(),
                       [this](const auto& name) { return is_target(result_, name); });
  }

  bool names_running(const std::string& model) const { return is_served(result_, model); }

  bool is_model(const std::string& name) const {
    return std::any_of(before_.models.begin(), before_.models.end(),
                       [&name](const auto& model) { return model.name == name; });
  }

  const Configuration& before_;
  const Configuration& after_;
  Configuration result_;  // `before`, with the names and lists of `after` that it may have
  bool other_servers_ = false;
  bool default_model_ = false;
  bool aliases_ = false;
};

}  // namespace

std::vector<SettingChange> diff_reloadable(const Configuration& before,
                                           const Configuration& after) {
  Configuration left = before;
  Configuration right = after;
  const Reload reload(before, after);
  std::vector<SettingChange> changes;
  const auto note = [&changes](std::string name, bool reloadable) {
    changes.push_back({std::move(name), reloadable});
  };
  const ListRow* listed = nullptr;  // whose difference in length is noted
  for (const Setting* setting : settings()) {
    if (!setting->alias_of.empty()) continue;
    if (setting->in_map()) {
      if (left.aliases != right.aliases) note("aliases", reload.allows(*setting));
      continue;
    }
    const ListRow* const list = list_of(*setting);
    const std::size_t count = list == nullptr ? 1 : list->size(left);
    if (list != nullptr && count != list->size(right)) {
      if (listed != list) note(std::string(list->name), reload.allows(*list));
      listed = list;
      continue;
    }
    for (std::size_t index = 0; index < count; ++index) {
      const Item item{index, {}};
      if (same_value(setting->field(left, item), setting->field(right, item))) continue;
      note(indexed_name(*setting, index), reload.allows(*setting));
    }
  }
  return changes;
}

Configuration reloadable_part(const Configuration& before, const Configuration& after) {
  return Reload(before, after).take();
}

}  // namespace deepseek::server
