#include "gateway/gateway.hpp"

#include <algorithm>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

constexpr std::size_t names_max = 20;  // in one message
constexpr std::size_t shown_max = 64;  // bytes of a name that does not exist

std::string shorten(std::string_view name) {
  if (name.size() <= shown_max) return std::string(name);
  std::size_t end = shown_max;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return std::string(name.substr(0, end)) + "…";
}

}  // namespace

std::string_view to_string(BackendState state) {
  switch (state) {
    case BackendState::starting:
      return "starting";
    case BackendState::loading:
      return "loading";
    case BackendState::ready:
      return "ready";
    case BackendState::restarting:
      return "restarting";
    case BackendState::failed:
      return "failed";
    case BackendState::stopped:
      return "stopped";
  }
  return "unknown";
}

Gateway::Gateway(Options options) : options_(std::move(options)) {
  std::sort(options_.models.begin(), options_.models.end(),
            [](const Model& left, const Model& right) { return left.id < right.id; });
}

const Gateway::Model* Gateway::find(std::string_view id) const {
  const auto found = std::lower_bound(
      options_.models.begin(), options_.models.end(), id,
      [](const Model& model, std::string_view wanted) { return model.id < wanted; });
  return found != options_.models.end() && found->id == id ? &*found : nullptr;
}

base::Result<std::string> Gateway::resolve(std::string_view name) const {
  const std::string wanted(name.empty() ? std::string_view(options_.default_model) : name);
  if (find(wanted) != nullptr) return wanted;
  const auto alias = options_.aliases.find(wanted);
  if (alias != options_.aliases.end() && find(alias->second) != nullptr) return alias->second;
  if (name.empty()) {
    return base::make_error(ErrorCode::model_not_found,
                            "The request names no model and no default model is configured.",
                            "model");
  }
  std::string message = "The model \"" + shorten(name) + "\" does not exist here. Use one of: ";
  const std::vector<ModelEntry> entries = models();
  for (std::size_t i = 0; i < std::min(entries.size(), names_max); ++i) {
    message += (i == 0 ? "" : ", ") + entries[i].id;
  }
  message += entries.size() > names_max ? ", … (GET /v1/models lists all)." : ".";
  return base::make_error(ErrorCode::model_not_found, std::move(message), "model");
}

std::unique_ptr<EventStream> Gateway::start(const protocol::Request& request,
                                            asio::any_io_executor executor) const {
  return find(request.model)->backend->start({request, std::move(executor)});
}

std::unique_ptr<EmbeddingCall> Gateway::embed(const protocol::EmbeddingRequest& request,
                                              asio::any_io_executor executor) const {
  return find(request.model)->backend->embed(request, std::move(executor));
}

std::vector<ModelEntry> Gateway::models() const {
  std::vector<ModelEntry> entries;
  for (const Model& model : options_.models) {
    entries.push_back({model.id, "", model.created, model.owner});
  }
  for (const auto& [alias, id] : options_.aliases) {
    const Model* const model = find(id);
    // A model's own name wins over an alias of the same name.
    if (model == nullptr || find(alias) != nullptr) continue;
    entries.push_back({alias, id, model->created, model->owner});
  }
  return entries;
}

std::vector<Gateway::ModelStatus> Gateway::status() const {
  std::vector<ModelStatus> all;
  for (const Model& model : options_.models) all.push_back({model.id, model.backend->status()});
  return all;
}

}  // namespace deepseek::gateway
