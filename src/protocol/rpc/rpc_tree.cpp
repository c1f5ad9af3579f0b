#include "protocol/rpc/rpc_tree.hpp"

#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"

#include "deepseek/v1/request.pb.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <string_view>
#include <utility>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;
using base::ErrorCode;

// The object's names of a constraint's fields, and the message's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> constraint_names{{
    {"structured_outputs.json_object", "constraint.json_object"},
    {"structured_outputs.json", "constraint.json_schema"},
    {"structured_outputs.grammar", "constraint.grammar"},
    {"structured_outputs.regex", "constraint.regex"},
    {"structured_outputs.choice", "constraint.choice"},
}};

json::string text(const std::string& value) {
  return json::string(value.data(), value.size());
}

base::Error both_given(std::string_view one, std::string_view other) {
  return base::make_error(
      ErrorCode::invalid_request,
      std::string(one) + " and " + std::string(other) + " are both given; give one of them",
      std::string(other));
}

void add_text(json::object& tree, std::string_view name, const std::string& value) {
  if (!value.empty()) tree[name] = text(value);
}

json::array texts(const google::protobuf::RepeatedPtrField<std::string>& list) {
  json::array out;
  out.reserve(static_cast<std::size_t>(list.size()));
  for (const std::string& one : list) out.emplace_back(text(one));
  return out;
}

void add_constraint(json::object& tree, const v1::Constraint& constraint) {
  json::object out;
  if (constraint.json_object()) out["json_object"] = true;
  add_text(out, "json", constraint.json_schema());
  add_text(out, "grammar", constraint.grammar());
  add_text(out, "regex", constraint.regex());
  if (constraint.choice_size() > 0) out["choice"] = texts(constraint.choice());
  if (!out.empty()) tree["structured_outputs"] = std::move(out);
}

// Fields that both kinds of request for an answer have.
template <class Message>
void add_shared(json::object& tree, const Message& from) {
  add_text(tree, "model", from.model());
  if (from.has_temperature()) tree["temperature"] = from.temperature();
  if (from.has_top_p()) tree["top_p"] = from.top_p();
  if (from.has_min_p()) tree["min_p"] = from.min_p();
  if (from.has_top_k()) tree["top_k"] = from.top_k();
  if (from.has_frequency_penalty()) tree["frequency_penalty"] = from.frequency_penalty();
  if (from.has_presence_penalty()) tree["presence_penalty"] = from.presence_penalty();
  if (from.has_repetition_penalty()) tree["repetition_penalty"] = from.repetition_penalty();
  if (from.has_seed()) tree["seed"] = std::uint64_t{from.seed()};
  if (from.ignore_eos()) tree["ignore_eos"] = true;
  if (from.has_max_tokens()) tree["max_tokens"] = from.max_tokens();
  if (from.stop_size() > 0) tree["stop"] = texts(from.stop());
  if (from.has_n()) tree["n"] = from.n();
  add_text(tree, "user", from.user());
  add_text(tree, "user_id", from.user_id());
  if (!from.logit_bias().empty()) {
    json::object biases;
    for (const auto& [token, bias] : from.logit_bias()) biases[std::to_string(token)] = bias;
    tree["logit_bias"] = std::move(biases);
  }
  if (from.has_constraint()) add_constraint(tree, from.constraint());
}

json::array parts_of(const v1::Message& message) {
  json::array out;
  for (const v1::ContentPart& part : message.parts()) {
    json::object& one = out.emplace_back(json::object()).get_object();
    add_text(one, "type", part.type());
    if (part.has_text()) one["text"] = text(part.text());
    if (!part.has_image_url()) continue;
    json::object image;
    image["url"] = text(part.image_url().url());
    add_text(image, "detail", part.image_url().detail());
    one["image_url"] = std::move(image);
  }
  return out;
}

json::array calls_of(const v1::Message& message) {
  json::array out;
  for (const v1::ToolCall& call : message.tool_calls()) {
    json::object& one = out.emplace_back(json::object()).get_object();
    one["id"] = text(call.id());
    one["type"] = "function";
    json::object function;
    function["name"] = text(call.function().name());
    function["arguments"] = text(call.function().arguments());
    one["function"] = std::move(function);
  }
  return out;
}

base::Result<json::object> message_of(const v1::Message& message, const std::string& path) {
  json::object out;
  add_text(out, "role", message.role());
  if (message.has_content()) out["content"] = text(message.content());
  if (message.parts_size() > 0) {
    if (message.has_content()) return both_given(path + ".content", path + ".parts");
    out["content"] = parts_of(message);
  }
  add_text(out, "name", message.name());
  add_text(out, "reasoning_content", message.reasoning_content());
  add_text(out, "tool_call_id", message.tool_call_id());
  if (message.tool_calls_size() > 0) out["tool_calls"] = calls_of(message);
  if (message.prefix()) out["prefix"] = true;
  return out;
}

base::Result<json::object> tool_of(const v1::Tool& tool, const std::string& path,
                                   const RequestLimits& limits) {
  json::object function;
  function["name"] = text(tool.function().name());
  add_text(function, "description", tool.function().description());
  if (tool.function().strict()) function["strict"] = true;
  if (!tool.function().parameters().empty()) {
    auto schema = parse_json(tool.function().parameters(), limits);
    if (schema.has_error()) {
      const std::string field = path + ".function.parameters";
      return base::make_error(ErrorCode::invalid_request, field + ": " + schema.error().message,
                              field);
    }
    function["parameters"] = std::move(*schema);
  }
  json::object out;
  out["type"] = "function";
  out["function"] = std::move(function);
  return out;
}

void add_tool_choice(json::object& tree, const v1::ToolChoice& choice) {
  if (choice.type() != "function") {
    add_text(tree, "tool_choice", choice.type());
    return;
  }
  json::object out;
  out["type"] = "function";
  out["function"] = json::object{{"name", text(choice.name())}};
  tree["tool_choice"] = std::move(out);
}

// Several prompts; all texts, or all token ids.
json::array prompts_of(const google::protobuf::RepeatedPtrField<v1::Prompt>& prompts) {
  json::array out;
  for (const v1::Prompt& prompt : prompts) {
    if (prompt.token_ids_size() == 0) {
      out.emplace_back(text(prompt.text()));
      continue;
    }
    json::array ids;
    ids.reserve(static_cast<std::size_t>(prompt.token_ids_size()));
    for (const std::int32_t id : prompt.token_ids()) ids.emplace_back(id);
    out.emplace_back(std::move(ids));
  }
  return out;
}

}  // namespace

base::Result<json::object> rpc_tree(const v1::ChatRequest& request, const RequestLimits& limits) {
  json::object tree;
  add_shared(tree, request);
  json::array messages;
  messages.reserve(static_cast<std::size_t>(request.messages_size()));
  for (int i = 0; i < request.messages_size(); ++i) {
    auto made =
        message_of(request.messages(i), entry_path("messages", static_cast<std::size_t>(i)));
    if (made.has_error()) return made.error();
    messages.emplace_back(std::move(*made));
  }
  if (!messages.empty()) tree["messages"] = std::move(messages);
  json::array tools;
  for (int i = 0; i < request.tools_size(); ++i) {
    auto made = tool_of(request.tools(i), entry_path("tools", static_cast<std::size_t>(i)), limits);
    if (made.has_error()) return made.error();
    tools.emplace_back(std::move(*made));
  }
  if (!tools.empty()) tree["tools"] = std::move(tools);
  if (request.has_tool_choice()) add_tool_choice(tree, request.tool_choice());
  if (request.has_parallel_tool_calls()) {
    tree["parallel_tool_calls"] = request.parallel_tool_calls();
  }
  if (request.has_thinking()) {
    tree["thinking"] = json::object{{"type", text(request.thinking().type())}};
  }
  add_text(tree, "reasoning_effort", request.reasoning_effort());
  if (request.has_logprobs()) {
    tree["logprobs"] = true;
    tree["top_logprobs"] = request.logprobs();
  }
  return tree;
}

base::Result<json::object> rpc_tree(const v1::GenerateRequest& request,
                                    const RequestLimits& /*limits*/) {
  json::object tree;
  add_shared(tree, request);
  if (request.has_prompt()) tree["prompt"] = text(request.prompt());
  if (request.prompts_size() > 0) {
    if (request.has_prompt()) return both_given("prompt", "prompts");
    tree["prompt"] = prompts_of(request.prompts());
  }
  if (request.has_logprobs()) tree["logprobs"] = request.logprobs();
  if (request.echo()) tree["echo"] = true;
  add_text(tree, "suffix", request.suffix());
  return tree;
}

base::Result<json::object> rpc_tree(const v1::EmbedRequest& request,
                                    const RequestLimits& /*limits*/) {
  json::object tree;
  add_text(tree, "model", request.model());
  if (request.has_input()) tree["input"] = text(request.input());
  if (request.inputs_size() > 0) {
    if (request.has_input()) return both_given("input", "inputs");
    tree["input"] = prompts_of(request.inputs());
  }
  if (request.has_dimensions()) tree["dimensions"] = request.dimensions();
  add_text(tree, "user", request.user());
  return tree;
}

std::string rpc_param(const std::string& param) {
  for (const auto& [theirs, ours] : constraint_names) {
    if (param.starts_with(theirs) &&
        (param.size() == theirs.size() || param[theirs.size()] == '[')) {
      return std::string(ours) + param.substr(theirs.size());
    }
  }
  return param == "top_logprobs" ? "logprobs" : param;
}

}  // namespace deepseek::protocol
