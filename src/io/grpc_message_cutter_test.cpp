#include "io/grpc_message_cutter.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace deepseek::io {
namespace {

std::string framed(const std::string& message) {
  std::string out(5, '\0');
  out[3] = static_cast<char>(message.size() >> 8);
  out[4] = static_cast<char>(message.size() & 0xFF);
  return out + message;
}

TEST(GrpcMessageCutter, CutsTheSameHoweverItComes) {
  const std::vector<std::string> messages{"a", "", std::string(300, 'b'), std::string(1, '\0')};
  std::string all;
  for (const std::string& message : messages) all += framed(message);
  for (std::size_t step = 1; step <= all.size(); ++step) {
    GrpcMessageCutter cutter;
    std::vector<std::string> got;
    for (std::size_t at = 0; at < all.size(); at += step) {
      cutter.push(std::string_view(all).substr(at, step));
      while (auto message = cutter.next()) got.push_back(std::move(*message));
    }
    EXPECT_EQ(got, messages) << "in pieces of " << step;
  }
}

}  // namespace
}  // namespace deepseek::io
