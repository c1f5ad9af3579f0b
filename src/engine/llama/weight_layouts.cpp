#include "engine/llama/weight_layouts.hpp"

#include "engine/llama/ggml_cpu.hpp"
#include "engine/llama/pool_attention.hpp"
#include "engine/llama/weight_packing.hpp"
#include "engine/llama/weight_product.hpp"

#include <ggml-backend-impl.h>
#include <ggml-cpu-impl.h>
#include <traits.h>
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

// ggml's own definitions cannot be linked where its CPU backend is loaded at run time; there is
// nothing in them.
namespace ggml::cpu {
tensor_traits::~tensor_traits() = default;
extra_buffer_type::~extra_buffer_type() = default;
}  // namespace ggml::cpu

namespace deepseek::engine::llama {
namespace {

std::size_t index(kernels::Format format) {
  return static_cast<std::size_t>(format);
}

struct TypeOfFormat {
  ggml_type type;
  kernels::Format format;
};
// In the order of the formats.
constexpr std::array known_types = {TypeOfFormat{GGML_TYPE_Q4_0, kernels::Format::q4_0},
                                    TypeOfFormat{GGML_TYPE_Q4_1, kernels::Format::q4_1},
                                    TypeOfFormat{GGML_TYPE_Q5_0, kernels::Format::q5_0},
                                    TypeOfFormat{GGML_TYPE_Q5_1, kernels::Format::q5_1},
                                    TypeOfFormat{GGML_TYPE_Q8_0, kernels::Format::q8_0},
                                    TypeOfFormat{GGML_TYPE_Q4_K, kernels::Format::q4_k},
                                    TypeOfFormat{GGML_TYPE_Q5_K, kernels::Format::q5_k},
                                    TypeOfFormat{GGML_TYPE_Q6_K, kernels::Format::q6_k}};
static_assert(std::ranges::equal(known_types, kernels::formats, {}, &TypeOfFormat::format));

// What ggml asks of a weight that is ours.
class Traits : public ggml::cpu::tensor_traits {
 public:
  bool work_size(int threads, const ggml_tensor* operation, std::size_t& size) override {
    size = work_bytes(operation, threads);
    return true;
  }
  bool compute_forward(ggml_compute_params* params, ggml_tensor* operation) override {
    multiply(kernels, format, *cpu, *params, operation);
    return true;
  }

  kernels::Format format{};
  kernels::Kernels kernels;
  const GgmlCpu* cpu = nullptr;
};

// What ggml asks of every attention, whatever the weights are.
class AttentionTraits : public ggml::cpu::tensor_traits {
 public:
  bool work_size(int threads, const ggml_tensor* operation, std::size_t& size) override {
    size = attention_work_bytes(operation, threads);
    return true;
  }
  bool compute_forward(ggml_compute_params* params, ggml_tensor* operation) override {
    return attend(kernels, *cpu, *params, operation);
  }

  kernels::AttentionKernels kernels;
  const GgmlCpu* cpu = nullptr;
};

class BufferType : public ggml::cpu::extra_buffer_type {
 public:
  // While a model is loaded its weights have no place yet and the plan decides; later those that
  // have one are ours.
  bool supports_op(ggml_backend_dev_t, const ggml_tensor* operation) override {
    const ggml_tensor* weights = operation->src[0];
    const std::optional<LayoutTarget> target = target_of(weights->type);
    if (!target || weights->buffer == nullptr || weights->buffer->buft != &type ||
        !can_multiply(target->format, operation)) {
      return false;
    }
    const ggml_tensor* values = operation->src[1];
    if (values->buffer != nullptr && !ggml_backend_buft_is_host(values->buffer->buft)) return false;
    return weights->extra != nullptr || (plan && plan(weights->type, shape_of(weights)));
  }

  ggml::cpu::tensor_traits* get_tensor_traits(const ggml_tensor* operation) override {
    if (operation->op == GGML_OP_FLASH_ATTN_EXT) {
      return can_attend(operation) ? &attention : nullptr;
    }
    const ggml_tensor* weights = operation->src[0];
    const bool product = operation->op == GGML_OP_MUL_MAT || operation->op == GGML_OP_MUL_MAT_ID;
    if (!product || weights->buffer == nullptr || weights->buffer->buft != &type) return nullptr;
    return static_cast<ggml::cpu::tensor_traits*>(weights->extra);
  }

  Traits& traits_of(kernels::Format format) { return traits[index(format)]; }

  // `file`: the bytes of all experts.
  void pack(const ggml_tensor* weights, std::span<const std::byte> file) {
    const LayoutTarget target = *target_of(weights->type);
    const kernels::Shape shape = shape_of(weights);
    const std::size_t bytes =
        kernels::packed_bytes(target.format, shape) * static_cast<std::size_t>(weights->ne[2]);
    const std::span place(static_cast<std::byte*>(weights->data), bytes);
    const auto done =
        pack_weights({weights->type, target, shape, weights->ne[2], file, place}, threads);
    if (done.has_error() && damage.empty()) {
      damage = "weight " + std::string(weights->name) + ": " + done.error().message;
    }
    packed[static_cast<std::size_t>(weights->type)] += bytes;
  }

  ggml_backend_buffer_type type{};
  kernels::InstructionSet set{};
  GgmlCpu cpu;
  std::array<Traits, kernels::formats.size()> traits;
  AttentionTraits attention;
  WeightLayouts::Plan plan;
  int threads = 1;
  std::array<std::uint64_t, GGML_TYPE_COUNT> packed{};  // bytes
  std::string damage;
};

// ggml keeps a pointer to it to the end of the process.
BufferType& the_type() {
  static BufferType type;
  return type;
}

ggml_status init_tensor(ggml_backend_buffer_t, ggml_tensor* tensor) {
  const std::optional<LayoutTarget> target = target_of(tensor->type);
  tensor->extra = target ? &the_type().traits_of(target->format) : nullptr;
  return GGML_STATUS_SUCCESS;
}

void set_tensor(ggml_backend_buffer_t, ggml_tensor* tensor, const void* data, std::size_t offset,
                std::size_t size) {
  GGML_ASSERT(offset == 0 && size == ggml_nbytes(tensor));
  the_type().pack(tensor, {static_cast<const std::byte*>(data), size});
}

const char* get_name(ggml_backend_buffer_type_t) {
  return "CPU_DEEPSEEK";
}

std::size_t get_alignment(ggml_backend_buffer_type_t) {
  return kernels::packed_alignment;
}

std::size_t get_alloc_size(ggml_backend_buffer_type_t, const ggml_tensor* tensor) {
  const std::optional<LayoutTarget> target = target_of(tensor->type);
  if (!target) return ggml_nbytes(tensor);
  return kernels::packed_bytes(target->format, shape_of(tensor)) *
         static_cast<std::size_t>(tensor->ne[2]);
}

// Memory of ggml's own kind, with our ways of filling it; it cannot be read back.
ggml_backend_buffer_t alloc_buffer(ggml_backend_buffer_type_t type, std::size_t size) {
  ggml_backend_buffer_t buffer =
      ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
  if (buffer == nullptr) return nullptr;
  buffer->buft = type;
  buffer->iface.init_tensor = init_tensor;
  buffer->iface.set_tensor = set_tensor;
  buffer->iface.get_tensor = nullptr;
  buffer->iface.cpy_tensor = nullptr;
  return buffer;
}

}  // namespace

base::Result<WeightLayouts> WeightLayouts::install(kernels::InstructionSet set) {
  BufferType& type = the_type();
  auto cpu = find_ggml_cpu();
  if (cpu.has_error()) return cpu.error();
  const bool known = type.cpu.buffer_types != nullptr;
  type.cpu = *cpu;
  type.set = set;
  for (const kernels::Format format : kernels::formats) {
    Traits& traits = type.traits_of(format);
    traits.format = format;
    traits.kernels = kernels::kernels(set, format);
    traits.cpu = &type.cpu;
  }
  type.attention.kernels = kernels::attention_kernels(set);
  type.attention.cpu = &type.cpu;
  if (!known) {
    type.type.iface.get_name = get_name;
    type.type.iface.alloc_buffer = alloc_buffer;
    type.type.iface.get_alignment = get_alignment;
    type.type.iface.get_alloc_size = get_alloc_size;
    type.type.device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    type.type.context = static_cast<ggml::cpu::extra_buffer_type*>(&type);
    cpu->buffer_types->insert(cpu->buffer_types->begin(), &type.type);
  }
  return WeightLayouts();
}

void WeightLayouts::use_plan(Plan plan, int threads) {
  BufferType& type = the_type();
  type.threads = threads;
  type.plan = std::move(plan);
  type.packed = {};
  type.damage.clear();
}

std::uint64_t WeightLayouts::packed_bytes(std::int32_t type) const {
  return the_type().packed[static_cast<std::size_t>(type)];
}

std::string WeightLayouts::damage() const {
  return the_type().damage;
}

kernels::InstructionSet WeightLayouts::instruction_set() const {
  return the_type().set;
}

ggml_backend_buffer_type* WeightLayouts::buffer_type() const {
  return &the_type().type;
}

std::optional<LayoutTarget> target_of(std::int32_t type) {
  for (const TypeOfFormat& known : known_types) {
    if (known.type == type) return LayoutTarget{known.format, false};
  }
  // Eight bits for each weight are near to all that has fewer, and to half precision. What a file
  // keeps in single precision is meant to be exact.
  const ggml_type_traits* traits = ggml_get_type_traits(static_cast<ggml_type>(type));
  const bool half = type == GGML_TYPE_F16 || type == GGML_TYPE_BF16;
  if (traits->to_float != nullptr && (half || traits->is_quantized)) {
    return LayoutTarget{kernels::Format::q8_0, true};
  }
  return std::nullopt;
}

std::int32_t type_of(kernels::Format format) {
  return known_types[index(format)].type;
}

}  // namespace deepseek::engine::llama
