#include "protocol/body_outline.hpp"

#include "protocol/json_scanner.hpp"

namespace deepseek::protocol {
namespace {

BodyField::Kind kind_of(char first) {
  switch (first) {
    case '"':
      return BodyField::Kind::string;
    case '{':
      return BodyField::Kind::object;
    case '[':
      return BodyField::Kind::array;
    case 't':
    case 'f':
      return BodyField::Kind::boolean;
    case 'n':
      return BodyField::Kind::null;
    default:
      return BodyField::Kind::number;
  }
}

}  // namespace

const BodyField* BodyOutline::find(std::string_view name) const {
  for (const BodyField& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

BodyOutline outline_body(std::string_view text) {
  BodyOutline outline;
  outline.text = text;
  JsonScanner scanner(text);
  if (!scanner.enter_object()) return outline;
  outline.fields.reserve(12);
  JsonText key;
  while (scanner.next_key(key)) {
    BodyField& field = outline.fields.emplace_back();
    key.append_to(field.name);
    field.kind = kind_of(scanner.peek());
    field.value = scanner.known_value();
  }
  if (scanner.failed()) outline.fields.clear();
  return outline;
}

}  // namespace deepseek::protocol
