// Walks texts through schemas as the engine holds answers to them; for tests.
//
// Each line of standard input is {"schema": TEXT, "texts": [TEXT, …]}. Its line of the output is
// "refused WHY", or "walked" and a 1 for each text that the grammar takes from end to end, else 0.
#include "grammar/json_value.hpp"
#include "grammar/matcher.hpp"

#include <cstdio>
#include <iostream>
#include <string>
#include <utility>

namespace {

using deepseek::grammar::Constraint;
using deepseek::grammar::Json;

constexpr std::size_t kDepthMax = 8;

// Every byte is a token; the last one ends an answer.
deepseek::grammar::Vocabulary bytes() {
  deepseek::grammar::Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.pieces.emplace_back(1, static_cast<char>(byte));
  }
  vocabulary.pieces.emplace_back();
  vocabulary.ends = {256};
  return vocabulary;
}

std::string walk(deepseek::grammar::Compiler& compiler, const Json& line) {
  Constraint wanted;
  wanted.kind = Constraint::Kind::json_schema;
  wanted.text = line.find("schema")->text;
  wanted.param = "schema";
  auto compiled = compiler.compile(wanted);
  if (compiled.has_error()) return "refused " + compiled.error().message;
  std::string taken = "walked ";
  for (const Json& text : line.find("texts")->items) {
    deepseek::grammar::Matcher matcher(*compiled);
    taken += matcher.accept_text(text.text) && matcher.complete() ? '1' : '0';
  }
  return taken;
}

}  // namespace

int main() {
  deepseek::grammar::Compiler compiler(bytes(), {});
  for (std::string line; std::getline(std::cin, line);) {
    const auto read = deepseek::grammar::parse_json(line, kDepthMax, "line");
    if (read.has_error()) {
      std::fprintf(stderr, "schema_walk: %s\n", read.error().message.c_str());
      return 2;
    }
    std::printf("%s\n", walk(compiler, *read).c_str());
    std::fflush(stdout);
  }
  return 0;
}
