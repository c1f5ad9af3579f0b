#include "engine/call_object.hpp"

#include "engine/text_match.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <utility>

namespace deepseek::engine {
namespace {

// What a JSON string says; empty if it is none.
std::string string_of(const std::string& text) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_string()) return {};
  return std::string(value.get_string());
}

// Ids are short and plain, or they are not the model's to give.
bool usable_id(const std::string& id) {
  return id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char byte) {
           return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                  (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
         });
}

}  // namespace

CallObject::Status CallObject::push(char next, CallSink& sink) {
  if (state_ == State::value) return value(next, sink);
  if (state_ == State::key) return member(next, sink);
  if (is_blank(next)) return Status::open;
  if (state_ == State::begin) {
    if (next != '{') return Status::foreign;
    state_ = State::key_or_end;
    return Status::open;
  }
  if (state_ == State::colon) {
    if (next != ':') return fail(sink);
    state_ = State::value;
    relay_ = {};
    text_.clear();
    value_begun_ = streams_ = in_text_ = false;
    return Status::open;
  }
  if (next == '}') return end(sink);
  if (state_ == State::comma_or_end) {
    if (next != ',') return fail(sink);
    state_ = State::key_or_end;
    return Status::open;
  }
  if (next != '"') return fail(sink);
  state_ = State::key;
  relay_ = {};
  text_.clear();
  return member(next, sink);
}

CallObject::Status CallObject::member(char next, CallSink& sink) {
  const JsonRelay::Status status = relay_.push(next, text_);
  if (status == JsonRelay::Status::open) {
    return text_.size() > kNameBytesMax ? fail(sink) : Status::open;
  }
  if (status != JsonRelay::Status::whole) return fail(sink);
  const std::string key = string_of(text_);
  member_ = Member::other;
  if (key == "name") member_ = Member::name;
  if (key == "id") member_ = Member::id;
  if ((key == "arguments" || key == "parameters") && !has_arguments_) {
    member_ = Member::arguments;
    has_arguments_ = true;
  }
  state_ = State::colon;
  return Status::open;
}

CallObject::Status CallObject::value(char next, CallSink& sink) {
  if (member_ == Member::arguments && !value_begun_ && !is_blank(next)) {
    value_begun_ = true;
    in_text_ = next == '"';
    if (next == '{' && !name_.empty()) {
      begin_call(sink);
      streams_ = true;
    }
  }
  std::string sure;
  const JsonRelay::Status status = relay_.push(next, sure);
  if (streams_) {
    if (!sure.empty()) sink.arguments(sure);
  } else if (member_ != Member::other) {
    text_ += sure;
  }
  const bool name_like = member_ == Member::name || member_ == Member::id;
  if (name_like && text_.size() > kNameBytesMax) return fail(sink);
  if (status == JsonRelay::Status::open) return Status::open;
  if (status == JsonRelay::Status::broken) return fail(sink);
  const Status ended = value_ended(sink);
  if (ended != Status::open || status == JsonRelay::Status::whole) return ended;
  return push(next, sink);
}

CallObject::Status CallObject::value_ended(CallSink& sink) {
  state_ = State::comma_or_end;
  if (member_ == Member::name && !begun_) {
    name_ = string_of(text_);
    if (!sink.offered(name_)) return Status::foreign;
  }
  if (member_ == Member::id && usable_id(string_of(text_))) id_ = string_of(text_);
  if (member_ != Member::arguments) return Status::open;
  if (streams_) {
    sink.end(true);
    ended_ = true;
    return Status::open;
  }
  return arguments_text(sink);
}

// The arguments came before the name, or as a string, or there are none.
CallObject::Status CallObject::arguments_text(CallSink& sink) {
  held_ = in_text_ ? string_of(text_) : text_;
  if (held_ == "null" || (in_text_ && trimmed(held_).empty())) held_.clear();
  if (held_.empty()) return Status::open;
  JsonRelay relay;
  std::string sure;
  JsonRelay::Status status = JsonRelay::Status::open;
  const std::string_view text = trimmed(held_);
  for (std::size_t at = 0; at < text.size() && status == JsonRelay::Status::open; ++at) {
    status = relay.push(text[at], sure);
    if (status == JsonRelay::Status::whole && at + 1 < text.size()) return fail(sink);
  }
  if (status != JsonRelay::Status::whole || !text.starts_with('{')) return fail(sink);
  held_ = sure;
  return Status::open;
}

void CallObject::begin_call(CallSink& sink) {
  sink.begin(name_, id_);
  begun_ = true;
}

CallObject::Status CallObject::end(CallSink& sink) {
  if (!begun_) {
    if (name_.empty()) return Status::foreign;
    begin_call(sink);
    sink.arguments(held_.empty() ? "{}" : held_);
    sink.end(true);
    ended_ = true;
  }
  return Status::whole;
}

CallObject::Status CallObject::fail(CallSink& sink) {
  if (!begun_) return Status::foreign;
  if (!ended_) finish(sink);
  return Status::broken;
}

void CallObject::finish(CallSink& sink) {
  sink.arguments(relay_.close());
  sink.end(false);
  ended_ = true;
}

}  // namespace deepseek::engine
