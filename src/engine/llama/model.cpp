#include "engine/llama/model.hpp"

#include "engine/llama/layout_loss.hpp"
#include "engine/llama/layout_planner.hpp"
#include "engine/llama/log_bridge.hpp"
#include "engine/machine.hpp"

#include <ggml-backend.h>
#include <llama.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

namespace deepseek::engine::llama {
namespace {

std::string device_name(ggml_backend_dev_t device) {
  std::string name = ggml_backend_dev_name(device);
  if (ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU) {
    return name + " (" + ggml_backend_dev_description(device) + ")";
  }
  const std::string info = llama_print_system_info();
  for (const char* feature : {"AMX_INT8", "AVX512", "AVX2", "NEON"}) {
    if (info.find(std::string(feature) + " = 1") != std::string::npos) {
      return name + " (" + feature + ")";
    }
  }
  return name;
}

bool is_gpu(ggml_backend_dev_t device) {
  const auto type = ggml_backend_dev_type(device);
  return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

double number_of(const std::string& text, double fallback) {
  if (text.empty()) return fallback;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return end == text.c_str() ? fallback : value;
}

// Null with the reason when llama.cpp refuses the file.
llama_model* load_file(const std::string& path, const llama_model_params& params,
                       std::string& reason) {
  clear_errors();
  llama_model* model = nullptr;
  try {
    model = llama_model_load_from_file(path.c_str(), params);
  } catch (const std::exception& exception) {
    reason = exception.what();
  }
  if (model == nullptr && reason.empty()) reason = last_errors();
  return model;
}

base::Error load_error(const std::string& path, const std::string& reason) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  const bool readable = !error && ::access(path.c_str(), R_OK) == 0;
  const std::uint64_t available = memory_limits().available;
  const bool fits = available == 0 || bytes <= available;
  return base::make_error(
      readable && fits ? base::ErrorCode::invalid_request : base::ErrorCode::unavailable,
      "The model file " + path + " could not be loaded: " + reason);
}

}  // namespace

void load_backends() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  llama_backend_init();
  if (ggml_backend_dev_count() > 0) return;  // Linked in: nothing to look for.
  for (const auto& directory :
       {program.parent_path(), program.parent_path().parent_path() / "lib"}) {
    ggml_backend_load_all_from_path(directory.c_str());
    if (ggml_backend_dev_count() > 0) return;
  }
  ggml_backend_load_all();
}

base::Result<std::unique_ptr<Model>> Model::load(const Options& options,
                                                 std::function<bool(float)> progress) {
  if (ggml_backend_dev_count() == 0) {
    return base::make_error(base::ErrorCode::internal,
                            "No CPU backend of ggml was found beside the program or in ../lib. "
                            "Install the package again.");
  }
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = options.gpu_layers;
  params.progress_callback_user_data = &progress;
  params.progress_callback = [](float fraction, void* data) {
    auto& callback = *static_cast<std::function<bool(float)>*>(data);
    return !callback || callback(fraction);
  };
  const auto start = std::chrono::steady_clock::now();
  if (options.layouts != nullptr) {
    options.layouts->prepare(options.path);
    if (options.layouts->loss_is_missing()) {
      options.layouts->keep_loss(measure_loss(options, *options.layouts, progress));
    }
  }
  std::string reason;
  llama_model* file = load_file(options.path, params, reason);
  if (file == nullptr) return load_error(options.path, reason);
  std::unique_ptr<Model> model(new Model(file));
  if (options.layouts != nullptr) {
    auto layouts = options.layouts->finish();
    if (layouts.has_error()) return load_error(options.path, layouts.error().message);
    model->facts_.layouts = std::move(*layouts);
    for (const LayoutReport& layout : model->facts_.layouts) {
      model->facts_.repacked_bytes += layout.bytes;
    }
  }
  model->facts_.load_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                              std::chrono::steady_clock::now() - start)
                              .count();
  return model;
}

base::Result<std::unique_ptr<Model>> Model::load_metadata(const std::string& path) {
  llama_model_params params = llama_model_default_params();
  params.no_alloc = true;
  params.load_mode = LLAMA_LOAD_MODE_NONE;  // llama.cpp refuses to map without allocating
  std::string reason;
  llama_model* model = load_file(path, params, reason);
  if (model == nullptr) {
    return base::make_error(
        base::ErrorCode::invalid_request,
        "llama.cpp cannot use it: " + reason + ". Use a model of an architecture that it knows.");
  }
  return std::unique_ptr<Model>(new Model(model));
}

Model::Model(llama_model* model) : model_(model) {
  read_facts();
}

Model::~Model() {
  llama_model_free(model_);
}

base::Result<void> Model::add_adapter(const std::string& name, const std::string& path) {
  clear_errors();
  std::string reason;
  llama_adapter_lora* adapter = nullptr;
  try {
    adapter = llama_adapter_lora_init(model_, path.c_str());
  } catch (const std::exception& exception) {
    reason = exception.what();
  }
  if (adapter == nullptr) {
    return base::make_error(
        base::ErrorCode::invalid_request,
        "The adapter \"" + name + "\", " + path +
            ", does not fit this model: " + (reason.empty() ? last_errors() : reason));
  }
  adapters_.push_back(adapter);
  return {};
}

llama_adapter_lora* Model::adapter(std::int32_t number) const {
  return number == 0 ? nullptr : adapters_.at(static_cast<std::size_t>(number) - 1);
}

const llama_vocab* Model::vocabulary() const {
  return llama_model_get_vocab(model_);
}

std::string Model::metadata(const std::string& key) const {
  const std::int32_t length = llama_model_meta_val_str(model_, key.c_str(), nullptr, 0);
  if (length < 0) return {};
  std::string value(static_cast<std::size_t>(length) + 1, '\0');
  llama_model_meta_val_str(model_, key.c_str(), value.data(), value.size());
  value.resize(static_cast<std::size_t>(length));
  return value;
}

void Model::read_facts() {
  facts_.architecture = metadata("general.architecture");
  facts_.file_type = llama_ftype_name(llama_model_ftype(model_));
  facts_.parameters = llama_model_n_params(model_);
  facts_.bytes = llama_model_size(model_);
  facts_.repacked_bytes = repacked_bytes();
  facts_.context_train = llama_model_n_ctx_train(model_);
  facts_.embedding_dimensions = llama_model_n_embd_out(model_);
  facts_.vocabulary = llama_vocab_n_tokens(vocabulary());
  facts_.has_chat_template = llama_model_chat_template(model_, nullptr) != nullptr;
  facts_.recurrent = llama_model_is_recurrent(model_) || llama_model_is_hybrid(model_);
  for (std::size_t index = 0; index < ggml_backend_dev_count(); ++index) {
    const ggml_backend_dev_t device = ggml_backend_dev_get(index);
    facts_.devices.push_back(device_name(device));
    facts_.has_gpu = facts_.has_gpu || is_gpu(device);
  }
}

double Model::cell_bytes(double key_bytes, double value_bytes) const {
  const std::string prefix = facts_.architecture + ".attention.";
  const int heads = std::max(1, llama_model_n_head(model_));
  const double head_size = static_cast<double>(llama_model_n_embd(model_)) / heads;
  const double key = number_of(metadata(prefix + "key_length"), head_size);
  // Multi-head latent attention keeps one row for both.
  const bool latent = !metadata(prefix + "key_length_mla").empty();
  const double value = latent ? 0 : number_of(metadata(prefix + "value_length"), head_size);
  const double layers = llama_model_n_layer(model_);
  const double heads_kv = std::max(1, llama_model_n_head_kv(model_));
  return layers * heads_kv * (key * key_bytes + value * value_bytes);
}

}  // namespace deepseek::engine::llama
