#include "server/setting_form.hpp"

#include "base/utf8.hpp"
#include "gateway/route/hours.hpp"
#include "io/http_client.hpp"

#include <algorithm>

namespace deepseek::server::form {
namespace {

bool between(char c, char first, char last) {
  return c >= first && c <= last;
}

bool is_letter_or_digit(char c) {
  return between(c, 'a', 'z') || between(c, 'A', 'Z') || between(c, '0', '9');
}

bool made_of_letters_digits_and(std::string_view others, std::string_view text) {
  return std::all_of(text.begin(), text.end(), [others](char c) {
    return is_letter_or_digit(c) || others.find(c) != std::string_view::npos;
  });
}

}  // namespace

bool is_printable(std::string_view text) {
  return base::is_valid_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

bool is_name(std::string_view text) {
  return made_of_letters_digits_and("._-", text);
}

bool is_url(std::string_view text) {
  return io::parse_url(text).has_value();
}

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return between(c, '!', '~'); });
}

bool is_path(std::string_view text) {
  return text.starts_with('/') && is_visible(text) && text.find('#') == std::string_view::npos;
}

// A token of RFC 9110.
bool is_field_name(std::string_view text) {
  return made_of_letters_digits_and("!#$%&'*+-.^_`|~", text);
}

bool is_model_pattern(std::string_view text) {
  const auto star = text.find('*');
  return star == std::string_view::npos || star == text.size() - 1;
}

bool is_hours(std::string_view text) {
  return text.empty() || gateway::parse_hours(text).has_value();
}

bool is_token_limit(std::string_view text) {
  return text.empty() || text == "max_tokens" || text == "max_completion_tokens";
}

bool is_capitals(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return between(c, 'A', 'Z'); });
}

bool is_money(std::string_view text) {
  constexpr std::size_t tail = std::string_view(".00 CNY").size();
  if (text.empty()) return true;
  if (text.size() <= tail) return false;
  const std::string_view end = text.substr(text.size() - tail);
  const auto digits = [](std::string_view all) {
    return std::all_of(all.begin(), all.end(), [](char c) { return between(c, '0', '9'); });
  };
  return digits(text.substr(0, text.size() - tail)) && end[0] == '.' && digits(end.substr(1, 2)) &&
         end[3] == ' ' && is_capitals(end.substr(4));
}

bool is_small_letters(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return between(c, 'a', 'z'); });
}

}  // namespace deepseek::server::form
