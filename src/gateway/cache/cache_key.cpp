#include "gateway/cache/cache_key.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

namespace deepseek::gateway {
namespace {

constexpr std::array<std::string_view, 4> not_in_key{"model", "stream", "stream_options", "user"};
constexpr std::array<std::string_view, 6> not_in_scope{"model", "stream",   "stream_options",
                                                       "user",  "messages", "prompt"};

struct Field {
  std::string_view name;   // as written, without quotes
  std::string_view value;  // as written, with the whitespace inside
};

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// After the quote that ends the string which begins at `start`; npos if none does.
std::size_t after_string(std::string_view text, std::size_t start) {
  std::size_t from = start + 1;
  while (true) {
    const std::size_t quote = text.find('"', from);
    if (quote == std::string_view::npos) return quote;
    std::size_t backslashes = 0;
    while (quote - backslashes > from && text[quote - backslashes - 1] == '\\') ++backslashes;
    from = quote + 1;
    if (backslashes % 2 == 0) return from;
  }
}

// Reads the top level of one object. It relies on the decoder for everything inside, and never
// reads beyond the text, whatever it is.
class FieldReader {
 public:
  explicit FieldReader(std::string_view text) : text_(text) {}

  bool read(std::vector<Field>& fields) {
    skip_space();
    if (at_end()) return true;  // an empty body is an object without fields
    if (!take('{')) return false;
    skip_space();
    if (take('}')) return ends();
    while (true) {
      Field field;
      if (!read_field(field)) return false;
      fields.push_back(field);
      skip_space();
      if (take('}')) return ends();
      if (!take(',')) return false;
      skip_space();
    }
  }

 private:
  bool at_end() const { return at_ >= text_.size(); }
  bool ends() {
    skip_space();
    return at_end();
  }
  void skip_space() {
    while (!at_end() && is_space(text_[at_])) ++at_;
  }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool read_field(Field& field) {
    if (at_end() || text_[at_] != '"') return false;
    const std::size_t end = after_string(text_, at_);
    if (end == std::string_view::npos) return false;
    field.name = text_.substr(at_ + 1, end - at_ - 2);
    at_ = end;
    skip_space();
    if (!take(':')) return false;
    skip_space();
    const std::size_t start = at_;
    if (!skip_value()) return false;
    field.value = text_.substr(start, at_ - start);
    return !field.value.empty();
  }

  // To the comma or brace that ends a value of the top level.
  bool skip_value() {
    std::size_t depth = 0;
    for (; !at_end(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        at_ = after_string(text_, at_);
        if (at_ == std::string_view::npos) return false;
        --at_;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']') {
        if (depth == 0) return true;
        --depth;
      } else if (c == ',' && depth == 0) {
        return true;
      }
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// Gathers short pieces, since each call into the hash costs more than a short piece itself.
class HashSink {
 public:
  explicit HashSink(base::Sha256& hash) : hash_(hash) {}
  void add(std::string_view piece) {
    if (piece.empty()) return;
    if (size_ + piece.size() > buffer_.size()) flush();
    if (piece.size() > buffer_.size()) {
      hash_.add(piece);
      return;
    }
    std::memcpy(buffer_.data() + size_, piece.data(), piece.size());
    size_ += piece.size();
  }
  void flush() {
    if (size_ > 0) hash_.add(std::string_view(buffer_.data(), size_));
    size_ = 0;
  }

 private:
  base::Sha256& hash_;
  std::array<char, 1024> buffer_;
  std::size_t size_ = 0;
};

struct TextSink {
  void add(std::string_view piece) { text.append(piece); }
  std::string text;
};

template <class Sink>
void add_without_space(std::string_view value, Sink& sink) {
  std::size_t at = 0;
  while (at < value.size()) {
    const std::size_t start = at;
    while (at < value.size() && !is_space(value[at])) {
      at = value[at] == '"' ? after_string(value, at) : at + 1;
    }
    if (at > start) sink.add(value.substr(start, at - start));
    while (at < value.size() && is_space(value[at])) ++at;
  }
}

template <class Sink>
bool add_canonical(std::string_view body, std::span<const std::string_view> left_out, Sink& sink) {
  std::vector<Field> fields;
  fields.reserve(16);
  if (!FieldReader(body).read(fields)) return false;
  std::erase_if(fields, [&](const Field& field) {
    return std::ranges::find(left_out, field.name) != left_out.end();
  });
  // Two fields of one name, which the decoder refuses, still count in their order in the body.
  std::ranges::sort(fields, [](const Field& a, const Field& b) {
    return a.name != b.name ? a.name < b.name : a.value.data() < b.value.data();
  });
  std::string_view mark = "{\"";
  for (const Field& field : fields) {
    sink.add(mark);
    sink.add(field.name);
    sink.add("\":");
    add_without_space(field.value, sink);
    mark = ",\"";
  }
  sink.add(fields.empty() ? "{}" : "}");
  return true;
}

std::optional<CacheKey> make_key(const CacheKeyParts& parts,
                                 std::span<const std::string_view> left_out,
                                 std::string_view kind) {
  thread_local base::Sha256 hash;
  HashSink sink(hash);
  const auto add_field = [&](std::string_view text) {
    std::array<char, sizeof(std::uint64_t)> length{};
    const std::uint64_t size = text.size();
    std::memcpy(length.data(), &size, length.size());
    sink.add(std::string_view(length.data(), length.size()));
    sink.add(text);
  };
  for (const std::string_view text :
       {kind, parts.tenant, parts.route, parts.model, parts.endpoint, parts.outside}) {
    add_field(text);
  }
  const bool is_object = add_canonical(parts.body, left_out, sink);
  sink.flush();
  const CacheKey key{hash.finish()};
  if (!is_object) return std::nullopt;
  return key;
}

}  // namespace

CacheKey CacheKey::in_form(AnswerForm form) const {
  CacheKey key = *this;
  key.digest.back() ^= static_cast<std::uint8_t>(form);
  return key;
}

std::optional<CacheKey> cache_key(const CacheKeyParts& parts) {
  return make_key(parts, not_in_key, "answer");
}

std::optional<CacheKey> semantic_scope(const CacheKeyParts& parts) {
  return make_key(parts, not_in_scope, "scope");
}

std::optional<std::string> canonical_body(std::string_view body) {
  TextSink sink;
  if (!add_canonical(body, not_in_key, sink)) return std::nullopt;
  return std::move(sink.text);
}

}  // namespace deepseek::gateway
