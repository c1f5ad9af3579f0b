// Reads the images of requests for one local model: data URLs are decoded, beside the I/O threads
// where they are large; https ones are fetched if that is allowed.
//
// Owned by the engine's backend; read() may be called from any I/O thread. It outlives what reads.
#pragma once

#include "base/clock.hpp"
#include "gateway/image_fetcher.hpp"
#include "gateway/request_images.hpp"
#include "io/connect_stop.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>

namespace deepseek::gateway {

struct ImageOptions {
  protocol::ImageLimits limits{};
  RemoteImageOptions remote{};
};

class ImageReader {
 public:
  explicit ImageReader(ImageOptions options) : options_(std::move(options)), worker_(1) {}
  ~ImageReader() { worker_.join(); }
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  // The files in the request's order; invalid_request names the field of the first that is wrong.
  // The request outlives the call. `stop`, from the caller's thread, ends a fetch.
  boost::asio::awaitable<base::Result<ImageFiles>> read(const protocol::Request& request,
                                                        boost::asio::any_io_executor executor,
                                                        base::TimePoint deadline,
                                                        std::shared_ptr<io::ConnectStop> stop);

 private:
  boost::asio::awaitable<base::Result<ImageFile>> read_one(const WantedImage& wanted,
                                                           boost::asio::any_io_executor executor,
                                                           base::TimePoint deadline,
                                                           std::shared_ptr<io::ConnectStop> stop);

  ImageOptions options_;
  boost::asio::thread_pool worker_;
};

}  // namespace deepseek::gateway
