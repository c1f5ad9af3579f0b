#include "gateway/route/request_facts.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using protocol::Feature;
using protocol::Request;
using protocol::Role;

void say(Request& request, Role role, std::string text) {
  protocol::Message message;
  message.role = role;
  message.content.emplace_back(protocol::TextPart{std::move(text)});
  request.messages.push_back(std::move(message));
}

TEST(RequestFacts, Features) {
  Request request;
  EXPECT_EQ(features_of(request), 0u);
  request.stream = true;
  request.features = {
      {Feature::images, ""}, {Feature::functions, ""}, {Feature::response_format, ""}};
  EXPECT_EQ(describe_features(features_of(request)), "image, tools, schema, stream");
  request.features = {
      {Feature::tools, ""}, {Feature::suffix, ""}, {Feature::audio, ""}, {Feature::web_search, ""}};
  request.stream = false;
  EXPECT_EQ(describe_features(features_of(request)), "audio, tools, suffix");
  EXPECT_EQ(describe_features(0), "none");
}

TEST(RequestFacts, ThinkingMustBeAskedFor) {
  Request request;
  request.thinking = true;
  EXPECT_EQ(features_of(request), bit(RouteFeature::thinking));
  request.reasoning_effort = "high";
  request.thinking.reset();
  EXPECT_EQ(features_of(request), bit(RouteFeature::thinking));
  request.thinking = false;
  EXPECT_EQ(features_of(request), 0u);
}

TEST(RequestFacts, FeaturesHaveNames) {
  EXPECT_EQ(feature_named("schema"), RouteFeature::schema);
  EXPECT_EQ(feature_named("thinking"), RouteFeature::thinking);
  EXPECT_EQ(feature_named("Image"), std::nullopt);
}

TEST(RequestFacts, PromptTokens) {
  Request request;
  EXPECT_EQ(guess_prompt_tokens(request), 0u);
  say(request, Role::system, std::string(400, 'a'));
  say(request, Role::user, "请解释一下这个");  // 7 characters
  EXPECT_EQ(guess_prompt_tokens(request), 100u + 4 + 4 + 4);
  request.messages[1].content.emplace_back(protocol::ImagePart{"data:image/png;base64,AAAA"});
  EXPECT_EQ(guess_prompt_tokens(request), 1'112u) << "an image's size says nothing";
  request.messages[1].tool_calls.push_back({"id", "name", std::string(36, ' ')});
  EXPECT_EQ(guess_prompt_tokens(request), 1'122u);
}

TEST(RequestFacts, TokensOfPromptsAndIds) {
  Request request;
  request.operation = protocol::Operation::completion;
  request.prompts = {std::string(40, 'a'), protocol::TokenIds(25)};
  EXPECT_EQ(guess_prompt_tokens(request), 35u);
}

TEST(RequestFacts, LongTextIsTakenToGoOnAsItBegan) {
  Request request;
  std::string text;
  while (text.size() < 3'000'000) text += "量子纠缠";
  say(request, Role::user, text);
  EXPECT_NEAR(guess_prompt_tokens(request), 600'000, 20);
  Request several;
  say(several, Role::system, std::string(scan_bytes_max, 'a'));
  say(several, Role::user, std::string(100'000, 'b'));
  say(several, Role::user, std::string(100'000, 'c'));
  EXPECT_NEAR(guess_prompt_tokens(several), (scan_bytes_max + 200'000) / 4 + 12, 2);
}

TEST(RequestFacts, TheLastWordOfTheUserDecidesTheLanguage) {
  Request request;
  EXPECT_EQ(language_of(request), Language::unknown);
  say(request, Role::system, "You are a helpful assistant that answers every question in detail.");
  EXPECT_EQ(language_of(request), Language::en);
  say(request, Role::user, "What is entanglement?");
  say(request, Role::assistant, "A correlation of states.");
  say(request, Role::user, "用中文再说一遍");
  say(request, Role::assistant, "Of course:");
  EXPECT_EQ(language_of(request), Language::zh);
  say(request, Role::user, "??");
  EXPECT_EQ(language_of(request), Language::en) << "no letters: all messages together";
  Request completion;
  completion.prompts = {"Расскажи сказку"};
  EXPECT_EQ(language_of(completion), Language::ru);
}

}  // namespace
}  // namespace deepseek::gateway
