#include "io/public_address.hpp"

#include <gtest/gtest.h>
#include <string>

namespace deepseek::io {
namespace {

bool is_open(const std::string& text) {
  return is_public(boost::asio::ip::make_address(text));
}

TEST(PublicAddress, TheInternetIs) {
  for (const char* address :
       {"1.1.1.1",         "8.8.8.8",         "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",  "100.128.0.0",     "126.255.255.255", "128.0.0.1",
        "169.253.255.255", "169.255.0.0",     "172.15.255.255",  "172.32.0.0",
        "192.167.255.255", "192.169.0.0",     "198.17.255.255",  "198.20.0.0",
        "223.255.255.255", "2606:4700::1111", "2a00:1450::1",    "2001:4860:4860::8888",
        "::ffff:1.1.1.1"}) {
    EXPECT_TRUE(is_open(address)) << address;
  }
}

TEST(PublicAddress, WhatIsPrivateReservedOrOursIsNot) {
  for (const char* address :
       {"0.0.0.0",         "0.1.2.3",        "10.0.0.1",        "10.255.255.255",  "100.64.0.1",
        "100.127.255.255", "127.0.0.1",      "127.255.255.254", "169.254.169.254", "169.254.170.2",
        "172.16.0.1",      "172.31.255.255", "192.0.0.1",       "192.0.0.192",     "192.0.2.1",
        "192.88.99.1",     "192.168.0.1",    "192.168.255.255", "198.18.0.1",      "198.19.255.255",
        "198.51.100.1",    "203.0.113.1",    "224.0.0.1",       "239.255.255.255", "240.0.0.1",
        "255.255.255.255", "168.63.129.16"}) {
    EXPECT_FALSE(is_open(address)) << address;
    EXPECT_FALSE(is_open(std::string("::ffff:") + address)) << "mapped " << address;
  }
}

TEST(PublicAddress, SoAreTheirKindsOfIpv6) {
  for (const char* address :
       {"::",           "::1",           "::7f00:1",       "fe80::1",          "febf::1",
        "fc00::1",      "fd00:ec2::254", "ff02::1",        "fec0::1",          "64:ff9b::7f00:1",
        "64:ff9b:1::1", "100::1",        "2001::1",        "2001:0:7f00:1::",  "2001:10::1",
        "2001:20::1",   "2001:db8::1",   "2002:7f00:1::1", "2002:a9fe:a9fe::", "3fff::1",
        "5f00::1"}) {
    EXPECT_FALSE(is_open(address)) << address;
  }
}

}  // namespace
}  // namespace deepseek::io
