#include "gateway/cache/cache_rules.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace deepseek::gateway {
namespace {

using protocol::Feature;

constexpr std::int64_t max_age_seconds_max = 1'000'000'000;

std::string_view trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

bool equal_without_case(std::string_view left, std::string_view lower) {
  return std::ranges::equal(left, lower, {}, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
}

std::chrono::seconds parse_seconds(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc::result_out_of_range && text.front() != '-') {
    return std::chrono::seconds(max_age_seconds_max);
  }
  if (error != std::errc() || end != text.data() + text.size()) return std::chrono::seconds(0);
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, max_age_seconds_max));
}

bool uses(const protocol::Request& request, Feature feature) {
  return std::ranges::any_of(request.features,
                             [&](const auto& use) { return use.feature == feature; });
}

bool is_remote_image(const protocol::ContentPart& part) {
  const auto* const image = std::get_if<protocol::ImagePart>(&part);
  return image != nullptr && !image->url.starts_with("data:");
}

bool has_remote_image(const protocol::Request& request) {
  return std::ranges::any_of(request.messages, [](const protocol::Message& message) {
    return std::ranges::any_of(message.content, is_remote_image);
  });
}

CacheUse without(std::string_view reason) {
  CacheUse use;
  use.reason = reason;
  return use;
}

}  // namespace

CacheControl parse_cache_control(std::string_view value) {
  CacheControl control;
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    const std::string_view directive = value.substr(0, comma);
    value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
    const std::size_t equals = directive.find('=');
    const std::string_view name = trimmed(directive.substr(0, equals));
    if (equal_without_case(name, "no-store")) control.no_store = true;
    if (equal_without_case(name, "no-cache")) control.no_cache = true;
    if (equal_without_case(name, "max-age")) {
      const std::string_view number =
          equals == std::string_view::npos ? std::string_view() : directive.substr(equals + 1);
      const std::chrono::seconds age = parse_seconds(trimmed(number));
      control.max_age = control.max_age ? std::min(*control.max_age, age) : age;
    }
  }
  return control;
}

CacheUse cache_use(const protocol::Request& request, const CacheControl& control,
                   const CacheRules& rules) {
  if (!rules.enabled) return without("off");
  if (control.no_store) return without("no-store");
  if (uses(request, Feature::web_search)) return without("web-search");
  if (has_remote_image(request)) return without("remote-image");
  CacheUse use{true, true, rules.share_in_flight, control.max_age, {}};
  const bool fresh = control.no_cache || control.max_age == std::chrono::seconds(0);
  if (fresh) {
    use.read = false;
    use.share = false;
    use.reason = "no-cache";
  }
  return use;
}

bool storable(const AnswerFacts& facts) {
  static constexpr std::array<std::string_view, 8> own_ends{
      "stop",     "length",     "tool_calls",    "function_call",
      "end_turn", "max_tokens", "stop_sequence", "tool_use"};
  return facts.complete && facts.status == 200 &&
         std::ranges::find(own_ends, facts.finish_reason) != own_ends.end();
}

bool may_be_similar(const protocol::Request& request) {
  if (request.operation != protocol::Operation::chat || request.choices != 1 || request.logprobs ||
      !request.features.empty()) {
    return false;
  }
  return std::ranges::all_of(request.messages, [](const protocol::Message& message) {
    return message.role != protocol::Role::tool && message.tool_calls.empty() && !message.prefix &&
           std::ranges::all_of(message.content, [](const auto& part) {
             return std::holds_alternative<protocol::TextPart>(part);
           });
  });
}

}  // namespace deepseek::gateway
