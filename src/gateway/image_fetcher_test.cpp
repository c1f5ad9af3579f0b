// Images by URL: over TLS on loopback, which is allowed here for once.
#include "gateway/image_fetcher.hpp"

#include "base/id.hpp"
#include "io/http_server.hpp"
#include "io/io_threads.hpp"
#include "io/task_group.hpp"
#include "io/tls_context.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <optional>

namespace deepseek::gateway {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr const char* param = "messages[0].content[0].image_url";

// Answers by its path.
class ImageSite final : public io::HttpHandler {
 public:
  base::Result<std::uint64_t> accept_head(const io::HttpRequest&) override { return 1024; }
  asio::awaitable<void> handle(io::HttpRequest request, io::HttpResponder& responder) override {
    last_target = request.target;
    last_fields = request.fields.size();
    io::HttpResponse response;
    response.body = "the image";
    response.fields.add("Content-Type", request.target == "/page" ? "text/html" : "image/png");
    if (request.target == "/moved") {
      response.status = 302;
      response.fields.add("Location", "https://127.0.0.1/a.png");
    }
    if (request.target == "/gone") response.status = 404;
    if (request.target == "/large") response.body = std::string(5'000, 'x');
    auto sent = co_await responder.send(std::move(response));
    (void)sent;
  }
  io::HttpResponse refuse(const io::HttpRefusal&, const io::HttpRequest&) override { return {}; }

  std::string last_target;
  std::size_t last_fields = 0;
};

bool everywhere(const asio::ip::address&) {
  return true;
}

asio::awaitable<void> drain(io::HttpServer& server, std::promise<void>& done) {
  co_await server.drain(5s);
  done.set_value();
}

class ImageFetcherTest : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    std::filesystem::create_directory(folder_);
    const std::string files = " -keyout " + folder_ + "/key.pem -out " + folder_ + "/cert.pem";
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1" +
        files + " 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0);
    io::HttpServerOptions options;
    options.tls = io::TlsContext::load(folder_ + "/cert.pem", folder_ + "/key.pem").value();
    server_.emplace(threads_, site_, options, base::Logger());
    port_ = server_->listen("127.0.0.1", 0).value();
    server_->start();
    threads_.start();
    remote_.allowed = true;
    remote_.may_connect = everywhere;
    remote_.trust = io::TlsClientContext::load(folder_ + "/cert.pem").value();
  }
  void TearDown() override {
    std::promise<void> done;
    io::TaskGroup tasks(threads_.context(0).get_executor());
    asio::post(threads_.context(0), [&] { tasks.spawn("drain", drain(*server_, done)); });
    done.get_future().wait();
    threads_.stop();
    threads_.join();
    threads_.context(0).restart();
    threads_.context(0).poll();  // the end of the drain task
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  base::Result<std::string> fetch(const std::string& url, std::int64_t bytes_max = 1'000) {
    asio::io_context context;
    std::optional<base::Result<std::string>> image;
    const WantedImage wanted{url, param};
    io::TaskGroup tasks(context.get_executor());
    tasks.spawn("fetch", run(wanted, bytes_max, context.get_executor(), image));
    context.run();
    return *image;
  }
  asio::awaitable<void> run(const WantedImage& wanted, std::int64_t bytes_max,
                            asio::any_io_executor executor,
                            std::optional<base::Result<std::string>>& image) {
    auto stop = std::make_shared<io::ConnectStop>();
    auto got = co_await fetch_image(wanted, remote_, bytes_max, executor, base::now() + 20s, stop);
    image = std::move(got);
  }
  std::string here(const std::string& target) const {
    return "https://localhost:" + std::to_string(port_) + target;
  }
  std::string refusal(const std::string& url, std::int64_t bytes_max = 1'000) {
    const auto image = fetch(url, bytes_max);
    if (!image.has_error()) return "fetched";
    EXPECT_EQ(image.error().code, base::ErrorCode::invalid_request);
    EXPECT_EQ(image.error().param, param);
    return image.error().message;
  }

  std::string folder_ = std::filesystem::temp_directory_path() / base::random_id("deepseek-site-");
  ImageSite site_;
  io::IoThreads threads_{1};
  std::optional<io::HttpServer> server_;
  std::uint16_t port_ = 0;
  RemoteImageOptions remote_;
};

TEST_F(ImageFetcherTest, BringsAnImage) {
  const auto image = fetch(here("/a/b.png?size=2&key=%20x#top"));
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(*image, "the image");
  EXPECT_EQ(site_.last_target, "/a/b.png?size=2&key=%20x");
  EXPECT_LE(site_.last_fields, 3U) << "Host, Accept, Connection: nothing of a client's";
}

TEST_F(ImageFetcherTest, WhatIsNoImageOrTooLargeOrElsewhereIsRefused) {
  EXPECT_THAT(refusal(here("/moved")), HasSubstr("redirects are not followed"));
  EXPECT_THAT(refusal(here("/gone")), HasSubstr("is not there"));
  EXPECT_THAT(refusal(here("/page")), HasSubstr("neither image/png nor image/jpeg"));
  EXPECT_THAT(refusal(here("/large")), HasSubstr("more than 1000 bytes (images.bytes_max)"));
  EXPECT_THAT(refusal("https://localhost:1/a.png"), HasSubstr("cannot be fetched"));
}

TEST_F(ImageFetcherTest, OnlyPublicAddressesAreConnectedTo) {
  remote_.may_connect = io::is_public;
  for (const char* host : {"localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433",
                           "0x7f000001", "127.1", "0"}) {
    const std::string url = "https://" + std::string(host) + ":" + std::to_string(port_) + "/a.png";
    EXPECT_THAT(refusal(url), HasSubstr("cannot be fetched")) << host;
  }
  EXPECT_EQ(site_.last_target, "") << "nobody came";
}

TEST_F(ImageFetcherTest, WhoseNameTheCertificateHasNotIsRefused) {
  remote_.trust = io::TlsClientContext::load("").value();
  EXPECT_THAT(refusal(here("/a.png")), HasSubstr("cannot be fetched"));
}

TEST_F(ImageFetcherTest, OffMeansOff) {
  remote_.allowed = false;
  EXPECT_THAT(refusal(here("/a.png")), HasSubstr("images.remote"));
  EXPECT_EQ(site_.last_target, "");
}

TEST(ImageUrl, IsSplitAsEverybodyReadsIt) {
  const auto split = split_image_url("https://a.example:8443?x=1#y", param);
  ASSERT_TRUE(split.has_value());
  EXPECT_EQ(split->origin, "https://a.example:8443");
  EXPECT_EQ(split->target, "/?x=1");
  for (const char* url :
       {"http://a.example/", "ftp://a/", "https://", "https:///x", "https://user@a.example/",
        "https://a.example\\@b.example/", "https://a.example/\\x", "https://a b/",
        "https://%31.example/", "https://a.example/\r\nHost: b", "https://a.example/\x7f",
        "https://ex\xC3\xA4mple/"}) {
    EXPECT_TRUE(split_image_url(url, param).has_error()) << url;
  }
  EXPECT_TRUE(split_image_url("https://a/" + std::string(5'000, 'x'), param).has_error());
}

}  // namespace
}  // namespace deepseek::gateway
