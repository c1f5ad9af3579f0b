// What no single setting can tell: settings that must fit each other. Pure.
#pragma once

#include "server/configuration_loader.hpp"

#include <string>
#include <vector>

namespace deepseek::server {

// Appends every contradiction to `problems`, each with the place of a value that takes part.
void check_configuration(const LoadedConfiguration& configuration,
                         std::vector<std::string>& problems);

// "a, b, c", for messages.
std::string model_names(const Configuration& configuration);

}  // namespace deepseek::server
