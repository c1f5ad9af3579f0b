#include "engine/prefix_file.hpp"

#include "base/digest.hpp"
#include "engine/picture.hpp"

#include <algorithm>
#include <cstring>

namespace deepseek::engine {
namespace {

constexpr std::string_view kMagic = "DSPREFIX1\n";

base::Error bad(const char* what) {
  return base::make_error(base::ErrorCode::invalid_request, std::string("stored prefix: ") + what);
}

template <class Number>
void append(std::string& out, Number number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof number);
}

void append_text(std::string& out, std::string_view text) {
  append(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

// Takes pieces from the front; false when there is not enough.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : all_(bytes), rest_(bytes) {}

  template <class Number>
  bool take(Number& number) {
    if (rest_.size() < sizeof number) return false;
    std::memcpy(&number, rest_.data(), sizeof number);
    rest_.remove_prefix(sizeof number);
    return true;
  }
  bool take(std::string& text) {
    std::uint32_t size = 0;
    if (!take(size) || size > kPrefixNameMax || size > rest_.size()) return false;
    text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  bool take(std::vector<Token>& tokens) {
    std::uint32_t count = 0;
    if (!take(count) || count > kPrefixTokensMax || count > rest_.size() / sizeof(Token)) {
      return false;
    }
    tokens.resize(count);
    if (count > 0) std::memcpy(tokens.data(), rest_.data(), count * sizeof(Token));
    rest_.remove_prefix(count * sizeof(Token));
    // Rows of images are never stored: another process gives their ids to others.
    return std::ranges::none_of(tokens, is_row);
  }
  std::size_t taken() const { return all_.size() - rest_.size(); }

 private:
  std::string_view all_;
  std::string_view rest_;
};

}  // namespace

std::string prefix_file_head(std::string_view model, std::string_view key,
                             std::span<const Token> tokens, std::uint64_t state_bytes) {
  std::string out(kMagic);
  append_text(out, model);
  append_text(out, key);
  append(out, static_cast<std::uint32_t>(tokens.size()));
  out.append(reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes());
  append(out, state_bytes);
  return out;
}

std::string prefix_file_checksum(std::string_view head, std::string_view state) {
  base::Sha256 digest;
  digest.add(head);
  digest.add(state);
  const base::Sha256Digest sum = digest.finish();
  return std::string(sum.begin(), sum.end());
}

base::Result<PrefixFileHead> read_prefix_head(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return bad("not such a file, or of another version");
  PrefixFileHead head;
  Reader reader(bytes.substr(kMagic.size()));
  if (!reader.take(head.model) || !reader.take(head.key) || !reader.take(head.tokens) ||
      !reader.take(head.state_bytes)) {
    return bad("its head is cut off or damaged");
  }
  head.size = kMagic.size() + reader.taken();
  return head;
}

base::Result<PrefixFile> read_prefix_file(std::string_view bytes) {
  base::Result<PrefixFileHead> head = read_prefix_head(bytes);
  if (head.has_error()) return head.error();
  const std::size_t rest = bytes.size() - head->size;
  if (rest < kPrefixChecksumBytes || rest - kPrefixChecksumBytes != head->state_bytes) {
    return bad("it is cut off");
  }
  const std::string_view state = bytes.substr(head->size, head->state_bytes);
  if (prefix_file_checksum(bytes.substr(0, head->size), state) !=
      bytes.substr(bytes.size() - kPrefixChecksumBytes)) {
    return bad("its checksum is wrong");
  }
  return PrefixFile{std::move(head->model), std::move(head->key), std::move(head->tokens),
                    std::string(state)};
}

}  // namespace deepseek::engine
