// How long the masks of a vocabulary take along texts that are valid.
//
//   mask_times VOCABULARY < CASES
//
// VOCABULARY has a line of hexadecimal digits for each token's bytes; an empty line stands for no
// text, and the last one ends answers. Each line of CASES is {"schema": TEXT, "tokens": [N, …]}.
// One line comes out: masks, their mean, p99 and longest in microseconds; compilations, their mean
// and longest in milliseconds.
#include "base/clock.hpp"
#include "grammar/json_value.hpp"
#include "grammar/matcher.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

namespace {

using deepseek::grammar::Json;
using Times = std::vector<double>;

constexpr std::size_t kDepthMax = 8;
constexpr int kRounds = 20;  // each text is walked so often

deepseek::grammar::Vocabulary read_vocabulary(const char* path) {
  deepseek::grammar::Vocabulary vocabulary;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::string& piece = vocabulary.pieces.emplace_back();
    for (std::size_t at = 0; at + 1 < line.size(); at += 2) {
      piece += static_cast<char>(std::strtol(line.substr(at, 2).c_str(), nullptr, 16));
    }
  }
  vocabulary.ends = {static_cast<std::int32_t>(vocabulary.pieces.size()) - 1};
  return vocabulary;
}

template <class Work>
double microseconds(const Work& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  const auto took = std::chrono::steady_clock::now() - began;
  return std::chrono::duration<double, std::micro>(took).count();
}

bool walk(const std::shared_ptr<const deepseek::grammar::Compiled>& compiled, const Json& tokens,
          std::vector<std::int32_t>& mask, Times& times) {
  deepseek::grammar::Matcher matcher(compiled);
  for (const Json& token : tokens.items) {
    times.push_back(microseconds([&] { matcher.fill(mask); }));
    if (!matcher.accept(std::atoi(token.text.c_str()))) return false;
  }
  return matcher.complete();
}

double mean(const Times& times) {
  return std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
}

int run(const char* path) {
  const deepseek::grammar::Vocabulary vocabulary = read_vocabulary(path);
  deepseek::grammar::Compiler compiler(vocabulary, {});
  std::vector<std::int32_t> mask(deepseek::grammar::Matcher::mask_words(vocabulary.pieces.size()));
  Times masks;
  Times compilations;
  for (std::string line; std::getline(std::cin, line);) {
    const auto read = deepseek::grammar::parse_json(line, kDepthMax, "line");
    if (read.has_error()) return 2;
    deepseek::grammar::Constraint wanted;
    wanted.kind = deepseek::grammar::Constraint::Kind::json_schema;
    wanted.text = read->find("schema")->text;
    wanted.param = "schema";
    auto compiled = compiler.find(wanted);
    if (compiled == nullptr) {
      compilations.push_back(microseconds([&] {
                               auto made = compiler.compile(wanted);
                               if (made.has_value()) compiled = *made;
                             }) /
                             1000);
    }
    for (int round = 0; round < kRounds; ++round) {
      if (compiled == nullptr || !walk(compiled, *read->find("tokens"), mask, masks)) return 3;
    }
  }
  if (masks.empty() || compilations.empty()) return 2;
  std::sort(masks.begin(), masks.end());
  std::printf("%zu %.1f %.1f %.1f %zu %.1f %.1f\n", masks.size(), mean(masks),
              masks[masks.size() * 99 / 100], masks.back(), compilations.size(), mean(compilations),
              *std::max_element(compilations.begin(), compilations.end()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "mask_times VOCABULARY < CASES\n");
    return 2;
  }
  return run(argv[1]);
}
