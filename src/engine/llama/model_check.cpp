#include "engine/llama/model_check.hpp"

namespace deepseek::engine::llama {

base::Result<std::string> check_model(const EngineOptions& options) {
  return std::string("{\"model\":\"" + options.model + "\"}");
}

}  // namespace deepseek::engine::llama
