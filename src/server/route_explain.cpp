#include "server/route_explain.hpp"

#include "frontend/operator_pages.hpp"
#include "server/target_source.hpp"
#include "server/wiring.hpp"

#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace deepseek::server {

namespace {

// Never asked for an answer.
class IdleBackend final : public gateway::Backend {
 public:
  std::unique_ptr<gateway::EventStream> start(const gateway::Attempt&) override { return nullptr; }
  std::unique_ptr<gateway::EmbeddingCall> embed(const gateway::EmbeddingAttempt&) override {
    return nullptr;
  }
  gateway::BackendStatus status() const override {
    gateway::BackendStatus status;
    status.state = gateway::BackendState::ready;
    status.progress = 1;
    return status;
  }
};

class PlannedTargets final : public TargetSource {
 public:
  explicit PlannedTargets(const Configuration& configuration) {
    for (const Configuration::Model& model : configuration.models) {
      local_models_.push_back({model.name, 0});
      for (const auto& [adapter, file] : model.adapters) {
        local_models_.push_back({adapter, 0});
        adapted_.emplace(adapter, model.name);
      }
      add(engine_target(configuration, model.name));
    }
    for (const Configuration::Backend& backend : configuration.backends) {
      add(relay_target(configuration, backend));
    }
  }

  const std::vector<LocalModel>& local_models() const override { return local_models_; }
  gateway::Target* find(std::string_view name) const override {
    const auto adapted = adapted_.find(name);
    for (const auto& target : targets_) {
      if (target->name() == (adapted == adapted_.end() ? name : adapted->second)) {
        return target.get();
      }
    }
    return nullptr;
  }

 private:
  void add(gateway::TargetOptions options) {
    targets_.push_back(std::make_unique<gateway::Target>(std::move(options), idle_));
  }

  IdleBackend idle_;
  std::map<std::string, std::string, std::less<>> adapted_;  // adapter → its model
  std::vector<LocalModel> local_models_;
  std::vector<std::unique_ptr<gateway::Target>> targets_;
};

}  // namespace

base::Result<std::string> explain_route_offline(const Configuration& configuration,
                                                std::string_view question) {
  const PlannedTargets targets(configuration);
  auto snapshot = make_snapshot(configuration, targets, nullptr, {});
  if (snapshot.has_error()) return snapshot.error();
  return frontend::explain_route(*(*snapshot)->gateway, question, (*snapshot)->limits, base::now());
}

}  // namespace deepseek::server
