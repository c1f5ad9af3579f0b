#include "server/configuration_check.hpp"

#include "server/setting.hpp"

#include <algorithm>
#include <set>

namespace deepseek::server {
namespace {

class Check {
 public:
  Check(const Configuration& values, Problems& problems) : values_(values), problems_(problems) {}

  void run() {
    models();
    names();
    tls();
    ports();
    cache();
  }

 private:
  void models() {
    if (values_.models.empty() && values_.routes.empty()) {
      problems_.add("models", "found a list of 0; allowed are 1 to " +
                                  std::to_string(find_list("models")->entries_max) +
                                  " models, or none and routes to other servers");
    }
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < values_.models.size(); ++i) {
      const auto& model = values_.models[i];
      const std::string item = entry_name("models", i);
      if (model.name.empty()) {
        problems_.add(item + ".name", "found nothing; allowed is a name of 1 to 256 bytes");
      } else if (!seen.insert(model.name).second) {
        problems_.add(item + ".name",
                      "found \"" + model.name + "\" again; allowed is a name for each model alone");
      }
      if (model.path.empty()) {
        problems_.add(item + ".path", "found nothing; allowed is the name of a GGUF file");
      }
      for (const auto& [adapter, file] : model.adapters) {
        if (adapter.find('=') != std::string::npos || !seen.insert(adapter).second) {
          problems_.add(item + ".adapters",
                        "found \"" + adapter +
                            "\"; allowed is a name without = that no model or other adapter has");
        }
      }
    }
  }

  bool is_model(const std::string& name) const {
    return std::any_of(values_.models.begin(), values_.models.end(), [&name](const auto& model) {
      return model.name == name || model.adapters.contains(name);
    });
  }

  std::string served_names() const {
    const std::string models = "one of " + model_names(values_);
    if (values_.routes.empty()) return models;
    return values_.models.empty() ? "a name that a route takes"
                                  : models + ", or what a route takes";
  }

  void names() {
    const std::string& standard = values_.default_model;
    const bool may_be_empty = standard.empty() && values_.models.empty();
    if (!may_be_empty && (values_.aliases.contains(standard) || !is_served(values_, standard))) {
      problems_.add("default_model", "found \"" + standard + "\"; allowed is " + served_names());
    }
    for (const auto& [alias, model] : values_.aliases) {
      const std::string name = "aliases." + alias;
      if (is_model(alias)) {
        problems_.add(name,
                      "found an alias with the name of a model; leave the alias out or name it "
                      "differently",
                      "aliases");
      } else if (values_.aliases.contains(model) || !is_served(values_, model)) {
        problems_.add(name, "found \"" + model + "\"; allowed is " + served_names(), "aliases");
      }
    }
  }

  void tls() {
    const auto& tls = values_.tls;
    if (tls.certificate.empty() && !tls.key.empty()) {
      problems_.add("tls.key", "found a key without tls.certificate; allowed are both or neither");
    } else if (!tls.certificate.empty() && tls.key.empty()) {
      problems_.add("tls.certificate",
                    "found a certificate without tls.key; allowed are both or neither");
    }
    if (!tls.key_password.empty() && tls.key.empty()) {
      problems_.add("tls.key_password",
                    "found a password without tls.key; allowed are both or neither");
    }
  }

  void ports() {
    const auto& metrics = values_.metrics;
    const auto& server = values_.server;
    grpc_port();
    if (!metrics.enabled || server.port == 0 || metrics.port != server.port ||
        metrics.host != server.host) {
      return;
    }
    problems_.add("metrics.port",
                  "found " + std::to_string(metrics.port) +
                      ", which is server.port too; allowed is another port, 0, or "
                      "metrics.enabled: false",
                  "server.port");
  }

  void grpc_port() {
    const auto& grpc = values_.grpc;
    if (!grpc.enabled || grpc.port == 0) return;
    const auto clash = [&](const std::string& other) {
      problems_.add("grpc.port",
                    "found " + std::to_string(grpc.port) + ", which is " + other +
                        " too; allowed is another port, 0, or grpc.enabled: false",
                    other);
    };
    if (grpc.port == values_.server.port && grpc.host == values_.server.host) clash("server.port");
    const auto& metrics = values_.metrics;
    if (metrics.enabled && grpc.port == metrics.port && grpc.host == metrics.host) {
      clash("metrics.port");
    }
  }

  void cache() {
    const auto& engine = values_.engine;
    if (engine.kv_type == KvType::f16 || engine.flash_attention != FlashAttention::off) return;
    problems_.add("engine.kv_type",
                  "found " + std::string(to_string(engine.kv_type)) +
                      " with engine.flash_attention off; allowed then is f16",
                  "engine.flash_attention");
  }

  const Configuration& values_;
  Problems& problems_;
};

}  // namespace

void Problems::add(const std::string& name, const std::string& what, const std::string& other) {
  problems_.push_back(place(name, other) + name + ": " + what);
}

std::string Problems::place(const std::string& name, const std::string& other) const {
  const auto bracket = name.find(']');
  const std::string entry = bracket == std::string::npos ? "" : name.substr(0, bracket + 1);
  const std::string list = entry.substr(0, entry.find('['));
  for (const std::string& key : {name, entry, list, other}) {
    const auto found = origins_.find(key);
    if (found != origins_.end()) return found->second + ": ";
  }
  return "the defaults: ";
}

std::string model_names(const Configuration& configuration) {
  if (configuration.models.empty()) return "(there are none)";
  std::string text;
  for (const auto& model : configuration.models) {
    if (!text.empty()) text += ", ";
    text += model.name;
  }
  return text;
}

void check_configuration(const LoadedConfiguration& configuration,
                         std::vector<std::string>& problems) {
  Problems found(configuration.origins, problems);
  Check(configuration.values, found).run();
  check_gateway(configuration.values, found);
}

}  // namespace deepseek::server
