#include "frontend/answer_cache.hpp"

#include "io/task_group.hpp"

#include <utility>

namespace deepseek::frontend {

namespace asio = boost::asio;

namespace {

asio::awaitable<void> make_key(gateway::CacheKeyParts parts,
                               std::optional<gateway::CacheKey>& key) {
  key = gateway::cache_key(parts);
  co_return;
}

asio::awaitable<void> search(const SimilarAnswers& answers, gateway::CacheKey scope,
                             std::string_view tenant, const std::vector<float>& vector,
                             std::optional<gateway::CacheKey>& found) {
  found = answers.find(scope, tenant, vector);
  co_return;
}

}  // namespace

AnswerCache::AnswerCache(std::unique_ptr<gateway::CacheStore> store, const Options& options)
    : options_(options), store_(std::move(store)), flights_(options.flights) {
  if (options.similar) similar_.emplace(*options.similar);
  worker_.start();
}

AnswerCache::~AnswerCache() {
  worker_.stop();
  worker_.join();
}

asio::awaitable<std::optional<gateway::CacheKey>> AnswerCache::key(gateway::CacheKeyParts parts) {
  if (parts.body.size() <= options_.inline_bytes_max) co_return gateway::cache_key(parts);
  std::optional<gateway::CacheKey> key;
  asio::awaitable<void> task = make_key(parts, key);
  co_await io::run_on(worker_.context(0).get_executor(), std::move(task));
  co_return key;
}

asio::awaitable<std::optional<gateway::CacheKey>> AnswerCache::find_similar(
    gateway::CacheKey scope, std::string_view tenant, const std::vector<float>& vector) {
  std::optional<gateway::CacheKey> found;
  asio::awaitable<void> task = search(*similar_, scope, tenant, vector, found);
  co_await io::run_on(worker_.context(0).get_executor(), std::move(task));
  co_return found;
}

void AnswerCache::given(const gateway::AttemptRecord& record) {
  if (options_.observer != nullptr) options_.observer->on_attempt(record);
}

CacheWish read_wish(const io::HttpRequest& request) {
  CacheWish wish;
  std::string directives;
  for (const auto& [name, value] : request.fields) {
    if (!io::equal_names(name, "cache-control")) continue;
    if (!directives.empty()) directives += ',';
    directives += value;
  }
  if (!directives.empty()) wish.control = gateway::parse_cache_control(directives);
  wish.query = request.query;
  return wish;
}

}  // namespace deepseek::frontend
