// Lists and maps as one text, for --set, the environment and INI: `a, "b, c"` and `a=b, "c=d"=e`.
//
// Pure. Blanks around an item do not count; an item that is empty or holds a comma, an equals sign,
// a quote, a backslash or blanks at its ends stands in double quotes, where \" and \\ mean " and \.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::server {

// Nothing for a text of another form: an empty place between commas, a quote left open.
std::optional<std::vector<std::string>> split_list(std::string_view text);
// Nothing also for a name that comes twice or has no value.
std::optional<std::map<std::string, std::string>> split_map(std::string_view text);

// What the two above read back as the same.
std::string join_list(const std::vector<std::string>& items);
std::string join_map(const std::map<std::string, std::string>& members);

}  // namespace deepseek::server
