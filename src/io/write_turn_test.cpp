#include "io/write_turn.hpp"

#include "io/http_connection.hpp"
#include "io/task_group.hpp"

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>
#include <vector>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::size_t large = 4u << 20;  // more than the kernel takes at once

// One of our connections, and the plain socket of its peer on the same thread.
class WriteTurnTest : public testing::Test {
 protected:
  struct Pair {
    std::shared_ptr<HttpConnection> ours;
    tcp::socket peer;
  };

  Pair connect() {
    tcp::acceptor acceptor(context_, {asio::ip::address_v4::loopback(), 0});
    tcp::socket peer(context_);
    peer.connect(acceptor.local_endpoint());
    tcp::socket accepted = acceptor.accept();
    peer.non_blocking(true);
    return {std::make_shared<HttpConnection>(std::move(accepted), nullptr, 4096), std::move(peer)};
  }

  // What the peer has got by now.
  static std::string received(tcp::socket& peer, bool* ended = nullptr) {
    std::string text;
    std::string piece(64u << 10, '\0');
    boost::system::error_code error;
    while (!error) {
      const std::size_t size = peer.read_some(asio::buffer(piece), error);
      text.append(piece, 0, size);
    }
    if (ended != nullptr) *ended = error == asio::error::eof;
    return text;
  }

  asio::io_context context_{1};
};

TEST_F(WriteTurnTest, SmallWritesAreSentWhenTheTurnEnds) {
  Pair one = connect();
  Pair two = connect();
  asio::post(context_, [&] {
    one.ours->set_parts({"a", "b"});
    EXPECT_TRUE(one.ours->write_now());
    two.ours->set_parts({"c"});
    EXPECT_TRUE(two.ours->write_now());
    one.ours->set_parts({"d"});
    EXPECT_TRUE(one.ours->write_now());
    EXPECT_EQ(received(one.peer), "");
    EXPECT_EQ(received(two.peer), "");
  });
  context_.run();
  EXPECT_EQ(received(one.peer), "abd");
  EXPECT_EQ(received(two.peer), "c");
}

TEST_F(WriteTurnTest, AFullBatchDoesNotWaitForTheEndOfALongTurn) {
  std::vector<Pair> pairs;
  for (int i = 0; i < 20; ++i) pairs.push_back(connect());
  asio::post(context_, [&] {
    for (Pair& pair : pairs) {
      pair.ours->set_parts({"frame"});
      EXPECT_TRUE(pair.ours->write_now());
    }
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(received(pairs[static_cast<std::size_t>(i)].peer), i < 16 ? "frame" : "") << i;
    }
    pairs.front().ours->set_parts({"more"});
    EXPECT_TRUE(pairs.front().ours->write_now());
  });
  context_.run();
  EXPECT_EQ(received(pairs.front().peer), "more");
  EXPECT_EQ(received(pairs[1].peer), "") << "nothing is sent twice";
  EXPECT_EQ(received(pairs.back().peer), "frame");
}

TEST_F(WriteTurnTest, ALargeWriteFollowsTheSmallOneBeforeIt) {
  Pair pair = connect();
  const std::string body(32u << 10, 'x');
  asio::post(context_, [&] {
    pair.ours->set_parts({"small"});
    EXPECT_TRUE(pair.ours->write_now());
    pair.ours->set_parts({body});
    EXPECT_TRUE(pair.ours->write_now());
    EXPECT_EQ(received(pair.peer), "small" + body);
  });
  context_.run();
  EXPECT_EQ(received(pair.peer), "");
}

TEST_F(WriteTurnTest, APeerThatReadsLateGetsEverythingInOrder) {
  Pair pair = connect();
  const std::string body(large, 'x');
  bool done = false;
  TaskGroup tasks(context_.get_executor());
  const auto write_all = [&]() -> asio::awaitable<void> {
    pair.ours->set_parts({body});
    auto written = co_await pair.ours->write(base::Milliseconds(10'000));
    EXPECT_FALSE(written.has_error());
    pair.ours->set_parts({"end"});
    written = co_await pair.ours->write(base::Milliseconds(10'000));
    EXPECT_FALSE(written.has_error());
    done = true;
  };
  tasks.spawn("write", write_all());
  context_.poll();
  EXPECT_FALSE(done);
  std::string text;
  while (text.size() < large + 3 || tasks.size() > 0) {
    text += received(pair.peer);
    context_.poll();
  }
  EXPECT_TRUE(done);
  EXPECT_EQ(text, body + "end");
}

TEST_F(WriteTurnTest, ASmallWriteThatThePeerDoesNotTakeGoesOnBeforeTheNext) {
  Pair pair = connect();
  // Full buffers first, with the bytes of a write that nobody waits for any more.
  const std::string body(large, 'x');
  std::size_t sent = 0;
  pair.ours->set_parts({body});
  EXPECT_FALSE(pair.ours->write_now());
  pair.ours->set_parts({});
  asio::post(context_, [&] {
    pair.ours->set_parts({"small"});
    EXPECT_TRUE(pair.ours->write_now());
  });
  context_.poll();
  context_.restart();
  asio::post(context_, [&] {
    pair.ours->set_parts({"next"});
    EXPECT_FALSE(pair.ours->write_now()) << "what waits goes first, and the peer takes nothing";
  });
  context_.poll();
  context_.restart();
  std::string text;
  while (!text.ends_with("small")) {
    text += received(pair.peer);
    context_.poll();
    context_.restart();
  }
  sent = text.size() - 5;
  EXPECT_EQ(text, std::string(sent, 'x') + "small");
  EXPECT_TRUE(pair.ours->write_now());
  context_.poll();
  EXPECT_EQ(received(pair.peer), "next");
}

TEST_F(WriteTurnTest, NothingIsLostWhenAConnectionIsShutDownOrClosedInTheSameTurn) {
  for (const bool close : {false, true}) {
    Pair pair = connect();
    asio::post(context_, [&] {
      pair.ours->set_parts({"last words"});
      EXPECT_TRUE(pair.ours->write_now());
      if (close) {
        pair.ours->close();
      } else {
        pair.ours->shutdown_write();
      }
    });
    context_.run();
    context_.restart();
    bool ended = false;
    EXPECT_EQ(received(pair.peer, &ended), "last words");
    EXPECT_TRUE(ended);
  }
}

TEST_F(WriteTurnTest, AConnectionThatIsCutOrGoneBeforeTheTurnEndsIsLeftAlone) {
  Pair cut = connect();
  Pair gone = connect();
  asio::post(context_, [&] {
    cut.ours->set_parts({"never sent"});
    EXPECT_TRUE(cut.ours->write_now());
    cut.ours->cut();
    EXPECT_FALSE(cut.ours->write_now());
    gone.ours->set_parts({"sent by nobody"});
    EXPECT_TRUE(gone.ours->write_now());
    gone.ours.reset();
  });
  context_.run();
  bool ended = false;
  EXPECT_EQ(received(cut.peer, &ended), "");
  EXPECT_TRUE(ended);
  EXPECT_EQ(received(gone.peer), "");
}

}  // namespace
}  // namespace deepseek::io
