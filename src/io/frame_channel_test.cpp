#include "io/frame_channel.hpp"

#include "io/task_group.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;
using base::ErrorCode;

asio::awaitable<void> read_frames(FrameChannel& channel, std::vector<std::string>& frames,
                                  std::optional<base::Error>& error) {
  while (true) {
    auto frame = co_await channel.read();
    if (!frame) {
      error = frame.error();
      co_return;
    }
    frames.push_back(std::move(*frame));
  }
}

class FrameChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pair = make_socket_pair();
    ASSERT_TRUE(pair);
    ours_ = pair->first;
    peer_ = pair->second;
  }
  void TearDown() override {
    if (peer_ >= 0) ::close(peer_);
  }
  void close_peer() {
    ::close(peer_);
    peer_ = -1;
  }
  void write_peer(std::string_view bytes) {
    ASSERT_EQ(::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  asio::io_context context_;
  TaskGroup group_{context_.get_executor()};
  std::vector<std::string> frames_;
  std::optional<base::Error> error_;
  int ours_ = -1;
  int peer_ = -1;
};

TEST_F(FrameChannelTest, FramesArriveInOrderWhateverTheirSize) {
  FrameChannel left(context_.get_executor(), ours_, {});
  FrameChannel right(context_.get_executor(), peer_, {});
  peer_ = -1;
  group_.spawn("read", read_frames(right, frames_, error_));
  std::vector<std::string> sent;
  for (std::size_t size : {0u, 1u, 3u, 1000u, 65'532u, 65'536u, 3'000'000u, 5u}) {
    sent.emplace_back(size, static_cast<char>('a' + sent.size()));
    ASSERT_TRUE(left.send(sent.back()));
  }
  while (frames_.size() < sent.size()) context_.run_one();
  EXPECT_EQ(frames_, sent);
  left.close();
  context_.run();
  ASSERT_TRUE(error_);
  EXPECT_EQ(error_->code, ErrorCode::cancelled);
}

TEST_F(FrameChannelTest, ReassemblesFramesFromSingleBytes) {
  FrameChannel channel(context_.get_executor(), ours_, {});
  group_.spawn("read", read_frames(channel, frames_, error_));
  const std::string bytes("\0\0\0\3abc\0\0\0\0\0\0\0\1z", 16);
  for (char byte : bytes) {
    write_peer(std::string_view(&byte, 1));
    context_.poll();
  }
  EXPECT_EQ(frames_, (std::vector<std::string>{"abc", "", "z"}));
  close_peer();
  context_.run();
}

TEST_F(FrameChannelTest, RefusesAnOversizedFrameBeforeItsBytesCome) {
  FrameChannel channel(context_.get_executor(), ours_, {.frame_max = 10, .write_queue_max = 100});
  group_.spawn("read", read_frames(channel, frames_, error_));
  write_peer(std::string_view("\0\0\0\13", 4));
  context_.run();
  ASSERT_TRUE(error_);
  EXPECT_EQ(error_->code, ErrorCode::invalid_request);
  EXPECT_NE(error_->message.find("11 bytes"), std::string::npos) << error_->message;
  auto sent = channel.send(std::string(11, 'x'));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::invalid_request);
}

TEST_F(FrameChannelTest, ACutFrameIsAnEndNotAFrame) {
  FrameChannel channel(context_.get_executor(), ours_, {});
  group_.spawn("read", read_frames(channel, frames_, error_));
  write_peer(std::string_view("\0\0\0\5ab", 6));
  close_peer();
  context_.run();
  EXPECT_TRUE(frames_.empty());
  ASSERT_TRUE(error_);
  EXPECT_EQ(error_->code, ErrorCode::cancelled);
}

TEST_F(FrameChannelTest, BoundsWhatAPeerDoesNotRead) {
  FrameChannel channel(context_.get_executor(), ours_,
                       {.frame_max = 1u << 20, .write_queue_max = 1u << 20});
  std::optional<base::Error> refused;
  for (int i = 0; i < 10'000 && !refused; ++i) {
    auto sent = channel.send(std::string(64u << 10, 'x'));
    if (!sent) refused = sent.error();
    context_.poll();
  }
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::queue_full);
  channel.close();
  context_.run();
  auto late = channel.send("x");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::cancelled);
}

TEST_F(FrameChannelTest, CloseEndsAPendingReadAndFlushesWhatFits) {
  FrameChannel channel(context_.get_executor(), ours_, {});
  group_.spawn("read", read_frames(channel, frames_, error_));
  context_.poll();
  ASSERT_TRUE(channel.send("last"));
  channel.close();
  channel.close();
  context_.run();
  EXPECT_TRUE(error_);
  char bytes[16];
  EXPECT_EQ(::recv(peer_, bytes, sizeof bytes, 0), 8);
  EXPECT_EQ(std::string_view(bytes, 8), std::string_view("\0\0\0\4last", 8));
}

}  // namespace
}  // namespace deepseek::io
