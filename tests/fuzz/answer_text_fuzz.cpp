// libFuzzer target over what a model writes: characters, stop texts, thinking and calls of tools in
// every format. In whatever pieces the text arrives, the same comes out, and arguments of calls
// are JSON. The first byte picks the format, the second the size of the pieces.
#include "check.hpp"

#include "base/utf8.hpp"
#include "engine/answer_text.hpp"
#include "engine/tool_splitter.hpp"

#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace deepseek;
using namespace deepseek::engine;

constexpr std::size_t kTextMax = 4096;

AnswerText make_answer(ToolFormat format, bool parallel) {
  ToolSplitterOptions options;
  options.format = format;
  options.names = {"f", "get_weather"};
  options.parallel = parallel;
  options.make_id = [count = 0]() mutable { return "call_" + std::to_string(count++); };
  ReasoningTags tags{"<think>", "</think>"};
  for (const std::string_view mark : call_marks(format)) tags.calls.emplace_back(mark);
  return AnswerText({"STOP"}, ReasoningSplitter(std::move(tags), AnswerPlace::before),
                    make_tool_splitter(std::move(options)));
}

AnswerText::Output said(std::string_view text, std::size_t piece, ToolFormat format,
                        bool parallel) {
  AnswerText answer = make_answer(format, parallel);
  AnswerText::Output all;
  const auto add = [&all](AnswerText::Output next) {
    next.put_first(std::move(all));
    all = std::move(next);
  };
  bool stopped = false;
  while (!text.empty() && !stopped) {
    AnswerText::Output next = answer.push(text.substr(0, piece));
    text.remove_prefix(std::min(text.size(), piece));
    stopped = next.stopped;
    add(std::move(next));
  }
  add(answer.finish());
  return all;
}

bool is_json(const std::string& text) {
  boost::json::parse_options options;
  options.max_depth = 512;
  boost::json::error_code error;
  boost::json::parse(text, error, {}, options);
  return !error;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > kTextMax) return 0;
  const auto format =
      static_cast<ToolFormat>((data[0] >> 1U) % (static_cast<unsigned>(ToolFormat::other) + 1));
  const bool parallel = (data[0] & 1U) != 0;
  const std::size_t piece = 1 + data[1] % 7U;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const AnswerText::Output whole = said(text, text.size() + 1, format, parallel);
  const AnswerText::Output cut = said(text, piece, format, parallel);
  check(whole.content == cut.content);
  check(whole.reasoning == cut.reasoning);
  check(whole.calls == cut.calls);
  check(base::is_valid_utf8(whole.content) && base::is_valid_utf8(whole.reasoning));
  for (const ToolCallPiece& call : whole.calls) check(is_json(call.arguments));
  return 0;
}
