#include "engine/gguf_header.hpp"

#include "engine/engine_options.hpp"
#include "engine/logprobs.hpp"
#include "engine/machine.hpp"

#include <gtest/gtest.h>
#include <cmath>
#include <vector>

namespace deepseek::engine {
namespace {

std::optional<TensorType> types(std::uint32_t type) {
  if (type == 0) return TensorType{"f32", 1, 4};
  if (type == 2) return TensorType{"q4_0", 32, 18};
  return std::nullopt;
}

template <class T>
void put(std::string& file, T value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& file, const std::string& text) {
  put(file, static_cast<std::uint64_t>(text.size()));
  file += text;
}

// A file with one key and one tensor of 32 × 2 values.
std::string make_file(std::uint32_t type = 2) {
  std::string file = "GGUF";
  put(file, std::uint32_t{3});
  put(file, std::uint64_t{1});
  put(file, std::uint64_t{1});
  put_text(file, "general.architecture");
  put(file, std::uint32_t{8});
  put_text(file, "llama");
  put_text(file, "token_embd.weight");
  put(file, std::uint32_t{2});
  put(file, std::uint64_t{32});
  put(file, std::uint64_t{2});
  put(file, type);
  put(file, std::uint64_t{0});
  file.resize((file.size() + 31) / 32 * 32 + 36);
  return file;
}

std::string message_of(const std::string& file) {
  const auto header = read_gguf_header(file, types);
  return header.has_error() ? header.error().message : "";
}

TEST(GgufHeader, ReadsAWholeFile) {
  const auto header = read_gguf_header(make_file(), types);
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(header->architecture, "llama");
  EXPECT_EQ(header->parameters, 64U);
  EXPECT_EQ(header->tensor_bytes, 36U);
}

TEST(GgufHeader, EveryCutIsNoticed) {
  const std::string file = make_file();
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_NE(message_of(file.substr(0, size)), "") << size;
  }
}

TEST(GgufHeader, NamesTheTensorWhoseDataIsCut) {
  const std::string file = make_file();
  const std::string message = message_of(file.substr(0, file.size() - 1));
  EXPECT_NE(message.find("\"token_embd.weight\""), std::string::npos) << message;
  EXPECT_NE(message.find("the file is cut"), std::string::npos);
}

TEST(GgufHeader, NamesWhatIsWrong) {
  EXPECT_NE(message_of("hello, this is text").find("not a GGUF file"), std::string::npos);
  std::string version = make_file();
  version[4] = 1;
  EXPECT_NE(message_of(version).find("version 1 at byte 4"), std::string::npos);
  std::string counts = make_file();
  counts.replace(8, 8, std::string(8, '\xFF'));
  EXPECT_NE(message_of(counts).find("tensors at byte 8"), std::string::npos);
  EXPECT_NE(message_of(make_file(99)).find("type 99"), std::string::npos);
}

TEST(GgufHeader, AnyByteMayBeWrong) {
  const std::string file = make_file();
  for (std::size_t index = 0; index < file.size(); ++index) {
    for (const char value : {'\0', '\x7F', '\xFF'}) {
      std::string bad = file;
      bad[index] = value;
      (void)read_gguf_header(bad, types);  // Must neither crash nor allocate without bounds.
    }
  }
}

TEST(Logprobs, AddUpToOne) {
  const std::vector<float> logits = {1, 3, 2, -5};
  const TokenLogprobs values = logprobs(logits, 2, 4);
  double sum = 0;
  for (const auto& [token, logprob] : values.most_likely) sum += std::exp(logprob);
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_EQ(values.most_likely.front().first, 1);
  EXPECT_DOUBLE_EQ(values.chosen, values.most_likely[1].second);
  EXPECT_EQ(argmax(logits), 1);
}

TEST(Logprobs, ArgmaxTakesTheFirstOfEquals) {
  std::vector<float> logits(100, -1);
  logits[37] = logits[90] = 4;
  EXPECT_EQ(argmax(logits), 37);
}

TEST(Machine, ReadsLimits) {
  EXPECT_EQ(parse_meminfo("MemTotal: 9 kB\nMemAvailable:   12 kB\n", "MemAvailable"), 12U * 1024);
  EXPECT_FALSE(parse_meminfo("MemTotal: 9 kB\n", "MemAvailable").has_value());
  EXPECT_EQ(parse_cgroup_limit("1048576\n"), 1048576U);
  EXPECT_FALSE(parse_cgroup_limit("max\n").has_value());
  EXPECT_FALSE(parse_cgroup_limit("9223372036854771712\n").has_value());
  EXPECT_GE(physical_cores(), 1);
  EXPECT_GT(resident_bytes(), 0U);
}

TEST(EngineOptions, ParsesAndRefuses) {
  const std::vector<const char*> good = {"--model", "m.gguf", "--channel=5", "--kv-bytes", "2MB"};
  const auto options = parse_engine_options(good);
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->channel, 5);
  EXPECT_EQ(options->kv_bytes, 2U << 20U);
  for (const std::vector<const char*>& bad :
       {std::vector<const char*>{"--modle", "x"},
        {"--model"},
        {"--model", "x"},
        {"--model", "x", "--channel", "5", "--kv-type", "f64"}}) {
    EXPECT_TRUE(parse_engine_options(bad).has_error());
  }
}

}  // namespace
}  // namespace deepseek::engine
