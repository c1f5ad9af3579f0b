#include "engine/llama/vision.hpp"

#include "engine/llama/gguf_file.hpp"
#include "engine/llama/log_bridge.hpp"
#include "io/inflated_size.hpp"

#include <llama.h>
#include <mtmd-helper.h>
#include <mtmd.h>
#include <algorithm>
#include <exception>
#include <utility>

namespace deepseek::engine::llama {
namespace {

constexpr const char* kWhat = "projector file (models[].mmproj)";
constexpr const char* kArchitecture = "clip";
// Of a file; the server takes fewer (images.bytes_max), and a frame of the link holds no more.
constexpr std::int64_t kFileBytesMax = 64 << 20;

struct FreeContext {
  void operator()(mtmd_context* context) const { mtmd_free(context); }
};
struct FreeBitmap {
  void operator()(mtmd_bitmap* bitmap) const { mtmd_bitmap_free(bitmap); }
};
struct FreeChunks {
  void operator()(mtmd_input_chunks* chunks) const { mtmd_input_chunks_free(chunks); }
};
using Bitmap = std::unique_ptr<mtmd_bitmap, FreeBitmap>;
using Chunks = std::unique_ptr<mtmd_input_chunks, FreeChunks>;

base::Error unreadable(const std::string& param, const std::string& why) {
  return base::make_error(
      base::ErrorCode::invalid_request,
      param + ": the image cannot be read: " + why + ". Save it again as PNG or JPEG.", param);
}

// Lines of a log, without what separates them at their end.
std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == ';' || text.back() == ' ')) text.pop_back();
  return text;
}

// What a projector asks of the model that is not done here.
std::string missing(const mtmd_context* context) {
  if (!mtmd_support_vision(context)) return "reads no images";
  if (mtmd_decode_use_mrope(context)) {
    return "is of a model with positions in two dimensions (M-RoPE), which are not supported here";
  }
  if (mtmd_decode_use_non_causal(context, nullptr)) {
    return "is of a model in which the parts of an image see each other (no causal attention), "
           "which is not supported here";
  }
  return {};
}

}  // namespace

struct Vision::Handles {
  std::unique_ptr<mtmd_context, FreeContext> context;

  base::Result<Chunks> cut(const Bitmap& bitmap, const std::string& param) const;
  base::Result<void> add(const mtmd_input_chunk* chunk, Sight& sight) const;
};

base::Result<std::uint64_t> check_projector(const std::string& path) {
  const base::Result<GgufHeader> header = read_gguf_file(kWhat, path);
  if (header.has_error()) return header.error();
  if (header->architecture != kArchitecture) {
    return refuse_file(kWhat, path,
                       "is a model of the architecture \"" + header->architecture +
                           "\" and no projector. Give the file that was made for images with this "
                           "model (its name often begins with mmproj).");
  }
  return header->tensor_bytes;
}

base::Result<std::unique_ptr<Vision>> Vision::load(const Options& options, const Model& model) {
  const base::Result<std::uint64_t> checked = check_projector(options.path);
  if (checked.has_error()) return checked.error();
  clear_errors();
  mtmd_context_params params = mtmd_context_params_default();
  params.use_gpu = options.on_gpu;
  params.print_timings = false;
  params.n_threads = options.threads;
  auto handles = std::make_unique<Handles>();
  std::string reason;
  try {
    handles->context.reset(mtmd_init_from_file(options.path.c_str(), model.get(), params));
  } catch (const std::exception& exception) {
    reason = exception.what();
  }
  if (!handles->context) {
    return refuse_file(
        kWhat, options.path,
        "does not fit this model: " + trimmed(reason.empty() ? last_errors() : reason));
  }
  const std::string lacks = missing(handles->context.get());
  if (!lacks.empty()) return refuse_file(kWhat, options.path, lacks + ".");
  const std::int32_t width = llama_model_n_embd_inp(model.get());
  return std::unique_ptr<Vision>(new Vision(options, width, std::move(handles)));
}

Vision::Vision(const Options& options, std::int32_t width, std::unique_ptr<Handles> handles)
    : options_(options), width_(width), handles_(std::move(handles)) {}
Vision::~Vision() = default;

base::Result<Chunks> Vision::Handles::cut(const Bitmap& bitmap, const std::string& param) const {
  Chunks chunks(mtmd_input_chunks_init());
  const mtmd_input_part part{nullptr, bitmap.get()};
  const mtmd_input_part* const parts = &part;
  if (mtmd_tokenize_from_parts(context.get(), chunks.get(), &parts, 1, false) != 0) {
    return unreadable(param, "the model cannot cut it into parts");
  }
  return chunks;
}

base::Result<void> Vision::Handles::add(const mtmd_input_chunk* chunk, Sight& sight) const {
  Sight::Piece piece;
  const std::size_t count = mtmd_input_chunk_get_n_tokens(chunk);
  if (mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT) {
    std::size_t size = 0;
    const llama_token* tokens = mtmd_input_chunk_get_tokens_text(chunk, &size);
    piece.tokens.assign(tokens, tokens + size);
  } else {
    if (mtmd_encode_chunk(context.get(), chunk) != 0) {
      return base::make_error(base::ErrorCode::internal,
                              "The model could not read an image: " + last_errors());
    }
    const float* values = mtmd_get_output_embd(context.get());
    piece.rows = static_cast<std::int32_t>(count);
    sight.values.insert(sight.values.end(), values,
                        values + count * static_cast<std::size_t>(sight.width));
  }
  sight.pieces.push_back(std::move(piece));
  return {};
}

base::Result<Sight> Vision::see(std::string_view file, const std::string& param) {
  const protocol::ImageLimits limits{1, kFileBytesMax, options_.pixels_max};
  const auto header = protocol::read_image_header(file, limits, param, true);
  if (header.has_error()) return header.error();
  if (header->format == protocol::ImageFormat::png) {
    const auto size = io::inflated_size(header->compressed, header->data_bytes_max);
    if (!size) return unreadable(param, "its compressed data is broken");
    if (*size > header->data_bytes_max) {
      return unreadable(param, "it has more data than its pixels can have");
    }
  }
  clear_errors();
  try {
    const mtmd_helper_bitmap_wrapper made = mtmd_helper_bitmap_init_from_buf(
        handles_->context.get(), reinterpret_cast<const unsigned char*>(file.data()), file.size(),
        false, mtmd_helper_init_opt_default());
    const Bitmap bitmap(made.bitmap);
    if (!bitmap) return unreadable(param, "its pixels are broken");
    const base::Result<Chunks> chunks = handles_->cut(bitmap, param);
    if (chunks.has_error()) return chunks.error();
    Sight sight;
    sight.width = width_;
    for (std::size_t index = 0; index < mtmd_input_chunks_size(chunks->get()); ++index) {
      const auto added = handles_->add(mtmd_input_chunks_get(chunks->get(), index), sight);
      if (added.has_error()) return added.error();
    }
    return sight;
  } catch (const std::exception& exception) {
    return unreadable(param, exception.what());
  }
}

}  // namespace deepseek::engine::llama
