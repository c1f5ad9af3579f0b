#include "gateway/image_fetcher.hpp"

#include "io/http_client.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

namespace {

constexpr std::string_view scheme = "https://";
constexpr std::size_t url_max = 4096;

base::Error refuse(const std::string& param, const std::string& what,
                   base::ErrorCode code = base::ErrorCode::invalid_request) {
  return base::make_error(code, param + ": the image " + what, param);
}

// A step that failed, without the words of whoever answered there: they may tell of our network.
base::Error failed(const std::string& param, const base::Error& error) {
  switch (error.code) {
    case base::ErrorCode::cancelled:
      return error;
    case base::ErrorCode::deadline_exceeded:
      return refuse(param, "did not arrive in time. Send it as a data URL.");
    default:
      return refuse(param, "cannot be fetched from that URL. Send it as a data URL.");
  }
}

bool is_image(const io::HttpFields& fields) {
  const std::string_view type = fields.find("content-type").value_or("");
  const std::string_view bare = type.substr(0, type.find_first_of("; "));
  return io::equal_names(bare, "image/png") || io::equal_names(bare, "image/jpeg");
}

Result<void> check_head(const io::HttpClientHead& head, const std::string& param,
                        std::int64_t bytes_max) {
  if (head.status >= 300 && head.status < 400) {
    return refuse(param, "is somewhere else (redirects are not followed). Give its own URL.");
  }
  if (head.status != 200) return refuse(param, "is not there. Check its URL.");
  if (!is_image(head.fields)) return refuse(param, "is neither image/png nor image/jpeg there.");
  if (head.fields.find("content-encoding")) return refuse(param, "is compressed once more there.");
  const std::string_view length = head.fields.find("content-length").value_or("0");
  std::int64_t bytes = 0;
  std::from_chars(length.data(), length.data() + length.size(), bytes);
  if (bytes > bytes_max) {
    return refuse(param, "has more than " + std::to_string(bytes_max) +
                             " bytes (images.bytes_max). Make it smaller.");
  }
  return {};
}

Result<io::HttpClientRequest> make_request(const ImageUrl& url) {
  io::HttpClientRequest request;
  request.target = url.target;
  request.fields.add("Accept", "image/png, image/jpeg");
  return request;
}

asio::awaitable<Result<std::string>> read_body(io::HttpClient& client, const std::string& param,
                                               std::int64_t bytes_max, base::TimePoint deadline) {
  std::string body;
  for (;;) {
    Result<std::string> piece = co_await client.read_piece(deadline);
    if (piece.has_error()) co_return failed(param, piece.error());
    if (piece->empty()) co_return body;
    body += *piece;
    if (body.size() <= static_cast<std::size_t>(bytes_max)) continue;
    co_return refuse(param, "has more than " + std::to_string(bytes_max) +
                                " bytes (images.bytes_max). Make it smaller.");
  }
}

}  // namespace

Result<ImageUrl> split_image_url(std::string_view url, const std::string& param) {
  const auto wrong = [&param](const char* why) {
    return refuse(param, std::string("URL cannot be used: ") + why + ".");
  };
  if (!url.starts_with(scheme)) return wrong("it must begin with https:// or data:");
  if (url.size() > url_max) return wrong("it is longer than 4096 bytes");
  const bool plain = std::ranges::all_of(url, [](char character) {
    const auto byte = static_cast<unsigned char>(character);
    return byte > 0x20 && byte < 0x7F && character != '\\';
  });
  if (!plain) return wrong("it holds characters that a URL must escape");
  url = url.substr(0, url.find('#'));
  const std::size_t end = std::min(url.find_first_of("/?", scheme.size()), url.size());
  const std::string_view authority = url.substr(scheme.size(), end - scheme.size());
  if (authority.empty() || authority.find('@') != std::string_view::npos ||
      authority.find('%') != std::string_view::npos) {
    return wrong("it must name a host alone");
  }
  ImageUrl split{std::string(url.substr(0, end)), std::string(url.substr(end))};
  if (!split.target.starts_with('/')) split.target.insert(0, "/");
  return split;
}

asio::awaitable<Result<std::string>> fetch_image(const WantedImage& wanted,
                                                 const RemoteImageOptions& options,
                                                 std::int64_t bytes_max,
                                                 asio::any_io_executor executor,
                                                 base::TimePoint deadline,
                                                 std::shared_ptr<io::ConnectStop> stop) {
  const std::string& param = wanted.param;
  if (!options.allowed) {
    co_return refuse(param,
                     "is not fetched: this server reads images from data URLs alone "
                     "(images.remote). Send it as data:image/png;base64,DATA.");
  }
  const Result<ImageUrl> split = split_image_url(wanted.url, param);
  if (split.has_error()) co_return split.error();
  const Result<io::HttpUrl> url = io::parse_url(split->origin);
  if (url.has_error()) co_return refuse(param, "URL cannot be used: its host is wrong.");
  deadline = std::min(deadline, base::now() + options.timeout);
  io::HttpClientOptions client_options;
  client_options.trust = options.trust;
  client_options.may_connect = options.may_connect;
  auto client = co_await io::HttpClient::connect(std::move(executor), *url, client_options,
                                                 deadline, nullptr, stop);
  if (client.has_error()) co_return failed(param, client.error());
  // Whoever asked may leave while the answer is read.
  stop->arm([pointer = client->get()] { pointer->close(); });
  const Result<io::HttpClientRequest> request = make_request(*split);
  Result<void> sent = co_await (*client)->send(*request, deadline);
  if (sent.has_error()) {
    stop->arm({});
    co_return failed(param, sent.error());
  }
  const Result<io::HttpClientHead> head = co_await (*client)->read_head(deadline);
  if (head.has_error()) {
    stop->arm({});
    co_return failed(param, head.error());
  }
  const Result<void> checked = check_head(*head, param, bytes_max);
  if (checked.has_error()) {
    stop->arm({});
    co_return checked.error();
  }
  Result<std::string> body = co_await read_body(**client, param, bytes_max, deadline);
  stop->arm({});
  co_return body;
}

}  // namespace deepseek::gateway
