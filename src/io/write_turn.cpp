#include "io/write_turn.hpp"

#include "io/http_connection.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;

WriteTurn& WriteTurn::of(const asio::any_io_executor& executor) {
  return asio::use_service<WriteTurn>(asio::query(executor, asio::execution::context));
}

void WriteTurn::join(std::weak_ptr<HttpConnection> connection) {
  const bool first = joined_.empty();
  joined_.push_back(std::move(connection));
  if (joined_.size() % batch == 0) send_batch();
  if (!first) return;
  const auto member = joined_.back().lock();
  if (!member) return joined_.clear();
  asio::post(member->executor(), [this] { end(); });
}

void WriteTurn::send_batch() {
  for (auto each = joined_.end() - batch; each != joined_.end(); ++each) {
    if (const auto connection = each->lock()) connection->send_early();
  }
}

void WriteTurn::end() {
  std::swap(joined_, ending_);
  for (const auto& each : ending_) {
    if (const auto connection = each.lock()) connection->end_turn();
  }
  ending_.clear();
}

}  // namespace deepseek::io
