// `deepseek-server --explain-route`: what the routes of a configuration do with one request, when
// no server runs. Every backend counts as well and idle.
#pragma once

#include "base/result.hpp"
#include "server/configuration.hpp"

#include <string>
#include <string_view>

namespace deepseek::server {

// `question` and the answer are those of POST /routes/explain. Opens no file and no connection.
base::Result<std::string> explain_route_offline(const Configuration& configuration,
                                                std::string_view question);

}  // namespace deepseek::server
