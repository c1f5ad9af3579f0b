// Changes in a few fields of an object's text; the rest is copied.
//
// Pure; private to the makers of upstream bodies. One copy.
#pragma once

#include "protocol/body_outline.hpp"
#include "protocol/upstream_body.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::protocol {

// A JSON text that takes the place of a field's value, or is added at the end if there is no such
// field. Empty drops the field.
struct FieldEdit {
  std::string_view name;
  std::string value;
};

class BodySplice {
 public:
  static constexpr std::size_t edits_max = 12;

  // Without `form` all fields pass; with it, those that relayed_fields.hpp or the form allow.
  explicit BodySplice(const BodyOutline& outline, const UpstreamForm* form = nullptr)
      : outline_(outline), form_(form) {}

  // At most edits_max, each name once; `name` must outlive the splice.
  void set(std::string_view name, std::string value);
  void drop(std::string_view name) { set(name, {}); }
  bool changes() const;  // whether text() differs from the outline's own
  std::string text() const;

 private:
  const FieldEdit* find_edit(std::string_view name) const;
  std::string_view new_value(const BodyField& field) const;

  const BodyOutline& outline_;
  const UpstreamForm* form_;
  std::array<FieldEdit, edits_max> edits_;
  std::size_t count_ = 0;
};

// What both kinds of upstream bodies change: the model, the options of a stream.
void set_common_fields(BodySplice& splice, const Request& request, const UpstreamForm& form);
// Does the body have max_tokens or max_completion_tokens?
bool limits_tokens(const BodyOutline& outline);
// Both under the name that the upstream knows (for prompts that is max_tokens everywhere), with
// `left` in place of their value.
void set_token_limit(BodySplice& splice, const Request& request, const BodyOutline& outline,
                     const UpstreamForm& form, std::optional<std::int64_t> left = {});
// The fields beside `messages` that say that its last one goes on.
void set_continuation_fields(BodySplice& splice, Continuation kind);
bool hides_usage(const Request& request, const UpstreamForm& form);

}  // namespace deepseek::protocol
