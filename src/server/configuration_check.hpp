// What no single setting can tell: settings that must fit each other. Pure.
#pragma once

#include "server/configuration_loader.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::server {

// Collects what is wrong, each with the place that the configuration gives it.
class Problems {
 public:
  // Both must outlive it.
  Problems(const std::map<std::string, std::string>& origins, std::vector<std::string>& problems)
      : origins_(origins), problems_(problems) {}

  // "config/dev.yaml:12: NAME: WHAT", with the place of `name`, else of what holds it, else of
  // `other`, else "the defaults". A name with an index is held by its entry and its list.
  void add(const std::string& name, const std::string& what, const std::string& other = {});

 private:
  std::string place(const std::string& name, const std::string& other) const;

  const std::map<std::string, std::string>& origins_;
  std::vector<std::string>& problems_;
};

// Appends every contradiction to `problems`, each with the place of a value that takes part.
void check_configuration(const LoadedConfiguration& configuration,
                         std::vector<std::string>& problems);

// Its part for backends, routes and what belongs to them.
void check_gateway(const Configuration& configuration, Problems& problems);

// Whether requests for this model have somewhere to go: a model of ours, or a route.
bool is_served(const Configuration& configuration, std::string_view model);
// The same for what a route may name: a backend, a model, "local".
bool is_target(const Configuration& configuration, std::string_view name);

// "a, b, c", for messages.
std::string model_names(const Configuration& configuration);

}  // namespace deepseek::server
