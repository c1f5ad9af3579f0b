#include "gateway/image_reader.hpp"

#include "io/task_group.hpp"
#include "protocol/data_url.hpp"

#include <optional>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

namespace {

// Of a URL: shorter ones take less time than going to another thread and back.
constexpr std::size_t small_bytes = 64u << 10;

asio::awaitable<void> decode(const WantedImage* wanted, const protocol::ImageLimits* limits,
                             std::optional<Result<ImageFile>>* file) {
  file->emplace(read_image(*wanted, *limits));
  co_return;
}

}  // namespace

asio::awaitable<Result<ImageFile>> ImageReader::read_one(const WantedImage& wanted,
                                                         asio::any_io_executor executor,
                                                         base::TimePoint deadline,
                                                         std::shared_ptr<io::ConnectStop> stop) {
  if (!wanted.url.starts_with(protocol::data_scheme)) {
    Result<std::string> bytes =
        co_await fetch_image(wanted, options_.remote, options_.limits.bytes_max,
                             std::move(executor), deadline, std::move(stop));
    if (bytes.has_error()) co_return bytes.error();
    co_return check_image(std::move(*bytes), wanted.param, options_.limits);
  }
  if (wanted.url.size() <= small_bytes) co_return read_image(wanted, options_.limits);
  std::optional<Result<ImageFile>> file;
  co_await io::run_on(worker_.get_executor(), decode(&wanted, &options_.limits, &file));
  co_return std::move(*file);
}

asio::awaitable<Result<ImageFiles>> ImageReader::read(const protocol::Request& request,
                                                      asio::any_io_executor executor,
                                                      base::TimePoint deadline,
                                                      std::shared_ptr<io::ConnectStop> stop) {
  const Result<std::vector<WantedImage>> wanted = wanted_images(request, options_.limits);
  if (wanted.has_error()) co_return wanted.error();
  ImageFiles files;
  for (const WantedImage& image : *wanted) {
    Result<ImageFile> file = co_await read_one(image, executor, deadline, stop);
    if (file.has_error()) co_return file.error();
    files.push_back(std::move(*file));
    const Result<void> sum = check_sum(files, request);
    if (sum.has_error()) co_return sum.error();
  }
  co_return files;
}

}  // namespace deepseek::gateway
