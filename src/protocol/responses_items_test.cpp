// Items of the Responses form as they are kept, put before the next request's, and listed.
#include "protocol/responses_items.hpp"

#include "protocol/decode.hpp"
#include "protocol/encode.hpp"
#include "protocol/json.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const RequestLimits limits;

struct Decoded {
  base::Result<Request> request;
  ResponsesFields fields;
};

Decoded decode(const std::string& rest, bool stores = true) {
  Decoded out{Request{}, {}};
  DecodeContext context{limits};
  if (stores) context.responses = &out.fields;
  out.request = decode_responses("{\"model\":\"m\"," + rest + "}", context);
  EXPECT_TRUE(out.request) << rest;
  return out;
}

TEST(StoredItems, say_again_what_came) {
  const auto [request, fields] = decode(R"("input":[
      {"role":"user","content":"weather?"},
      {"role":"user","content":[{"type":"input_text","text":"see"},
        {"type":"input_image","image_url":"https://example.com/a.png"}]},
      {"type":"reasoning","id":"rs_9","summary":[{"type":"summary_text","text":"short"}],
        "content":[{"type":"reasoning_text","text":"look it up"}]},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"I look."}]},
      {"type":"function_call","call_id":"c1","name":"weather","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"rain"}])");
  EXPECT_TRUE(fields.stored);
  const std::string kept = stored_items("resp_7", fields.input_items);
  EXPECT_EQ(kept, R"([{"id":"msg_7_in0","type":"message","status":"completed","role":"user",)"
                  R"("content":[{"type":"input_text","text":"weather?"}]},)"
                  R"({"id":"msg_7_in1","type":"message","status":"completed","role":"user",)"
                  R"("content":[{"type":"input_text","text":"see"},{"type":"input_image",)"
                  R"("image_url":"https://example.com/a.png","detail":"auto"}]},)"
                  R"({"id":"rs_7_in2","type":"reasoning","summary":[{"type":"summary_text",)"
                  R"("text":"short"}],"content":[{"type":"reasoning_text","text":"look it up"}]},)"
                  R"({"id":"msg_7_in3","type":"message","status":"completed","role":"assistant",)"
                  R"("content":[{"type":"output_text","text":"I look.","annotations":[]}]},)"
                  R"({"id":"fc_7_in4","type":"function_call","status":"completed","call_id":"c1",)"
                  R"("name":"weather","arguments":"{}"},)"
                  R"({"id":"fco_7_in5","type":"function_call_output","status":"completed",)"
                  R"("call_id":"c1","output":"rain"}])");
  // What is kept says the same when it is read again.
  auto again = decode(R"("input":"and now?")").request;
  ASSERT_TRUE(put_before(*again, false, std::vector{EarlierItems{kept, {}}}, limits));
  ASSERT_EQ(again->messages.size(), request->messages.size() + 1);
  for (std::size_t i = 0; i < request->messages.size(); ++i) {
    EXPECT_EQ(again->messages[i].role, request->messages[i].role) << i;
    EXPECT_EQ(again->messages[i].text(), request->messages[i].text()) << i;
    EXPECT_EQ(again->messages[i].reasoning_content, request->messages[i].reasoning_content) << i;
    EXPECT_EQ(again->messages[i].tool_call_id, request->messages[i].tool_call_id) << i;
    EXPECT_EQ(again->messages[i].tool_calls.size(), request->messages[i].tool_calls.size()) << i;
  }
  EXPECT_TRUE(again->uses(Feature::images));
}

TEST(StoredItems, are_made_only_if_they_are_wanted) {
  EXPECT_EQ(decode(R"("input":"a")").fields.input_items.size(), 1U);
  const auto unkept = decode(R"("input":"a","store":false,"previous_response_id":"resp_1")").fields;
  EXPECT_FALSE(unkept.stored);
  EXPECT_TRUE(unkept.input_items.empty());
  EXPECT_EQ(unkept.previous_id, "resp_1");
  EXPECT_FALSE(decode(R"("input":"a","store":true)", false).fields.stored);
}

TEST(PutBefore, is_the_conversation_between_instructions_and_input) {
  auto [request, fields] =
      decode(R"("instructions":"now","input":[{"role":"system","content":"too"},)"
             R"({"role":"user","content":"third"}],"previous_response_id":"resp_2")");
  ASSERT_TRUE(fields.instructed);
  const std::vector<EarlierItems> earlier{
      {R"([{"id":"a","type":"message","role":"user","content":"first"}])",
       R"([{"id":"b","type":"reasoning","summary":[],"content":[{"type":"reasoning_text",)"
       R"("text":"hm"}]},{"id":"c","type":"message","role":"assistant","content":[{"type":)"
       R"("output_text","text":"one","annotations":[],"logprobs":[]}]}])"},
      {R"([{"id":"d","type":"message","role":"user","content":"second"}])", "[]"}};
  ASSERT_TRUE(put_before(*request, true, earlier, limits));
  std::string told;
  for (const Message& message : request->messages) {
    told += std::string(to_string(message.role)) + ":" + message.text() + ";";
  }
  EXPECT_EQ(told, "system:now;user:first;assistant:one;user:second;system:too;user:third;");
  EXPECT_EQ(request->messages[2].reasoning_content, "hm");
}

TEST(PutBefore, keeps_the_limits_of_one_request) {
  RequestLimits few;
  few.messages_max = 2;
  auto request = decode(R"("input":"b")").request;
  const std::string two = R"([{"role":"user","content":"a"},{"role":"user","content":"b"}])";
  const auto refused = put_before(*request, false, std::vector{EarlierItems{two, {}}}, few);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().param, "previous_response_id");
  EXPECT_NE(refused.error().message.find("3 messages"), std::string::npos);
  EXPECT_NE(refused.error().message.find("limits.messages_max"), std::string::npos);
  EXPECT_FALSE(
      put_before(*request, false, std::vector{EarlierItems{"[{\"role\":1}]", {}}}, limits));
  EXPECT_FALSE(put_before(*request, false, std::vector{EarlierItems{"[", {}}}, limits));
}

std::string page(const ItemsQuery& query) {
  const std::vector<EarlierItems> earlier{{R"([{"id":"a"},{"id":"b"}])", R"([{"id":"c"}])"},
                                          {R"([{"id":"d"}])", {}}};
  const auto body = items_body(earlier, query);
  return body ? *body : body.error().param;
}

TEST(ItemsPage, is_a_list_from_either_end) {
  EXPECT_EQ(page({20, false, ""}),
            R"({"object":"list","data":[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d"}],)"
            R"("first_id":"a","last_id":"d","has_more":false})");
  EXPECT_EQ(page({2, true, ""}), R"({"object":"list","data":[{"id":"d"},{"id":"c"}],)"
                                 R"("first_id":"d","last_id":"c","has_more":true})");
  EXPECT_EQ(page({2, true, "c"}), R"({"object":"list","data":[{"id":"b"},{"id":"a"}],)"
                                  R"("first_id":"b","last_id":"a","has_more":false})");
  EXPECT_EQ(page({2, true, "a"}),
            R"({"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false})");
  EXPECT_EQ(page({2, true, "x"}), "after");
}

TEST(ItemsPage, reads_its_query) {
  const auto query = read_items_query(std::vector<std::pair<std::string, std::string>>{
      {"limit", "100"}, {"order", "asc"}, {"after", "msg_1"}, {"include[]", "x"}});
  ASSERT_TRUE(query);
  EXPECT_EQ(query->limit, 100U);
  EXPECT_FALSE(query->descending);
  EXPECT_EQ(query->after, "msg_1");
  const std::pair<std::string, std::string> bad[] = {
      {"limit", "0"}, {"limit", "101"}, {"limit", "1x"}, {"limit", ""}, {"order", "up"}};
  for (const auto& one : bad) {
    const auto refused = read_items_query(std::vector{one});
    ASSERT_FALSE(refused) << one.first << "=" << one.second;
    EXPECT_EQ(refused.error().param, one.first);
  }
}

std::unique_ptr<StreamEncoder> stream_of_one(const Request& request) {
  AnswerHead head{"resp_1", 1, "m"};
  head.stored = true;
  auto encoder = make_responses_stream(head, request);
  std::vector<std::string> frames;
  encoder->on_event(Delta{0, "hi", "", {}, {}}, frames);
  encoder->on_event(Finished{0, FinishReason::stop, {5, 1, 0, 0}, {}}, frames);
  return encoder;
}

TEST(ResponseText, is_what_the_stream_ends_with) {
  const auto request = decode(R"("input":"a","previous_response_id":"resp_0")").request;
  const auto encoder = stream_of_one(*request);
  const ResponseText text = encoder->response_text(nullptr);
  EXPECT_EQ(text.id, "resp_1");
  std::vector<std::string> frames;
  encoder->finish(frames);
  EXPECT_NE(frames.back().find(text.text), std::string::npos);
  const std::string output =
      text.text.substr(text.output_begin, text.output_end - text.output_begin);
  EXPECT_EQ(output, R"([{"id":"msg_1_0","type":"message","status":"completed","role":"assistant",)"
                    R"("content":[{"type":"output_text","text":"hi","annotations":[],)"
                    R"("logprobs":[]}]}])");
  const auto parsed = parse_json_object(text.text, {});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->at("store"), true);
  EXPECT_EQ(parsed->at("previous_response_id"), "resp_0");
  EXPECT_EQ(parsed->at("status"), "completed");
}

TEST(ResponseText, says_that_it_was_not_kept) {
  const auto request = decode(R"("input":"a")").request;
  const auto encoder = stream_of_one(*request);
  encoder->set_unstored();
  std::vector<std::string> frames;
  encoder->finish(frames);
  EXPECT_NE(frames.back().find("\"store\":false"), std::string::npos);
  const auto error = base::make_error(base::ErrorCode::upstream_failed, "it broke");
  EXPECT_NE(encoder->response_text(&error).text.find(R"("status":"failed")"), std::string::npos);
}

}  // namespace
}  // namespace deepseek::protocol
