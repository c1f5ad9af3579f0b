// A call that is one object of JSON: its name, its arguments, and perhaps other members.
//
// Pure; one object per call. Arguments come out as they arrive once the name is known. A string
// that holds the arguments' JSON is taken too.
#pragma once

#include "engine/call_reader.hpp"

#include <string>

namespace deepseek::engine {

class CallObject {
 public:
  enum class Status {
    open,
    whole,    // the object ends with this byte; the call has ended
    foreign,  // it is no call, and none has begun
    broken,   // the call has begun, and has ended
  };
  Status push(char next, CallSink& sink);
  void finish(CallSink& sink);

 private:
  enum class State { begin, key_or_end, key, colon, value, comma_or_end };
  enum class Member { name, id, arguments, other };

  Status member(char next, CallSink& sink);
  Status value(char next, CallSink& sink);
  Status value_ended(CallSink& sink);
  Status arguments_text(CallSink& sink);
  Status end(CallSink& sink);
  Status fail(CallSink& sink);
  void begin_call(CallSink& sink);

  State state_ = State::begin;
  Member member_ = Member::other;
  JsonRelay relay_;   // of the key or value that is being read
  std::string text_;  // of it; not of arguments that go out at once
  bool value_begun_ = false;
  bool streams_ = false;  // these arguments do
  bool in_text_ = false;  // they are a string
  std::string name_;
  std::string id_;
  std::string held_;  // arguments that came before the name
  bool has_arguments_ = false;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace deepseek::engine
