#include "engine/llama/ggml_cpu.hpp"

#include <dlfcn.h>
#include <link.h>
#include <string>

namespace deepseek::engine::llama {
namespace {

int find_library(dl_phdr_info* info, std::size_t, void* found) {
  const std::string name = info->dlpi_name;
  if (name.find("libggml-cpu") == std::string::npos) return 0;
  *static_cast<std::string*>(found) = name;
  return 1;
}

template <class Function>
bool take(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

base::Result<GgmlCpu> find_ggml_cpu() {
  std::string name;
  ::dl_iterate_phdr(find_library, &name);
  // Loaded already, and never unloaded by ggml: the handle only counts it once more.
  void* library = name.empty() ? nullptr : ::dlopen(name.c_str(), RTLD_NOW | RTLD_NOLOAD);
  std::vector<ggml_backend_buffer_type*>& (*buffer_types)() = nullptr;
  GgmlCpu cpu;
  if (library == nullptr ||
      !take(library, "_Z39ggml_backend_cpu_get_extra_buffer_typesv", buffer_types) ||
      !take(library, "ggml_barrier", cpu.barrier) ||
      !take(library, "ggml_threadpool_chunk_set", cpu.set_counter) ||
      !take(library, "ggml_threadpool_chunk_add", cpu.add_to_counter) ||
      !take(library, "ggml_cpu_fp16_to_fp32", cpu.half_to_float) ||
      !take(library, "ggml_cpu_bf16_to_fp32", cpu.brain_to_float) ||
      !take(library, "quantize_row_q8_0", cpu.float_to_q8_0)) {
    return base::make_error(base::ErrorCode::unavailable,
                            "ggml's CPU backend (" + (name.empty() ? "none is loaded" : name) +
                                ") has no place for further layouts of weights");
  }
  cpu.buffer_types = &buffer_types();
  return cpu;
}

}  // namespace deepseek::engine::llama
