#include "protocol/local_support.hpp"

namespace deepseek::protocol {

base::Result<void> check_local_support(const Request& request) {
  if (request.features.empty()) return {};
  const FeatureUse& use = request.features.front();
  return base::make_error(base::ErrorCode::not_implemented,
                          use.param + ": " + std::string(to_string(use.feature)) +
                              " cannot be served by the models of this server; leave the field out",
                          use.param);
}

}  // namespace deepseek::protocol
