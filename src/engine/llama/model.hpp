// One loaded model file: its weights and vocabulary, and what is to be known of it.
//
// Owned by main(); made on the loop's thread. Immutable after load, so its const functions may be
// used from any thread. It makes no context and touches no socket.
#pragma once

#include "base/result.hpp"
#include "engine/layout_choice.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

struct llama_adapter_lora;
struct llama_model;
struct llama_vocab;

namespace deepseek::engine::llama {

class LayoutPlanner;

struct ModelFacts {
  std::string architecture;
  std::string file_type;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
  std::uint64_t repacked_bytes = 0;
  std::int32_t context_train = 0;
  std::int32_t embedding_dimensions = 0;
  std::int32_t vocabulary = 0;
  bool has_chat_template = false;
  bool has_gpu = false;
  bool recurrent = false;  // its states are no rows of positions that can be cut or shared
  std::vector<std::string> devices;
  std::vector<LayoutReport> layouts;  // by format; empty where all is as llama.cpp has it
  std::int64_t load_ms = 0;
};

class Model {
 public:
  struct Options {
    std::string path;
    std::int32_t gpu_layers = -1;      // all that fit
    LayoutPlanner* layouts = nullptr;  // none: weights stay as llama.cpp has them
  };
  // `progress` hears fractions; when it returns false the load is given up. Fails with
  // `invalid_request` where the file is to blame, else with `unavailable`.
  static base::Result<std::unique_ptr<Model>> load(const Options& options,
                                                   std::function<bool(float)> progress);
  // Everything but the weights, for a look at the file. The error is the reason alone.
  static base::Result<std::unique_ptr<Model>> load_metadata(const std::string& path);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelFacts& facts() const { return facts_; }
  // A metadata value of the file as text; empty if there is none.
  std::string metadata(const std::string& key) const;
  // Bytes of one KV cell over all layers, for these element sizes (bytes per value).
  double cell_bytes(double key_bytes, double value_bytes) const;

  // Reads a LoRA adapter; the first has number 1. Before any context is made. Fails with
  // `invalid_request`: the file is to blame.
  base::Result<void> add_adapter(const std::string& name, const std::string& path);
  // By number; null for 0.
  llama_adapter_lora* adapter(std::int32_t number) const;

  llama_model* get() const { return model_; }
  const llama_vocab* vocabulary() const;

 private:
  explicit Model(llama_model* model);
  void read_facts();

  llama_model* model_;
  std::vector<llama_adapter_lora*> adapters_;  // the model frees them
  ModelFacts facts_;
};

// Makes ggml's CPU variants and devices known, from the directories beside the program; once.
void load_backends();

}  // namespace deepseek::engine::llama
