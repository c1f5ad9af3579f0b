#include "protocol/relayed_fields.hpp"

#include <algorithm>
#include <array>

namespace deepseek::protocol {
namespace {

using Kind = RelayedField::Kind;

constexpr std::int32_t tokens_max = 1 << 20;
constexpr std::int32_t pattern_bytes_max = 64 << 10;  // a regular expression or grammar
constexpr std::int32_t entries_max = 1024;

// By size first, so that most comparisons are of numbers.
constexpr bool comes_before(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

constexpr std::array fields{
    // OpenAI's and DeepSeek's that the decoders read.
    RelayedField{"audio"},
    RelayedField{"best_of", Kind::integer, 1, 128},
    RelayedField{"echo", Kind::flag},
    RelayedField{"frequency_penalty"},
    RelayedField{"function_call"},
    RelayedField{"functions"},
    RelayedField{"logit_bias"},
    RelayedField{"logprobs"},
    RelayedField{"max_completion_tokens"},
    RelayedField{"max_tokens"},
    RelayedField{"messages"},
    RelayedField{"modalities"},
    RelayedField{"model"},
    RelayedField{"n"},
    RelayedField{"presence_penalty"},
    RelayedField{"prompt"},
    RelayedField{"reasoning_effort"},
    RelayedField{"response_format"},
    RelayedField{"seed"},
    RelayedField{"stop"},
    RelayedField{"stream"},
    RelayedField{"stream_options"},
    RelayedField{"suffix"},
    RelayedField{"temperature"},
    RelayedField{"thinking"},
    RelayedField{"tool_choice"},
    RelayedField{"tools"},
    RelayedField{"top_logprobs", Kind::integer, 0, 20},
    RelayedField{"top_p"},
    RelayedField{"user"},
    RelayedField{"user_id"},
    RelayedField{"web_search_options"},
    // OpenAI's that change nothing here.
    RelayedField{"metadata", Kind::object},
    RelayedField{"parallel_tool_calls", Kind::flag},
    RelayedField{"prediction", Kind::object},
    RelayedField{"prompt_cache_key", Kind::text, 0, 1024},
    RelayedField{"prompt_cache_retention", Kind::text, 0, 64},
    RelayedField{"safety_identifier", Kind::text, 0, 512},
    RelayedField{"service_tier", Kind::text, 0, 64},
    RelayedField{"store", Kind::flag},
    RelayedField{"verbosity", Kind::text, 0, 64},
    // vLLM's, and what other servers took over from it.
    RelayedField{"add_generation_prompt", Kind::flag},
    RelayedField{"add_special_tokens", Kind::flag},
    RelayedField{"allowed_token_ids", Kind::list, 0, 64 * entries_max},
    RelayedField{"bad_words", Kind::list, 0, entries_max},
    RelayedField{"continue_final_message", Kind::flag},
    RelayedField{"choice"},
    RelayedField{"grammar"},
    RelayedField{"guided_choice", Kind::list, 0, entries_max},
    RelayedField{"guided_grammar", Kind::text, 0, pattern_bytes_max},
    RelayedField{"guided_json", Kind::any, 0, 0},
    RelayedField{"guided_regex", Kind::text, 0, pattern_bytes_max},
    RelayedField{"ignore_eos"},
    RelayedField{"include_reasoning", Kind::flag},
    RelayedField{"include_stop_str_in_output", Kind::flag},
    RelayedField{"length_penalty", Kind::number, -100, 100},
    RelayedField{"min_p"},
    RelayedField{"min_tokens", Kind::integer, 0, tokens_max},
    RelayedField{"prompt_logprobs", Kind::integer, 0, 20},
    RelayedField{"regex"},
    RelayedField{"repetition_penalty"},
    RelayedField{"return_token_ids", Kind::flag},
    RelayedField{"return_tokens_as_token_ids", Kind::flag},
    RelayedField{"skip_special_tokens", Kind::flag},
    RelayedField{"spaces_between_special_tokens", Kind::flag},
    RelayedField{"stop_token_ids", Kind::list, 0, entries_max},
    RelayedField{"structured_outputs", Kind::object},
    RelayedField{"top_k"},
    RelayedField{"truncate_prompt_tokens", Kind::integer, -1, tokens_max},
};

// Anthropic's that are no experiment and ask for nothing that the provider would run.
constexpr std::array message_fields{
    RelayedField{"cache_control", Kind::object},
    RelayedField{"inference_geo", Kind::text, 0, 64},
    RelayedField{"max_tokens"},
    RelayedField{"messages"},
    RelayedField{"metadata"},
    RelayedField{"model"},
    RelayedField{"output_config"},
    RelayedField{"output_format"},
    RelayedField{"service_tier", Kind::text, 0, 64},
    RelayedField{"stop_sequences"},
    RelayedField{"stream"},
    RelayedField{"system"},
    RelayedField{"temperature"},
    RelayedField{"thinking"},
    RelayedField{"tool_choice"},
    RelayedField{"tools"},
    RelayedField{"top_k"},
    RelayedField{"top_p"},
};

template <class Table>
constexpr auto sorted(Table table) {
  std::sort(table.begin(), table.end(), [](const RelayedField& a, const RelayedField& b) {
    return comes_before(a.name, b.name);
  });
  return table;
}

constexpr auto table = sorted(fields);
constexpr auto message_table = sorted(message_fields);

template <class Table>
const RelayedField* find_in(const Table& sorted_fields, std::string_view name) {
  const auto* found = std::lower_bound(sorted_fields.begin(), sorted_fields.end(), name,
                                       [](const RelayedField& field, std::string_view wanted) {
                                         return comes_before(field.name, wanted);
                                       });
  return found != sorted_fields.end() && found->name == name ? &*found : nullptr;
}

}  // namespace

const RelayedField* find_relayed_field(std::string_view name) {
  return find_in(table, name);
}

const RelayedField* find_messages_field(std::string_view name) {
  return find_in(message_table, name);
}

const RelayedField* find_field_of(ClientForm form, std::string_view name) {
  if (form == ClientForm::messages) return find_messages_field(name);
  return speaks_openai(form) ? find_relayed_field(name) : nullptr;
}

}  // namespace deepseek::protocol
