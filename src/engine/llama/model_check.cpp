#include "engine/llama/model_check.hpp"

#include "base/units.hpp"
#include "engine/llama/context_plan.hpp"
#include "engine/llama/gguf_file.hpp"
#include "engine/llama/log_bridge.hpp"
#include "engine/llama/vision.hpp"
#include "engine/machine.hpp"

#include <llama.h>
#include <boost/json.hpp>
#include <utility>

namespace deepseek::engine::llama {
namespace {

using base::Result;

base::Error refuse(const std::string& path, const std::string& why) {
  return refuse_file("model file", path, why);
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
                     const ContextPlan& plan, std::uint64_t draft_bytes,
                     std::uint64_t projector_bytes) {
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
  line["projector_bytes"] = projector_bytes;
  line["embedding_dimensions"] = facts.embedding_dimensions;
  line["vocabulary"] = facts.vocabulary;
  line["has_chat_template"] = facts.has_chat_template;
  return boost::json::serialize(line);
}

Result<GgufHeader> read_header(const std::string& path) {
  return read_gguf_file("model file", path);
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
  std::uint64_t projector_bytes = 0;
  if (!options.mmproj.empty()) {
    const Result<std::uint64_t> projector = check_projector(options.mmproj);
    if (projector.has_error()) return projector.error();
    projector_bytes = *projector;
  }
  // Structure and architecture as llama.cpp sees them, without reading the weights.
  bridge_log(base::Logger());
  load_backends();
  const Result<std::unique_ptr<Model>> model = Model::load_metadata(options.model);
  if (model.has_error()) return refuse(options.model, model.error().message);
  const auto room = pool_room(**model, options, memory);
  const ContextPlan plan = plan_context(**model, options, physical_cores(), room);
  if (room) {
    const auto fits = check_memory(
        options.model, header->tensor_bytes + draft_bytes + projector_bytes, plan.kv_bytes, memory);
    if (fits.has_error()) return fits.error();
  }
  return describe(options.model, *header, **model, plan, draft_bytes, projector_bytes);
}

}  // namespace deepseek::engine::llama
