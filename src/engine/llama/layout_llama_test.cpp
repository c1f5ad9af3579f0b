// Layouts of our own beside llama.cpp's, in ggml itself and with the real model.
#include "engine/llama/ggml_owners.hpp"
#include "engine/llama/layout_planner.hpp"
#include "engine/llama/perplexity.hpp"
#include "engine/llama/test_support.hpp"
#include "engine/llama/weight_packing.hpp"
#include "engine/machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ggml-cpu.h>
#include <gguf.h>
#include <llama.h>
#include <array>
#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

namespace deepseek::engine::llama {
namespace {

struct Case {
  ggml_type type = GGML_TYPE_Q4_1;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t tokens = 0;
  std::int64_t experts = 0;  // 0: a plain product
  std::int64_t chosen = 1;
  int threads = 1;
};

ContextPointer make_context() {
  return ContextPointer(
      ggml_init({ggml_tensor_overhead() * 16 + ggml_graph_overhead(), nullptr, true}));
}

// The product of the same random numbers with weights in a buffer of this type.
std::vector<float> product(const Case& wanted, ggml_backend_buffer_type_t type) {
  const BackendPointer backend = make_cpu_backend(wanted.threads);
  const auto held = make_context();
  const std::int64_t matrices = std::max<std::int64_t>(wanted.experts, 1);
  ggml_tensor* weights =
      ggml_new_tensor_3d(held.get(), wanted.type, wanted.columns, wanted.rows, matrices);
  const BufferPointer buffer(ggml_backend_alloc_ctx_tensors_from_buft(held.get(), type));
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(static_cast<std::size_t>(ggml_nelements(weights)));
  for (float& number : numbers) number = normal(random);
  std::vector<char> file(ggml_nbytes(weights));
  ggml_quantize_chunk(wanted.type, numbers.data(), file.data(), 0, wanted.rows * matrices,
                      wanted.columns, nullptr);
  ggml_backend_tensor_set(weights, file.data(), 0, file.size());

  const auto context = make_context();
  ggml_tensor* values =
      wanted.experts == 0
          ? ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, wanted.columns, wanted.tokens)
          : ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, wanted.columns, 1, wanted.tokens);
  ggml_set_input(values);
  ggml_tensor* chosen = nullptr;
  if (wanted.experts > 0) {
    chosen = ggml_new_tensor_2d(context.get(), GGML_TYPE_I32, wanted.chosen, wanted.tokens);
    ggml_set_input(chosen);
  }
  ggml_tensor* result = chosen == nullptr ? ggml_mul_mat(context.get(), weights, values)
                                          : ggml_mul_mat_id(context.get(), weights, values, chosen);
  ggml_set_output(result);
  EXPECT_TRUE(ggml_backend_supports_op(backend.get(), result));
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, result);
  const AllocatorPointer allocator(
      ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend.get())));
  EXPECT_TRUE(ggml_gallocr_alloc_graph(allocator.get(), graph));
  std::vector<float> activations(static_cast<std::size_t>(ggml_nelements(values)));
  for (float& number : activations) number = normal(random);
  ggml_backend_tensor_set(values, activations.data(), 0, ggml_nbytes(values));
  if (chosen != nullptr) {
    std::vector<std::int32_t> experts;
    for (std::int64_t token = 0; token < wanted.tokens; ++token) {
      // Different ones for a token; the last expert is never chosen.
      const auto first = static_cast<std::int32_t>(random() % 8);
      for (std::int64_t slot = 0; slot < wanted.chosen; ++slot) {
        experts.push_back(static_cast<std::int32_t>((first + slot * 2) % (wanted.experts - 1)));
      }
    }
    ggml_backend_tensor_set(chosen, experts.data(), 0, ggml_nbytes(chosen));
  }
  EXPECT_EQ(ggml_backend_graph_compute(backend.get(), graph), GGML_STATUS_SUCCESS);
  std::vector<float> out(static_cast<std::size_t>(ggml_nelements(result)));
  ggml_backend_tensor_get(result, out.data(), 0, ggml_nbytes(result));
  return out;
}

void expect_same(const WeightLayouts& layouts, const Case& wanted) {
  SCOPED_TRACE(std::string(ggml_type_name(wanted.type)) + " " + std::to_string(wanted.rows) + "x" +
               std::to_string(wanted.columns) + ", " + std::to_string(wanted.tokens) + " tokens, " +
               std::to_string(wanted.experts) + " experts, " + std::to_string(wanted.threads) +
               " threads");
  const std::vector<float> expected = product(wanted, ggml_backend_cpu_buffer_type());
  const std::vector<float> got = product(wanted, layouts.buffer_type());
  ASSERT_EQ(got.size(), expected.size());
  const double allowed = 2e-4 * std::sqrt(static_cast<double>(wanted.columns));
  for (std::size_t index = 0; index < got.size(); ++index) {
    ASSERT_NEAR(got[index], expected[index], allowed) << index;
  }
}

TEST(LayoutLlama, ProductsAreThoseOfGgml) {
  loaded();
  for (const auto set : kernels::instruction_sets_of_this_machine()) {
    const auto layouts = WeightLayouts::install(set);
    ASSERT_TRUE(layouts.has_value());
    for (const kernels::Format format : kernels::formats) {
      const auto type = static_cast<ggml_type>(type_of(format));
      const std::int64_t unit = kernels::unit_columns(format);
      for (const int threads : {1, 2, 3}) {
        for (const std::int64_t tokens : {1, 2, 3, 8, 9, 33, 130}) {
          expect_same(*layouts, {type, 53, 3 * unit, tokens, 0, 1, threads});
          expect_same(*layouts, {type, 16, 2048, tokens, 0, 1, threads});
          expect_same(*layouts, {type, 40, 2 * unit, tokens, 9, 3, threads});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
  WeightLayouts::install(kernels::instruction_sets_of_this_machine().back()).value();
}

TEST(LayoutLlama, ConvertedWeightsGiveNearlyTheSameProducts) {
  loaded();
  const auto layouts =
      WeightLayouts::install(kernels::instruction_sets_of_this_machine().back()).value();
  for (const ggml_type type :
       {GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q2_K, GGML_TYPE_Q3_K, GGML_TYPE_IQ4_NL}) {
    ASSERT_TRUE(target_of(type).value().converted) << ggml_type_name(type);
    const Case wanted{type, 40, 512, 9, 0, 1, 1};
    const std::vector<float> expected = product(wanted, ggml_backend_cpu_buffer_type());
    const std::vector<float> got = product(wanted, layouts.buffer_type());
    double difference = 0;
    double size = 0;
    for (std::size_t index = 0; index < got.size(); ++index) {
      difference += std::pow(got[index] - expected[index], 2);
      size += std::pow(expected[index], 2);
    }
    EXPECT_LT(std::sqrt(difference / size), 0.015) << ggml_type_name(type);
  }
  EXPECT_FALSE(target_of(GGML_TYPE_F32).has_value()) << "what is exact stays so";
}

// Weights of two matrices, of several megabytes.
struct LargeWeights {
  explicit LargeWeights(ggml_type of) : type(of) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<float> numbers(static_cast<std::size_t>(shape.rows * shape.columns * 2));
    for (float& number : numbers) number = normal(random);
    file.resize(ggml_row_size(type, shape.columns) * static_cast<std::size_t>(shape.rows * 2));
    ggml_quantize_chunk(type, numbers.data(), file.data(), 0, shape.rows * 2, shape.columns,
                        nullptr);
  }

  base::Result<void> pack(int threads, std::vector<std::byte>& out) {
    const LayoutTarget target = *target_of(type);
    const std::size_t bytes = 2 * kernels::packed_bytes(target.format, shape);
    out.resize(bytes + kernels::packed_alignment);
    void* place = out.data();
    std::size_t space = out.size();
    std::align(kernels::packed_alignment, bytes, place, space);
    const std::span packed(static_cast<std::byte*>(place), bytes);
    const auto done = pack_weights({type, target, shape, 2, file, packed}, threads);
    out = std::vector<std::byte>(packed.begin(), packed.end());
    return done;
  }

  ggml_type type;
  kernels::Shape shape{1001, 2048};
  std::vector<std::byte> file;
};

TEST(LayoutLlama, AnyNumberOfThreadsPacksTheSame) {
  loaded();
  for (const ggml_type type : {GGML_TYPE_Q4_1, GGML_TYPE_Q6_K, GGML_TYPE_F16}) {
    LargeWeights weights(type);
    std::vector<std::byte> alone;
    ASSERT_TRUE(weights.pack(1, alone).has_value());
    for (const int threads : {2, 3, 7}) {
      std::vector<std::byte> together;
      ASSERT_TRUE(weights.pack(threads, together).has_value());
      EXPECT_EQ(together, alone) << ggml_type_name(type) << ", " << threads << " threads";
    }
  }
}

TEST(LayoutLlama, ADamagedWeightIsNamedHoweverManyThreadsPack) {
  loaded();
  for (const int threads : {1, 4}) {
    LargeWeights weights(GGML_TYPE_Q8_0);
    const std::size_t row = weights.file.size() / 2002;
    weights.file[(1001 + 800) * row] = weights.file[(1001 + 800) * row + 1] = std::byte{0x7F};
    std::vector<std::byte> out;
    const auto done = weights.pack(threads, out);
    ASSERT_TRUE(done.has_error());
    EXPECT_THAT(done.error().message, testing::HasSubstr("row 800 "));
  }
}

TEST(LayoutLlama, WhatIsNoNumberIsFoundWhereWeightsAreConverted) {
  loaded();
  constexpr std::array<std::array<std::byte, 2>, 2> none{
      {{std::byte{0x00}, std::byte{0x7E}}, {std::byte{0x00}, std::byte{0x7C}}}};  // NaN, infinity
  for (const auto& half : none) {
    for (const int threads : {1, 4}) {
      LargeWeights weights(GGML_TYPE_F16);
      const std::size_t row = weights.file.size() / 2002;
      std::ranges::copy(
          half, weights.file.begin() + static_cast<std::ptrdiff_t>((1001 + 800) * row + 100));
      std::vector<std::byte> out;
      const auto done = weights.pack(threads, out);
      ASSERT_TRUE(done.has_error());
      EXPECT_THAT(done.error().message, testing::HasSubstr("row 800 "));
    }
  }
}

constexpr std::int32_t text_tokens = 960;
constexpr std::int32_t stretch_tokens = 480;

// Every change of the last bit, even another size of the pieces, moves activations across the
// steps of their quantization: each token's surprise varies by some hundredths, and the perplexity
// of some hundred tokens by some tenths of a percent. So the mean of the differences is compared
// with what chance makes of it.
TEST(LayoutLlama, PerplexityIsThatOfTheFileWithinAThousandth) {
  loaded();  // ggml looks for buffer types once, when the first model is loaded
  const auto as_is = std::move(Model::load({model_path(), 0}, {}).value());
  std::stringstream words;
  words << std::ifstream(std::string(DEEPSEEK_SOURCE_DIR) + "/docs/ARCHITECTURE.md").rdbuf();
  std::vector<Token> tokens = loaded().text->tokenize(words.str(), true).value();
  ASSERT_GT(tokens.size(), static_cast<std::size_t>(text_tokens));
  tokens.resize(text_tokens);
  const std::vector<double> plain = surprises(*as_is, tokens, stretch_tokens, 1).value();
  const std::vector<double> own = surprises(*loaded().model, tokens, stretch_tokens, 1).value();
  ASSERT_NE(plain, own) << "both have the same layout";
  const auto count = static_cast<double>(plain.size());
  double sum = 0;
  double squares = 0;
  for (std::size_t index = 0; index < plain.size(); ++index) {
    const double difference = own[index] - plain[index];
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / count;
  const double chance = std::sqrt((squares / count - mean * mean) / count);
  EXPECT_LT(chance, 0.005) << "this compares too little";
  EXPECT_LT(std::abs(mean), 0.001 + 3 * chance);
}

TEST(LayoutLlama, TheReportTellsWhatWasPacked) {
  const ModelFacts& facts = loaded().model->facts();
  std::uint64_t bytes = 0;
  for (const LayoutReport& report : facts.layouts) {
    if (report.format == "q4_1" || report.format == "q8_0") {
      EXPECT_THAT(report.layout, testing::StartsWith("own ("));
    }
    bytes += report.bytes;
  }
  EXPECT_GT(bytes, facts.bytes / 2);
}

TEST(LayoutLlama, WhatWasMeasuredIsKeptInAFile) {
  const std::string file = testing::TempDir() + "layouts-" + std::to_string(::getpid()) + ".json";
  std::string first;
  for (int round = 0; round < 2; ++round) {
    const auto planner = std::move(LayoutPlanner::make({1, file}).value());
    const auto model = Model::load({model_path(), 0, planner.get()}, {}).value();
    bool measured = false;
    for (const LayoutReport& report : model->facts().layouts) {
      measured = measured || report.speed_one > 0;
    }
    EXPECT_TRUE(measured);
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    EXPECT_THAT(text.str(), testing::HasSubstr("\"rows\":1536"));
    // Measured again, the times would be others.
    if (round == 1) {
      EXPECT_EQ(text.str(), first);
    }
    first = text.str();
  }
  std::filesystem::remove(file);
}

// The default model in half precision: a file without kernels.
std::string write_half_precision() {
  const std::string file = testing::TempDir() + "half-" + std::to_string(::getpid()) + ".gguf";
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = LLAMA_FTYPE_MOSTLY_F16;
  params.allow_requantize = true;
  params.nthread = 2;
  EXPECT_EQ(llama_model_quantize(model_path().c_str(), file.c_str(), &params), 0U);
  return file;
}

std::string layout_of(const Model& model, std::string_view type) {
  for (const LayoutReport& report : model.facts().layouts) {
    if (report.format == type) return report.layout;
  }
  return "no such weights";
}

TEST(LayoutLlama, WeightsWithoutKernelsAreConvertedWhereLittleIsLost) {
  loaded();
  const auto set = kernels::instruction_sets_of_this_machine().back();
  const std::string file = write_half_precision();
  const std::string memory_file = file + ".json";
  const auto load = [&](std::int64_t loss_max) {
    const auto planner = std::move(LayoutPlanner::make({1, memory_file, loss_max, set}).value());
    return layout_of(*Model::load({file, 0, planner.get()}, {}).value(), "f16");
  };
  const auto memory = [&] {
    std::stringstream text;
    text << std::ifstream(memory_file).rdbuf();
    return text.str();
  };
  // So small a model varies by half a percent with every rounding of its activations.
  constexpr std::int64_t allowed = 20'000;
  EXPECT_EQ(load(0), "as_is");
  EXPECT_EQ(memory(), "") << "then nothing is measured";
  const std::string converted = "own (" + std::string(kernels::name(set)) + ") as Q8_0";
  EXPECT_EQ(load(allowed), converted);
  const std::string measured = memory();
  EXPECT_THAT(measured, testing::HasSubstr("per_million"));
  EXPECT_EQ(load(allowed), converted);
  EXPECT_EQ(memory(), measured) << "measured once for a file";
  EXPECT_EQ(load(-1'000'000), "as_is") << "what loses more than is allowed";
  std::filesystem::remove(file);
  std::filesystem::remove(memory_file);
}

// Where the weight's first block begins in the file.
std::size_t place_of(const std::string& file, const char* weight) {
  gguf_context* header = gguf_init_from_file(file.c_str(), {true, nullptr});
  const std::size_t place = gguf_get_data_offset(header) +
                            gguf_get_tensor_offset(header, gguf_find_tensor(header, weight));
  gguf_free(header);
  return place;
}

TEST(LayoutLlama, AFileWithADamagedScaleIsRefusedWithItsName) {
  const std::string file = testing::TempDir() + "damaged-" + std::to_string(::getpid()) + ".gguf";
  std::filesystem::copy_file(model_path(), file);
  std::fstream damaged(file, std::ios::in | std::ios::out | std::ios::binary);
  damaged.seekp(static_cast<std::streamoff>(place_of(file, "blk.3.ffn_up.weight")));
  damaged.write("\x00\x7E", 2);
  damaged.close();
  const auto model = Model::load({file, 0, loaded().layouts.get()}, {});
  std::filesystem::remove(file);
  ASSERT_TRUE(model.has_error());
  EXPECT_EQ(model.error().code, base::ErrorCode::invalid_request);
  EXPECT_THAT(
      model.error().message,
      testing::HasSubstr("weight blk.3.ffn_up.weight: row 0 has a scale that is not finite"));
}

TEST(LayoutLlama, LoadingAHundredTimesTakesNoMemory) {
  std::uint64_t after_first = 0;
  for (int round = 0; round < 100; ++round) {
    const auto model = Model::load({model_path(), 0, loaded().layouts.get()}, {}).value();
    if (round == 9) after_first = resident_bytes();
  }
  const std::uint64_t after_all = resident_bytes();
  EXPECT_LT(after_all, after_first + (32U << 20));
}

}  // namespace
}  // namespace deepseek::engine::llama
