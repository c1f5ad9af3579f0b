#include "server/configuration.hpp"

namespace deepseek::server {

Configuration::Model Configuration::default_model_entry() {
  Model model;
  model.name = "smollm2-135m-instruct";
  model.path = "SmolLM2-135M-Instruct.Q4_1.gguf";
  model.embeddings = true;
  return model;
}

std::map<std::string, std::string> Configuration::default_aliases(const std::string& model) {
  std::map<std::string, std::string> aliases;
  for (const char* name : {"deepseek-chat", "deepseek-chat-7b", "deepseek-reasoner",
                           "deepseek-flash", "deepseek-v4-pro", "deepseek-v4-flash",
                           "deepseek-ai/DeepSeek-V2", "gpt-4-turbo", "gpt-4o"}) {
    aliases.emplace(name, model);
  }
  return aliases;
}

}  // namespace deepseek::server
