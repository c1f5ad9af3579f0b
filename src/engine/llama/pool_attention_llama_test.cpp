// Our attention inside ggml, against sums in double precision.
#include "engine/llama/ggml_owners.hpp"
#include "engine/llama/test_support.hpp"
#include "engine/llama/weight_layouts.hpp"

#include <gtest/gtest.h>

#include <ggml-cpu.h>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace deepseek::engine::llama {
namespace {

constexpr float closed = -std::numeric_limits<float>::infinity();

struct Case {
  std::int64_t key_width = 64;
  std::int64_t value_width = 64;
  std::int64_t heads = 6;
  std::int64_t pool_heads = 2;
  std::int64_t tokens = 1;
  std::int64_t cells = 256;
  ggml_type type = GGML_TYPE_F16;
  float softcap = 0;
  bool sinks = false;
  int threads = 1;
};

// Numbers of a tensor [i3][i2][i1][i0], or of one in the pool's type as it keeps them.
struct Numbers {
  std::vector<float> values;
  std::int64_t n0 = 0;
  std::int64_t n1 = 0;
  float at(std::int64_t i0, std::int64_t i1, std::int64_t i2) const {
    return values[static_cast<std::size_t>((i2 * n1 + i1) * n0 + i0)];
  }
};

Numbers random_numbers(std::int64_t n0, std::int64_t n1, std::int64_t n2, std::mt19937& random) {
  Numbers numbers{std::vector<float>(static_cast<std::size_t>(n0 * n1 * n2)), n0, n1};
  std::normal_distribution<float> normal;
  for (float& number : numbers.values) number = normal(random);
  return numbers;
}

// As the type keeps them: the tensor's bytes, and `numbers` rounded as they are in it.
std::vector<char> rounded(ggml_type type, Numbers& numbers) {
  const auto rows = static_cast<std::int64_t>(numbers.values.size()) / numbers.n0;
  std::vector<char> bytes(ggml_row_size(type, numbers.n0) * static_cast<std::size_t>(rows));
  if (type == GGML_TYPE_F32) {
    std::memcpy(bytes.data(), numbers.values.data(), bytes.size());
    return bytes;
  }
  const auto count = static_cast<std::int64_t>(numbers.values.size());
  ggml_get_type_traits(type)->from_float_ref(numbers.values.data(), bytes.data(), count);
  ggml_get_type_traits(type)->to_float(bytes.data(), numbers.values.data(), count);
  return bytes;
}

class Attention {
 public:
  explicit Attention(const Case& wanted)
      : wanted_(wanted), scale_(1 / std::sqrt(static_cast<float>(wanted.key_width))) {
    std::mt19937 random(5);
    queries = random_numbers(wanted.key_width, wanted.tokens, wanted.heads, random);
    keys = random_numbers(wanted.key_width, wanted.cells, wanted.pool_heads, random);
    values = random_numbers(wanted.value_width, wanted.cells, wanted.pool_heads, random);
    sinks = random_numbers(wanted.heads, 1, 1, random);
    mask = {std::vector<float>(static_cast<std::size_t>(wanted.cells * wanted.tokens), closed),
            wanted.cells, wanted.tokens};
  }

  void open(std::int64_t token, std::int64_t begin, std::int64_t end, float bias = 0) {
    for (std::int64_t cell = begin; cell < end; ++cell) {
      mask.values[static_cast<std::size_t>(token * wanted_.cells + cell)] = bias;
    }
  }

  // [token][head][number]
  std::vector<float> computed() {
    const BackendPointer backend = make_cpu_backend(wanted_.threads);
    const ContextPointer context(
        ggml_init({ggml_tensor_overhead() * 16 + ggml_graph_overhead(), nullptr, true}));
    const auto input = [&](ggml_type type, std::int64_t n0, std::int64_t n1, std::int64_t n2) {
      ggml_tensor* tensor = ggml_new_tensor_3d(context.get(), type, n0, n1, n2);
      ggml_set_input(tensor);
      return tensor;
    };
    ggml_tensor* q = input(GGML_TYPE_F32, wanted_.key_width, wanted_.tokens, wanted_.heads);
    ggml_tensor* k = input(wanted_.type, wanted_.key_width, wanted_.cells, wanted_.pool_heads);
    ggml_tensor* v = input(wanted_.type, wanted_.value_width, wanted_.cells, wanted_.pool_heads);
    ggml_tensor* m = input(GGML_TYPE_F16, wanted_.cells, wanted_.tokens, 1);
    ggml_tensor* s = input(GGML_TYPE_F32, wanted_.heads, 1, 1);
    ggml_tensor* out = ggml_flash_attn_ext(context.get(), q, k, v, m, scale_, 0, wanted_.softcap);
    if (wanted_.sinks) ggml_flash_attn_ext_add_sinks(out, s);
    ggml_set_output(out);
    ggml_cgraph* graph = ggml_new_graph(context.get());
    ggml_build_forward_expand(graph, out);
    if (!wanted_.sinks) ggml_build_forward_expand(graph, ggml_cont(context.get(), s));
    const AllocatorPointer allocator(
        ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend.get())));
    EXPECT_TRUE(ggml_gallocr_alloc_graph(allocator.get(), graph));
    const auto fill = [](ggml_tensor* tensor, Numbers& numbers) {
      const std::vector<char> bytes = rounded(tensor->type, numbers);
      ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
    };
    fill(q, queries);
    fill(k, keys);
    fill(v, values);
    fill(m, mask);
    fill(s, sinks);
    EXPECT_EQ(ggml_backend_graph_compute(backend.get(), graph), GGML_STATUS_SUCCESS);
    std::vector<float> result(static_cast<std::size_t>(ggml_nelements(out)));
    ggml_backend_tensor_get(out, result.data(), 0, ggml_nbytes(out));
    return result;
  }

  double score(std::int64_t token, std::int64_t head, std::int64_t cell) const {
    const std::int64_t pool_head = head / (wanted_.heads / wanted_.pool_heads);
    double score = 0;
    for (std::int64_t at = 0; at < wanted_.key_width; ++at) {
      score += static_cast<double>(queries.at(at, token, head)) * keys.at(at, cell, pool_head);
    }
    score *= scale_;
    if (wanted_.softcap != 0) score = wanted_.softcap * std::tanh(score / wanted_.softcap);
    return score + mask.at(cell, token, 0);
  }

  // After computed(), which rounds the pool's numbers.
  std::vector<double> expected(std::int64_t token, std::int64_t head) const {
    const std::int64_t pool_head = head / (wanted_.heads / wanted_.pool_heads);
    std::vector<double> out(static_cast<std::size_t>(wanted_.value_width));
    double sum = wanted_.sinks ? std::exp(sinks.at(head, 0, 0)) : 0;
    for (std::int64_t cell = 0; cell < wanted_.cells; ++cell) {
      if (mask.at(cell, token, 0) == closed) continue;
      const double weight = std::exp(score(token, head, cell));
      sum += weight;
      for (std::int64_t at = 0; at < wanted_.value_width; ++at) {
        out[static_cast<std::size_t>(at)] += weight * values.at(at, cell, pool_head);
      }
    }
    for (double& value : out) value = sum == 0 ? 0 : value / sum;
    return out;
  }

  void check(double allowed = 5e-6) {
    const std::vector<float> got = computed();
    for (std::int64_t token = 0; token < wanted_.tokens; ++token) {
      for (std::int64_t head = 0; head < wanted_.heads; ++head) {
        const std::vector<double> wanted = expected(token, head);
        for (std::size_t at = 0; at < wanted.size(); ++at) {
          const auto row = static_cast<std::size_t>(token * wanted_.heads + head);
          ASSERT_NEAR(got[row * wanted.size() + at], wanted[at], allowed)
              << "token " << token << ", head " << head << ", number " << at << ", "
              << wanted_.threads << " threads";
        }
      }
    }
  }

  Numbers queries, keys, values, mask, sinks;

 private:
  Case wanted_;
  float scale_;
};

void use(kernels::InstructionSet set) {
  loaded();
  ASSERT_TRUE(WeightLayouts::install(set).has_value());
}

TEST(PoolAttention, IsTheSumOfTheCellsThatAreLookedAt) {
  for (const auto set : kernels::instruction_sets_of_this_machine()) {
    use(set);
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_Q8_0}) {
      for (const int threads : {1, 2, 3}) {
        for (const std::int64_t tokens : {1, 2, 5, 30, 70}) {
          Attention one({.tokens = tokens, .cells = 512, .type = type, .threads = threads});
          for (std::int64_t token = 0; token < tokens; ++token) {
            one.open(token, 20, 401 + token);
            if (tokens == 5) one.open(token, 0, token);
          }
          one.check();
          if (::testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(PoolAttention, SequencesApartAndTogether) {
  use(kernels::instruction_sets_of_this_machine().back());
  for (const int threads : {1, 2, 4}) {
    for (const std::int64_t common : {0, 40, 1800}) {
      Attention one({.tokens = 12, .cells = 2304, .threads = threads});
      for (std::int64_t token = 0; token < 12; ++token) {
        one.open(token, 0, common);
        one.open(token, 1800 + token * 40, 1830 + token * 40);
      }
      one.check();
      if (HasFatalFailure()) return;
    }
  }
}

TEST(PoolAttention, OneLongSequenceIsPartedAmongTheThreads) {
  use(kernels::instruction_sets_of_this_machine().back());
  for (const int threads : {2, 3, 8}) {
    Attention one({.heads = 3, .pool_heads = 1, .cells = 4096, .threads = threads});
    one.open(0, 3, 4001);
    one.check();
  }
}

TEST(PoolAttention, ShapesOfDeepSeekAndOthers) {
  use(kernels::instruction_sets_of_this_machine().back());
  for (const std::int64_t tokens : {1, 3, 20}) {
    for (const Case& shape : {Case{576, 512, 16, 1, tokens}, Case{576, 512, 80, 1, tokens},
                              Case{192, 128, 4, 4, tokens}, Case{128, 128, 28, 4, tokens}}) {
      Case wanted = shape;
      wanted.threads = 2;
      Attention one(wanted);
      for (std::int64_t token = 0; token < tokens; ++token) one.open(token, 0, 200 + token);
      one.check(2e-5);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(PoolAttention, SinksSoftcapsAndMasksOfAnyLength) {
  use(kernels::instruction_sets_of_this_machine().back());
  for (const std::int64_t cells : {64, 77, 256}) {
    for (const float softcap : {0.0F, 20.0F}) {
      Attention one({.tokens = 6, .cells = cells, .softcap = softcap, .sinks = true, .threads = 2});
      for (std::int64_t token = 0; token < 6; ++token) one.open(token, 0, cells - token);
      one.check();
    }
  }
}

TEST(PoolAttention, AMaskWithBiasesIsGgmls) {
  use(kernels::instruction_sets_of_this_machine().back());
  for (const std::int64_t tokens : {1, 90}) {
    Attention one({.tokens = tokens, .cells = 1024, .threads = 2});
    for (std::int64_t token = 0; token < tokens; ++token) {
      one.open(token, 0, 700);
      one.open(token, 100, 300, -2);
    }
    one.check(5e-3);  // ggml adds up in half precision
  }
}

TEST(PoolAttention, AnInfiniteCellReachesOnlyWhoLooksAtIt) {
  use(kernels::instruction_sets_of_this_machine().back());
  for (const std::int64_t tokens : {2, 20}) {
    Attention one({.tokens = tokens, .cells = 512, .threads = 2});
    for (std::int64_t token = 0; token < tokens; ++token) {
      one.open(token, 0, 450);
      one.open(token, 460 + token, 461 + token);
    }
    one.values.values[static_cast<std::size_t>(461 * 64)] = std::numeric_limits<float>::infinity();
    const std::vector<float> got = one.computed();
    for (std::int64_t token = 0; token < tokens; ++token) {
      const float first = got[static_cast<std::size_t>(token * 6 * 64)];
      if (token == 1) {
        EXPECT_FALSE(std::isfinite(first));
      } else {
        EXPECT_NEAR(first, one.expected(token, 0)[0], 5e-6) << token;
      }
    }
  }
}

}  // namespace
}  // namespace deepseek::engine::llama
