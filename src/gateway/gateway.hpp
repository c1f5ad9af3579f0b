// The gateway: from a model's name to the backend that answers. Routes, attempts and continuation
// grow here.
//
// Built by main() with its models and backends; afterwards immutable, so any I/O thread may use it
// without a lock.
#pragma once

#include "gateway/backend.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct ModelEntry {
  std::string id;            // the name in answers
  std::string alias_of;      // empty for a model itself
  std::int64_t created = 0;  // seconds since 1970
  std::string owner;         // `owned_by`
};

class Gateway {
 public:
  struct Model {
    std::string id;
    std::int64_t created = 0;
    std::string owner = "deepseek-server";
    Backend* backend = nullptr;  // not owned; outlives the gateway
  };
  struct Options {
    std::vector<Model> models;
    std::map<std::string, std::string> aliases;  // alias → model id
    std::string default_model;
  };
  explicit Gateway(Options options);

  // The model's own id for a name or alias (empty name: the default model); model_not_found
  // otherwise, with the names that exist.
  base::Result<std::string> resolve(std::string_view name) const;

  // Starts the answer to a request whose model is one that resolve() gave. The request outlives
  // the stream, which belongs to a coroutine on `executor`.
  std::unique_ptr<EventStream> start(const protocol::Request& request,
                                     boost::asio::any_io_executor executor) const;
  std::unique_ptr<EmbeddingCall> embed(const protocol::EmbeddingRequest& request,
                                       boost::asio::any_io_executor executor) const;

  std::vector<ModelEntry> models() const;  // models first, then aliases, each group by name

  struct ModelStatus {
    std::string model;
    BackendStatus status;
  };
  std::vector<ModelStatus> status() const;

 private:
  const Model* find(std::string_view id) const;
  Options options_;
};

}  // namespace deepseek::gateway
