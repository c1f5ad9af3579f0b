// libFuzzer target over JSON Schemas of clients: what is enforced is written as JSON again, and a
// refusal names the client's field.
#include "check.hpp"

#include "base/utf8.hpp"
#include "grammar/json_value.hpp"
#include "grammar/schema.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

using deepseek::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto checked = deepseek::grammar::checked_schema(text, "schema");
  if (checked.has_error()) {
    check(checked.error().code == deepseek::base::ErrorCode::invalid_request);
    check(checked.error().param.starts_with("schema"));
    return 0;
  }
  constexpr std::size_t kDepthMax = 256;
  check(deepseek::grammar::parse_json(*checked, kDepthMax, "made").has_value());
  // What was made of it is enforced as it stands, but for the wrapper of references.
  check(deepseek::base::is_valid_utf8(*checked));
  return 0;
}
