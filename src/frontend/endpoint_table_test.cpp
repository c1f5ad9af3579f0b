#include "frontend/endpoint_table.hpp"

#include <gtest/gtest.h>

namespace deepseek::frontend {
namespace {

using base::ErrorCode;

ErrorCode refusal(std::string_view method, std::string_view path) {
  auto route = find_endpoint(method, path);
  return route.has_error() ? route.error().code : ErrorCode::internal;
}

TEST(EndpointTable, FindsEveryRow) {
  for (const EndpointRow& row : endpoint_table()) {
    std::string path(row.path);
    const std::size_t id = path.find("{id}");
    if (id != std::string::npos) path.replace(id, 4, "some-id");
    auto route = find_endpoint(row.method, path);
    ASSERT_TRUE(route.has_value()) << path;
    EXPECT_EQ(route->row, &row) << path;
    EXPECT_EQ(metric_label(path), row.label);
  }
}

TEST(EndpointTable, AnswersHeadWhereGetIs) {
  EXPECT_TRUE(find_endpoint("HEAD", "/health").has_value());
  EXPECT_EQ(allowed_methods("/health"), "GET, HEAD");
  EXPECT_EQ(refusal("HEAD", "/v1/completions"), ErrorCode::method_not_allowed);
  EXPECT_EQ(allowed_methods("/v1/completions"), "POST");
}

TEST(EndpointTable, MatchesPathsExactly) {
  for (const char* path :
       {"//v1/chat/completions", "/v1//chat/completions", "/v1/chat%2fcompletions",
        "/v1/chat/completions/", "/v1/chat/completions.", "/v1/chat/completions;x=1",
        "/V1/chat/completions", "/v1/chat/../chat/completions", "/v1/./chat/completions",
        "/v1/chat/completions%00", "/%761/chat/completions", "/v1/models/", "/models/", "",
        "v1/chat/completions", "/v1\\chat\\completions", "/v1/chat/completions ", "*"}) {
    EXPECT_EQ(refusal("POST", path), ErrorCode::not_found) << path;
    EXPECT_EQ(refusal("GET", path), ErrorCode::not_found) << path;
    EXPECT_EQ(metric_label(path), "other") << path;
    EXPECT_EQ(allowed_methods(path), "") << path;
  }
}

TEST(EndpointTable, RefusesOtherMethods) {
  EXPECT_EQ(refusal("GET", "/v1/chat/completions"), ErrorCode::method_not_allowed);
  EXPECT_EQ(refusal("DELETE", "/v1/models"), ErrorCode::method_not_allowed);
  EXPECT_EQ(refusal("OPTIONS", "/health"), ErrorCode::method_not_allowed);
  EXPECT_EQ(refusal("get", "/health"), ErrorCode::method_not_allowed);
  EXPECT_EQ(refusal("POST", "/"), ErrorCode::not_found);
  auto route = find_endpoint("GET", "/v1/chat/completions");
  EXPECT_EQ(route.error().message,
            "/v1/chat/completions is called with POST, not with \"GET\"; send the request as a "
            "JSON body");
}

TEST(EndpointTable, DecodesTheIdOfAModel) {
  for (const char* path :
       {"/v1/models/deepseek-ai/DeepSeek-V2", "/v1/models/deepseek-ai%2FDeepSeek-V2",
        "/models/deepseek-ai%2fDeepSeek-V2"}) {
    auto route = find_endpoint("GET", path);
    ASSERT_TRUE(route.has_value()) << path;
    EXPECT_EQ(route->id, "deepseek-ai/DeepSeek-V2");
    EXPECT_EQ(metric_label(path), "/v1/models/{id}");
  }
  for (const char* path : {"/v1/models/a%", "/v1/models/a%2", "/v1/models/a%zz", "/v1/models/%00",
                           "/v1/models/%0d%0a", "/v1/models/%ff", "/v1/models/%c0%af"}) {
    EXPECT_EQ(refusal("GET", path), ErrorCode::not_found) << path;
  }
}

TEST(EndpointTable, FindsTheIdOfAResponseInsideItsPath) {
  for (const auto& [method, path, label] :
       {std::tuple{"GET", "/v1/responses/resp_1", "/v1/responses/{id}"},
        {"DELETE", "/responses/resp_1", "/v1/responses/{id}"},
        {"GET", "/v1/responses/resp%5f1/input_items", "/v1/responses/{id}/input_items"},
        {"POST", "/v1/responses/resp_1/cancel", "/v1/responses/{id}/cancel"}}) {
    auto route = find_endpoint(method, path);
    ASSERT_TRUE(route.has_value()) << path;
    EXPECT_EQ(route->id, "resp_1") << path;
    EXPECT_EQ(route->row->label, label);
    EXPECT_EQ(metric_label(path), label);
  }
  EXPECT_EQ(allowed_methods("/v1/responses/a"), "GET, HEAD, DELETE");
  EXPECT_EQ(refusal("GET", "/v1/responses/a/cancel"), ErrorCode::method_not_allowed);
  for (const char* path : {"/v1/responses/", "/v1/responses/a/b", "/v1/responses//cancel",
                           "/v1/responses//input_items", "/v1/responses/a/input_items/"}) {
    EXPECT_EQ(refusal("GET", path), ErrorCode::not_found) << path;
  }
}

TEST(EndpointTable, KeepsMethodsInMetricsFew) {
  EXPECT_EQ(known_method("POST"), "POST");
  EXPECT_EQ(known_method("BREW"), "other");
}

}  // namespace
}  // namespace deepseek::frontend
