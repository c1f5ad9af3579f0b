// DeepSeek's calls between special tokens: V3 and R1 with a block of JSON, V3.1 without.
#include "engine/call_reader.hpp"
#include "engine/text_match.hpp"

namespace deepseek::engine {
namespace {

constexpr std::string_view kFence = "```";

class DeepseekReader final : public CallReader {
 public:
  explicit DeepseekReader(bool in_call) : state_(in_call ? State::head : State::between) {}

  Verdict push(char next, CallSink& sink) override {
    switch (state_) {
      case State::between:
        return between(next);
      case State::head:
        return head(next);
      case State::lead:
        return lead(next, sink);
      case State::arguments:
        return arguments(next, sink);
      case State::tail:
        return tail(next, sink);
      case State::dropped:
        return dropped(next, sink);
    }
    return more();
  }

  void finish(CallSink& sink) override { arguments_.finish(sink); }

 private:
  enum class State { between, head, lead, arguments, tail, dropped };

  void enter(State state) {
    state_ = state;
    head_.clear();
    lead_.clear();
  }

  Verdict between(char next) {
    const OneOf::Answer answer = between_.push(next);
    if (answer.foreign > 0) return foreign(answer.foreign);
    if (answer.met == 1U) return over();
    if (answer.met) enter(State::head);
    return more();
  }

  // The kind of call in V3 and R1, its name in V3.1.
  Verdict head(char next) {
    if (until_separator_.push(next, head_)) state_ = State::lead;
    return head_.size() > kNameBytesMax ? foreign() : more();
  }

  Verdict lead(char next, CallSink& sink) {
    if (next != '{') {
      lead_ += next;
      return lead_.size() > kNameBytesMax ? foreign() : more();
    }
    const std::string name = named();
    if (!sink.offered(name)) return foreign();
    sink.begin(name, {});
    arguments_ = {};
    state_ = State::arguments;
    return arguments(next, sink);
  }

  // Empty if what stands in front of the arguments is no name.
  std::string named() const {
    const std::string_view lead = trimmed(lead_);
    if (lead.empty()) return std::string(trimmed(head_));
    const std::size_t end = std::min(lead.find('\n'), lead.find(kFence));
    const std::string_view rest =
        end == std::string_view::npos ? std::string_view() : trimmed(lead.substr(end));
    if (!rest.empty() && rest != kFence && rest != "```json") return {};
    return std::string(trimmed(lead.substr(0, end)));
  }

  Verdict arguments(char next, CallSink& sink) {
    const ArgumentsReader::Status status = arguments_.push(next, sink);
    if (status == ArgumentsReader::Status::whole) enter(State::tail);
    if (status == ArgumentsReader::Status::broken) enter(State::dropped);
    return state_ == State::dropped ? dropped(next, sink) : more();
  }

  Verdict tail(char next, CallSink& sink) {
    const OneOf::Answer answer = tail_.push(next);
    if (answer.foreign > 0) return foreign(answer.foreign);
    if (answer.met && *answer.met < kMarks) return marked(*answer.met, sink);
    return more();
  }

  Verdict dropped(char next, CallSink& sink) {
    sink.checkpoint();
    std::string scrap;
    const auto met = until_mark_.push(next, scrap);
    return met ? marked(*met, sink) : more();
  }

  Verdict marked(std::size_t mark, CallSink& sink) {
    sink.checkpoint();
    if (mark == 1) return over();
    enter(mark == 0 ? State::between : State::head);
    return more();
  }

  static constexpr std::size_t kMarks = 3;
  State state_;
  OneOf between_{{kCallBegin, kCallsEnd}};
  UntilText until_separator_{{kCallSeparator}};
  OneOf tail_{{kCallEnd, kCallsEnd, kCallBegin, kFence}};
  UntilText until_mark_{{kCallEnd, kCallsEnd, kCallBegin}};
  std::string head_;
  std::string lead_;
  ArgumentsReader arguments_;
};

}  // namespace

std::unique_ptr<CallReader> make_deepseek_reader(std::string_view mark) {
  return std::make_unique<DeepseekReader>(mark == kCallBegin);
}

}  // namespace deepseek::engine
