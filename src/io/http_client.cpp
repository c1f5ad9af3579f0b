#include "io/http_client.hpp"

#include "io/http_head.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <charconv>
#include <optional>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using base::Error;
using base::ErrorCode;
using base::make_error;
using base::Result;
using boost::system::error_code;
using Parser = http::response_parser<http::buffer_body>;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr int interim_heads_max = 8;

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool allowed_request(const HttpClientRequest& request) {
  if (!is_token(request.method) || !request.target.starts_with('/')) return false;
  for (const char c : request.target) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return false;
  }
  for (const auto& [name, value] : request.fields) {
    if (!is_token(name) || !is_field_value(value)) return false;
    for (const std::string_view ours :
         {"host", "content-length", "transfer-encoding", "connection"}) {
      if (equal_names(name, ours)) return false;
    }
  }
  return true;
}

std::string request_head(const HttpClientRequest& request, const HttpUrl& url) {
  std::string head = request.method + " " + request.target + " HTTP/1.1\r\nHost: ";
  head += url.authority() + "\r\n";
  for (const auto& [name, value] : request.fields) head += name + ": " + value + "\r\n";
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  head += request.keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  return head;
}

}  // namespace

std::string HttpUrl::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  std::string text = v6 ? "[" + host + "]" : host;
  if (port != (secure ? 443 : 80)) text += ":" + std::to_string(port);
  return text;
}

Result<HttpUrl> parse_url(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return make_error(ErrorCode::invalid_request,
                      "\"" + std::string(text.substr(0, 80)) + "\" is no URL that can be used: " +
                          std::string(why) + "; allowed is http://host:port or https://host");
  };
  HttpUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.secure = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad("it does not begin with http:// or https://");
  }
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return bad("it holds a blank");
    if (c == '@' || c == '?' || c == '#')
      return bad("user, query and fragment have no place in it");
  }
  const auto slash = rest.find('/');
  url.path = slash == std::string_view::npos ? "" : std::string(rest.substr(slash));
  while (url.path.ends_with('/')) url.path.pop_back();
  std::string_view authority = rest.substr(0, slash);
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return bad("a bracket is open");
    url.host = std::string(authority.substr(1, close - 1));
    port = authority.substr(close + 1);
  } else {
    const auto colon = authority.find(':');
    url.host = std::string(authority.substr(0, colon));
    if (colon != std::string_view::npos) port = authority.substr(colon);
  }
  if (url.host.empty()) return bad("the host is missing");
  url.port = url.secure ? 443 : 80;
  if (port.empty()) return url;
  std::uint32_t number = 0;
  const auto* const last = port.data() + port.size();
  const bool digits = port.starts_with(':') && is_digits(port.substr(1));
  if (!digits || std::from_chars(port.data() + 1, last, number).ec != std::errc{} || number == 0 ||
      number > 65'535) {
    return bad("the port is not a number from 1 to 65535");
  }
  url.port = static_cast<std::uint16_t>(number);
  return url;
}

struct TlsClientContext::State {
  asio::ssl::context context{asio::ssl::context::tls_client};
};

TlsClientContext::TlsClientContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsClientContext::~TlsClientContext() = default;

Result<std::shared_ptr<const TlsClientContext>> TlsClientContext::load(
    const std::string& trust_file) {
  auto state = std::make_unique<State>();
  error_code code;
  ::SSL_CTX_set_min_proto_version(state->context.native_handle(), TLS1_2_VERSION);
  state->context.set_verify_mode(asio::ssl::verify_peer, code);
  if (trust_file.empty()) {
    state->context.set_default_verify_paths(code);
  } else {
    state->context.load_verify_file(trust_file, code);
  }
  if (code) {
    return make_error(ErrorCode::invalid_request,
                      (trust_file.empty() ? "the system's certificates" : trust_file) +
                          ": cannot read the trusted certificates: " + code.message());
  }
  return std::shared_ptr<const TlsClientContext>(new TlsClientContext(std::move(state)));
}

struct HttpClient::State {
  State(asio::any_io_executor executor, HttpUrl where, HttpClientOptions settings)
      : url(std::move(where)), options(std::move(settings)), plain(executor) {}

  beast::tcp_stream& lowest() { return tls ? tls->next_layer() : plain; }

  // The error of a finished step; the connection is of no use after it.
  Error fail(std::string_view step, const error_code& code) {
    broken = true;
    error_code ignored;
    lowest().socket().close(ignored);
    const std::string what = url.authority() + ": " + std::string(step);
    if (code == beast::error::timeout) {
      return make_error(ErrorCode::deadline_exceeded, what + " took longer than its deadline");
    }
    if (closed || code == asio::error::operation_aborted) {
      return make_error(ErrorCode::cancelled, what + " was cancelled");
    }
    if (code == http::error::header_limit) {
      return make_error(
          ErrorCode::upstream_failed,
          what + ": the head is larger than " + std::to_string(options.head_max) + " bytes");
    }
    if (code == http::error::body_limit) {
      return make_error(
          ErrorCode::upstream_failed,
          what + ": the body is larger than " + std::to_string(options.body_max) + " bytes");
    }
    if (code == http::error::end_of_stream || code == http::error::partial_message ||
        code == asio::error::eof || code == asio::ssl::error::stream_truncated) {
      return make_error(ErrorCode::upstream_failed,
                        what + ": the server closed the connection before the end");
    }
    return make_error(ErrorCode::upstream_failed, what + " failed: " + code.message());
  }

  Error unusable(std::string_view step) const {
    return make_error(closed ? ErrorCode::cancelled : ErrorCode::upstream_failed,
                      url.authority() + ": " + std::string(step) + ": the connection is closed");
  }

  HttpUrl url;
  HttpClientOptions options;
  beast::tcp_stream plain;  // until TLS takes its socket
  std::optional<TlsStream> tls;
  beast::flat_buffer buffer;
  std::optional<Parser> parser;
  bool head_only = false;  // the answer to HEAD has no body
  bool kept = false;       // this side asked to keep the connection
  bool broken = false;
  bool closed = false;
};

HttpClient::HttpClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpClient::~HttpClient() = default;

namespace {

using Addresses = asio::ip::tcp::resolver::results_type;

asio::awaitable<Result<Addresses>> resolve(asio::any_io_executor executor, const HttpUrl& url) {
  error_code code;
  const auto address = asio::ip::make_address(url.host, code);
  if (!code) {
    co_return Addresses::create(asio::ip::tcp::endpoint(address, url.port), url.host,
                                std::to_string(url.port));
  }
  asio::ip::tcp::resolver resolver(executor);
  auto [failed, found] =
      co_await resolver.async_resolve(url.host, std::to_string(url.port), as_result);
  if (failed == asio::error::operation_aborted) {
    co_return make_error(ErrorCode::cancelled, url.authority() + ": connecting was cancelled");
  }
  if (failed) {
    co_return make_error(ErrorCode::unavailable, url.authority() + ": no address is known for " +
                                                     url.host + ": " + failed.message());
  }
  co_return found;
}

asio::awaitable<error_code> shake_hands(TlsStream& stream, const std::string& host,
                                        base::TimePoint deadline) {
  // A failure of either call shows in the handshake.
  ::SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host.c_str()));
  stream.set_verify_callback(asio::ssl::host_name_verification(host));
  stream.next_layer().expires_at(deadline);
  auto [code] = co_await stream.async_handshake(asio::ssl::stream_base::client, as_result);
  co_return code;
}

}  // namespace

asio::awaitable<Result<std::unique_ptr<HttpClient>>> HttpClient::connect(
    asio::any_io_executor executor, HttpUrl url, HttpClientOptions options,
    base::TimePoint deadline) {
  if (url.secure && !options.trust) {
    co_return make_error(ErrorCode::invalid_request,
                         url.authority() + ": https needs trusted certificates");
  }
  auto addresses = co_await resolve(executor, url);
  if (addresses.has_error()) co_return addresses.error();
  auto state = std::make_unique<State>(executor, std::move(url), std::move(options));
  state->plain.expires_at(deadline);
  auto [code, endpoint] = co_await state->plain.async_connect(addresses.value(), as_result);
  if (code == beast::error::timeout || code == asio::error::operation_aborted) {
    co_return state->fail("connecting", code);
  }
  if (code) {
    co_return make_error(ErrorCode::unavailable,
                         state->url.authority() + ": cannot connect: " + code.message());
  }
  error_code ignored;
  state->plain.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  if (state->url.secure) {
    state->tls.emplace(std::move(state->plain), state->options.trust->state_->context);
    code = co_await shake_hands(*state->tls, state->url.host, deadline);
    if (code) co_return state->fail("the TLS handshake", code);
  }
  co_return std::unique_ptr<HttpClient>(new HttpClient(std::move(state)));
}

asio::awaitable<Result<void>> HttpClient::send(const HttpClientRequest& request,
                                               base::TimePoint deadline) {
  State& state = *state_;
  if (!allowed_request(request)) {
    co_return make_error(ErrorCode::invalid_request,
                         "method, target or a header field of this request cannot be sent");
  }
  if (state.broken || state.closed || (state.parser && !reusable())) {
    co_return state.unusable("sending");
  }
  state.parser.reset();
  state.head_only = request.method == "HEAD";
  state.kept = request.keep_alive;
  const std::string head = request_head(request, state.url);
  const std::array parts{asio::buffer(head), asio::buffer(request.body)};
  state.lowest().expires_at(deadline);
  error_code code;
  if (state.tls) {
    auto [failed, size] = co_await asio::async_write(*state.tls, parts, as_result);
    code = failed;
  } else {
    auto [failed, size] = co_await asio::async_write(state.plain, parts, as_result);
    code = failed;
  }
  if (code) co_return state.fail("sending the request", code);
  co_return Result<void>{};
}

asio::awaitable<Result<HttpClientHead>> HttpClient::read_head(base::TimePoint deadline) {
  State& state = *state_;
  for (int interim = 0; interim < interim_heads_max; ++interim) {
    if (state.broken || state.closed) co_return state.unusable("reading");
    state.parser.emplace();
    state.parser->header_limit(state.options.head_max);
    state.parser->body_limit(state.options.body_max);
    state.parser->skip(state.head_only);
    state.lowest().expires_at(deadline);
    error_code code;
    if (state.tls) {
      auto [failed, size] =
          co_await http::async_read_header(*state.tls, state.buffer, *state.parser, as_result);
      code = failed;
    } else {
      auto [failed, size] =
          co_await http::async_read_header(state.plain, state.buffer, *state.parser, as_result);
      code = failed;
    }
    if (code) co_return state.fail("reading the answer", code);
    const auto& message = state.parser->get();
    if (message.result_int() / 100 == 1 && message.result_int() != 101) continue;
    // Two framings at once: whose is right cannot be known.
    if (message.count(http::field::content_length) + message.count(http::field::transfer_encoding) >
        1) {
      co_return state.fail("reading the answer", http::error::bad_transfer_encoding);
    }
    HttpClientHead head;
    head.status = static_cast<int>(message.result_int());
    for (const auto& field : message) {
      head.fields.add(std::string(field.name_string()), std::string(field.value()));
    }
    co_return head;
  }
  co_return state.fail("reading the answer", http::error::unexpected_body);
}

asio::awaitable<Result<std::string>> HttpClient::read_piece(base::TimePoint deadline) {
  State& state = *state_;
  std::string piece;
  while (true) {
    if (state.broken || state.closed || !state.parser) co_return state.unusable("reading");
    Parser& parser = *state.parser;
    if (parser.is_done()) co_return std::string{};
    piece.resize(state.options.piece_max);
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    state.lowest().expires_at(deadline);
    error_code code;
    if (state.tls) {
      auto [failed, size] =
          co_await http::async_read_some(*state.tls, state.buffer, parser, as_result);
      code = failed;
    } else {
      auto [failed, size] =
          co_await http::async_read_some(state.plain, state.buffer, parser, as_result);
      code = failed;
    }
    const std::size_t received = piece.size() - body.size;
    body.data = nullptr;
    body.size = 0;
    if (code && code != http::error::need_buffer) co_return state.fail("reading the answer", code);
    if (received == 0) continue;
    piece.resize(received);
    co_return piece;
  }
}

bool HttpClient::reusable() const {
  return !state_->broken && !state_->closed && state_->parser && state_->parser->is_done() &&
         state_->kept && state_->parser->get().keep_alive() && state_->buffer.size() == 0;
}

void HttpClient::close() {
  state_->closed = true;
  error_code ignored;
  state_->lowest().socket().close(ignored);
}

}  // namespace deepseek::io
