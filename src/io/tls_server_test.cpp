// The server over TLS on loopback, with a certificate made on the spot.
#include "io/http_server.hpp"
#include "io/task_group.hpp"

#include "base/id.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/post.hpp>
#include <csignal>
#include <filesystem>
#include <future>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class EchoHandler final : public HttpHandler {
 public:
  base::Result<std::uint64_t> accept_head(const HttpRequest&) override {
    return std::uint64_t{1u << 20};
  }
  asio::awaitable<void> handle(HttpRequest request, HttpResponder& responder) override {
    HttpResponse head;
    auto done = co_await responder.start(std::move(head));
    if (done) done = co_await responder.write(request.secure ? "secure " : "plain ");
    if (done) done = co_await responder.write(request.body);
    if (done) done = co_await responder.finish();
    EXPECT_TRUE(done);
  }
  HttpResponse refuse(const HttpRefusal& refusal, const HttpRequest&) override {
    HttpResponse response;
    response.status = base::describe(refusal.error.code).http_status;
    return response;
  }
};

// A folder with a key and a certificate that the key signed itself.
class Identity {
 public:
  Identity() : folder_(std::filesystem::temp_directory_path() / base::random_id("deepseek-tls-")) {
    std::filesystem::create_directory(folder_);
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    X509* const certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    std::FILE* file = std::fopen(key_file().c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    file = std::fopen(certificate_file().c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~Identity() { std::filesystem::remove_all(folder_); }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  std::string key_file() const { return folder_ / "server.key"; }
  std::string certificate_file() const { return folder_ / "server.crt"; }
  std::string folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

// A blocking TLS client.
class TlsClient {
 public:
  TlsClient(std::uint16_t port, int version) {
    descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    SSL_CTX_set_max_proto_version(context_, version);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, descriptor_);
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>("\x02h2\x08http/1.1"), 12);
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ::close(descriptor_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool connected() const { return connected_; }
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  std::string exchange(const std::string& request, const std::string& end) {
    EXPECT_EQ(SSL_write(ssl_, request.data(), static_cast<int>(request.size())),
              static_cast<int>(request.size()));
    std::string answer;
    char bytes[4096];
    int size = 0;
    while (answer.find(end) == std::string::npos &&
           (size = SSL_read(ssl_, bytes, sizeof bytes)) > 0) {
      answer.append(bytes, static_cast<std::size_t>(size));
    }
    return answer;
  }

 private:
  int descriptor_ = -1;
  SSL_CTX* context_ = SSL_CTX_new(TLS_client_method());
  SSL* ssl_ = nullptr;
  bool connected_ = false;
};

asio::awaitable<void> drain_server(HttpServer& server, std::promise<void>& done) {
  co_await server.drain(5s);
  done.set_value();
}

class TlsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);  // as main() does: OpenSSL writes with write()
    auto context = TlsContext::load(identity_.certificate_file(), identity_.key_file());
    ASSERT_TRUE(context) << context.error().message;
    options_.tls = *context;
    options_.handshake_timeout = 50ms;
    server_.emplace(threads_, handler_, options_, base::Logger());
    auto port = server_->listen("127.0.0.1", 0);
    ASSERT_TRUE(port);
    port_ = *port;
    server_->start();
    threads_.start();
  }
  void TearDown() override {
    std::promise<void> done;
    TaskGroup tasks(threads_.context(0).get_executor());
    asio::post(threads_.context(0), [&] { tasks.spawn("drain", drain_server(*server_, done)); });
    done.get_future().wait();
    threads_.stop();
    threads_.join();
    threads_.context(0).restart();
    threads_.context(0).poll();  // the end of the drain task
    server_.reset();
  }

  Identity identity_;
  HttpServerOptions options_;
  IoThreads threads_{1};
  EchoHandler handler_;
  std::optional<HttpServer> server_;
  std::uint16_t port_ = 0;
};

TEST_F(TlsServerTest, ServesLargeBodiesAndKeepsTheConnection) {
  TlsClient client(port_, TLS1_3_VERSION);
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.protocol(), "http/1.1");
  const std::string body(200'000, 'b');
  for (int i = 0; i < 3; ++i) {
    const std::string answer = client.exchange(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body, "0\r\n\r\n");
    EXPECT_NE(answer.find("7\r\nsecure \r\n30d40\r\nbbbb"), std::string::npos)
        << answer.substr(0, 300);
    EXPECT_GT(answer.size(), body.size());
  }
}

TEST_F(TlsServerTest, RefusesOlderVersionsAndPlainText) {
  TlsClient old(port_, TLS1_2_VERSION);
  EXPECT_FALSE(old.connected());
  const int plain = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(plain, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::send(plain, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
  char bytes[64];
  while (::recv(plain, bytes, sizeof bytes, 0) > 0) {  // an alert, then the end
  }
  ::close(plain);
}

TEST_F(TlsServerTest, ASilentHandshakeTimesOut) {
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(silent, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  char byte = 0;
  EXPECT_EQ(::recv(silent, &byte, 1, 0), 0);
  ::close(silent);
}

TEST(TlsContext, NamesTheBadFile) {
  const Identity one;
  const Identity other;
  auto missing = TlsContext::load(one.folder() + "/none", one.key_file());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "TLS: " + one.folder() + "/none: No such file or directory");
  auto mismatch = TlsContext::load(one.certificate_file(), other.key_file());
  ASSERT_FALSE(mismatch);
  EXPECT_NE(mismatch.error().message.find("does not belong to " + one.certificate_file()),
            std::string::npos)
      << mismatch.error().message;
  auto swapped = TlsContext::load(one.key_file(), one.certificate_file());
  ASSERT_FALSE(swapped);
  EXPECT_NE(swapped.error().message.find("no certificate chain"), std::string::npos);
}

}  // namespace
}  // namespace deepseek::io
