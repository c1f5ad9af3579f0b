// Which route a request takes: the first rule that fits it.
//
// Pure. Rules are values made from the configuration. RouteFacts lives on the stack of one request
// and works out a fact when a rule first asks for it: rules that only name models cost a comparison
// of names.
#pragma once

#include "gateway/route/hours.hpp"
#include "gateway/route/request_facts.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct HeaderRule {
  std::string name;           // lower case
  std::string pattern = "*";  // of the value; "*" also needs the header to be there
};

// Everything given must hold.
struct RouteRule {
  std::string model = "*";  // pattern
  std::string tenant{};     // pattern; empty: any, also none
  std::vector<HeaderRule> headers{};
  FeatureMask features = 0;         // the request uses all of these …
  FeatureMask features_absent = 0;  // … and none of these
  std::optional<std::uint32_t> prompt_tokens_min{};
  std::optional<std::uint32_t> prompt_tokens_max{};
  std::vector<Language> languages{};  // one of them; empty: any
  std::optional<Hours> hours{};
};

// How to find a request header: a function and what it needs, owned by the caller. `find` gets the
// name in lower case and returns nothing for a header that is absent.
struct HeaderLookup {
  using Find = std::optional<std::string_view> (*)(const void* context, std::string_view name);
  Find find = nullptr;
  const void* context = nullptr;

  std::optional<std::string_view> operator()(std::string_view name) const {
    return find == nullptr ? std::nullopt : find(context, name);
  }
};

class RouteFacts {
 public:
  // The request must outlive this.
  RouteFacts(const protocol::Request& request, std::string_view tenant, HeaderLookup headers,
             std::int64_t unix_seconds)
      : request_(request), tenant_(tenant), headers_(headers), unix_seconds_(unix_seconds) {}

  std::string_view model() const { return request_.model; }
  std::string_view tenant() const { return tenant_; }
  std::optional<std::string_view> header(std::string_view name) const { return headers_(name); }
  std::int64_t unix_seconds() const { return unix_seconds_; }
  FeatureMask features();
  std::uint32_t prompt_tokens();
  Language language();

 private:
  const protocol::Request& request_;
  std::string_view tenant_;
  HeaderLookup headers_;
  std::int64_t unix_seconds_;
  std::optional<FeatureMask> features_;
  std::optional<std::uint32_t> prompt_tokens_;
  std::optional<Language> language_;
};

// The index of the first rule that fits, or -1.
int match_route(std::span<const RouteRule> rules, RouteFacts& facts);

// For `deepseek route explain` and for the refusal when none fits: "fits", or what does not, in
// plain words. Header values are not shown: they may be secrets.
std::string explain_rule(const RouteRule& rule, RouteFacts& facts);

}  // namespace deepseek::gateway
