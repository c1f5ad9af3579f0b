#include "protocol/decode.hpp"
#include "protocol/local_support.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const RequestLimits limits;

base::Result<Request> chat(std::string_view fields) {
  return decode_chat(R"({"messages":[{"role":"user","content":"hi"}])" +
                         (fields.empty() ? std::string() : "," + std::string(fields)) + "}",
                     {limits});
}

base::Result<Request> completion(std::string_view fields) {
  return decode_completions("{" + std::string(fields) + "}", {limits});
}

struct Refusal {
  std::string_view fields;
  std::string_view param;
  std::string_view part_of_message;
};

void expect_refused(const base::Result<Request>& result, const Refusal& refusal) {
  ASSERT_FALSE(result) << refusal.fields;
  EXPECT_EQ(base::describe(result.error().code).http_status, 400) << refusal.fields;
  EXPECT_EQ(result.error().param, refusal.param) << refusal.fields;
  EXPECT_NE(result.error().message.find(refusal.part_of_message), std::string::npos)
      << refusal.fields << " → " << result.error().message;
}

TEST(DecodeChat, reads_every_field) {
  const auto result = decode_chat(R"({"model":"m","messages":[
      {"role":"system","content":"be brief"},
      {"role":"user","name":"ann",
       "content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
      {"role":"assistant","content":null,"reasoning_content":"r",
       "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"c1","content":"42"},
      {"role":"assistant","content":"The","prefix":true}],
      "stream":true,"stream_options":{"include_usage":true},"max_tokens":7,
      "max_completion_tokens":7,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,
      "presence_penalty":-2,"frequency_penalty":2,"repetition_penalty":1.1,"stop":["x","y"],
      "seed":5.0,"ignore_eos":true,"n":2,"logprobs":true,"top_logprobs":3,
      "logit_bias":{"15":-100,"16":1.5},"user":"u","user_id":"uid","thinking":{"type":"disabled"},
      "reasoning_effort":"high","tools":[],"tool_choice":"none","response_format":{"type":"text"},
      "chat_template":"{{ x }}","metadata":{},"store":false,"x":1})",
                                  {limits, "ignored", "req-1"});
  ASSERT_TRUE(result) << result.error().message;
  const Request& request = *result;
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.id, "req-1");
  ASSERT_EQ(request.messages.size(), 5U);
  EXPECT_EQ(request.messages[0].role, Role::system);
  EXPECT_EQ(request.messages[1].text(), "ab");
  EXPECT_EQ(request.messages[1].name, "ann");
  EXPECT_EQ(request.messages[2].tool_calls.at(0).name, "f");
  EXPECT_EQ(request.messages[2].reasoning_content, "r");
  EXPECT_EQ(request.messages[3].tool_call_id, "c1");
  EXPECT_TRUE(request.messages[4].prefix);
  EXPECT_TRUE(request.stream && request.stream_usage);
  EXPECT_EQ(request.tokens_max, 7);
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.top_k, 40);
  EXPECT_EQ(request.sampling.min_p, 0.1);
  EXPECT_EQ(request.sampling.presence_penalty, -2);
  EXPECT_EQ(request.sampling.frequency_penalty, 2);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(request.sampling.seed, 5U);
  EXPECT_TRUE(request.sampling.ignore_eos);
  EXPECT_EQ(request.sampling.logit_bias, (std::map<std::int32_t, double>{{15, -100}, {16, 1.5}}));
  EXPECT_EQ(request.stop, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(request.choices, 2);
  EXPECT_EQ(request.logprobs, 3);
  EXPECT_EQ(request.user, "u");
  EXPECT_EQ(request.user_id, "uid");
  EXPECT_EQ(request.thinking, false);
  EXPECT_EQ(request.reasoning_effort, "high");
  EXPECT_EQ(request.unknown_fields, (std::vector<std::string>{"chat_template", "x"}));
}

TEST(DecodeChat, takes_the_model_from_the_header_and_null_as_absent) {
  const auto result = decode_chat(
      R"({"model":null,"messages":[{"role":"user","content":"hi"}],"temperature":null,
          "top_p":0,"top_k":-1,"seed":-1,"stop":"x"})",
      {limits, "deepseek-chat-7b"});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->model, "deepseek-chat-7b");
  EXPECT_FALSE(result->sampling.temperature);
  EXPECT_GT(*result->sampling.top_p, 0);
  EXPECT_EQ(result->sampling.top_k, 0);
  EXPECT_EQ(result->sampling.seed, ~std::uint64_t{0});
  EXPECT_EQ(result->stop, std::vector<std::string>{"x"});
  EXPECT_FALSE(result->tokens_max);
  EXPECT_FALSE(result->logprobs);
}

TEST(DecodeChat, refuses_wrong_types_and_ranges_with_the_param) {
  const Refusal cases[] = {
      {R"("temperature":3.5)", "temperature", "must be a number from 0 to 2, found 3.5"},
      {R"("temperature":-0.1)", "temperature", "found -0.1"},
      {R"("temperature":"0.7")", "temperature", "found the string \"0.7\""},
      {R"("top_p":1.01)", "top_p", "from 0 to 1"},
      {R"("min_p":-1)", "min_p", "from 0 to 1"},
      {R"("top_k":-2)", "top_k", "from -1 to"},
      {R"("top_k":9223372036854775808)", "top_k", "found 9223372036854775808"},
      {R"("presence_penalty":2.1)", "presence_penalty", "from -2 to 2"},
      {R"("frequency_penalty":true)", "frequency_penalty", "found true"},
      {R"("repetition_penalty":0)", "repetition_penalty", "above 0 up to 2"},
      {R"("seed":1.5)", "seed", "an integer"},
      {R"("seed":1e300)", "seed", "an integer"},
      {R"("n":0)", "n", "from 1 to 16 (limits.choices_max), found 0"},
      {R"("n":-1)", "n", "limits.choices_max"},
      {R"("n":1000000000)", "n", "limits.choices_max"},
      {R"("max_tokens":0)", "max_tokens", "limits.tokens_max"},
      {R"("max_tokens":-1)", "max_tokens", "limits.tokens_max"},
      {R"("max_tokens":9223372036854775807)", "max_tokens", "limits.tokens_max"},
      {R"("max_tokens":18446744073709551615)", "max_tokens", "limits.tokens_max"},
      {R"("max_tokens":1.5)", "max_tokens", "found 1.5"},
      {R"("max_tokens":5,"max_completion_tokens":6)", "max_completion_tokens", "give one of them"},
      {R"("stream":"yes")", "stream", "true or false"},
      {R"("stream_options":[])", "stream_options", "an object"},
      {R"("stream_options":{"include_usage":1})", "stream_options.include_usage", "true or false"},
      {R"("stream_options":{"include_usage":true})", "stream_options", "only allowed with"},
      {R"("stop":[1])", "stop[0]", "a string"},
      {R"("stop":"")", "stop", "must not be an empty string"},
      {R"("stop":{})", "stop", "a string or a list of strings"},
      {R"("stop":["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"])", "stop",
       "17 entries; at most 16 (limits.stop_max)"},
      {R"("logprobs":2)", "logprobs", "true or false"},
      {R"("top_logprobs":2)", "top_logprobs", "needs \"logprobs\": true"},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "limits.logprobs_max"},
      {R"("logprobs":true,"top_logprobs":-1)", "top_logprobs", "limits.logprobs_max"},
      {R"("logit_bias":[])", "logit_bias", "an object from token id"},
      {R"("logit_bias":{"a":1})", "logit_bias", "found \"a\""},
      {R"("logit_bias":{"-1":1})", "logit_bias", "found \"-1\""},
      {R"("logit_bias":{"99999999999":1})", "logit_bias", "a token id"},
      {R"("logit_bias":{"1":101})", "logit_bias.1", "from -100 to 100"},
      {R"("logit_bias":{"1":1,"01":2})", "logit_bias", "given twice"},
      {R"("user":5)", "user", "a string"},
      {R"("thinking":{"type":"maybe"})", "thinking.type", "found \"maybe\""},
      {R"("thinking":{})", "thinking.type", "is missing"},
      {R"("reasoning_effort":"most")", "reasoning_effort", "found \"most\""},
      {R"("model":5)", "model", "a string"},
      {R"("ignore_eos":"x")", "ignore_eos", "true or false"},
      {R"("response_format":{"type":"xml"})", "response_format.type", "found \"xml\""},
  };
  for (const Refusal& refusal : cases) expect_refused(chat(refusal.fields), refusal);
}

TEST(DecodeChat, refuses_long_strings_and_lists_by_their_setting) {
  const std::string long_text(600, 'u');
  expect_refused(chat("\"user_id\":\"" + long_text + "\""),
                 {"", "user_id", "600 bytes; at most 512 (limits.user_id_bytes_max)"});
  expect_refused(chat("\"user\":\"" + long_text + "\""), {"", "user", "limits.user_bytes_max"});
  expect_refused(chat("\"model\":\"" + long_text + "\""), {"", "model", "limits.model_bytes_max"});
  expect_refused(chat("\"stop\":\"" + long_text + "\""), {"", "stop", "limits.stop_bytes_max"});
  std::string biases = "\"0\":1";
  for (int i = 1; i <= 1023; ++i) biases += ",\"" + std::to_string(i) + "\":1";
  EXPECT_TRUE(chat("\"logit_bias\":{" + biases + "}"));
  std::string messages = R"({"role":"user","content":"x"})";
  for (int i = 0; i < 4096; ++i) messages += R"(,{"role":"user","content":"x"})";
  expect_refused(decode_chat("{\"messages\":[" + messages + "]}", {limits}),
                 {"", "messages", "4097 entries; at most 4096 (limits.messages_max)"});
  EXPECT_EQ(decode_chat(R"({"messages":[{"role":"user","content":"x"}]})", {limits, long_text})
                .error()
                .param,
            "model");
}

TEST(DecodeChat, refuses_wrong_messages_with_the_path) {
  const Refusal cases[] = {
      {R"({})", "messages", "messages is missing"},
      {R"({"messages":[]})", "messages", "at least one entry"},
      {R"({"messages":"hi"})", "messages", "must be a list, found the string \"hi\""},
      {R"({"messages":[5]})", "messages[0]", "an object"},
      {R"({"messages":[{"content":"x"}]})", "messages[0].role", "is missing"},
      {R"({"messages":[{"role":"root","content":"x"}]})", "messages[0].role", "found \"root\""},
      {R"({"messages":[{"role":"user"}]})", "messages[0].content", "is missing"},
      {R"({"messages":[{"role":"user","content":"a"},{"role":"user","content":5}]})",
       "messages[1].content", "found 5"},
      {R"({"messages":[{"role":"user","content":[]}]})", "messages[0].content", "at least one"},
      {R"({"messages":[{"role":"user","content":["x"]}]})", "messages[0].content[0]", "an object"},
      {R"({"messages":[{"role":"user","content":[{"type":"video"}]}]})",
       "messages[0].content[0].type", "found \"video\""},
      {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})",
       "messages[0].content[0].text", "is missing"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url",
          "image_url":{"url":"file:///etc/passwd"}}]}]})",
       "messages[0].content[0].image_url", "must begin with https:// or data:"},
      {R"({"messages":[{"role":"tool","content":"x"}]})", "messages[0].tool_call_id", "missing"},
      {R"({"messages":[{"role":"assistant","content":"x","prefix":true},
          {"role":"user","content":"x"}]})",
       "messages[0].prefix", "last message"},
      {R"({"messages":[{"role":"user","content":"x","tool_calls":[{}]}]})",
       "messages[0].tool_calls", "assistant"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]})",
       "messages[0].tool_calls[0].function", "is missing"},
  };
  for (const Refusal& refusal : cases) {
    expect_refused(decode_chat(refusal.fields, {limits}), refusal);
  }
}

// Decodes well, and local models refuse it.
void expect_not_local(const base::Result<Request>& result, const Refusal& refusal) {
  ASSERT_TRUE(result) << refusal.fields << result.error().message;
  ASSERT_FALSE(result->features.empty()) << refusal.fields;
  const auto supported = check_local_support(*result);
  ASSERT_FALSE(supported) << refusal.fields;
  EXPECT_EQ(supported.error().code, base::ErrorCode::not_implemented);
  EXPECT_EQ(supported.error().param, refusal.param) << refusal.fields;
  EXPECT_NE(supported.error().message.find(refusal.part_of_message), std::string::npos)
      << refusal.fields << " → " << supported.error().message;
}

TEST(DecodeChat, notes_what_local_models_cannot_do) {
  const Refusal cases[] = {
      {R"("tools":[{"type":"function"}])", "tools[0]", ""},
      {R"("audio":{"voice":"x"})", "audio", "audio"},
      {R"("modalities":["text","audio"])", "modalities", "audio"},
      {R"("web_search_options":{})", "web_search_options", "web search"},
  };
  for (const Refusal& refusal : cases) expect_not_local(chat(refusal.fields), refusal);
  const auto parts = [](std::string_view second) {
    return decode_chat(R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},)" +
                           std::string(second) + "]}]}",
                       {limits});
  };
  const auto image = parts(
      R"({"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"high"}})");
  expect_not_local(image, {"", "messages[0].content[1]", "images"});
  ASSERT_EQ(image->messages[0].content.size(), 2U);
  EXPECT_EQ(std::get<ImagePart>(image->messages[0].content[1]).detail, "high");
  expect_not_local(parts(R"({"type":"input_audio","input_audio":{"data":"","format":"wav"}})"),
                   {"", "messages[0].content[1]", "audio"});
  EXPECT_TRUE(check_local_support(*chat(R"("tools":[],"tool_choice":"none")")));
  EXPECT_TRUE(check_local_support(*chat(R"("response_format":{"type":"json_object"})")));
  EXPECT_TRUE(check_local_support(*chat(R"("regex":"a+")")));
  EXPECT_TRUE(check_local_support(
      *chat(R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required")")));
}

TEST(DecodeChat, checks_the_shape_of_what_it_passes_on) {
  const Refusal cases[] = {
      {R"("tools":{})", "tools", "a list"},
      {R"("tools":[1])", "tools[0]", "an object"},
      {R"("tools":[{"function":{}}])", "tools[0].function.name", "is missing"},
      {R"("tool_choice":1)", "tool_choice", "a string or an object"},
      {R"("functions":["f"])", "functions[0]", "an object"},
      {R"("functions":[{}])", "functions[0].name", "is missing"},
      {R"("functions":[{"name":"f"}],"tools":[{"function":{"name":"f"}}])", "functions",
       "give one of them"},
      {R"("function_call":{"name":"f"})", "function_call", "functions is empty"},
      {R"("function_call":"f")", "function_call", "\"none\", \"auto\""},
      {R"("response_format":{"type":"xml"})", "response_format.type", "found \"xml\""},
      {R"("response_format":{"type":"json_schema","json_schema":1})", "response_format.json_schema",
       "an object"},
      {R"("response_format":{"type":"json_schema","json_schema":{}})",
       "response_format.json_schema.schema", "is missing"},
      {R"("response_format":{"type":"json_object"},"guided_regex":"a")", "guided_regex",
       "give one of them"},
      {R"("tools":[{"function":{"name":"f","parameters":1}}])", "tools[0].function.parameters",
       "a JSON Schema object"},
      {R"("choice":["a",1])", "choice[1]", "a string"},
      {R"("audio":1)", "audio", "an object"},
      {R"("modalities":[1])", "modalities[0]", "a string"},
      {R"("web_search_options":1)", "web_search_options", "an object"},
  };
  for (const Refusal& refusal : cases) expect_refused(chat(refusal.fields), refusal);
  std::string many = "{}";
  for (int i = 0; i < 1024; ++i) many += ",{}";
  expect_refused(chat("\"tools\":[" + many + "]"), {"", "tools", "at most 1024"});
}

TEST(Decode, tells_the_form_of_the_client) {
  EXPECT_EQ(chat("")->form, ClientForm::chat);
  EXPECT_EQ(completion(R"("prompt":"a")")->form, ClientForm::completions);
  const std::string_view messages = R"("messages":[{"role":"user","content":"hi"}])";
  EXPECT_EQ(completion(messages)->form, ClientForm::other);
  EXPECT_EQ(decode_infer(R"({"query":"a"})", {limits})->form, ClientForm::other);
  EXPECT_EQ(decode_generate(R"({"prompt":"a"})", {}, {limits})->form, ClientForm::other);
  EXPECT_TRUE(completion(R"("prompt":"a")")->tokens_max_assumed);
  EXPECT_FALSE(completion(R"("prompt":"a","max_tokens":16)")->tokens_max_assumed);
  EXPECT_FALSE(chat("")->tokens_max_assumed);
}

TEST(Decode, other_forms_have_no_tools) {
  const std::string_view tools = R"("tools":[{"type":"function"}]})";
  const Refusal refusal{"", "tools", "needs POST /v1/chat/completions"};
  expect_refused(decode_infer(R"({"query":"a",)" + std::string(tools), {limits}), refusal);
  expect_refused(decode_generate(R"({"prompt":"a",)" + std::string(tools), {}, {limits}), refusal);
  const std::string messages = R"({"messages":[{"role":"user","content":"hi"}],)";
  expect_refused(decode_completions(messages + std::string(tools), {limits}), refusal);
}

TEST(DecodeChat, reads_tools_and_the_choice_among_them) {
  const auto request = chat(R"("tools":[{"type":"function","function":{"name":"f","strict":true,
      "description":"adds","parameters":{"type":"object"}}}, {"function":{"name":"g"}}],
      "tool_choice":{"type":"function","function":{"name":"g"}},"parallel_tool_calls":false)");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->tools.size(), 2U);
  EXPECT_EQ(request->tools[0].name, "f");
  EXPECT_EQ(request->tools[0].description, "adds");
  EXPECT_EQ(request->tools[0].parameters, R"({"type":"object"})");
  EXPECT_TRUE(request->tools[0].strict);
  EXPECT_EQ(request->tools[1].parameters, "");
  EXPECT_EQ(request->tool_choice.kind, ToolChoice::Kind::named);
  EXPECT_EQ(request->tool_choice.name, "g");
  EXPECT_FALSE(request->parallel_tool_calls);
  EXPECT_EQ(chat(R"("tool_choice":"none")")->tool_choice.kind, ToolChoice::Kind::none);
  EXPECT_EQ(chat(R"("tool_choice":"required")")->tool_choice.kind, ToolChoice::Kind::required);
  EXPECT_TRUE(chat(R"("tools":[{"type":"web_search"}])")->uses(Feature::hosted_tools));
}

TEST(DecodeChat, reads_what_the_answer_must_be) {
  using enum Constraint::Kind;
  const auto constraint = [](std::string_view fields) { return chat(fields)->constraint; };
  EXPECT_EQ(constraint("").kind, none);
  EXPECT_EQ(constraint(R"("response_format":{"type":"json_object"})").kind, json_object);
  const Constraint schema = constraint(
      R"("response_format":{"type":"json_schema",
          "json_schema":{"name":"n","schema":{"type":"null"}}})");
  EXPECT_EQ(schema.kind, json_schema);
  EXPECT_EQ(schema.text, R"({"type":"null"})");
  EXPECT_EQ(schema.param, "response_format.json_schema.schema");
  EXPECT_EQ(constraint(R"("guided_json":{"a":1})").text, R"({"a":1})");
  EXPECT_EQ(constraint(R"("guided_json":"{}")").text, "{}");
  EXPECT_EQ(constraint(R"("structured_outputs":{"regex":"a+"})").text, "a+");
  EXPECT_EQ(constraint(R"("regex":"a+")").kind, regex);
  EXPECT_EQ(constraint(R"("grammar":"root ::= \"a\"")").kind, grammar);
  EXPECT_EQ(constraint(R"("choice":["a","b"])").choices, (std::vector<std::string>{"a", "b"}));
}

TEST(DecodeChat, hostile_json_never_gets_through) {
  using namespace std::string_view_literals;
  for (const std::string_view fields :
       {R"("n":1,"n":99)"sv, R"("model":"a","mod\u0065l":"b")"sv, R"("user":"\ud800")"sv,
        R"("user":"\u0000")"sv, R"("temperature":1e400)"sv, R"("temperature":NaN)"sv}) {
    const auto result = chat(fields);
    ASSERT_FALSE(result) << fields;
    EXPECT_EQ(result.error().message.substr(0, 8), "bad JSON") << fields;
  }
  EXPECT_FALSE(decode_chat(R"({"messages":[{"role":"user","content":"x"}]} trailing)", {limits}));
  EXPECT_FALSE(decode_chat("", {limits}));
  EXPECT_FALSE(decode_chat("[]", {limits}));
}

TEST(DecodeChat, bounds_fields_that_only_pass) {
  const Refusal cases[] = {
      {R"("prompt_logprobs":1000000)", "prompt_logprobs", "from 0 to 20"},
      {R"("best_of":100000)", "best_of", "from 1 to 128"},
      {R"("min_tokens":-1)", "min_tokens", "found -1"},
      {R"("truncate_prompt_tokens":1e300)", "truncate_prompt_tokens", "an integer"},
      {R"("length_penalty":1e300)", "length_penalty", "a number"},
      {R"("stop_token_ids":1)", "stop_token_ids", "a list"},
      {R"("store":"yes")", "store", "true or false"},
      {R"("metadata":[])", "metadata", "an object"},
      {R"("verbosity":1)", "verbosity", "a string"},
  };
  for (const Refusal& refusal : cases) expect_refused(chat(refusal.fields), refusal);
  expect_refused(chat("\"guided_regex\":\"" + std::string(100000, 'a') + "\""),
                 {"", "guided_regex", "100000 bytes; at most 65536"});
  EXPECT_TRUE(chat(R"("best_of":2,"stop_token_ids":[],"store":null,"length_penalty":1.5)"));
  EXPECT_TRUE(chat(R"("guided_json":{})")->uses(Feature::response_format));
}

TEST(DecodeChat, tells_unread_fields_beyond_the_first_64) {
  std::string fields = "\"a\":1";
  for (int i = 0; i < 80; ++i) fields += ",\"user" + std::to_string(i) + "\":1";
  const auto result = chat(fields + R"(,"user":"u","z":1)");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->user, "u");
  const auto last = chat(fields + R"(,"metadata":{},"n":99)");
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().param, "n");
}

TEST(DecodeChat, bounds_the_list_of_unknown_fields) {
  std::string fields = "\"" + std::string(1000, 'z') + "\":1";
  for (int i = 0; i < 100; ++i) fields += ",\"x" + std::to_string(i) + "\":1";
  const auto result = chat(fields);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->unknown_fields.size(), 32U);
  EXPECT_EQ(result->unknown_fields[0].size(), 64U);
}

TEST(DecodeCompletions, reads_the_four_forms_of_a_prompt) {
  EXPECT_EQ(completion(R"("prompt":"a")")->prompts, std::vector<Prompt>{"a"});
  EXPECT_EQ(completion(R"("prompt":["a","b"])")->prompts, (std::vector<Prompt>{"a", "b"}));
  EXPECT_EQ(completion(R"("prompt":[1,2.0])")->prompts, (std::vector<Prompt>{TokenIds{1, 2}}));
  EXPECT_EQ(completion(R"("prompt":[[1],[2,3]])")->prompts,
            (std::vector<Prompt>{TokenIds{1}, TokenIds{2, 3}}));
  const auto result = completion(R"("prompt":"a","echo":true,"n":2,"best_of":2)");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->operation, Operation::completion);
  EXPECT_TRUE(result->echo);
  EXPECT_EQ(result->tokens_max, 16);
  EXPECT_EQ(completion(R"("prompt":"a","logprobs":5)")->logprobs, 5);
}

TEST(DecodeCompletions, takes_messages_as_in_tutorials) {
  const auto result = completion(
      R"("model":"deepseek-chat","messages":[{"role":"user","content":"hi"}],"max_tokens":50,
         "temperature":0.7,"top_p":0.9,"stream":false)");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->operation, Operation::chat);
  EXPECT_EQ(result->tokens_max, 50);
  EXPECT_EQ(result->messages.size(), 1U);
}

TEST(DecodeCompletions, refuses_with_the_param) {
  const Refusal cases[] = {
      {R"("model":"m")", "prompt", "prompt is missing"},
      {R"("prompt":"a","messages":[{"role":"user","content":"hi"}])", "prompt", "both"},
      {R"("prompt":5)", "prompt", "found 5"},
      {R"("prompt":[])", "prompt", "at least one entry"},
      {R"("prompt":[[]])", "prompt[0]", "at least one entry"},
      {R"("prompt":["a",1])", "prompt[1]", "a string"},
      {R"("prompt":[1,"a"])", "prompt[1]", "an integer"},
      {R"("prompt":[1,-1])", "prompt[1]", "found -1"},
      {R"("prompt":[[1],[9223372036854775808]])", "prompt[1][0]", "an integer"},
      {R"("prompt":[null])", "prompt[0]", "found null"},
      {R"("prompt":"a","suffix":1)", "suffix", "a string"},
      {R"("prompt":"a","n":2,"best_of":1)", "best_of", "at least n (2)"},
      {R"("prompt":"a","logprobs":true)", "logprobs", "an integer"},
      {R"("prompt":"a","logprobs":1000)", "logprobs", "limits.logprobs_max"},
  };
  for (const Refusal& refusal : cases) expect_refused(completion(refusal.fields), refusal);
  const Refusal not_local[] = {
      {R"("prompt":[1],"suffix":"b")", "suffix", "prompt given as text"},
      {R"("prompt":"a","best_of":3)", "best_of", "equal to n (1)"},
      {R"("prompt":"a","suffix":"b","echo":true,"logprobs":1)", "echo", "with a suffix"},
  };
  for (const Refusal& refusal : not_local) expect_not_local(completion(refusal.fields), refusal);
  EXPECT_TRUE(check_local_support(*completion(R"("prompt":[1],"echo":true)")));
  const auto scored = completion(R"("prompt":"a","echo":true,"logprobs":1,"max_tokens":0)");
  ASSERT_TRUE(scored) << scored.error().message;
  EXPECT_EQ(scored->tokens_max, 0) << "a prompt alone may be asked for";
  EXPECT_TRUE(check_local_support(*scored));
  const auto between = completion(R"("prompt":"a","suffix":"b")");
  EXPECT_EQ(between->suffix, "b");
  EXPECT_TRUE(check_local_support(*between)) << "the model may lack tokens for it";
  std::string many = "\"a\"";
  for (int i = 1; i < 128; ++i) many += ",\"a\"";
  EXPECT_TRUE(completion("\"prompt\":[" + many + "]"));
  expect_refused(completion("\"n\":16,\"prompt\":[" + many + "]"),
                 {"", "n", "2048 answers; at most 256 (limits.sequences_max)"});
  expect_refused(completion("\"prompt\":[" + many + ",\"a\"]"),
                 {"", "prompt", "limits.prompts_max"});
}

TEST(DecodeInfer, makes_a_chat_of_the_query) {
  const auto result = decode_infer(
      R"({"query":"解释量子计算原理","system":"short","max_tokens":9,"stream":true})", {limits});
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_EQ(result->messages.size(), 2U);
  EXPECT_EQ(result->messages[0].role, Role::system);
  EXPECT_EQ(result->messages[1].text(), "解释量子计算原理");
  EXPECT_EQ(result->tokens_max, 9);
  EXPECT_TRUE(result->stream);
  EXPECT_EQ(result->prompt_field, "query");
  EXPECT_EQ(decode_infer(R"({"query":"a"})", {limits})->tokens_max, 1024);
  expect_refused(decode_infer("{}", {limits}), {"", "query", "query is missing"});
  expect_refused(decode_infer(R"({"query":""})", {limits}), {"", "query", "empty"});
  expect_refused(decode_infer(R"({"query":["a"]})", {limits}), {"", "query", "a string"});
  expect_refused(decode_infer(R"({"query":"a","n":2})", {limits}), {"", "n", "must be 1"});
}

TEST(DecodeGenerate, reads_the_query_string_or_the_body) {
  const std::vector<QueryPair> pairs{
      {"prompt", "42"}, {"max_new_tokens", "5"}, {"temperature", "0.5"},   {"stop", "a"},
      {"stop", "b"},    {"stream", "true"},      {"utm_source", "ignored"}};
  const auto result = decode_generate("", pairs, {limits});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->operation, Operation::completion);
  EXPECT_EQ(result->prompts, std::vector<Prompt>{"42"});
  EXPECT_EQ(result->tokens_max, 5);
  EXPECT_EQ(result->sampling.temperature, 0.5);
  EXPECT_EQ(result->stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(result->stream);
  const auto body = decode_generate(R"({"prompt":"a","do_sample":false})", {}, {limits});
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(body->tokens_max, 256);
  EXPECT_EQ(body->sampling.temperature, 0);
}

TEST(DecodeGenerate, refuses_with_the_param) {
  const auto query = [](std::vector<QueryPair> pairs, std::string_view body = "") {
    return decode_generate(body, pairs, {limits});
  };
  expect_refused(query({}), {"", "prompt", "prompt is missing"});
  expect_refused(query({{"prompt", "a"}, {"prompt", "b"}}), {"", "prompt", "given twice"});
  expect_refused(query({{"prompt", "a"}}, R"({"prompt":"b"})"), {"", "prompt", "given twice"});
  expect_refused(query({{"prompt", "a"}, {"temperature", "nan"}}),
                 {"", "temperature", "found \"nan\""});
  expect_refused(query({{"prompt", "a"}, {"temperature", "1e400"}}), {"", "temperature", ""});
  expect_refused(query({{"prompt", "a"}, {"max_tokens", "-1"}}),
                 {"", "max_tokens", "limits.tokens_max"});
  expect_refused(query({{"prompt", "\xFF"}}), {"", "prompt", "UTF-8"});
  expect_refused(query({{"prompt", std::string(1, '\0')}}), {"", "prompt", "NUL"});
  expect_refused(query({}, R"({"prompt":5})"), {"", "prompt", "a string"});
}

TEST(DecodeEmbeddings, reads_and_refuses) {
  const auto result = decode_embeddings(
      R"({"model":"e","input":["a","b"],"encoding_format":"base64","dimensions":64,"user":"u"})",
      {limits, "", "id"});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->inputs.size(), 2U);
  EXPECT_TRUE(result->base64);
  EXPECT_EQ(result->dimensions, 64);
  EXPECT_EQ(result->id, "id");
  const Refusal cases[] = {
      {R"({})", "input", "input is missing"},
      {R"({"input":[]})", "input", "at least one"},
      {R"({"input":""})", "input", "empty string"},
      {R"({"input":["a",""]})", "input[1]", "empty string"},
      {R"({"input":[[1],["a"]]})", "input[1][0]", "an integer"},
      {R"({"input":"a","encoding_format":"hex"})", "encoding_format", "found \"hex\""},
      {R"({"input":"a","dimensions":0})", "dimensions", "from 1"},
  };
  for (const Refusal& refusal : cases) {
    const auto refused = decode_embeddings(refusal.fields, {limits});
    ASSERT_FALSE(refused) << refusal.fields;
    EXPECT_EQ(refused.error().param, refusal.param) << refusal.fields;
    EXPECT_NE(refused.error().message.find(refusal.part_of_message), std::string::npos)
        << refused.error().message;
  }
}

TEST(DecodeTokenize, reads_and_refuses) {
  const auto text = decode_tokenize(R"({"prompt":"a","add_special_tokens":false})", {limits});
  EXPECT_EQ(std::get<std::string>(text->input), "a");
  EXPECT_FALSE(text->add_special);
  const auto chat = decode_tokenize(
      R"({"model":"m","messages":[{"role":"user","content":"hi"}],
          "tools":[{"function":{"name":"f"}}],"thinking":{"type":"disabled"}})",
      {limits});
  const Request& asked = std::get<Request>(chat->input);
  EXPECT_EQ(chat->model, "m");
  EXPECT_EQ(asked.messages[0].text(), "hi");
  EXPECT_EQ(asked.tools[0].name, "f");
  EXPECT_EQ(asked.thinking, false);
  EXPECT_EQ(std::get<TokenIds>(decode_detokenize(R"({"tokens":[3,4]})", {limits})->input),
            (TokenIds{3, 4}));
  const auto param = [](const base::Result<TokenizeRequest>& result) {
    return result.has_error() ? result.error().param : "no error";
  };
  EXPECT_EQ(param(decode_tokenize("{}", {limits})), "prompt");
  EXPECT_EQ(param(decode_tokenize(R"({"prompt":[1]})", {limits})), "prompt");
  EXPECT_EQ(param(decode_tokenize(R"({"prompt":"a","messages":[{"role":"user","content":"b"}]})",
                                  {limits})),
            "prompt");
  EXPECT_EQ(param(decode_detokenize(R"({"tokens":"a"})", {limits})), "tokens");
  EXPECT_EQ(param(decode_detokenize(R"({"tokens":[-1]})", {limits})), "tokens[0]");
}

TEST(DecodeRerank, reads_and_refuses) {
  const auto result =
      decode_rerank(R"({"model":"r","query":"q","documents":["a",{"text":"b"},"c"],"top_n":2,)"
                    R"("return_documents":true})",
                    {limits, "", "id"});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(result->texts.ranks);
  EXPECT_EQ(std::get<std::string>(result->texts.inputs.front()), "q");
  EXPECT_EQ(result->documents(), 3U);
  EXPECT_EQ(result->document(1), "b");
  EXPECT_EQ(result->results_max, 2U);
  EXPECT_TRUE(result->returns_documents);
  EXPECT_EQ(result->texts.id, "id");
  EXPECT_EQ(decode_rerank(R"({"query":"q","documents":["a"],"top_n":9})", {limits})->results_max,
            1U);
  const Refusal cases[] = {
      {R"({"documents":["a"]})", "query", "query"},
      {R"({"query":"","documents":["a"]})", "query", "empty"},
      {R"({"query":"q"})", "documents", "documents is missing"},
      {R"({"query":"q","documents":[]})", "documents", "at least one"},
      {R"({"query":"q","documents":["a",""]})", "documents[1]", "empty"},
      {R"({"query":"q","documents":["a",5]})", "documents[1]", "a string or an object"},
      {R"({"query":"q","documents":[{"title":"t"}]})", "documents[0].text", "text"},
      {R"({"query":"q","documents":["a"],"top_n":0})", "top_n", "from 1"},
      {R"({"query":["q"],"documents":["a"]})", "query", "a string"},
  };
  for (const Refusal& refusal : cases) {
    const auto refused = decode_rerank(refusal.fields, {limits});
    ASSERT_FALSE(refused) << refusal.fields;
    EXPECT_EQ(refused.error().param, refusal.param) << refusal.fields;
    EXPECT_NE(refused.error().message.find(refusal.part_of_message), std::string::npos)
        << refused.error().message;
  }
}

}  // namespace
}  // namespace deepseek::protocol
