#include "io/systemd_notify.hpp"

#include "base/id.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

namespace deepseek::io {
namespace {

class SystemdNotifyTest : public testing::Test {
 protected:
  void TearDown() override {
    ::unsetenv("NOTIFY_SOCKET");
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty() && path_[0] == '/') std::filesystem::remove(path_);
  }
  void listen_on(const std::string& path) {
    path_ = path;
    descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    ASSERT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  std::string receive() {
    char bytes[256];
    const ssize_t size = ::recv(descriptor_, bytes, sizeof bytes, MSG_DONTWAIT);
    return size < 0 ? "nothing" : std::string(bytes, static_cast<std::size_t>(size));
  }

  std::string path_;
  int descriptor_ = -1;
};

TEST_F(SystemdNotifyTest, SendsToAnAbstractSocket) {
  listen_on(base::random_id("@deepseek-notify-"));
  ASSERT_TRUE(notify_systemd("READY=1"));
  EXPECT_EQ(receive(), "READY=1");
}

TEST_F(SystemdNotifyTest, SendsToAFile) {
  listen_on(std::filesystem::temp_directory_path() / base::random_id("deepseek-notify-"));
  ASSERT_TRUE(notify_systemd("STOPPING=1\nSTATUS=draining"));
  EXPECT_EQ(receive(), "STOPPING=1\nSTATUS=draining");
}

TEST_F(SystemdNotifyTest, DoesNothingWithoutASocketAndFailsWithABadOne) {
  EXPECT_TRUE(notify_systemd("READY=1"));
  ::setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_FALSE(notify_systemd("READY=1"));
  ::setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
  auto sent = notify_systemd("READY=1");
  ASSERT_FALSE(sent);
  EXPECT_NE(sent.error().message.find("/no/such/socket"), std::string::npos);
}

}  // namespace
}  // namespace deepseek::io
