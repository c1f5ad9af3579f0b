#include "server/route_explain.hpp"

#include "server/configuration_test_support.hpp"

#include <gmock/gmock.h>

namespace deepseek::server {
namespace {

using testing::HasSubstr;

TEST(RouteExplain, NeedsNoServer) {
  const auto loaded = load_yaml(
      "backends:\n"
      "  - {name: a, base_url: 'http://192.0.2.1/v1', price_output: 2}\n"
      "  - {name: b, type: managed, command: [no-such-program, '{port}']}\n"
      "routes:\n"
      "  - {model: x, backends: [a]}\n"
      "  - {model: '*', headers: {x-tier: gold}, backends: [b, a]}\n");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  const auto told = explain_route_offline(
      loaded->values, R"({"body":{"model":"m","messages":[{"role":"user","content":"Hi"}]},)"
                      R"("headers":{"x-tier":"gold"}})");
  ASSERT_TRUE(told.has_value()) << told.error().message;
  EXPECT_THAT(*told, HasSubstr(R"("route":"routes[1]")"));
  EXPECT_THAT(*told, HasSubstr(R"("chosen":"b")"));
  EXPECT_TRUE(explain_route_offline(loaded->values, "no").has_error());
}

}  // namespace
}  // namespace deepseek::server
