// Where routes find the backends that they name: those that run, or stand-ins for them.
#pragma once

#include "gateway/side_work.hpp"
#include "gateway/target.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::server {

class TargetSource {
 public:
  struct LocalModel {
    std::string id;
    std::int64_t created = 0;  // of its file, seconds since 1970
  };

  virtual ~TargetSource() = default;
  virtual const std::vector<LocalModel>& local_models() const = 0;
  // By the name of a backend or of a local model; null if there is none.
  virtual gateway::Target* find(std::string_view name) const = 0;
  // For what hedges and shadows leave behind; null: there are neither.
  virtual gateway::SideWork* side_work() const { return nullptr; }
};

}  // namespace deepseek::server
