// What a text of the configuration may look like, beyond its length: `accepts` of a table's row,
// and how messages say it. Pure.
#pragma once

#include <string_view>

namespace deepseek::server::form {

// Of every text: UTF-8 without control characters.
bool is_printable(std::string_view text);

inline constexpr std::string_view name = "a name of letters, digits, . _ and -";
bool is_name(std::string_view text);

inline constexpr std::string_view url = "a URL that begins with http:// or https://";
bool is_url(std::string_view text);

// What a header field may carry as one word, so also a key.
inline constexpr std::string_view visible = "without blanks";
bool is_visible(std::string_view text);

inline constexpr std::string_view path = "a path that begins with /";
bool is_path(std::string_view text);

inline constexpr std::string_view field_name = "named as a header field";
bool is_field_name(std::string_view text);

inline constexpr std::string_view model_pattern = "a name, or its beginning with * behind it,";
bool is_model_pattern(std::string_view text);

inline constexpr std::string_view hours = "hours of the day, with days and zone if need be,";
bool is_hours(std::string_view text);

inline constexpr std::string_view token_limit = "max_tokens or max_completion_tokens";
bool is_token_limit(std::string_view text);

inline constexpr std::string_view currency = "a currency in capital letters";
bool is_capitals(std::string_view text);

inline constexpr std::string_view money = "an amount with two decimals and its currency";
bool is_money(std::string_view text);

inline constexpr std::string_view language = "a code in small letters";
bool is_small_letters(std::string_view text);

}  // namespace deepseek::server::form
