#include "server/configuration_check.hpp"

#include <algorithm>
#include <set>

namespace deepseek::server {
namespace {

class Check {
 public:
  Check(const LoadedConfiguration& configuration, std::vector<std::string>& problems)
      : values_(configuration.values), origins_(configuration.origins), problems_(problems) {}

  void run() {
    models();
    names();
    tls();
    ports();
    cache();
  }

 private:
  // The place of `name`, else of what holds it, else "the defaults".
  std::string place(const std::string& name, const std::string& holder = {}) const {
    for (const std::string& key : {name, holder}) {
      const auto found = origins_.find(key);
      if (found != origins_.end()) return found->second + ": ";
    }
    return "the defaults: ";
  }

  void problem(const std::string& where, const std::string& what) {
    problems_.push_back(where + what);
  }

  void models() {
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < values_.models.size(); ++i) {
      const auto& model = values_.models[i];
      const std::string item = "models[" + std::to_string(i) + "]";
      const std::string where = place(item + ".name", item);
      if (model.name.empty()) {
        problem(where, item + ".name: found nothing; allowed is a name of 1 to 256 bytes");
      } else if (!seen.insert(model.name).second) {
        problem(where, item + ".name: found \"" + model.name +
                           "\" again; allowed is a name for each model alone");
      }
      if (model.path.empty()) {
        problem(place(item + ".path", item),
                item + ".path: found nothing; allowed is the name of a GGUF file");
      }
    }
  }

  bool is_model(const std::string& name) const {
    return std::any_of(values_.models.begin(), values_.models.end(),
                       [&name](const auto& model) { return model.name == name; });
  }

  void names() {
    if (!is_model(values_.default_model)) {
      problem(place("default_model"), "default_model: found \"" + values_.default_model +
                                          "\"; allowed is one of " + model_names(values_));
    }
    for (const auto& [alias, model] : values_.aliases) {
      const std::string name = "aliases." + alias;
      if (is_model(alias)) {
        problem(place(name, "aliases"), name + ": found an alias with the name of a model; leave " +
                                            "the alias out or name it differently");
      } else if (!is_model(model)) {
        problem(place(name, "aliases"),
                name + ": found \"" + model + "\"; allowed is one of " + model_names(values_));
      }
    }
  }

  void tls() {
    const auto& tls = values_.tls;
    if (tls.certificate.empty() != tls.key.empty()) {
      const bool has_key = tls.certificate.empty();
      problem(place(has_key ? "tls.key" : "tls.certificate"),
              has_key ? "tls.key: found a key without tls.certificate; allowed are both or neither"
                      : "tls.certificate: found a certificate without tls.key; allowed are both or "
                        "neither");
    }
    if (!tls.key_password.empty() && tls.key.empty()) {
      problem(place("tls.key_password"),
              "tls.key_password: found a password without tls.key; allowed are both or neither");
    }
  }

  void ports() {
    const auto& metrics = values_.metrics;
    const auto& server = values_.server;
    if (!metrics.enabled || server.port == 0 || metrics.port != server.port ||
        metrics.host != server.host) {
      return;
    }
    problem(
        place("metrics.port", "server.port"),
        "metrics.port: found " + std::to_string(metrics.port) +
            ", which is server.port too; allowed is another port, 0, or metrics.enabled: false");
  }

  void cache() {
    const auto& engine = values_.engine;
    if (engine.kv_type == KvType::f16 || engine.flash_attention != FlashAttention::off) return;
    problem(place("engine.kv_type", "engine.flash_attention"),
            "engine.kv_type: found " + std::string(to_string(engine.kv_type)) +
                " with engine.flash_attention off; allowed then is f16");
  }

  const Configuration& values_;
  const std::map<std::string, std::string>& origins_;
  std::vector<std::string>& problems_;
};

}  // namespace

std::string model_names(const Configuration& configuration) {
  std::string text;
  for (const auto& model : configuration.models) {
    if (!text.empty()) text += ", ";
    text += model.name;
  }
  return text;
}

void check_configuration(const LoadedConfiguration& configuration,
                         std::vector<std::string>& problems) {
  Check(configuration, problems).run();
}

}  // namespace deepseek::server
