#include "engine/llama/ggml_owners.hpp"

#include <ggml-cpu.h>

namespace deepseek::engine::llama {

BackendPointer make_cpu_backend(int threads) {
  BackendPointer backend(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
  if (backend == nullptr) return backend;
  ggml_backend_reg_t registry =
      ggml_backend_dev_backend_reg(ggml_backend_get_device(backend.get()));
  auto* set_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(
      ggml_backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads"));
  if (set_threads != nullptr) set_threads(backend.get(), threads);
  return backend;
}

}  // namespace deepseek::engine::llama
