// Owners of what ggml hands out.
#pragma once

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>
#include <memory>

namespace deepseek::engine::llama {

struct GgmlEnd {
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(ggml_backend_buffer* buffer) const { ggml_backend_buffer_free(buffer); }
  void operator()(ggml_backend* backend) const { ggml_backend_free(backend); }
  void operator()(ggml_gallocr* allocator) const { ggml_gallocr_free(allocator); }
};
using ContextPointer = std::unique_ptr<ggml_context, GgmlEnd>;
using BufferPointer = std::unique_ptr<ggml_backend_buffer, GgmlEnd>;
using BackendPointer = std::unique_ptr<ggml_backend, GgmlEnd>;
using AllocatorPointer = std::unique_ptr<ggml_gallocr, GgmlEnd>;

// Computes on the processor, with so many threads; null where no CPU backend is loaded.
BackendPointer make_cpu_backend(int threads);

}  // namespace deepseek::engine::llama
