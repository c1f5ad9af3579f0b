#include "gateway/side_work.hpp"

#include "io/io_threads.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;

SideWork::SideWork(std::span<const asio::any_io_executor> threads,
                   const io::TaskGroup::ExceptionHandler& on_exception) {
  for (const asio::any_io_executor& executor : threads) {
    groups_.push_back(std::make_unique<io::TaskGroup>(executor, on_exception));
  }
}

bool SideWork::spawn(std::string_view name, asio::awaitable<void> task) {
  const std::size_t thread = std::min(io::IoThreads::current(), groups_.size() - 1);
  return groups_[thread]->spawn(name, std::move(task));
}

bool SideWork::enter_shadow() {
  if (shadows_.fetch_add(1) < shadows_max) return true;
  --shadows_;
  return false;
}

asio::awaitable<void> SideWork::stop() {
  for (const auto& group : groups_) {
    co_await io::run_on(group->executor(), group->stop());
  }
}

}  // namespace deepseek::gateway
