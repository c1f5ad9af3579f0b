#include "engine/llama/model_check.hpp"

#include "base/units.hpp"
#include "engine/gguf_header.hpp"
#include "engine/llama/context_plan.hpp"
#include "engine/llama/log_bridge.hpp"
#include "engine/machine.hpp"

#include <fcntl.h>
#include <llama.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace deepseek::engine::llama {
namespace {

using base::Result;

base::Error refuse(const std::string& path, const std::string& why) {
  return base::make_error(base::ErrorCode::invalid_request, "model file " + path + ": " + why);
}

class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile() {
    if (size_ > 0) ::munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Result<void> open(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      return refuse(path, std::string("cannot be opened: ") + std::strerror(errno) +
                              ". Check the path and its permissions.");
    }
    struct stat status{};
    ::fstat(descriptor, &status);
    Result<void> result;
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
      result = refuse(path, "is empty or no regular file. Give the path of a GGUF file.");
    } else {
      const auto size = static_cast<std::size_t>(status.st_size);
      void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (data == MAP_FAILED) {
        result = refuse(path, std::string("cannot be mapped: ") + std::strerror(errno) + ".");
      } else {
        data_ = data;
        size_ = size;
      }
    }
    ::close(descriptor);
    return result;
  }
  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

std::optional<TensorType> tensor_type(std::uint32_t type) {
  if (type >= GGML_TYPE_COUNT) return std::nullopt;
  const auto native = static_cast<ggml_type>(type);
  const std::size_t bytes = ggml_type_size(native);
  if (bytes == 0) return std::nullopt;  // a type that ggml has given up
  return TensorType{ggml_type_name(native), static_cast<std::uint64_t>(ggml_blck_size(native)),
                    bytes};
}

Result<void> check_memory(const std::string& path, std::uint64_t weights, std::uint64_t kv_bytes,
                          const MemoryLimits& limits) {
  const std::uint64_t needed = weights + kv_bytes + kOverheadBytes;
  if (limits.available == 0 || needed <= limits.available) return {};
  const auto mebibytes = [](std::uint64_t bytes) { return std::to_string(bytes >> 20U) + " MB"; };
  return refuse(path, "not enough memory: it needs " + mebibytes(needed) + " (" +
                          mebibytes(weights) + " weights, " + mebibytes(kv_bytes) +
                          " KV cache of one context, " + mebibytes(kOverheadBytes) +
                          " for the rest), " + limits.limited_by + " has " +
                          mebibytes(limits.available) +
                          " left. Free memory, use a smaller model, or lower the model's "
                          "context_max.");
}

std::string describe(const std::string& path, const GgufHeader& header, const Model& model,
                     const ContextPlan& plan, std::uint64_t draft_bytes) {
  const ModelFacts& facts = model.facts();
  boost::json::object line;
  line["model"] = path;
  line["gguf_version"] = header.version;
  line["architecture"] = facts.architecture;
  line["file_type"] = facts.file_type;
  line["parameters"] = facts.parameters;
  line["tensors"] = header.tensors;
  line["model_bytes"] = header.tensor_bytes;
  line["context_train"] = facts.context_train;
  line["context_max"] = plan.context_max;
  line["kv_cells"] = plan.context.cells;
  line["kv_bytes"] = plan.kv_bytes;
  line["draft_bytes"] = draft_bytes;
  line["embedding_dimensions"] = facts.embedding_dimensions;
  line["vocabulary"] = facts.vocabulary;
  line["has_chat_template"] = facts.has_chat_template;
  return boost::json::serialize(line);
}

Result<GgufHeader> read_header(const std::string& path) {
  MappedFile file;
  const Result<void> opened = file.open(path);
  if (opened.has_error()) return opened.error();
  Result<GgufHeader> read = read_gguf_header(file.bytes(), tensor_type);
  if (read.has_error()) return refuse(path, read.error().message);
  return read;
}

}  // namespace

Result<std::string> check_model(const EngineOptions& options, const MemoryLimits& memory) {
  const Result<GgufHeader> header = read_header(options.model);
  if (header.has_error()) return header.error();
  std::uint64_t draft_bytes = 0;
  if (!options.draft_model.empty()) {
    const Result<GgufHeader> draft = read_header(options.draft_model);
    if (draft.has_error()) return draft.error();
    draft_bytes = draft->tensor_bytes;
  }
  // Structure and architecture as llama.cpp sees them, without reading the weights.
  bridge_log(base::Logger());
  load_backends();
  const Result<std::unique_ptr<Model>> model = Model::load_metadata(options.model);
  if (model.has_error()) return refuse(options.model, model.error().message);
  const auto room = pool_room(**model, options, memory);
  const ContextPlan plan = plan_context(**model, options, physical_cores(), room);
  if (room) {
    const auto fits =
        check_memory(options.model, header->tensor_bytes + draft_bytes, plan.kv_bytes, memory);
    if (fits.has_error()) return fits.error();
  }
  return describe(options.model, *header, **model, plan, draft_bytes);
}

}  // namespace deepseek::engine::llama
