// Calls that are objects of JSON (Hermes, Qwen, Llama 3, Mistral), and Mistral's later form.
#include "engine/call_object.hpp"
#include "engine/text_match.hpp"

namespace deepseek::engine {
namespace {

// Objects behind each other; `between` says what may stand behind one.
class ObjectReader final : public CallReader {
 public:
  enum class Form { hermes, llama, mistral };
  ObjectReader(Form form, std::string_view mark) : form_(form), tail_(tail_of(form)) {
    first_is_open_ = mark == "{";
  }

  Verdict push(char next, CallSink& sink) override {
    if (first_is_open_) {
      first_is_open_ = false;
      object_.push('{', sink);
    }
    if (state_ == State::object) return object(next, sink);
    if (state_ == State::dropped) return dropped(next, sink);
    const OneOf::Answer answer = tail_.push(next);
    if (answer.foreign > 0) return foreign(answer.foreign);
    if (!answer.met) return more();
    sink.checkpoint();
    if (*answer.met == 0 && form_ != Form::llama) return over();  // </tool_call> and ]
    object_ = {};
    state_ = State::object;
    if (*answer.met == 1) return object('{', sink);
    return more();
  }

  void finish(CallSink& sink) override { object_.finish(sink); }

 private:
  enum class State { object, tail, dropped };

  static std::vector<std::string_view> tail_of(Form form) {
    if (form == Form::hermes) return {kObjectEnd};
    if (form == Form::mistral) return {"]", "{", ","};
    return {kPythonTag, "{", ";", ","};
  }

  Verdict object(char next, CallSink& sink) {
    switch (object_.push(next, sink)) {
      case CallObject::Status::open:
        return more();
      case CallObject::Status::foreign:
        return foreign();
      case CallObject::Status::whole:
        sink.checkpoint();
        state_ = State::tail;
        return more();
      case CallObject::Status::broken:
        state_ = State::dropped;
        return dropped(next, sink);
    }
    return more();
  }

  // Only hermes' calls have an end that can be found again.
  Verdict dropped(char next, CallSink& sink) {
    sink.checkpoint();
    std::string scrap;
    if (form_ != Form::hermes || !until_end_.push(next, scrap)) return more();
    return over();
  }

  Form form_;
  bool first_is_open_ = false;
  State state_ = State::object;
  CallObject object_;
  OneOf tail_;
  UntilText until_end_{{kObjectEnd}};
};

// NAME[ARGS]{…}, or a list of objects.
class MistralReader final : public CallReader {
 public:
  Verdict push(char next, CallSink& sink) override {
    if (list_) return list_->push(next, sink);
    switch (state_) {
      case State::begin:
        return begin(next, sink);
      case State::name:
        return name(next, sink);
      case State::id:
        return id(next, sink);
      case State::lead:
        if (is_blank(next)) return more();
        return next == '{' ? call(next, sink) : foreign();
      case State::arguments:
        return arguments(next, sink);
      case State::dropped:
        sink.checkpoint();
        break;
    }
    return more();
  }

  void finish(CallSink& sink) override {
    if (list_) return list_->finish(sink);
    arguments_.finish(sink);
  }

 private:
  enum class State { begin, name, id, lead, arguments, dropped };

  Verdict begin(char next, CallSink& sink) {
    if (is_blank(next)) return more();
    if (next == '[' || next == '{') {
      list_ = std::make_unique<ObjectReader>(ObjectReader::Form::mistral,
                                             next == '{' ? "{" : kToolCalls);
      return more();
    }
    state_ = State::name;
    return name(next, sink);
  }

  Verdict name(char next, CallSink& sink) {
    const auto met = until_name_end_.push(next, name_);
    if (!met) return name_.size() > kNameBytesMax ? foreign() : more();
    if (*met == 0) state_ = State::id;
    if (*met == 1) state_ = State::lead;
    return *met == 2 ? call(next, sink) : more();
  }

  Verdict id(char next, CallSink& sink) {
    const auto met = until_id_end_.push(next, id_);
    if (!met) return id_.size() > kNameBytesMax ? foreign() : more();
    if (*met == 0) state_ = State::lead;
    return *met == 1 ? call(next, sink) : more();
  }

  Verdict call(char next, CallSink& sink) {
    const std::string_view name = trimmed(name_);
    if (!sink.offered(name)) return foreign();
    sink.begin(name, trimmed(id_));
    state_ = State::arguments;
    return arguments(next, sink);
  }

  Verdict arguments(char next, CallSink& sink) {
    const ArgumentsReader::Status status = arguments_.push(next, sink);
    if (status == ArgumentsReader::Status::broken) state_ = State::dropped;
    if (status != ArgumentsReader::Status::whole) return more();
    sink.checkpoint();
    return over();
  }

  std::unique_ptr<ObjectReader> list_;
  State state_ = State::begin;
  UntilText until_name_end_{{kCallId, kArguments, "{"}};
  UntilText until_id_end_{{kArguments, "{"}};
  std::string name_;
  std::string id_;
  ArgumentsReader arguments_;
};

}  // namespace

std::unique_ptr<CallReader> make_hermes_reader() {
  return std::make_unique<ObjectReader>(ObjectReader::Form::hermes, kObjectBegin);
}
std::unique_ptr<CallReader> make_llama_reader(std::string_view mark) {
  return std::make_unique<ObjectReader>(ObjectReader::Form::llama, mark);
}
std::unique_ptr<CallReader> make_mistral_reader() {
  return std::make_unique<MistralReader>();
}

}  // namespace deepseek::engine
