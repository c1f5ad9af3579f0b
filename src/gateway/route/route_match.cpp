#include "gateway/route/route_match.hpp"

#include "gateway/route/pattern.hpp"
#include "protocol/quote.hpp"

#include <algorithm>

namespace deepseek::gateway {

FeatureMask RouteFacts::features() {
  if (!features_) features_ = features_of(request_);
  return *features_;
}

std::uint32_t RouteFacts::prompt_tokens() {
  if (!prompt_tokens_) prompt_tokens_ = guess_prompt_tokens(request_);
  return *prompt_tokens_;
}

Language RouteFacts::language() {
  if (!language_) language_ = language_of(request_);
  return *language_;
}

namespace {

enum class Mismatch { none, model, tenant, header, hours, features, tokens, language };

bool header_fits(const HeaderRule& rule, const RouteFacts& facts) {
  const auto value = facts.header(rule.name);
  return value && matches(rule.pattern, *value);
}

bool tokens_fit(const RouteRule& rule, RouteFacts& facts) {
  if (!rule.prompt_tokens_min && !rule.prompt_tokens_max) return true;
  const std::uint32_t tokens = facts.prompt_tokens();
  return tokens >= rule.prompt_tokens_min.value_or(0) &&
         tokens <= rule.prompt_tokens_max.value_or(~0u);
}

bool language_fits(const RouteRule& rule, RouteFacts& facts) {
  if (rule.languages.empty()) return true;
  const Language language = facts.language();
  return std::find(rule.languages.begin(), rule.languages.end(), language) != rule.languages.end();
}

// What costs least is asked first.
Mismatch check(const RouteRule& rule, RouteFacts& facts) {
  if (!matches(rule.model, facts.model())) return Mismatch::model;
  if (!rule.tenant.empty() && !matches(rule.tenant, facts.tenant())) return Mismatch::tenant;
  for (const HeaderRule& header : rule.headers) {
    if (!header_fits(header, facts)) return Mismatch::header;
  }
  if (rule.hours && !rule.hours->contain(facts.unix_seconds())) return Mismatch::hours;
  if ((rule.features | rule.features_absent) != 0) {
    const FeatureMask features = facts.features();
    const bool all = (features & rule.features) == rule.features;
    if (!all || (features & rule.features_absent) != 0) return Mismatch::features;
  }
  if (!tokens_fit(rule, facts)) return Mismatch::tokens;
  if (!language_fits(rule, facts)) return Mismatch::language;
  return Mismatch::none;
}

std::string explain_header(const RouteRule& rule, const RouteFacts& facts) {
  for (const HeaderRule& header : rule.headers) {
    if (header_fits(header, facts)) continue;
    if (!facts.header(header.name)) return "the header " + header.name + " is absent";
    return "the header " + header.name + " is not \"" + header.pattern + "\"";
  }
  return "fits";
}

std::string explain_features(const RouteRule& rule, FeatureMask features) {
  const FeatureMask missing = rule.features & ~features;
  if (missing != 0) return "the request does not use: " + describe_features(missing);
  return "the request uses: " + describe_features(features & rule.features_absent);
}

std::string explain_tokens(const RouteRule& rule, std::uint32_t tokens) {
  const std::string about = "the prompt has about " + std::to_string(tokens) + " tokens, ";
  if (rule.prompt_tokens_min && tokens < *rule.prompt_tokens_min) {
    return about + "fewer than " + std::to_string(*rule.prompt_tokens_min);
  }
  return about + "more than " + std::to_string(rule.prompt_tokens_max.value_or(~0u));
}

std::string explain_language(const RouteRule& rule, Language language) {
  std::string out = "the language is " + std::string(to_string(language)) + ", not ";
  for (std::size_t i = 0; i < rule.languages.size(); ++i) {
    if (i > 0) out += " or ";
    out += to_string(rule.languages[i]);
  }
  return out;
}

}  // namespace

int match_route(std::span<const RouteRule> rules, RouteFacts& facts) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (check(rules[i], facts) == Mismatch::none) return static_cast<int>(i);
  }
  return -1;
}

std::string explain_rule(const RouteRule& rule, RouteFacts& facts) {
  switch (check(rule, facts)) {
    case Mismatch::none:
      return "fits";
    case Mismatch::model:
      return "the model " + protocol::quoted(facts.model()) + " is not \"" + rule.model + "\"";
    case Mismatch::tenant:
      return facts.tenant().empty() ? "the request has no tenant"
                                    : "the tenant " + protocol::quoted(facts.tenant()) +
                                          " is not \"" + rule.tenant + "\"";
    case Mismatch::header:
      return explain_header(rule, facts);
    case Mismatch::hours:
      return "it is outside of the route's hours";
    case Mismatch::features:
      return explain_features(rule, facts.features());
    case Mismatch::tokens:
      return explain_tokens(rule, facts.prompt_tokens());
    case Mismatch::language:
      return explain_language(rule, facts.language());
  }
  return "fits";
}

}  // namespace deepseek::gateway
