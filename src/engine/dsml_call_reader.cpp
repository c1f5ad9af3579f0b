// DeepSeek V3.2's and V4's calls: a tag for each call and one for each parameter.
#include "engine/call_reader.hpp"
#include "engine/text_match.hpp"

namespace deepseek::engine {
namespace {

// The value of a parameter as JSON, from text that says whether it is a string.
class Parameter {
 public:
  // `prefix`: what stands in front of the value, as `,"key":`.
  Parameter() = default;
  Parameter(std::string prefix, bool is_string) : prefix_(std::move(prefix)) {
    if (is_string) kind_ = Kind::string;
  }

  void push(std::string_view text, CallSink& sink) {
    if (kind_ == Kind::string) {
      if (!text.empty() && !std::exchange(begun_, true)) sink.arguments(prefix_ + '"');
      sink.arguments(json_escaped(text));
      return;
    }
    for (const char next : text) value(next, sink);
  }

  // False if the value had to be closed or cut.
  bool finish(CallSink& sink) {
    if (kind_ == Kind::string) {
      sink.arguments(begun_ ? "\"" : prefix_ + "\"\"");
      return true;
    }
    if (kind_ == Kind::nested) {
      sink.arguments(relay_.close());
      return whole_ && !broken_;
    }
    sink.arguments(prefix_ + scalar());
    return true;
  }

  // The text ended inside: what came out is closed.
  void cut(CallSink& sink) const {
    if (kind_ == Kind::string && begun_) sink.arguments("\"");
    if (kind_ == Kind::nested) sink.arguments(relay_.close());
  }

 private:
  enum class Kind { unknown, string, nested };

  void value(char next, CallSink& sink) {
    if (kind_ == Kind::unknown) {
      if (held_.empty() && is_blank(next)) return;
      if (!held_.empty() || (next != '{' && next != '[')) {
        held_ += next;
        return;
      }
      kind_ = Kind::nested;
      sink.arguments(prefix_);
    }
    if (broken_ || (whole_ && is_blank(next))) return;
    std::string sure;
    const JsonRelay::Status status = whole_ ? JsonRelay::Status::broken : relay_.push(next, sure);
    sink.arguments(sure);
    if (status == JsonRelay::Status::whole) whole_ = true;
    if (status == JsonRelay::Status::broken) broken_ = true;
  }

  // What is no JSON is meant as a string.
  std::string scalar() const {
    const std::string_view text = trimmed(held_);
    JsonRelay relay;
    std::string sure;
    JsonRelay::Status status = JsonRelay::Status::open;
    for (std::size_t index = 0; index < text.size(); ++index) {
      status = relay.push(text[index], sure);
      const bool last = index + 1 == text.size();
      if (status == JsonRelay::Status::open || (status == JsonRelay::Status::whole && last)) {
        continue;
      }
      return json_string(text);
    }
    if (status == JsonRelay::Status::open) status = relay.push(' ', sure);
    const bool ended = status == JsonRelay::Status::whole || status == JsonRelay::Status::before;
    return ended ? sure : json_string(text);
  }

  std::string prefix_;
  Kind kind_ = Kind::unknown;
  bool begun_ = false;
  bool whole_ = false;
  bool broken_ = false;
  std::string held_;  // of a number, a word, or what is neither
  JsonRelay relay_;
};

class DsmlReader final : public CallReader {
 public:
  explicit DsmlReader(bool in_call) : state_(in_call ? State::name : State::between) {}

  Verdict push(char next, CallSink& sink) override {
    switch (state_) {
      case State::between:
        return between(next);
      case State::name:
        return name(next, sink);
      case State::inside:
        return inside(next, sink);
      case State::key:
        if (until_quote_.push(next, key_)) state_ = State::kind;
        return key_.size() > kNameBytesMax ? broken(sink) : more();
      case State::kind:
        return kind(next, sink);
      case State::value:
        return value(next, sink);
      case State::dropped:
        return dropped(next, sink);
    }
    return more();
  }

  void finish(CallSink& sink) override {
    if (state_ == State::value) parameter_.cut(sink);
    sink.arguments("}");
    sink.end(false);
  }

 private:
  enum class State { between, name, inside, key, kind, value, dropped };

  Verdict between(char next) {
    const OneOf::Answer answer = between_.push(next);
    if (answer.foreign > 0) return foreign(answer.foreign);
    if (answer.met == 0U) {
      name_.clear();
      state_ = State::name;
    } else if (answer.met) {
      return over();
    }
    return more();
  }

  Verdict name(char next, CallSink& sink) {
    if (until_tag_.push(next, name_)) {
      if (!sink.offered(name_)) return foreign();
      sink.begin(name_, {});
      sink.arguments("{");
      first_ = whole_ = true;
      state_ = State::inside;
    }
    return name_.size() > kNameBytesMax ? foreign() : more();
  }

  Verdict inside(char next, CallSink& sink) {
    const OneOf::Answer answer = inside_.push(next);
    if (answer.foreign > 0) return broken(sink);
    if (!answer.met) return more();
    if (*answer.met == 0) {
      key_.clear();
      kind_.clear();
      state_ = State::key;
      return more();
    }
    sink.arguments("}");
    sink.end(whole_);
    if (*answer.met > 1) return over();
    state_ = State::between;
    return more();
  }

  Verdict kind(char next, CallSink& sink) {
    if (until_end_.push(next, kind_)) {
      const bool is_string = kind_.find("\"false\"") == std::string::npos;
      parameter_ = Parameter((first_ ? "" : ", ") + json_string(key_) + ": ", is_string);
      first_ = false;
      state_ = State::value;
    }
    return kind_.size() > kNameBytesMax ? broken(sink) : more();
  }

  Verdict value(char next, CallSink& sink) {
    std::string sure;
    const auto met = until_value_end_.push(next, sure);
    if (!sure.empty()) parameter_.push(sure, sink);
    if (!met) return more();
    whole_ = parameter_.finish(sink) && whole_;
    state_ = State::inside;
    return more();
  }

  // The rest of the call is left out.
  Verdict broken(CallSink& sink) {
    finish(sink);
    state_ = State::dropped;
    return more();
  }

  Verdict dropped(char next, CallSink& sink) {
    sink.checkpoint();
    std::string scrap;
    const auto met = until_call_end_.push(next, scrap);
    if (!met) return more();
    sink.checkpoint();
    if (*met > 0) return over();
    state_ = State::between;
    return more();
  }

  State state_;
  OneOf between_{{kInvokeBegin, kFunctionsEnd, kToolsEnd}};
  UntilText until_tag_{{"\">"}};
  OneOf inside_{{kParameterBegin, kInvokeEnd, kFunctionsEnd, kToolsEnd}};
  UntilText until_quote_{{"\""}};
  UntilText until_end_{{">"}};
  UntilText until_value_end_{{kParameterEnd}};
  UntilText until_call_end_{{kInvokeEnd, kFunctionsEnd, kToolsEnd}};
  std::string name_;
  std::string key_;
  std::string kind_;  // the attributes behind the name
  bool first_ = true;
  bool whole_ = true;
  Parameter parameter_;
};

}  // namespace

std::unique_ptr<CallReader> make_dsml_reader(std::string_view mark) {
  return std::make_unique<DsmlReader>(mark == kInvokeBegin);
}

}  // namespace deepseek::engine
