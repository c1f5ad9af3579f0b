// The gateway: from a request to the backends that may answer it, and to its answer.
//
// Made for one configuration, from targets that outlive it; the names, rules and options in it
// never change, so any I/O thread may use it. A reload makes another one; requests that run keep
// theirs.
#pragma once

#include "gateway/answer_run.hpp"
#include "gateway/attempt_record.hpp"
#include "gateway/backend.hpp"
#include "gateway/cache/cache_rules.hpp"
#include "gateway/explanation.hpp"
#include "gateway/route/price.hpp"
#include "gateway/route/route_match.hpp"
#include "gateway/route_group.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct ModelEntry {
  std::string id;            // the name in answers
  std::string alias_of;      // empty for a model itself
  std::int64_t created = 0;  // seconds since 1970
  std::string owner;         // `owned_by`
};

// Who asks, beside the request itself.
struct Caller {
  std::string_view tenant = "default";
  double weight = 1;          // of the tenant, when requests wait
  std::int32_t priority = 0;  // of the request, as far as the tenant may raise it
  HeaderLookup headers{};
  base::TimePoint arrived{};
};

class Gateway {
 public:
  struct Model {
    std::string id;
    std::int64_t created = 0;
    std::string owner = "deepseek-server";
    Target* engine = nullptr;  // of a local model; not owned; null for one that others serve
  };
  struct Route {
    RouteRule rule;
    RouteGroupOptions group;
    std::vector<TokenPrices> prices;  // of each target of the group; empty: none cost anything
    CacheRules cache{};
    std::string cache_scope;  // what answers depend on beside the request: who gives them
  };
  struct Options {
    std::vector<Model> models;                   // that are listed
    std::map<std::string, std::string> aliases;  // alias → model id
    std::string default_model;
    std::vector<Route> routes;  // the first that fits is taken
    RunOptions run{};
    AttemptObserver* observer = nullptr;  // not owned; may be null
    SideWork* side_work = nullptr;        // not owned; null: no hedges, no shadows
  };
  explicit Gateway(Options options);

  // A model's own id for a name or alias (empty name: the default model), if a route may answer
  // for it; model_not_found otherwise, with the names that exist.
  base::Result<std::string> resolve(std::string_view name) const;

  // Where a request goes.
  struct Routed {
    RouteGroup* group = nullptr;
    std::string_view label;  // of metrics: the model's name, or the pattern that let it in
    const CacheRules* cache = nullptr;
    std::string_view cache_scope;
  };
  // Puts the model's own name for an alias or none into `request`. Errors as resolve(), and
  // model_not_found when no rule takes such a request.
  base::Result<Routed> route(protocol::Request& request, const Caller& caller) const;

  // Starts the answer. The request outlives the stream, which belongs to a coroutine on `executor`.
  std::unique_ptr<EventStream> start(const protocol::Request& request, const Routed& routed,
                                     const Caller& caller,
                                     boost::asio::any_io_executor executor) const;
  // As start(), for an embedding request with a model's own name. Errors: those of route().
  base::Result<std::unique_ptr<EmbeddingCall>> embed(const protocol::EmbeddingRequest& request,
                                                     const Caller& caller,
                                                     boost::asio::any_io_executor executor) const;

  base::Result<std::unique_ptr<TokenizeCall>> tokenize(const protocol::TokenizeRequest& request,
                                                       const Caller& caller,
                                                       boost::asio::any_io_executor executor) const;

  std::vector<ModelEntry> models() const;  // models first, then aliases, each group by name

  struct ModelStatus {
    std::string model;
    BackendStatus status;
  };
  std::vector<ModelStatus> status() const;                  // of local models
  std::vector<std::vector<Target*>> route_targets() const;  // of each route, in its order
  // Of every backend that a route names, each once, in the routes' order.
  std::vector<BackendReport> backends(base::TimePoint now) const;
  struct Line {
    std::string route;  // its name
    std::uint32_t requests = 0;
  };
  std::vector<Line> lines() const;  // of requests that wait for a busy backend
  // Does any backend of a route belong to others? Then one that may be asked is enough to be ready.
  bool relays() const;
  // What would happen to this request now. Changes nothing and asks nobody.
  RouteExplanation explain(protocol::Request request, const Caller& caller,
                           base::TimePoint now) const;

 private:
  const Model* find(std::string_view id) const;
  std::string canonical(std::string_view name) const;
  bool any_route(std::string_view model) const;
  void add_listed(std::vector<ModelEntry>& entries) const;
  base::Error unknown_model(std::string_view name) const;
  RunContext context_of(const protocol::Request& request, const Routed& routed,
                        const Caller& caller) const;
  RequestTraits traits_of(const protocol::Request& request, const RouteGroup& group,
                          std::string_view tenant) const;
  template <class Request, class Answer>
  base::Result<std::unique_ptr<Call<Answer>>> begin_call(
      const Request& request,
      std::unique_ptr<Call<Answer>> (Backend::*begin)(const CallAttempt<Request>&),
      protocol::Request& asked, const Caller& caller, boost::asio::any_io_executor executor) const;

  Options options_;
  std::vector<RouteRule> rules_;
  std::vector<std::unique_ptr<RouteGroup>> groups_;  // of each rule
};

}  // namespace deepseek::gateway
