#include "gateway/route/text_scan.hpp"

#include <algorithm>
#include <cstring>

namespace deepseek::gateway {
namespace {

struct Named {
  Language language;
  std::string_view name;
};
constexpr std::array<Named, 12> names{{{Language::unknown, "unknown"},
                                       {Language::en, "en"},
                                       {Language::zh, "zh"},
                                       {Language::ja, "ja"},
                                       {Language::ko, "ko"},
                                       {Language::ru, "ru"},
                                       {Language::ar, "ar"},
                                       {Language::he, "he"},
                                       {Language::el, "el"},
                                       {Language::hi, "hi"},
                                       {Language::th, "th"},
                                       {Language::other, "other"}}};

struct Decoded {
  std::uint32_t character;
  std::size_t bytes;
};

// The character at the start of `text`, which is not ASCII. Bytes that are none are U+FFFD, one at
// a time.
Decoded decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
  if (length == 1 || lead > 0xF4 || text.size() < length) return {0xFFFD, 1};
  std::uint32_t character = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {0xFFFD, 1};
    character = character << 6 | (byte(i) & 0x3Fu);
  }
  return {character, length};
}

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

bool within(std::uint32_t character, Range range) {
  return character - range.first <= range.last - range.first;
}

}  // namespace

std::string_view to_string(Language language) {
  return names[static_cast<std::size_t>(language)].name;
}

std::optional<Language> language_named(std::string_view name) {
  for (const Named& row : names) {
    if (row.name == name && row.language != Language::unknown) return row.language;
  }
  return std::nullopt;
}

TextScan::Script TextScan::script_of(std::uint32_t c) {
  if (c < 0x250) return c == 0xD7 || c == 0xF7 || c < 0xC0 ? others : latin_marked;
  if (c < 0x3000) {
    if (within(c, {0x370, 0x3FF})) return greek;
    if (within(c, {0x400, 0x52F})) return cyrillic;
    if (within(c, {0x590, 0x5FF})) return hebrew;
    if (within(c, {0x600, 0x6FF}) || within(c, {0x750, 0x77F}) || within(c, {0x8A0, 0x8FF})) {
      return arabic;
    }
    if (within(c, {0x900, 0x97F})) return devanagari;
    if (within(c, {0xE00, 0xE7F})) return thai;
    if (within(c, {0x1100, 0x11FF})) return hangul;
    if (within(c, {0x1E00, 0x1EFF})) return latin_marked;
    return others;
  }
  if (within(c, {0x3400, 0x4DBF}) || within(c, {0x4E00, 0x9FFF})) return han;
  if (within(c, {0x3041, 0x30FF}) || within(c, {0x31F0, 0x31FF})) return kana;
  if (within(c, {0x3000, 0x3040})) return cjk_marks;
  if (within(c, {0xAC00, 0xD7AF}) || within(c, {0x3130, 0x318F})) return hangul;
  if (within(c, {0xF900, 0xFAFF}) || within(c, {0x20000, 0x3FFFF})) return han;
  if (within(c, {0xFB50, 0xFDFF}) || within(c, {0xFE70, 0xFEFE})) return arabic;
  if (within(c, {0xFF66, 0xFF9F})) return kana;
  if (within(c, {0xFF00, 0xFF65})) return cjk_marks;
  return others;
}

// Counts the ASCII at the start of `text`, eight bytes at a time, and returns its length.
std::size_t TextScan::add_ascii(std::string_view text) {
  constexpr std::uint64_t highs = 0x8080808080808080ULL;
  constexpr std::uint64_t ones = 0x0101010101010101ULL;
  constexpr std::uint64_t halves = 0x00FF00FF00FF00FFULL;
  std::size_t done = 0;
  std::uint64_t letters = 0;
  bool all_ascii = true;
  while (all_ascii && text.size() - done >= 8) {
    // From '@' on, where bit 6 is set: letters, and ten marks, which do not matter here. Each byte
    // of `lanes` counts for its place, 255 words at most.
    std::uint64_t lanes = 0;
    for (int words = 0; words < 255 && text.size() - done >= 8; ++words, done += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + done, 8);
      all_ascii = (word & highs) == 0;
      if (!all_ascii) break;
      lanes += (word >> 6) & ones;
    }
    letters += ((lanes & halves) + ((lanes >> 8) & halves)) * 0x0001000100010001ULL >> 48;
  }
  for (; done < text.size() && static_cast<std::uint8_t>(text[done]) < 0x80; ++done) {
    letters += text[done] >= '@';
  }
  characters_[ascii_letters] += letters;
  characters_[ascii_rest] += done - letters;
  plain_bytes_ += done;
  return done;
}

void TextScan::count_one(std::uint32_t character, std::size_t bytes) {
  const Script script = script_of(character);
  ++characters_[script];
  if (script < han || script > cjk_marks) plain_bytes_ += bytes;
}

// Counts the characters of three bytes at the start of `text`, where nearly all of Chinese,
// Japanese and Korean lies, and returns their length.
std::size_t TextScan::add_threes(std::string_view text) {
  std::size_t done = 0;
  std::uint64_t chinese = 0;
  for (; text.size() - done >= 3; done += 3) {
    const auto byte = [&](std::size_t i) -> std::uint32_t {
      return static_cast<std::uint8_t>(text[done + i]);
    };
    const std::uint32_t second = byte(1) ^ 0x80, third = byte(2) ^ 0x80;
    if ((byte(0) & 0xF0) != 0xE0 || (second | third) > 0x3F) break;
    const std::uint32_t character = (byte(0) & 0x0F) << 12 | second << 6 | third;
    if (within(character, {0x4E00, 0x9FFF}))
      ++chinese;
    else
      count_one(character, 3);
  }
  characters_[han] += chinese;
  return done;
}

void TextScan::add(std::string_view text) {
  bytes_ += text.size();
  while (!text.empty()) {
    if (static_cast<std::uint8_t>(text.front()) < 0x80) {
      text.remove_prefix(add_ascii(text));
    } else if (const std::size_t threes = add_threes(text); threes > 0) {
      text.remove_prefix(threes);
    } else {
      const Decoded decoded = decode(text);
      count_one(decoded.character, decoded.bytes);
      text.remove_prefix(decoded.bytes);
    }
  }
}

double TextScan::tokens() const {
  return 0.25 * static_cast<double>(plain_bytes_) +
         0.6 * static_cast<double>(count(han) + count(cjk_marks)) +
         0.8 * static_cast<double>(count(kana) + count(hangul));
}

Language TextScan::language() const {
  struct Weighed {
    Language language;
    double weight;
  };
  const double latin = static_cast<double>(count(ascii_letters) + count(latin_marked));
  const double cjk = 3 * static_cast<double>(count(han) + count(kana));
  // A tenth of kana is enough: Japanese mixes, Chinese does not.
  const bool japanese = count(kana) * 10 > count(han) + count(kana);
  const std::array<Weighed, 8> scripts{{{japanese ? Language::ja : Language::zh, cjk},
                                        {Language::ko, 2 * static_cast<double>(count(hangul))},
                                        {Language::ru, static_cast<double>(count(cyrillic))},
                                        {Language::ar, static_cast<double>(count(arabic))},
                                        {Language::he, static_cast<double>(count(hebrew))},
                                        {Language::el, static_cast<double>(count(greek))},
                                        {Language::hi, static_cast<double>(count(devanagari))},
                                        {Language::th, static_cast<double>(count(thai))}}};
  const auto* best =
      std::max_element(scripts.begin(), scripts.end(),
                       [](const Weighed& a, const Weighed& b) { return a.weight < b.weight; });
  double total = latin;
  for (const Weighed& script : scripts) total += script.weight;
  if (total == 0) return Language::unknown;
  if (best->weight * 5 > total) return best->language;
  return static_cast<double>(count(latin_marked)) * 60 > latin ? Language::other : Language::en;
}

}  // namespace deepseek::gateway
