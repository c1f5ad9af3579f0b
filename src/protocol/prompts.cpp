// Reads `prompt` of completions and `input` of embeddings.
#include "protocol/request_fields.hpp"

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

TokenIds read_tokens(JsonReader& reader, const json::array& list, const std::string& path,
                     const RequestLimits& limits) {
  TokenIds ids;
  const Bound count{limits.prompt_tokens_max, "limits.prompt_tokens_max"};
  if (!reader.check_entries(list, path, count)) return ids;
  ids.reserve(list.size());
  const Bound id_max{limits.token_id_max};
  for (std::size_t i = 0; i < list.size(); ++i) {
    // The path is made for a failure only: a prompt may have a million ids.
    if (list[i].is_int64() && list[i].get_int64() >= 0 && list[i].get_int64() <= id_max.max) {
      ids.push_back(static_cast<std::int32_t>(list[i].get_int64()));
      continue;
    }
    const auto id = reader.integer(list[i], entry_path(path, i), 0, id_max);
    if (!id) break;
    ids.push_back(static_cast<std::int32_t>(*id));
  }
  return ids;
}

}  // namespace

std::vector<Prompt> read_prompts(JsonReader& reader, std::string_view name, Bound entries,
                                 const RequestLimits& limits) {
  std::vector<Prompt> prompts;
  const json::value* value = reader.find(name);
  if (value == nullptr) return prompts;
  const std::string path = reader.path_of(name);
  if (value->is_string()) {
    prompts.emplace_back(text_of(*value));
    return prompts;
  }
  if (!value->is_array()) {
    reader.refuse_value(path, "a string, a list of strings, token ids or a list of such lists",
                        *value);
    return prompts;
  }
  const json::array& list = value->get_array();
  if (!list.empty() && list[0].is_number()) {
    prompts.emplace_back(read_tokens(reader, list, path, limits));
    return prompts;
  }
  if (!reader.check_entries(list, path, entries)) return prompts;
  const bool texts = list[0].is_string();
  for (std::size_t i = 0; i < list.size() && !reader.failed(); ++i) {
    if (texts && list[i].is_string()) {
      prompts.emplace_back(text_of(list[i]));
    } else if (!texts && list[i].is_array()) {
      prompts.emplace_back(read_tokens(reader, list[i].get_array(), entry_path(path, i), limits));
    } else {
      const bool neither = i == 0;
      reader.refuse_value(entry_path(path, i),
                          neither ? "a string, a token id or a list of token ids"
                          : texts ? "a string, as the entries before it"
                                  : "a list of token ids, as the entries before it",
                          list[i]);
    }
  }
  return prompts;
}

}  // namespace deepseek::protocol
