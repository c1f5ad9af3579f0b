// Fetches an image that a client names by URL: what a server does on a stranger's word, so it is
// off unless configured, and then goes only where anybody could go.
//
// https alone. The name is looked up once; only public addresses of it are connected to, and those
// very ones, so that a name server cannot give another answer the second time. No redirect is
// followed. The answer must be 200, an image, small, and there in time. Nothing of the request (its
// key, its headers) is sent along, and nothing of the answer but the image comes back to the
// client.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "gateway/request_images.hpp"
#include "io/connect_stop.hpp"
#include "io/public_address.hpp"
#include "io/tls_client_context.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <memory>
#include <string>

namespace deepseek::gateway {

struct RemoteImageOptions {
  bool allowed = false;  // images.remote
  base::Milliseconds timeout{10'000};
  std::shared_ptr<const io::TlsClientContext> trust{};
  bool (*may_connect)(const boost::asio::ip::address&) = io::is_public;
};

// At most `bytes_max` of it. Errors name the client's field: invalid_request (not allowed, not
// there, too large, no image), deadline_exceeded, cancelled.
boost::asio::awaitable<base::Result<std::string>> fetch_image(
    const WantedImage& wanted, const RemoteImageOptions& options, std::int64_t bytes_max,
    boost::asio::any_io_executor executor, base::TimePoint deadline,
    std::shared_ptr<io::ConnectStop> stop);

// Host and path of an image's URL, for a request to it. invalid_request if it is no https URL or
// one that two readers could read differently.
struct ImageUrl {
  std::string origin;  // https://host[:port]
  std::string target;  // path and query
};
base::Result<ImageUrl> split_image_url(std::string_view url, const std::string& param);

}  // namespace deepseek::gateway
