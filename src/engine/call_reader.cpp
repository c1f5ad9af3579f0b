#include "engine/call_reader.hpp"

namespace deepseek::engine {

ArgumentsReader::Status ArgumentsReader::push(char next, CallSink& sink) {
  std::string sure;
  const JsonRelay::Status status = relay_.push(next, sure);
  if (!sure.empty()) sink.arguments(sure);
  if (status == JsonRelay::Status::open) return Status::open;
  if (status == JsonRelay::Status::whole) {
    sink.end(true);
    return Status::whole;
  }
  finish(sink);
  return Status::broken;
}

void ArgumentsReader::finish(CallSink& sink) {
  sink.arguments(relay_.close());
  sink.end(false);
}

std::unique_ptr<CallReader> make_call_reader(ToolFormat format, std::string_view mark) {
  switch (format) {
    case ToolFormat::deepseek_fenced:
    case ToolFormat::deepseek_plain:
      return make_deepseek_reader(mark);
    case ToolFormat::dsml_functions:
    case ToolFormat::dsml_tools:
      return make_dsml_reader(mark);
    case ToolFormat::llama3:
      return make_llama_reader(mark);
    case ToolFormat::mistral_list:
    case ToolFormat::mistral_named:
      return make_mistral_reader();
    case ToolFormat::hermes:
    case ToolFormat::generic:
    case ToolFormat::other:
      break;
  }
  return make_hermes_reader();
}

}  // namespace deepseek::engine
