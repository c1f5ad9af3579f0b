#include "server/setting_form.hpp"

#include <gtest/gtest.h>

namespace deepseek::server::form {
namespace {

TEST(SettingForm, Printable) {
  for (const char* good : {"", "a b", "中文"}) EXPECT_TRUE(is_printable(good)) << good;
  for (const char* bad : {"a\nb", "\x7f", "\xff", "\x1b[0m"}) EXPECT_FALSE(is_printable(bad));
}

TEST(SettingForm, Names) {
  for (const char* good : {"first", "A.b_c-9", "-"}) EXPECT_TRUE(is_name(good)) << good;
  for (const char* bad : {"a b", "a/b", "a:b", "ä", "a,"}) EXPECT_FALSE(is_name(bad)) << bad;
}

TEST(SettingForm, Urls) {
  for (const char* good : {"http://127.0.0.1:9001/v1", "https://api.deepseek.com",
                           "https://x.openai.azure.com/openai/deployments/y", "http://[::1]:80"}) {
    EXPECT_TRUE(is_url(good)) << good;
  }
  for (const char* bad : {"api.deepseek.com", "ftp://a", "http://", "http://u:p@a", "http://a?b",
                          "http://a:99999", "http://a b"}) {
    EXPECT_FALSE(is_url(bad)) << bad;
  }
}

TEST(SettingForm, WhatAHeaderCarries) {
  EXPECT_TRUE(is_visible("sk-0_~!"));
  for (const char* bad : {"sk 1", "sk\n1", "sk\t", "é"}) EXPECT_FALSE(is_visible(bad)) << bad;
  EXPECT_TRUE(is_field_name("X-Team_1"));
  for (const char* bad : {"x team", "x:", "(x)", "x\r\n", "é"}) {
    EXPECT_FALSE(is_field_name(bad)) << bad;
  }
}

TEST(SettingForm, Money) {
  for (const char* good : {"", "0.00 CNY", "110.25 USD"}) EXPECT_TRUE(is_money(good)) << good;
  for (const char* bad :
       {"1 CNY", "1.5 CNY", ".00 CNY", "1.00", "1.00 cny", "-1.00 CNY", "1.00CNY"}) {
    EXPECT_FALSE(is_money(bad)) << bad;
  }
}

TEST(SettingForm, Paths) {
  for (const char* good : {"/", "/health", "/v1/models?x=1"}) EXPECT_TRUE(is_path(good)) << good;
  for (const char* bad : {"health", "/a b", "/a#b", "http://a/b"}) {
    EXPECT_FALSE(is_path(bad)) << bad;
  }
}

TEST(SettingForm, ModelPatterns) {
  for (const char* good : {"*", "deepseek-chat", "deepseek-*", "a/b:c"}) {
    EXPECT_TRUE(is_model_pattern(good)) << good;
  }
  for (const char* bad : {"*-chat", "a*b", "**", "a**"}) {
    EXPECT_FALSE(is_model_pattern(bad)) << bad;
  }
}

TEST(SettingForm, Letters) {
  EXPECT_TRUE(is_capitals("CNY"));
  EXPECT_FALSE(is_capitals("CNy"));
  EXPECT_TRUE(is_small_letters("zh"));
  EXPECT_FALSE(is_small_letters("zh-CN"));
}

TEST(SettingForm, TokenLimits) {
  for (const char* good : {"", "max_tokens", "max_completion_tokens"}) {
    EXPECT_TRUE(is_token_limit(good)) << good;
  }
  for (const char* bad : {"tokens", "Max_tokens"}) EXPECT_FALSE(is_token_limit(bad)) << bad;
}

}  // namespace
}  // namespace deepseek::server::form
