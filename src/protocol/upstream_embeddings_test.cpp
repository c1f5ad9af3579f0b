#include "protocol/upstream_embeddings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

using ::testing::ElementsAre;

TEST(UpstreamEmbeddings, AsksInOpenAisForm) {
  EmbeddingRequest request;
  request.inputs = {std::string("a \"b\""), TokenIds{1, 2}};
  request.dimensions = 64;
  EXPECT_EQ(embedding_body(request, "m"),
            R"({"model":"m","input":["a \"b\"",[1,2]],"dimensions":64,"encoding_format":"float"})");
}

TEST(UpstreamEmbeddings, ReadsVectorsInTheirOrder) {
  const auto answer = parse_embedding_answer(
      R"({"data":[{"index":1,"embedding":[0.5,-1]},{"index":0,"embedding":[1,2e-1]}],)"
      R"("usage":{"prompt_tokens":3,"total_tokens":3}})",
      2);
  ASSERT_TRUE(answer.has_value());
  EXPECT_THAT(answer->vectors[0], ElementsAre(1.0F, 0.2F));
  EXPECT_THAT(answer->vectors[1], ElementsAre(0.5F, -1.0F));
  EXPECT_EQ(answer->prompt_tokens, 3);
}

TEST(UpstreamEmbeddings, RefusesWhatIsNone) {
  for (const char* body :
       {"", "[]", "{}", R"({"data":[]})", R"({"data":[{"index":0,"embedding":[]}]})",
        R"({"data":[{"index":1,"embedding":[1]}]})", R"({"data":[{"index":0,"embedding":["x"]}]})",
        R"({"data":[{"embedding":[1]}]})", R"({"data":[1]})"}) {
    EXPECT_TRUE(parse_embedding_answer(body, 1).has_error()) << body;
  }
  EXPECT_TRUE(parse_embedding_answer(R"({"data":[{"index":0,"embedding":[1]},)"
                                     R"({"index":1,"embedding":[1,2]}]})",
                                     2)
                  .has_error());
  EXPECT_TRUE(parse_embedding_answer(R"({"data":[{"index":0,"embedding":[1]},)"
                                     R"({"index":0,"embedding":[1]}]})",
                                     2)
                  .has_error());
}

TEST(UpstreamEmbeddings, AnAbsurdUsageCountsAsNone) {
  const auto answer = parse_embedding_answer(
      R"({"data":[{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":-5}})", 1);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->prompt_tokens, 0);
}

}  // namespace
}  // namespace deepseek::protocol
