#include "gateway/cache/semantic_index.hpp"

#include <gtest/gtest.h>
#include <cmath>
#include <limits>

namespace deepseek::gateway {
namespace {

using Vector = std::vector<float>;

CacheKey key(int number) {
  return CacheKey{base::sha256(std::to_string(number))};
}

const CacheKey scope = key(-1);

// A direction in a plane; two of them differ by the cosine of the angle between.
Vector direction(double degrees, double length = 1, std::size_t dimensions = 20) {
  Vector vector(dimensions, 0);
  const double angle = degrees * 3.14159265358979 / 180;
  vector[0] = static_cast<float>(length * std::cos(angle));
  vector[dimensions - 1] = static_cast<float>(length * std::sin(angle));
  return vector;
}

TEST(SemanticIndex, FindsTheMostSimilarAboveTheThreshold) {
  SemanticIndex index({});
  EXPECT_FALSE(index.find(scope, "t", direction(0), 0));
  EXPECT_TRUE(index.insert(scope, "t", direction(0), key(0)));
  EXPECT_TRUE(index.insert(scope, "t", direction(30, 1000), key(30)));
  EXPECT_TRUE(index.insert(scope, "t", direction(90, 0.001), key(90)));
  const auto same = index.find(scope, "t", direction(30, 0.5), 0.99F);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->answer, key(30));
  EXPECT_NEAR(same->similarity, 1, 1e-6);
  EXPECT_LE(same->similarity, 1);
  const auto near = index.find(scope, "t", direction(20), 0.98F);
  ASSERT_TRUE(near);
  EXPECT_EQ(near->answer, key(30));
  EXPECT_NEAR(near->similarity, std::cos(10 * 3.14159265 / 180), 1e-6);
  EXPECT_FALSE(index.find(scope, "t", direction(20), 0.99F));
  EXPECT_EQ(index.find(scope, "t", direction(180), -1)->answer, key(90));
}

// Class 6 of the attacks.
TEST(SemanticIndexSecurity, Class6ScopesAndTenantsDoNotSeeEachOther) {
  SemanticIndex index({});
  EXPECT_TRUE(index.insert(scope, "t", direction(0), key(0)));
  EXPECT_FALSE(index.find(key(5), "t", direction(0), 0));
  EXPECT_FALSE(index.find(scope, "u", direction(0), 0));
  EXPECT_FALSE(index.insert(scope, "u", direction(0), key(1)));
  EXPECT_TRUE(index.insert(key(5), "u", direction(0), key(5)));
  index.clear_tenant("t");
  EXPECT_FALSE(index.find(scope, "t", direction(0), 0));
  EXPECT_EQ(index.find(key(5), "u", direction(0), 0)->answer, key(5));
}

TEST(SemanticIndex, RefusesWhatIsNoDirection) {
  SemanticIndex index({4, 10, 32, 1 << 20});
  const float infinite = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Vector& vector : {Vector{}, Vector{0, 0}, Vector{nan, 1}, Vector{infinite, 1},
                               Vector{-infinite, infinite}, Vector(33, 1)}) {
    EXPECT_FALSE(index.insert(scope, "t", vector, key(0)));
    EXPECT_FALSE(index.find(scope, "t", vector, -1));
  }
  EXPECT_EQ(index.size().scopes, 0u);
  EXPECT_TRUE(index.insert(scope, "t", Vector{1e30F, 1e30F}, key(0)));
  EXPECT_FALSE(index.insert(scope, "t", Vector{1, 0, 0}, key(1))) << "of another model";
  EXPECT_FALSE(index.find(scope, "t", Vector{1, 0, 0}, -1));
  EXPECT_FALSE(index.find(scope, "t", Vector{1, 1}, nan));
  EXPECT_EQ(index.size().entries, 1u);
}

TEST(SemanticIndex, TheOldestOfAScopeGoFirst) {
  SemanticIndex index({4, 3, 32, 1 << 20});
  for (int i = 0; i < 5; ++i) index.insert(scope, "t", direction(10 * i), key(i));
  EXPECT_EQ(index.size().entries, 3u);
  EXPECT_FALSE(index.find(scope, "t", direction(0), 0.999F));
  EXPECT_FALSE(index.find(scope, "t", direction(10), 0.999F));
  for (int i = 2; i < 5; ++i) {
    EXPECT_EQ(index.find(scope, "t", direction(10 * i), 0.999F)->answer, key(i));
  }
  index.erase(scope, key(3));
  EXPECT_FALSE(index.find(scope, "t", direction(30), 0.999F));
  EXPECT_EQ(index.find(scope, "t", direction(40), 0.999F)->answer, key(4));
  for (int i = 5; i < 9; ++i) index.insert(scope, "t", direction(10 * i), key(i));
  EXPECT_EQ(index.size().entries, 3u);
  EXPECT_EQ(index.find(scope, "t", direction(80), 0.999F)->answer, key(8));
  for (int i = 0; i < 9; ++i) index.erase(scope, key(i));
  EXPECT_EQ(index.size().scopes, 0u);
  EXPECT_EQ(index.size().bytes, 0u);
  index.erase(scope, key(1));
}

TEST(SemanticIndex, ScopesAndBytesAreBounded) {
  SemanticIndex by_count({3, 10, 32, 1 << 20});
  for (int i = 0; i < 3; ++i) by_count.insert(key(i), "t", direction(0), key(i));
  by_count.find(key(0), "t", direction(0), 0);
  by_count.insert(key(3), "t", direction(0), key(3));
  EXPECT_EQ(by_count.size().scopes, 3u);
  EXPECT_TRUE(by_count.find(key(0), "t", direction(0), 0));
  EXPECT_FALSE(by_count.find(key(1), "t", direction(0), 0)) << "used longest ago";

  SemanticIndex by_bytes({1000, 10, 4096, 100'000});
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(by_bytes.insert(key(i), "t", direction(0, 1, 4000), key(i)));
    EXPECT_LE(by_bytes.size().bytes, 100'000u);
  }
  EXPECT_TRUE(by_bytes.find(key(99), "t", direction(0, 1, 4000), 0.9F));
  EXPECT_GE(by_bytes.size().scopes, 5u);
}

}  // namespace
}  // namespace deepseek::gateway
