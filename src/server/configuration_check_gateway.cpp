// The checks of what belongs to other servers: backends, routes, keys, waiting and keeping answers.
#include "io/http_url.hpp"
#include "server/configuration_check.hpp"
#include "server/setting.hpp"
#include "server/wiring.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace deepseek::server {
namespace {

using Backend = Configuration::Backend;
using Route = Configuration::Route;

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

template <class Names>
bool holds(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

template <class Named>
const Named* find_named(const std::vector<Named>& all, std::string_view name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [name](const Named& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

bool takes(const Route& route, std::string_view model) {
  std::string_view pattern = route.model;
  if (!pattern.ends_with('*')) return pattern == model;
  pattern.remove_suffix(1);
  return model.starts_with(pattern);
}

class GatewayCheck {
 public:
  GatewayCheck(const Configuration& values, Problems& problems)
      : values_(values), problems_(problems) {}

  void run() {
    for (std::size_t i = 0; i < values_.backends.size(); ++i) {
      item_ = entry_name("backends", i);
      backend(values_.backends[i]);
    }
    if (!values_.backends.empty() && values_.routes.empty()) no_routes();
    for (std::size_t i = 0; i < values_.routes.size(); ++i) {
      item_ = entry_name("routes", i);
      route(values_.routes[i]);
    }
    if (!values_.routes.empty()) local_names();
    keys();
    bounds();
  }

 private:
  void add(std::string_view leaf, const std::string& what) {
    problems_.add(item_ + "." + std::string(leaf), what);
  }

  void backend(const Backend& backend) {
    backend_name(backend);
    const bool managed = backend.type == BackendType::managed;
    if (backend.base_url.empty() && !managed) {
      add("base_url", "found nothing; allowed is a URL such as http://127.0.0.1:9001/v1");
    } else if (!backend.base_url.empty() && managed) {
      add("base_url", "found a URL with type managed, which has its own; leave it out");
    }
    if (managed) {
      managed_program(backend);
    } else {
      no_program(backend);
    }
    if (backend.type == BackendType::grpc) grpc_server(backend);
    if (!backend.api_version.empty() && backend.type != BackendType::azure) {
      add("api_version", "found a version with type " + std::string(to_string(backend.type)) +
                             "; allowed is one with type azure");
    }
    if (!backend.trust_file.empty() && !backend.base_url.starts_with("https://")) {
      add("trust_file", "found a file without TLS; allowed is one with an https:// base_url");
    }
    for (const auto& [ours, theirs] : backend.upstream_models) {
      if (backend.models.empty() || holds(backend.models, ours)) continue;
      add("upstream_models",
          "found " + quoted(ours) + ", which is not in models; allowed are names that are");
    }
  }

  // What a call of gRPC has no place for.
  void grpc_server(const Backend& backend) {
    const auto url = io::parse_url(backend.base_url);
    if (url.has_value() && !url->path.empty() && url->path != "/") {
      add("base_url", "found the path " + quoted(url->path) +
                          " with type grpc; allowed are host and port alone");
    }
    if (!backend.health_path.empty()) {
      add("health_path", "found a path with type grpc, which asks the standard health service");
    }
    if (!backend.allow_fields.empty()) {
      add("allow_fields", "found fields with type grpc, which passes all that it knows");
    }
    if (!backend.token_limit_field.empty()) {
      add("token_limit_field", "found a field with type grpc, which has its own");
    }
    if (backend.continuation != Continuation::none &&
        backend.continuation != Continuation::prefix) {
      add("continuation", "found " + std::string(to_string(backend.continuation)) +
                              " with type grpc; allowed are none and prefix");
    }
  }

  // What the flags of its engine allow.
  void managed_program(const Backend& backend) {
    const auto checked = gateway::check_managed(managed_command(backend));
    if (checked.has_error()) {
      const std::string& message = checked.error().message;
      add(leaf_of(message), rest_of(message));
    }
    if (backend.engine == ManagedEngine::vllm && backend.models.empty()) {
      add("models",
          "found nothing with engine vllm, which serves only names that it knows; "
          "allowed are the names that requests use");
    }
    if (backend.port == 0) return;
    for (const Backend& other : values_.backends) {
      if (&other == &backend || other.type != BackendType::managed || other.port != backend.port) {
        continue;
      }
      add("port", "found " + std::to_string(backend.port) + ", which " + quoted(other.name) +
                      " has too; allowed is a port for each, or 0");
      return;
    }
  }

  // Settings that only a program has.
  void no_program(const Backend& backend) {
    const Backend none;
    const auto refuse = [&](std::string_view leaf, bool written) {
      if (!written) return;
      add(leaf, "found a value with type " + std::string(to_string(backend.type)) +
                    "; allowed is one with type managed");
    };
    refuse("engine", backend.engine != none.engine);
    refuse("model", !backend.model.empty());
    refuse("command", !backend.command.empty());
    refuse("arguments", !backend.arguments.empty());
    refuse("environment", !backend.environment.empty());
    refuse("port", backend.port != none.port);
    refuse("tensor_parallel", backend.tensor_parallel != none.tensor_parallel);
    refuse("pipeline_parallel", backend.pipeline_parallel != none.pipeline_parallel);
    refuse("expert_parallel", backend.expert_parallel != none.expert_parallel);
    refuse("data_parallel", backend.data_parallel != none.data_parallel);
  }

  // "command: found nothing; …" in its two parts.
  static std::string leaf_of(const std::string& message) {
    return message.substr(0, message.find(':'));
  }
  static std::string rest_of(const std::string& message) {
    return message.substr(message.find(':') + 2);
  }

  void backend_name(const Backend& backend) {
    if (backend.name.empty()) {
      add("name", "found nothing; allowed is a name of 1 to 64 bytes");
    } else if (backend.name == local_target) {
      add("name",
          "found \"local\", which routes call the default model's engine; allowed is "
          "another name");
    } else if (find_named(values_.models, backend.name) != nullptr) {
      add("name", "found " + quoted(backend.name) +
                      ", which is the name of a model too; allowed is another name");
    } else if (!backend_names_.insert(backend.name).second) {
      add("name",
          "found " + quoted(backend.name) + " again; allowed is a name for each backend alone");
    }
  }

  void no_routes() {
    const std::string& name = values_.backends.front().name;
    problems_.add("backends",
                  "found backends and no routes, so nothing would reach them; add "
                  "routes, for example routes: [{model: \"*\", backends: [" +
                      name + "]}]");
  }

  std::string targets() const {
    std::string text;
    for (const Backend& backend : values_.backends) text += backend.name + ", ";
    for (const auto& model : values_.models) text += model.name + ", ";
    return "allowed is one of " + text + std::string(local_target);
  }

  void target(std::string_view leaf, const std::string& name) {
    if (is_target(values_, name)) return;
    if (name == local_target) {
      add(leaf, "found \"local\", but default_model is " + quoted(values_.default_model) +
                    "; allowed for local is one of models as default_model");
    } else {
      add(leaf, "found " + quoted(name) + "; " + targets());
    }
  }

  void route(const Route& route) {
    if (route.backends.empty()) add("backends", "found nothing; " + targets());
    std::set<std::string_view> seen;
    for (const std::string& name : route.backends) {
      target("backends", name);
      if (!seen.insert(name).second) {
        add("backends", "found " + quoted(name) + " again; allowed is each name once");
      }
    }
    if (!route.shadow.empty()) target("shadow", route.shadow);
    if (route.prompt_tokens_max != 0 && route.prompt_tokens_max < route.prompt_tokens_min) {
      add("prompt_tokens_max", "found " + std::to_string(route.prompt_tokens_max) +
                                   ", which is less than prompt_tokens_min; allowed is at least " +
                                   std::to_string(route.prompt_tokens_min) + ", or 0");
    }
    split(route);
    if (route.strategy == Strategy::cheapest) currencies(route);
  }

  void split(const Route& route) {
    if (route.split.empty()) return;
    std::uint32_t sum = 0;
    for (const auto& [name, percent] : route.split) {
      sum += percent;
      if (holds(route.backends, name)) continue;
      add("split", "found " + quoted(name) +
                       ", which is not in this route's backends; allowed are names that are");
    }
    if (sum == 100) return;
    add("split", "found " + std::to_string(sum) + " in all; allowed is 100 in all");
  }

  void currencies(const Route& route) {
    std::string currency;
    for (const std::string& name : route.backends) {
      const Backend* const backend = find_named(values_.backends, name);
      if (backend == nullptr) continue;
      if (currency.empty()) currency = backend->price_currency;
      if (backend->price_currency == currency) continue;
      add("strategy", "found cheapest with prices in " + currency + " and " +
                          backend->price_currency + "; allowed is one currency in a route");
      return;
    }
  }

  // What "local" means must be clear.
  void local_names() {
    for (std::size_t i = 0; i < values_.models.size(); ++i) {
      const std::string& name = values_.models[i].name;
      if (name != local_target || name == values_.default_model) continue;
      problems_.add(entry_name("models", i) + ".name",
                    "found \"local\", which routes call the default model's engine; allowed is "
                    "another name");
    }
  }

  void keys() {
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < values_.access.keys.size(); ++i) {
      const auto& key = values_.access.keys[i];
      item_ = entry_name("access.keys", i);
      if (key.key.empty()) {
        add("key", "found nothing; allowed is a key as ${NAME} or file:PATH");
      } else if (key.key.reveal() == "***") {
        add("key",
            "found ***, which --print-config writes in place of a secret; allowed is the "
            "key as ${NAME} or file:PATH");
      } else if (!seen.insert(key.key.reveal()).second) {
        add("key", "found the key of another entry; allowed is a key for each entry alone");
      }
      if (key.tenant.empty()) add("tenant", "found nothing; allowed is a name of 1 to 64 bytes");
    }
  }

  void bounds() {
    const auto& retry = values_.retry;
    if (retry.backoff_max < retry.backoff_min) {
      problems_.add("retry.backoff_max",
                    "found less than retry.backoff_min; allowed is at least as much",
                    "retry.backoff_min");
    }
    const auto& cache = values_.cache;
    if (cache.entry_bytes_max > cache.memory_max) {
      problems_.add("cache.entry_bytes_max",
                    "found more than cache.memory_max; allowed is at most as much",
                    "cache.memory_max");
    }
    const auto& responses = values_.responses;
    if (responses.response_bytes_max > responses.tenant_bytes_max) {
      problems_.add("responses.response_bytes_max",
                    "found more than responses.tenant_bytes_max; allowed is at most as much",
                    "responses.tenant_bytes_max");
    }
    if (cache.semantic && !cache.enabled) {
      problems_.add("cache.semantic",
                    "found true with cache.enabled false; allowed are both or neither");
    }
    if (cache.semantic && cache.semantic_model.empty()) {
      problems_.add("cache.semantic_model",
                    "found nothing with cache.semantic true; allowed is the name of a model that "
                    "embeds",
                    "cache.semantic");
    }
  }

  const Configuration& values_;
  Problems& problems_;
  std::string item_;  // what is looked at: "backends[0]"
  std::set<std::string_view> backend_names_;
};

}  // namespace

bool is_served(const Configuration& configuration, std::string_view model) {
  if (find_named(configuration.models, model) != nullptr) return true;
  const auto adapts = [name = std::string(model)](const Configuration::Model& one) {
    return one.adapters.contains(name);
  };
  if (std::any_of(configuration.models.begin(), configuration.models.end(), adapts)) return true;
  return !model.empty() && std::any_of(configuration.routes.begin(), configuration.routes.end(),
                                       [model](const Route& route) { return takes(route, model); });
}

bool is_target(const Configuration& configuration, std::string_view name) {
  const std::string_view model = name == local_target ? configuration.default_model : name;
  return find_named(configuration.models, model) != nullptr ||
         find_named(configuration.backends, name) != nullptr;
}

void check_gateway(const Configuration& configuration, Problems& problems) {
  GatewayCheck(configuration, problems).run();
}

}  // namespace deepseek::server
