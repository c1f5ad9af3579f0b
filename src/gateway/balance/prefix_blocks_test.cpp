#include "gateway/balance/prefix_blocks.hpp"

#include "protocol/request.hpp"

#include <gtest/gtest.h>
#include <algorithm>

namespace deepseek::gateway {
namespace {

TEST(PrefixBlocks, OnlyWholeBlocks) {
  EXPECT_TRUE(prefix_blocks(1, {}).empty());
  EXPECT_TRUE(prefix_blocks(1, {std::string(63, 'a')}).empty());
  EXPECT_EQ(prefix_blocks(1, {std::string(64, 'a')}).size(), 1u);
  EXPECT_EQ(prefix_blocks(1, {std::string(191, 'a')}).size(), 2u);
}

TEST(PrefixBlocks, PiecesHaveNoSeam) {
  std::string text;
  for (int i = 0; i < 1'000; ++i) text += std::to_string(i);
  const auto whole = prefix_blocks(1, {text});
  for (const std::size_t cut : {1u, 63u, 64u, 65u, 130u, 700u}) {
    PrefixBlocks pieces(1);
    for (std::size_t i = 0; i < text.size(); i += cut) pieces.add(text.substr(i, cut));
    EXPECT_EQ(std::vector(pieces.blocks().begin(), pieces.blocks().end()), whole) << cut;
  }
}

TEST(PrefixBlocks, AChangeChangesAllThatFollows) {
  const std::string text(640, 'a');
  std::string other = text;
  other[200] = 'b';
  const auto a = prefix_blocks(1, {text}), b = prefix_blocks(1, {other});
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i] == b[i], i < 3) << i;
  EXPECT_NE(a[0], a[1]) << "equal blocks differ by what is before them";
}

TEST(PrefixBlocks, IsBounded) {
  PrefixBlocks blocks(1);
  for (int i = 0; i < 1'000; ++i) blocks.add(std::string(100, 'a'));
  EXPECT_TRUE(blocks.full());
  EXPECT_EQ(blocks.blocks().size(), prefix_blocks_per_prompt);
}

protocol::Request talk(std::initializer_list<const char*> texts) {
  protocol::Request request;
  for (const char* text : texts) {
    protocol::Message message;
    message.role =
        request.messages.size() % 2 == 0 ? protocol::Role::user : protocol::Role::assistant;
    message.content.emplace_back(protocol::TextPart{std::string(text) + std::string(200, '.')});
    request.messages.push_back(std::move(message));
  }
  return request;
}

std::vector<std::uint64_t> blocks_of(const protocol::Request& request) {
  PrefixBlocks blocks(1);
  add_prompt(blocks, request);
  return {blocks.blocks().begin(), blocks.blocks().end()};
}

TEST(PrefixBlocks, ALaterTurnContinuesTheEarlierOnes) {
  const auto first = blocks_of(talk({"hello"}));
  const auto third = blocks_of(talk({"hello", "hi", "how are you"}));
  ASSERT_GE(first.size(), 3u);
  ASSERT_GT(third.size(), first.size());
  EXPECT_TRUE(std::equal(first.begin(), first.end(), third.begin()));
  auto other_role = talk({"hello"});
  other_role.messages[0].role = protocol::Role::system;
  EXPECT_NE(blocks_of(other_role)[0], first[0]);
}

TEST(PrefixBlocks, PromptsOfAllKinds) {
  protocol::Request request;
  request.prompts.emplace_back(std::string(64, 'a'));
  EXPECT_EQ(blocks_of(request), prefix_blocks(1, {std::string(64, 'a')}));
  request.prompts = {protocol::TokenIds(16, 0x61616161)};
  EXPECT_EQ(blocks_of(request), prefix_blocks(1, {std::string(64, 'a')}));
  request.prompts = {protocol::TokenIds(1 << 20, 7)};
  EXPECT_EQ(blocks_of(request).size(), prefix_blocks_per_prompt);
  protocol::Request image = talk({"look"});
  const auto without = blocks_of(image);
  image.messages[0].content.insert(image.messages[0].content.begin(),
                                   protocol::ImagePart{"https://example.com/cat.png"});
  EXPECT_NE(blocks_of(image)[0], without[0]);
}

}  // namespace
}  // namespace deepseek::gateway
