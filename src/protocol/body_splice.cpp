#include "protocol/body_splice.hpp"

#include "protocol/json.hpp"
#include "protocol/relayed_fields.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace deepseek::protocol {
namespace {

constexpr std::array<std::string_view, 2> token_limit_fields{"max_tokens", "max_completion_tokens"};

const BodyField* find_given(const BodyOutline& outline, std::string_view name) {
  const BodyField* const field = outline.find(name);
  return field != nullptr && field->kind != BodyField::Kind::null ? field : nullptr;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += out.size() > 1 ? ",\"" : "\"";
  append_json_escaped(out, name);
  out += "\":";
  out += value;
}

}  // namespace

void BodySplice::set(std::string_view name, std::string value) {
  assert(count_ < edits_max);
  edits_[count_++] = {name, std::move(value)};
}

const FieldEdit* BodySplice::find_edit(std::string_view name) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (edits_[i].name == name) return &edits_[i];
  }
  return nullptr;
}

// Empty: the field is dropped.
std::string_view BodySplice::new_value(const BodyField& field) const {
  if (const FieldEdit* edit = find_edit(field.name)) return edit->value;
  if (form_ == nullptr || form_->known(field.name) != nullptr) return field.value;
  const auto& allowed = form_->allow_fields;
  const bool passes = std::binary_search(allowed.begin(), allowed.end(), field.name);
  return passes ? field.value : std::string_view();
}

bool BodySplice::changes() const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (!edits_[i].value.empty() && outline_.find(edits_[i].name) == nullptr) return true;
  }
  return std::any_of(outline_.fields.begin(), outline_.fields.end(), [&](const BodyField& field) {
    const std::string_view value = new_value(field);
    return value.data() != field.value.data() && value != field.value;
  });
}

std::string BodySplice::text() const {
  std::size_t size = outline_.text.size();
  for (std::size_t i = 0; i < count_; ++i)
    size += edits_[i].name.size() + edits_[i].value.size() + 4;
  std::string out;
  out.reserve(size);
  out += '{';
  for (const BodyField& field : outline_.fields) {
    const std::string_view value = new_value(field);
    if (!value.empty()) append_field(out, field.name, value);
  }
  for (std::size_t i = 0; i < count_; ++i) {
    const bool is_new = !edits_[i].value.empty() && outline_.find(edits_[i].name) == nullptr;
    if (is_new) append_field(out, edits_[i].name, edits_[i].value);
  }
  out += '}';
  return out;
}

bool hides_usage(const Request& request, const UpstreamForm& form) {
  return request.stream && !request.stream_usage && form.stream_usage;
}

void set_common_fields(BodySplice& splice, const Request& request, const UpstreamForm& form) {
  if (!form.model.empty()) {
    std::string model;
    append_json_string(model, form.model);
    splice.set("model", std::move(model));
  }
  if (hides_usage(request, form)) {
    splice.set("stream_options", "{\"include_usage\":true}");
  } else if (!form.stream_usage) {
    splice.drop("stream_options");
  }
}

bool limits_tokens(const BodyOutline& outline) {
  return std::any_of(token_limit_fields.begin(), token_limit_fields.end(),
                     [&](std::string_view name) { return find_given(outline, name) != nullptr; });
}

void set_token_limit(BodySplice& splice, const Request& request, const BodyOutline& outline,
                     const UpstreamForm& form, std::optional<std::int64_t> left) {
  const bool of_prompt = request.operation == Operation::completion;
  const std::string_view wanted = of_prompt && !form.token_limit_field.empty()
                                      ? token_limit_fields.front()
                                      : form.token_limit_field;
  const bool there = find_given(outline, wanted) != nullptr;
  for (const std::string_view name : token_limit_fields) {
    const BodyField* const field = find_given(outline, name);
    if (field == nullptr) continue;
    const bool renamed = !wanted.empty() && name != wanted;
    if (renamed) splice.drop(name);
    if (renamed && there) continue;  // both say the same
    if (renamed || left) {
      splice.set(renamed ? wanted : name, left ? std::to_string(*left) : std::string(field->value));
    }
  }
}

void set_continuation_fields(BodySplice& splice, Continuation kind) {
  if (kind == Continuation::continue_final_message) {
    splice.set("continue_final_message", "true");
    splice.set("add_generation_prompt", "false");
  } else {
    splice.drop("continue_final_message");
    splice.drop("add_generation_prompt");
  }
}

}  // namespace deepseek::protocol
