// LoRA adapters: several in one step, each as if it ran alone.
#include "engine/llama/test_support.hpp"

#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>
#include <random>

namespace deepseek::engine::llama {
namespace {

// A file with an adapter of rank 4 for the queries and values of all layers.
std::string write_adapter(const std::string& name, unsigned seed) {
  constexpr std::int64_t rank = 4;
  const std::string path = testing::TempDir() + "/" + name + ".gguf";
  gguf_context* file = gguf_init_empty();
  gguf_set_val_str(file, "general.type", "adapter");
  gguf_set_val_str(file, "general.architecture", "llama");
  gguf_set_val_str(file, "adapter.type", "lora");
  gguf_set_val_f32(file, "adapter.lora.alpha", 8);
  ggml_context* memory = ggml_init({64U << 20U, nullptr, false});
  std::mt19937 random(seed);
  std::normal_distribution<float> value(0, 0.05F);
  const auto add = [&](const std::string& tensor_name, std::int64_t columns, std::int64_t rows) {
    ggml_tensor* tensor = ggml_new_tensor_2d(memory, GGML_TYPE_F32, columns, rows);
    ggml_set_name(tensor, tensor_name.c_str());
    auto* values = static_cast<float*>(tensor->data);
    for (std::int64_t index = 0; index < columns * rows; ++index) values[index] = value(random);
    gguf_add_tensor(file, tensor);
  };
  for (int layer = 0; layer < 30; ++layer) {
    const std::string block = "blk." + std::to_string(layer);
    add(block + ".attn_q.weight.lora_a", 576, rank);
    add(block + ".attn_q.weight.lora_b", rank, 576);
    add(block + ".attn_v.weight.lora_a", 576, rank);
    add(block + ".attn_v.weight.lora_b", rank, 192);
  }
  gguf_write_to_file(file, path.c_str(), false);
  gguf_free(file);
  ggml_free(memory);
  return path;
}

// A model of its own, with two adapters.
const Loaded& adapted() {
  static const Loaded instance = [] {
    Loaded made;
    loaded();  // the backends
    made.model = std::move(Model::load({model_path(), 0}, {}).value());
    for (const unsigned seed : {1U, 2U}) {
      const std::string name = "adapter" + std::to_string(seed);
      const auto added = made.model->add_adapter(name, write_adapter(name, seed));
      if (added.has_error()) throw std::runtime_error(added.error().message);
    }
    made.text = std::move(Text::make(*made.model).value());
    return made;
  }();
  return instance;
}

std::unique_ptr<Context> make_context() {
  ContextOptions options;
  options.cells = 1024;
  options.threads = options.threads_prefill = 1;
  return std::move(Context::make(*adapted().model, options).value());
}

double distance(std::span<const float> left, std::span<const float> right) {
  double most = 0;
  for (std::size_t index = 0; index < left.size(); ++index) {
    most = std::max(most, std::abs(static_cast<double>(left[index] - right[index])));
  }
  return most;
}

// Of a prompt alone in its step.
std::vector<float> alone(std::span<const Token> tokens, std::int32_t adapter) {
  const auto context = make_context();
  const BatchSlice slice{0, 0, tokens, true, {}, adapter};
  EXPECT_EQ(context->decode({&slice, 1}), Decoder::Outcome::done);
  const auto row = context->logits(0, 0);
  return {row.begin(), row.end()};
}

TEST(AdapterLlama, EachSequenceOfAStepHasItsOwn) {
  const auto tokens = adapted().text->tokenize("The capital of France is", true).value();
  const auto context = make_context();
  std::vector<BatchSlice> slices;
  for (const std::int32_t adapter : {1, 0, 2, 1}) {
    slices.push_back({static_cast<std::int32_t>(slices.size()), 0, tokens, true, {}, adapter});
  }
  ASSERT_EQ(context->decode(slices), Decoder::Outcome::done);
  std::map<std::int32_t, std::vector<float>> expected;
  for (const std::int32_t adapter : {0, 1, 2}) expected[adapter] = alone(tokens, adapter);
  for (std::size_t index = 0; index < slices.size(); ++index) {
    EXPECT_LT(distance(context->logits(index, 0), expected[slices[index].adapter]), 0.2) << index;
  }
  EXPECT_GT(distance(expected[0], expected[1]), 1);
  EXPECT_GT(distance(expected[1], expected[2]), 1);
  EXPECT_EQ(context->cell_use().used, 4 * static_cast<std::int32_t>(tokens.size()));
}

TEST(AdapterLlama, WithoutRoomForAllNothingIsComputed) {
  const std::vector<Token> many(600, 100);
  const auto context = make_context();
  const std::vector<BatchSlice> slices{{0, 0, std::span(many).first(250), true, {}, 0},
                                       {1, 0, std::span(many).first(250), true, {}, 1}};
  ASSERT_EQ(context->decode(slices), Decoder::Outcome::done);
  const std::vector<BatchSlice> more{{2, 0, std::span(many).first(400), true, {}, 0},
                                     {3, 0, std::span(many).first(400), true, {}, 1}};
  EXPECT_EQ(context->decode(more), Decoder::Outcome::no_room);
  EXPECT_EQ(context->cells(2), 0);
  EXPECT_EQ(context->cells(3), 0);
  EXPECT_EQ(context->cells(0), 250);
}

TEST(AdapterLlama, AFileThatIsNoneIsRefused) {
  auto model = std::move(Model::load({model_path(), 0}, {}).value());
  const auto none = model->add_adapter("a", "/nonexistent.gguf");
  ASSERT_TRUE(none.has_error());
  EXPECT_EQ(none.error().code, base::ErrorCode::invalid_request);
  EXPECT_NE(none.error().message.find("\"a\""), std::string::npos);
  EXPECT_TRUE(model->add_adapter("b", model_path()).has_error()) << "a model is no adapter";
}

}  // namespace
}  // namespace deepseek::engine::llama
