#include "engine/tool_splitter.hpp"

#include "engine/call_reader.hpp"
#include "engine/text_match.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

class ToolSplitter final : public ToolParser, private CallSink {
 public:
  explicit ToolSplitter(ToolSplitterOptions options)
      : options_(std::move(options)),
        at_start_(options_.at_start && options_.format == ToolFormat::llama3),
        until_mark_(call_marks(options_.format)) {}

  void push(std::string_view text, Output& output) override {
    output_ = &output;
    for (const char next : text) {
      if (enough()) return;
      if (reader_ != nullptr) {
        read(next);
      } else {
        speak(next);
      }
    }
  }

  void finish(Output& output) override {
    output_ = &output;
    if (open_) reader_->finish(*this);
    if (!enough()) output.content += raw_ + blanks_ + until_mark_.take_held();
    reader_.reset();
    raw_.clear();
    blanks_.clear();
  }

  bool in_call() const override { return reader_ != nullptr; }
  bool called() const override { return calls_ > 0 && all_whole_ && !open_; }
  bool enough() const override { return !options_.parallel && called(); }

 private:
  // Text that is no call so far. Blanks wait: those in front of a call are no content.
  void speak(char next) {
    if (is_blank(next) && until_mark_.held().empty()) {
      blanks_ += next;
      return;
    }
    if (std::exchange(at_start_, false) && next == '{') return enter("{");
    std::string plain;
    const auto met = until_mark_.push(next, plain);
    if (!plain.empty()) output_->content += std::exchange(blanks_, {}) + plain;
    if (met) enter(call_marks(options_.format)[*met]);
  }

  void enter(std::string_view mark) {
    reader_ = make_call_reader(options_.format, mark);
    raw_ = std::exchange(blanks_, {});
    raw_ += mark;
  }

  void read(char next) {
    if (!open_) raw_ += next;
    const CallReader::Verdict verdict = reader_->push(next, *this);
    if (verdict.kind == CallReader::Verdict::Kind::more) return;
    reader_.reset();
    std::string text = std::exchange(raw_, {});
    if (verdict.kind == CallReader::Verdict::Kind::over) return;
    // The last bytes may begin a call; a mark is longer than they are, so this ends.
    const std::size_t unused = std::min(verdict.unused, text.size());
    output_->content += text.substr(0, text.size() - unused);
    for (const char again : text.substr(text.size() - unused)) speak_again(again);
  }

  void speak_again(char next) {
    if (reader_ != nullptr) return read(next);
    speak(next);
  }

  bool offered(std::string_view name) const override {
    return !name.empty() &&
           std::find(options_.names.begin(), options_.names.end(), name) != options_.names.end();
  }

  void begin(std::string_view name, std::string_view id) override {
    raw_.clear();
    open_ = true;
    add_piece(output_->calls,
              {calls_, id.empty() ? options_.make_id() : std::string(id), std::string(name), {}});
    ++calls_;
  }

  void arguments(std::string_view piece) override {
    if (piece.empty()) return;
    add_piece(output_->calls, {calls_ - 1, {}, {}, std::string(piece)});
  }

  void end(bool whole) override {
    open_ = false;
    all_whole_ = all_whole_ && whole;
    raw_.clear();
  }

  bool open() const override { return open_; }
  void checkpoint() override { raw_.clear(); }

  ToolSplitterOptions options_;
  Output* output_ = nullptr;  // of the call that runs
  bool at_start_;
  UntilText until_mark_;
  std::string blanks_;
  std::unique_ptr<CallReader> reader_;
  std::string raw_;  // what the reader has read and may not be a call
  bool open_ = false;
  bool all_whole_ = true;
  int calls_ = 0;
};

}  // namespace

void add_piece(std::vector<ToolCallPiece>& pieces, ToolCallPiece piece) {
  if (!pieces.empty() && pieces.back().index == piece.index) {
    pieces.back().arguments += piece.arguments;
    return;
  }
  pieces.push_back(std::move(piece));
}

std::unique_ptr<ToolParser> make_tool_splitter(ToolSplitterOptions options) {
  return std::make_unique<ToolSplitter>(std::move(options));
}

}  // namespace deepseek::engine
