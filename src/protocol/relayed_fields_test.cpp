#include "protocol/relayed_fields.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

TEST(RelayedFields, finds_what_passes) {
  for (const std::string_view name :
       {"n", "audio", "model", "messages", "thinking", "user_id", "top_k", "guided_json",
        "truncate_prompt_tokens", "spaces_between_special_tokens", "web_search_options"}) {
    const RelayedField* field = find_relayed_field(name);
    ASSERT_NE(field, nullptr) << name;
    EXPECT_EQ(field->name, name);
  }
}

TEST(RelayedFields, knows_nothing_else) {
  for (const std::string_view name :
       {"", "N", "modelx", "chat_template", "chat_template_kwargs", "logits_processors", "priority",
        "cache_salt", "kv_transfer_params", "request_id", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}) {
    EXPECT_EQ(find_relayed_field(name), nullptr) << name;
  }
}

}  // namespace
}  // namespace deepseek::protocol
