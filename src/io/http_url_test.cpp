#include "io/http_url.hpp"

#include <gtest/gtest.h>

namespace deepseek::io {
namespace {

TEST(HttpUrl, Parts) {
  auto url = parse_url("http://127.0.0.1:8080");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->host, "127.0.0.1");
  EXPECT_EQ(url->port, 8080);
  EXPECT_EQ(url->path, "");
  url = parse_url("https://example.com/api/");
  ASSERT_TRUE(url.has_value());
  EXPECT_TRUE(url->secure);
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->path, "/api");
  EXPECT_EQ(url->authority(), "example.com");
  url = parse_url("http://[::1]:81");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->authority(), "[::1]:81");
  for (const char* text :
       {"", "127.0.0.1:8080", "ftp://x", "http://", "http://x:0", "http://x:y", "http://x:70000",
        "http://u@x", "http://x?q", "http://x y", "http://[::1"}) {
    EXPECT_TRUE(parse_url(text).has_error()) << text;
  }
}

}  // namespace
}  // namespace deepseek::io
