#include "gateway/resilience/health_prober.hpp"

#include <gmock/gmock.h>

namespace deepseek::gateway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(HealthProber, ReadsAListOfModels) {
  const auto models =
      models_in(R"({"object":"list","data":[{"id":"b"},{"id":"a","object":"model"},{"id":"b"}]})");
  ASSERT_TRUE(models);
  EXPECT_THAT(*models, ElementsAre("a", "b"));
  EXPECT_THAT(*models_in(R"({"data":[]})"), IsEmpty());
}

TEST(HealthProber, AListOfModelsMayBeAnything) {
  for (const char* body : {"", "[]", "<html>", "{}", R"({"data":{}})", R"({"data":"x"})"}) {
    EXPECT_FALSE(models_in(body)) << body;
  }
  EXPECT_THAT(*models_in(R"({"data":[1,{},{"id":2},{"id":""},{"id":"a\nb"},{"id":"ok"}]})"),
              ElementsAre("ok"));
  EXPECT_THAT(*models_in(R"({"data":[{"id":")" + std::string(257, 'x') + R"("}]})"), IsEmpty());
  std::string many = R"({"data":[)";
  for (int i = 0; i < 2'000; ++i) {
    many += (i == 0 ? "" : ",") + std::string(R"({"id":"m)") + std::to_string(i) + R"("})";
  }
  EXPECT_THAT(*models_in(many + "]}"), SizeIs(1'000));
}

}  // namespace
}  // namespace deepseek::gateway
