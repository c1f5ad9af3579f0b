// Images through libmtmd, with the real model and a projector of random weights.
#include "engine/llama/vision.hpp"

#include "engine/llama/test_support.hpp"
#include "protocol/image_samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llama.h>
#include <mtmd-helper.h>
#include <mtmd.h>
#include <cmath>
#include <random>

namespace deepseek::engine::llama {
namespace {

using protocol::jpeg_sample;
using protocol::png_sample;
using testing::HasSubstr;

constexpr std::int32_t kRows = 16;

// Written by the script that the tests of the whole server use too.
std::string write_projector(const std::string& name, const std::string& flags = "") {
  const std::string path = testing::TempDir() + "/" + name + ".gguf";
  const std::string command = "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=" DEEPSEEK_SOURCE_DIR
                              "/tests python3 -m support.vision_model " +
                              path + " " + flags;
  if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
  return path;
}

Vision& vision() {
  static const std::unique_ptr<Vision> instance = [] {
    Vision::Options options;
    options.path = write_projector("mmproj");
    return std::move(Vision::load(options, *loaded().model).value());
  }();
  return *instance;
}

wire::Submit ask(SequenceId id, const std::vector<std::string>& images,
                 const std::string& before = "What is this?", const std::string& after = "",
                 std::int32_t tokens_max = 8) {
  wire::Submit submit = greedy(id, "", tokens_max);
  wire::ChatMessage* message = submit.mutable_chat()->mutable_messages(0);
  if (!before.empty()) message->add_parts()->set_text(before);
  for (const std::string& image : images) {
    message->add_parts()->mutable_image()->set_file(image);
    message->mutable_parts()->rbegin()->mutable_image()->set_param("messages[0]");
  }
  if (!after.empty()) message->add_parts()->set_text(after);
  submit.set_logprobs(1);
  return submit;
}

// How likely its first token was: the same only for the same prompt.
double first(Engine& engine, const wire::Submit& submit) {
  const auto sent = engine.submit(submit);
  EXPECT_TRUE(sent.has_value()) << sent.error().message;
  const Engine::Answer answer = engine.wait(submit.request());
  EXPECT_TRUE(answer.finished);
  return answer.logprobs.empty() ? 1 : answer.logprobs[0].logprob();
}

TEST(VisionLlama, TheSameImageIsFoundInTheCache) {
  PictureStore pictures(vision());
  Engine engine;
  engine.see_with(pictures);
  ASSERT_TRUE(engine.submit(ask(1, {png_sample(1)})).has_value());
  const Engine::Answer once = engine.wait(1);
  ASSERT_TRUE(engine.submit(ask(2, {png_sample(1)})).has_value());
  const Engine::Answer twice = engine.wait(2);
  ASSERT_TRUE(once.finished && twice.finished);
  EXPECT_EQ(once.finished->cached_tokens(), 0);
  EXPECT_GT(once.finished->prompt_tokens(), kRows);
  EXPECT_EQ(twice.finished->cached_tokens(), twice.finished->prompt_tokens() - 1);
  EXPECT_EQ(pictures.figures().seen, 1U);
  EXPECT_NEAR(once.logprobs[0].logprob(), twice.logprobs[0].logprob(), 0.1);

  ASSERT_TRUE(engine.submit(ask(3, {png_sample(2)})).has_value());
  const Engine::Answer other = engine.wait(3);
  EXPECT_LT(other.finished->cached_tokens(), other.finished->prompt_tokens() - kRows);
  EXPECT_GT(other.finished->cached_tokens(), 0) << "what stands before it";
}

TEST(VisionLlama, TheAnswerHangsOnTheImageItsPlaceAndTheOrder) {
  PictureStore pictures(vision());
  Engine engine;
  engine.see_with(pictures);
  const std::string one = png_sample(1);
  const std::string two = png_sample(2);
  SequenceId id = 0;
  std::vector<double> seen;
  for (const wire::Submit& submit :
       {ask(0, {one}), ask(0, {two}), ask(0, {jpeg_sample()}), ask(0, {one}, "", "What is this?"),
        ask(0, {one, two}), ask(0, {two, one}), ask(0, {}), ask(0, {one}, "Where is this?")}) {
    wire::Submit numbered = submit;
    numbered.set_request(++id);
    seen.push_back(first(engine, numbered));
  }
  std::sort(seen.begin(), seen.end());
  for (std::size_t index = 1; index < seen.size(); ++index) {
    EXPECT_GT(seen[index] - seen[index - 1], 1e-6) << index;
  }
}

// What llama.cpp's own helper makes of the same text and image, in one piece.
std::vector<float> by_the_helper(const std::string& text, const std::string& image) {
  mtmd_context_params params = mtmd_context_params_default();
  params.use_gpu = false;
  params.print_timings = false;
  mtmd_context* projector =
      mtmd_init_from_file(write_projector("helper").c_str(), loaded().model->get(), params);
  llama_context_params model_params = llama_context_default_params();
  model_params.n_ctx = 512;
  llama_context* context = llama_init_from_model(loaded().model->get(), model_params);
  const auto* bytes = reinterpret_cast<const unsigned char*>(image.data());
  mtmd_bitmap* bitmap = mtmd_helper_bitmap_init_from_buf(projector, bytes, image.size(), false,
                                                         mtmd_helper_init_opt_default())
                            .bitmap;
  mtmd_input_chunks* chunks = mtmd_input_chunks_init();
  const mtmd_input_text input{text.data(), text.size(), false, true};
  EXPECT_EQ(mtmd_tokenize(projector, chunks, &input, const_cast<const mtmd_bitmap**>(&bitmap), 1),
            0);
  llama_pos past = 0;
  EXPECT_EQ(mtmd_helper_eval_chunks(projector, context, chunks, 0, 0, 512, true, &past), 0);
  const float* logits = llama_get_logits_ith(context, -1);
  std::vector<float> made(logits, logits + loaded().model->facts().vocabulary);
  mtmd_input_chunks_free(chunks);
  mtmd_bitmap_free(bitmap);
  llama_free(context);
  mtmd_free(projector);
  return made;
}

TEST(VisionLlama, LogitsAreThoseOfLlamaCppsOwnHelper) {
  const std::string image = png_sample(5);
  const Sight sight = vision().see(image, "x").value();
  PictureStore pictures(vision());
  const PicturePointer picture = pictures.look(image, "x").value();
  ASSERT_EQ(picture->rows, kRows);
  const std::vector<Token> before = loaded().text->tokenize("See this: ", false).value();
  const std::vector<Token> after = loaded().text->tokenize(" What is it?", false).value();
  ContextOptions options;
  options.cells = 512;
  options.threads = options.threads_prefill = 1;
  const auto context = std::move(Context::make(*loaded().model, options).value());
  const Pictures all{picture};
  // In pieces, as the scheduler may cut them, beside another sequence's text.
  std::int32_t position = 0;
  const auto run = [&](std::span<const Token> tokens, bool last) {
    const bool rows = is_row(tokens.front());
    const BatchSlice own{0, position, tokens, last, {}, 0, rows ? &all : nullptr};
    const BatchSlice other{1, position, before, true};
    const std::array slices{own, other};
    EXPECT_EQ(context->decode(slices), Decoder::Outcome::done);
    EXPECT_FALSE(context->logits(1, 0).empty());
    context->clear(1);
    position += static_cast<std::int32_t>(tokens.size());
  };
  run(before, false);
  run(std::span(picture->tokens).first(5), false);
  run(std::span(picture->tokens).subspan(5), false);
  EXPECT_EQ(context->cells(0), static_cast<std::int32_t>(before.size()) + kRows);
  run(after, true);
  const std::span<const float> ours = context->logits(0, 0);
  const std::vector<float> theirs = by_the_helper("See this: <__media__> What is it?", image);
  double most = 0;
  for (std::size_t index = 0; index < theirs.size(); ++index) {
    most = std::max(most, std::abs(static_cast<double>(ours[index] - theirs[index])));
  }
  const std::vector<float> others =
      by_the_helper("See this: <__media__> What is it?", png_sample(6));
  double apart = 0;
  for (std::size_t index = 0; index < theirs.size(); ++index) {
    apart = std::max(apart, std::abs(static_cast<double>(others[index] - theirs[index])));
  }
  EXPECT_LT(most, apart / 4) << "as far apart as another image is " << apart;
  EXPECT_EQ(std::max_element(ours.begin(), ours.end()) - ours.begin(),
            std::max_element(theirs.begin(), theirs.end()) - theirs.begin());
}

TEST(VisionLlama, WhoWasPreemptedReadsItsImageAgain) {
  PictureStore pictures(vision());
  std::vector<std::string> apart;
  {
    Engine engine;
    engine.see_with(pictures);
    for (SequenceId id = 1; id <= 3; ++id) {
      const auto seed = static_cast<std::uint32_t>(id);
      ASSERT_TRUE(engine.submit(ask(id, {png_sample(seed)}, "Look.", "", 40)).has_value());
      apart.push_back(engine.wait(id).text);
    }
  }
  Engine engine(150, 150);  // Three prompts with their answers do not fit together.
  engine.see_with(pictures);
  for (SequenceId id = 1; id <= 3; ++id) {
    const auto seed = static_cast<std::uint32_t>(id);
    ASSERT_TRUE(engine.submit(ask(id, {png_sample(seed)}, "Look.", "", 40)).has_value());
  }
  for (SequenceId id = 1; id <= 3; ++id) {
    const Engine::Answer answer = engine.wait(id);
    ASSERT_TRUE(answer.finished);
    EXPECT_EQ(answer.text.substr(0, 15), apart[id - 1].substr(0, 15));
  }
  EXPECT_GT(engine.load().preemptions(), 0U);
  EXPECT_EQ(pictures.figures().seen, 3U);
}

TEST(VisionLlama, TextBesideAnImageIsAsAlone) {
  PictureStore pictures(vision());
  std::vector<Engine::Answer> alone;
  {
    Engine engine;
    for (SequenceId id = 1; id <= 3; ++id) {
      wire::Submit submit = greedy(id, "Count to " + std::to_string(10 * id) + ".", 16);
      submit.set_logprobs(2);
      ASSERT_TRUE(engine.submit(submit).has_value());
      alone.push_back(engine.wait(id));
    }
  }
  Engine engine;
  engine.see_with(pictures);
  for (SequenceId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(
        engine.submit(greedy(id, "Count to " + std::to_string(10 * id) + ".", 16)).has_value());
    ASSERT_TRUE(
        engine.submit(ask(10 + id, {png_sample(static_cast<std::uint32_t>(id))})).has_value());
  }
  for (SequenceId id = 1; id <= 3; ++id) {
    bool differs = false;
    EXPECT_FALSE(differs_at(alone[id - 1], engine.wait(id).tokens, differs)) << id;
    EXPECT_TRUE(engine.wait(10 + id).finished);
  }
}

TEST(VisionLlama, RowsAreCountedAsTokens) {
  PictureStore pictures(vision());
  wire::Tokenize call;
  *call.mutable_chat() = ask(1, {png_sample(1)}).chat();
  Pictures seen{pictures.look(png_sample(1), "x").value()};
  const auto reply = tokenize(call, *loaded().text, {}, seen);
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(std::count(reply->ids().begin(), reply->ids().end(), kHiddenToken), kRows);
  Engine engine(64, 40);
  engine.see_with(pictures);
  ASSERT_TRUE(engine.submit(ask(1, {png_sample(1)})).has_value());
  const Engine::Answer refused = engine.wait(1);
  ASSERT_TRUE(refused.failed);
  EXPECT_EQ(refused.failed->code(), wire::Failed::CONTEXT_LENGTH);
}

TEST(VisionLlama, DamagedFilesAreRefusedByThemselves) {
  std::mt19937 random(7);
  int refused = 0;
  constexpr int kFiles = 1'000;
  for (int round = 0; round < kFiles; ++round) {
    std::string file = round % 2 == 0 ? png_sample(1) : jpeg_sample();
    for (unsigned change = 0; change <= random() % 4; ++change) {
      file[8 + random() % (file.size() - 8)] = static_cast<char>(random());
    }
    if (round % 10 == 0) file.resize(random() % file.size());
    const auto sight = vision().see(file, "messages[0]");
    if (!sight.has_error()) continue;
    ++refused;
    EXPECT_EQ(sight.error().code, base::ErrorCode::invalid_request) << sight.error().message;
    EXPECT_EQ(sight.error().param, "messages[0]");
  }
  EXPECT_GT(refused, kFiles / 10);
  EXPECT_TRUE(vision().see(png_sample(1), "x").has_value());
}

TEST(VisionLlama, DataBeyondThePixelsIsRefused) {
  const std::string zeros(1 << 20, '\0');
  const std::string file = protocol::png_of(protocol::png_header(4, 4), protocol::stored(zeros));
  const auto sight = vision().see(file, "messages[0]");
  ASSERT_TRUE(sight.has_error());
  EXPECT_THAT(sight.error().message, HasSubstr("more data than its pixels"));
}

std::string load_error(const std::string& path) {
  Vision::Options options;
  options.path = path;
  const auto made = Vision::load(options, *loaded().model);
  if (!made.has_error()) return "loaded";
  EXPECT_EQ(made.error().code, base::ErrorCode::invalid_request);
  return made.error().message;
}

TEST(VisionLlama, AFileThatDoesNotFitIsNamed) {
  loaded();
  EXPECT_THAT(load_error("/no/such/file.gguf"), HasSubstr("/no/such/file.gguf: cannot be opened"));
  EXPECT_THAT(load_error(model_path()), HasSubstr("architecture \"llama\" and no projector"));
  // One of another width is refused too; llama.cpp forgets what it allocated by then, so that is
  // tested with a process of its own (tests/e2e/test_images.py).
}

}  // namespace
}  // namespace deepseek::engine::llama
