#include "access/key_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <array>
#include <limits>
#include <vector>

namespace deepseek::access {
namespace {

using base::ErrorCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string key_a = "sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const std::string key_b = "sk-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

KeyTable two_tenants() {
  const std::array keys{StaticKey{key_a, "a", 1, 0}, StaticKey{key_b, "b", 2.5, 7}};
  auto table = KeyTable::build(keys);
  EXPECT_TRUE(table) << table.error().message;
  return std::move(*table);
}

Credentials bearer(std::string_view value) {
  return {value, std::nullopt};
}

std::string fault(const std::vector<StaticKey>& keys) {
  const auto table = KeyTable::build(keys);
  if (table) return "it was accepted";
  EXPECT_EQ(table.error().code, ErrorCode::invalid_request);
  return table.error().param + " | " + table.error().message;
}

// What a refused request is told; it never holds what the client sent.
std::string refusal(const KeyTable& table, const Credentials& credentials) {
  const auto tenant = table.authenticate(credentials);
  if (tenant) {
    ADD_FAILURE() << "it was accepted as " << (*tenant)->name;
    return {};
  }
  EXPECT_EQ(tenant.error().code, ErrorCode::unauthenticated);
  EXPECT_THAT(tenant.error().message, AllOf(HasSubstr("x-api-key"), Not(HasSubstr("sk-"))));
  return tenant.error().message;
}

TEST(KeyTable, WithoutKeysEverybodyIsTheDefaultTenant) {
  const KeyTable table;
  EXPECT_FALSE(table.needs_key());
  const std::array<Credentials, 4> all{Credentials{}, bearer("Bearer x"), bearer("garbage"),
                                       Credentials{"Bearer a", "b"}};
  for (const Credentials& credentials : all) {
    const auto tenant = table.authenticate(credentials);
    ASSERT_TRUE(tenant);
    EXPECT_EQ((*tenant)->name, "default");
    EXPECT_EQ((*tenant)->weight, 1);
    EXPECT_EQ((*tenant)->priority_max, 0);
  }
  EXPECT_FALSE(KeyTable::build({})->needs_key());
}

TEST(KeyTable, FindsTheTenantOfAKey) {
  const KeyTable table = two_tenants();
  EXPECT_TRUE(table.needs_key());
  EXPECT_EQ(table.size(), 2u);
  const auto a = table.authenticate(bearer("Bearer " + key_a));
  ASSERT_TRUE(a);
  EXPECT_EQ((*a)->name, "a");
  const auto b = table.authenticate({std::nullopt, key_b});
  ASSERT_TRUE(b);
  EXPECT_EQ((*b)->name, "b");
  EXPECT_EQ((*b)->weight, 2.5);
  EXPECT_EQ((*b)->priority_max, 7);
}

TEST(KeyTable, BothHeadersMustAgree) {
  const KeyTable table = two_tenants();
  const std::string value = "Bearer " + key_a;
  const auto same = table.authenticate({value, key_a});
  ASSERT_TRUE(same);
  EXPECT_EQ((*same)->name, "a");
  EXPECT_THAT(refusal(table, {value, key_b}), HasSubstr("different keys"));
  EXPECT_THAT(refusal(table, {"Basic YTpi", key_b}), HasSubstr("`Bearer KEY`"));
}

TEST(KeyTable, OneTenantMayHaveSeveralKeys) {
  const std::array keys{StaticKey{key_a, "a", 2, 0}, StaticKey{key_b, "a", 2, 3}};
  const auto table = KeyTable::build(keys);
  ASSERT_TRUE(table);
  const auto first = table->authenticate({std::nullopt, key_a});
  const auto second = table->authenticate({std::nullopt, key_b});
  ASSERT_TRUE(first && second);
  EXPECT_EQ((*first)->name, (*second)->name);
  EXPECT_EQ((*first)->priority_max, 0);
  EXPECT_EQ((*second)->priority_max, 3) << "the priority belongs to the key";
}

TEST(KeyTable, RefusesWhatCannotBeMeant) {
  EXPECT_THAT(fault({{key_a, "a"}, {key_a, "b"}}),
              AllOf(HasSubstr("access.keys[1].key | "), HasSubstr("first for the tenant a"),
                    Not(HasSubstr(key_a))));
  EXPECT_THAT(fault({{"", "a"}}), HasSubstr("access.keys[0].key | "));
  EXPECT_THAT(fault({{"two words", "a"}}), HasSubstr("space"));
  EXPECT_THAT(fault({{std::string("nul\0key", 7), "a"}}), HasSubstr("control"));
  EXPECT_THAT(fault({{"schl\xc3\xbcssel", "a"}}), HasSubstr("ASCII"));
  EXPECT_THAT(fault({{std::string(513, 'k'), "a"}}), HasSubstr("at most 512"));
  EXPECT_THAT(fault({{key_a, ""}}), HasSubstr("access.keys[0].tenant | "));
  EXPECT_THAT(fault({{key_a, "a b"}}), HasSubstr("access.keys[0].tenant | "));
  EXPECT_THAT(fault({{key_a, std::string(65, 'a')}}), HasSubstr("1 to 64"));
  EXPECT_THAT(fault({{key_a, "a", 0}}), HasSubstr("access.keys[0].weight | "));
  EXPECT_THAT(fault({{key_a, "a", -1}}), HasSubstr("above 0"));
  EXPECT_THAT(fault({{key_a, "a", std::numeric_limits<double>::quiet_NaN()}}),
              HasSubstr("above 0"));
  EXPECT_THAT(fault({{key_a, "a", 1}, {key_b, "a", 2}}), HasSubstr("access.keys[1].weight | "));
  EXPECT_THAT(fault({{key_a, "a", 1, -1}}), HasSubstr("access.keys[0].priority_max | "));
}

// --- attack classes, by their number in the list that the project keeps -------

TEST(KeyTableSecurity, Class1SqlTextIsOnlyAWrongKey) {
  const KeyTable table = two_tenants();
  for (const std::string_view text :
       {"' OR '1'='1", "'; DROP TABLE keys; --", "\" OR 1=1 --", "sk-' UNION SELECT * FROM keys--",
        "%", "sk-%", "*", "${FIRST_KEY}", "{{key}}", "a'||'b"}) {
    EXPECT_THAT(refusal(table, bearer("Bearer " + std::string(text))), HasSubstr("API key"));
    EXPECT_THAT(refusal(table, bearer(text)), HasSubstr("not in the form"));
    EXPECT_THAT(refusal(table, {std::nullopt, text}), HasSubstr("API key"));
  }
  EXPECT_TRUE(table.authenticate(bearer("Bearer " + key_a)));
}

TEST(KeyTableSecurity, Class4OnlyTheWholeKeyCounts) {
  const KeyTable table = two_tenants();
  for (std::size_t length = 0; length < key_a.size(); ++length) {
    const std::string_view key = key_a;
    EXPECT_THAT(refusal(table, {std::nullopt, key.substr(0, length)}), HasSubstr("API key"));
    EXPECT_THAT(refusal(table, {std::nullopt, key.substr(key.size() - length)}),
                HasSubstr("API key"));
  }
  for (const std::string& near :
       {key_a + "a", "s" + key_a, key_a + key_a, key_a + "," + key_b, key_a + "\n",
        "Sk-" + key_a.substr(3), key_a.substr(0, 3) + std::string(32, 'A')}) {
    EXPECT_THAT(refusal(table, {std::nullopt, near}), HasSubstr("key"));
    EXPECT_THAT(refusal(table, bearer("Bearer " + near)), HasSubstr("key"));
  }
}

TEST(KeyTableSecurity, Class4NulBytesDoNotEndAKey) {
  const KeyTable table = two_tenants();
  using namespace std::string_literals;
  for (const std::string& text : {key_a + "\0"s, "\0"s + key_a, key_a + "\0x"s, "\0"s}) {
    EXPECT_THAT(refusal(table, {std::nullopt, text}), HasSubstr("key"));
    EXPECT_THAT(refusal(table, bearer("Bearer " + text)), HasSubstr("key"));
  }
  EXPECT_THAT(refusal(table, bearer("Bearer\0 "s + key_a)), HasSubstr("not in the form"));
}

TEST(KeyTableSecurity, TheSchemeHasAnyCaseAndOnlySpaces) {
  const KeyTable table = two_tenants();
  for (const std::string_view scheme : {"Bearer ", "bearer ", "BEARER ", "bEaReR   "}) {
    EXPECT_TRUE(table.authenticate(bearer(std::string(scheme) + key_a))) << scheme;
  }
  for (const std::string_view scheme : {"", "Bearer", "Bearer\t", "Bearer:", " Bearer ", "Bearers ",
                                        "Basic ", "Token ", "=", "Bearer Bearer ",
                                        "B\xc4\x93"
                                        "arer "}) {
    EXPECT_THAT(refusal(table, bearer(std::string(scheme) + key_a)), HasSubstr("key"));
  }
  EXPECT_THAT(refusal(table, bearer("Bearer " + key_a + " ")), HasSubstr("key"));
  EXPECT_THAT(refusal(table, bearer("Bearer ")), HasSubstr("empty"));
  EXPECT_THAT(refusal(table, bearer("")), HasSubstr("not in the form"));
}

TEST(KeyTableSecurity, Class17EmptyAndVeryLongKeysAreRefusedUnhashed) {
  const KeyTable table = two_tenants();
  EXPECT_THAT(refusal(table, {}), HasSubstr("needs an API key"));
  EXPECT_THAT(refusal(table, {std::nullopt, ""}), HasSubstr("empty"));
  const std::string megabyte(1 << 20, 'k');
  EXPECT_THAT(refusal(table, {std::nullopt, megabyte}), HasSubstr("too long"));
  EXPECT_THAT(refusal(table, bearer("Bearer " + megabyte)), HasSubstr("too long"));
  EXPECT_THAT(refusal(table, {std::nullopt, std::string(512, 'k')}), HasSubstr("not known"));
}

TEST(KeyTableSecurity, Class18MessagesHoldNoPartOfAKey) {
  const KeyTable table = two_tenants();
  const std::string secret = "zQ7zQ7zQ7";
  for (const Credentials& credentials :
       {Credentials{secret, std::nullopt}, Credentials{std::nullopt, secret},
        Credentials{std::string_view("Bearer zQ7zQ7zQ7"), std::string_view("zQ7")},
        Credentials{std::string_view("Basic zQ7zQ7zQ7"), std::nullopt}}) {
    EXPECT_THAT(refusal(table, credentials), Not(HasSubstr("zQ7")));
  }
}

}  // namespace
}  // namespace deepseek::access
