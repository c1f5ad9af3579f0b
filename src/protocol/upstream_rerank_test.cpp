#include "protocol/upstream_rerank.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

using ::testing::ElementsAre;

TEST(UpstreamRerank, AsksForAllDocuments) {
  EmbeddingRequest request;
  request.ranks = true;
  request.inputs = {std::string("a \"b\"?"), std::string("one"), std::string("two")};
  EXPECT_EQ(upstream_rerank_body(request, "m"),
            R"({"model":"m","query":"a \"b\"?","documents":["one","two"],"top_n":2,)"
            R"("return_documents":false})");
}

TEST(UpstreamRerank, ReadsScoresInTheOrderOfTheDocuments) {
  const auto answer = parse_rerank_answer(
      R"({"results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":-2}],)"
      R"("usage":{"total_tokens":7}})",
      2);
  ASSERT_TRUE(answer.has_value());
  EXPECT_THAT(answer->scores, ElementsAre(-2, 0.9));
  EXPECT_EQ(answer->prompt_tokens, 7);
}

TEST(UpstreamRerank, RefusesWhatRanksNothing) {
  for (const char* body :
       {"", "[]", "{}", R"({"results":[]})", R"({"results":[1]})", R"({"results":[{"index":0}]})",
        R"({"results":[{"relevance_score":1}]})",
        R"({"results":[{"index":1,"relevance_score":1}]})",
        R"({"results":[{"index":0,"relevance_score":"1"}]})",
        R"({"results":[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}]})"}) {
    EXPECT_TRUE(parse_rerank_answer(body, 1).has_error()) << body;
  }
  EXPECT_TRUE(parse_rerank_answer(R"({"results":[{"index":0,"relevance_score":1},)"
                                  R"({"index":0,"relevance_score":1}]})",
                                  2)
                  .has_error());
}

}  // namespace
}  // namespace deepseek::protocol
