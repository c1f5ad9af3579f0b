// Reads the calls of one format behind the mark that begins them, byte by byte.
//
// Pure; made by the tool splitter, which owns it and the sink. A reader says what it makes of each
// byte; the splitter keeps the text of what is not sure to be a call and gives it back as content.
#pragma once

#include "engine/json_relay.hpp"
#include "engine/tool_format.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace deepseek::engine {

// Names, ids and the words in front of arguments are no longer; longer text is no call.
inline constexpr std::size_t kNameBytesMax = 256;

class CallSink {
 public:
  virtual ~CallSink() = default;
  virtual bool offered(std::string_view name) const = 0;
  // From here on the text is a call. `id` may be empty: then one is made.
  virtual void begin(std::string_view name, std::string_view id) = 0;
  virtual void arguments(std::string_view piece) = 0;
  // `whole`: the model wrote it to its end, and nothing had to be closed or left out.
  virtual void end(bool whole) = 0;
  virtual bool open() const = 0;  // between begin() and end()
  // What came so far is done with, and is not given back as content.
  virtual void checkpoint() = 0;
};

class CallReader {
 public:
  struct Verdict {
    enum class Kind { more, over, foreign };
    Kind kind = Kind::more;
    std::size_t unused = 1;  // foreign: so many of the last bytes may begin something else
  };

  virtual ~CallReader() = default;
  virtual Verdict push(char next, CallSink& sink) = 0;
  // The text ends inside a call: what is open of its arguments is closed.
  virtual void finish(CallSink& sink) = 0;

 protected:
  static Verdict more() { return {}; }
  static Verdict over() { return {Verdict::Kind::over, 0}; }
  static Verdict foreign(std::size_t unused = 1) { return {Verdict::Kind::foreign, unused}; }
};

// `mark` is the text that was met, one of call_marks() or "{" for llama3.
std::unique_ptr<CallReader> make_call_reader(ToolFormat format, std::string_view mark);
// The readers by family; make_call_reader() chooses.
std::unique_ptr<CallReader> make_deepseek_reader(std::string_view mark);
std::unique_ptr<CallReader> make_dsml_reader(std::string_view mark);
std::unique_ptr<CallReader> make_hermes_reader();
std::unique_ptr<CallReader> make_llama_reader(std::string_view mark);
std::unique_ptr<CallReader> make_mistral_reader();

// The arguments of a call, an object of JSON that follows its name.
class ArgumentsReader {
 public:
  enum class Status { open, whole, broken };
  // After `broken` the call has ended: its arguments are closed.
  Status push(char next, CallSink& sink);
  void finish(CallSink& sink);

 private:
  JsonRelay relay_;
};

}  // namespace deepseek::engine
