#include "frontend/kept_responses.hpp"

#include "frontend/test_support.hpp"
#include "gateway/responses/response_store.hpp"
#include "protocol/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <boost/json/object.hpp>
#include <filesystem>
#include <stdexcept>

namespace deepseek::frontend {
namespace {

using testing::delta;
using testing::finished;
using testing::Harness;
using ::testing::HasSubstr;
using testing::make_request;
using ::testing::Not;

class KeptResponsesTest : public ::testing::Test {
 protected:
  KeptResponsesTest() {
    std::string name = (std::filesystem::temp_directory_path() / "deepseek-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
    options_.database.file = folder_ / "responses.db";
  }
  ~KeptResponsesTest() override {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  struct Heard {
    int status = 0;
    std::string text;
    std::vector<protocol::Request> asked;
  };

  void open() {
    auto store = gateway::ResponseStore::open(options_, base::Logger(sink_, "test"));
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }

  // One request to a server of its own, whose model says `says`; the store is the same.
  Heard run(const io::HttpRequest& request, std::vector<testing::Step> says = {},
            std::size_t pieces_until_gone = 1'000'000) {
    if (!store_) open();
    Harness harness;
    harness.snapshot.responses = store_.get();
    if (keys_) harness.snapshot.keys = keys_;
    harness.rebuild();
    harness.script.steps.assign(says.begin(), says.end());
    harness.responder.pieces_until_gone = pieces_until_gone;
    harness.run(request);
    return {harness.responder.head.status, harness.responder.text(), harness.script.requests};
  }
  Heard create(const std::string& fields, const std::string& says = "fine") {
    return run(make_request("POST", "/v1/responses", "{" + fields + "}"),
               {std::vector{delta(says)}, std::vector{finished()}});
  }
  static std::string id_of(const Heard& heard) {
    const auto body = protocol::parse_json_object(heard.text, {});
    EXPECT_TRUE(body) << heard.text;
    return body ? std::string(body->at("id").as_string().c_str()) : std::string();
  }
  static std::string conversation(const Heard& heard) {
    std::string out;
    for (const auto& message : heard.asked.at(0).messages) {
      out += std::string(protocol::to_string(message.role)) + ":" + message.text() + ";";
    }
    return out;
  }

  std::filesystem::path folder_;
  base::LogSink sink_{{base::LogFormat::text, base::LogLevel::error}};
  gateway::ResponseStore::Options options_;
  std::unique_ptr<gateway::ResponseStore> store_;
  std::shared_ptr<const access::KeyTable> keys_;
};

TEST_F(KeptResponsesTest, AConversationGoesOnWithoutItsInstructions) {
  const Heard first = create(R"("instructions":"be brief","input":"one?")", "one");
  EXPECT_THAT(first.text, HasSubstr("\"store\":true"));
  const Heard second =
      create(R"("input":"two?","previous_response_id":")" + id_of(first) + "\"", "two");
  EXPECT_EQ(conversation(second), "user:one?;assistant:one;user:two?;");
  EXPECT_THAT(second.text, HasSubstr("\"previous_response_id\":\"" + id_of(first) + "\""));
  const Heard third = create(R"("input":"three?","instructions":"rhyme","previous_response_id":")" +
                             id_of(second) + "\"");
  EXPECT_EQ(conversation(third),
            "system:rhyme;user:one?;assistant:one;user:two?;assistant:two;user:three?;");
}

TEST_F(KeptResponsesTest, PagesTellWhatIsKept) {
  const Heard first = create(R"("input":"one?")", "one");
  const Heard made =
      create(R"("input":"two?","previous_response_id":")" + id_of(first) + "\"", "two");
  const std::string path = "/v1/responses/" + id_of(made);
  const Heard read = run(make_request("GET", path));
  EXPECT_EQ(read.status, 200);
  EXPECT_EQ(read.text, made.text);
  const Heard items = run(make_request("GET", path + "/input_items?order=asc&limit=2"));
  EXPECT_EQ(items.status, 200);
  EXPECT_THAT(items.text, HasSubstr("one?"));
  EXPECT_THAT(items.text, HasSubstr("\"output_text\""));
  EXPECT_THAT(items.text, Not(HasSubstr("two?")));
  EXPECT_THAT(items.text, HasSubstr("\"has_more\":true"));
  EXPECT_EQ(run(make_request("GET", path + "/input_items?limit=0")).status, 400);
  EXPECT_EQ(run(make_request("GET", path + "?stream=true")).status, 400);
  const Heard cancelled = run(make_request("POST", path + "/cancel"));
  EXPECT_EQ(cancelled.status, 400);
  EXPECT_THAT(cancelled.text, HasSubstr("background"));
  const Heard erased = run(make_request("DELETE", path));
  EXPECT_EQ(erased.text,
            "{\"id\":\"" + id_of(made) + "\",\"object\":\"response\",\"deleted\":true}");
  for (const auto& [method, tail] :
       {std::pair{"GET", ""}, {"DELETE", ""}, {"POST", "/cancel"}, {"GET", "/input_items"}}) {
    const Heard gone = run(make_request(method, path + tail));
    EXPECT_EQ(gone.status, 404) << method << tail;
    EXPECT_THAT(gone.text, HasSubstr("\"code\":\"not_found\""));
  }
}

TEST_F(KeptResponsesTest, WhatIsNotKeptCannotBeGoneOnFrom) {
  const Heard refused = create(R"("input":"a","previous_response_id":"resp_none")");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.text, HasSubstr("\"code\":\"previous_response_not_found\""));
  EXPECT_THAT(refused.text, HasSubstr("\"param\":\"previous_response_id\""));
  EXPECT_TRUE(refused.asked.empty());
  const Heard unkept = create(R"("input":"a","store":false)");
  EXPECT_THAT(unkept.text, HasSubstr("\"store\":false"));
  EXPECT_EQ(run(make_request("GET", "/v1/responses/" + id_of(unkept))).status, 404);
}

TEST_F(KeptResponsesTest, TenantsAreApart) {
  const std::vector<access::StaticKey> keys{{"sk-ann", "ann"}, {"sk-bob", "bob"}};
  auto table = access::KeyTable::build(keys);
  ASSERT_TRUE(table) << table.error().message;
  keys_ = std::make_shared<access::KeyTable>(std::move(*table));
  const auto with_key = [](io::HttpRequest request, const std::string& key) {
    request.fields.add("Authorization", "Bearer " + key);
    return request;
  };
  const Heard made =
      run(with_key(make_request("POST", "/v1/responses", R"({"input":"a"})"), "sk-ann"),
          {std::vector{delta("x")}, std::vector{finished()}});
  ASSERT_EQ(made.status, 200) << made.text;
  const std::string path = "/v1/responses/" + id_of(made);
  EXPECT_EQ(run(with_key(make_request("GET", path), "sk-ann")).status, 200);
  EXPECT_EQ(run(with_key(make_request("GET", path), "sk-bob")).status, 404);
  EXPECT_EQ(run(with_key(make_request("DELETE", path), "sk-bob")).status, 404);
  EXPECT_EQ(run(make_request("GET", path)).status, 401);
  const Heard stolen =
      run(with_key(make_request("POST", "/v1/responses",
                                R"({"input":"b","previous_response_id":")" + id_of(made) + "\"}"),
                   "sk-bob"));
  EXPECT_EQ(stolen.status, 400);
  EXPECT_TRUE(stolen.asked.empty());
}

TEST_F(KeptResponsesTest, StreamsAreKeptWithTheirEnd) {
  const auto streamed = make_request("POST", "/v1/responses", R"({"input":"a","stream":true})");
  const auto id_in = [](const std::string& text) {
    const std::size_t at = text.find("resp_");
    return text.substr(at, text.find('"', at) - at);
  };
  const Heard whole = run(streamed, {std::vector{delta("said")}, std::vector{finished()}});
  EXPECT_THAT(whole.text, HasSubstr("event: response.completed"));
  const Heard kept = run(make_request("GET", "/v1/responses/" + id_in(whole.text)));
  EXPECT_EQ(kept.status, 200);
  EXPECT_THAT(whole.text, HasSubstr(kept.text));
  const Heard broken = run(streamed, {std::vector{delta("sai")},
                                      base::make_error(base::ErrorCode::upstream_failed, "gone")});
  EXPECT_THAT(broken.text, HasSubstr("event: response.failed"));
  EXPECT_THAT(run(make_request("GET", "/v1/responses/" + id_in(broken.text))).text,
              HasSubstr("\"status\":\"failed\""));
  // Nobody was told the end of this one.
  const Heard left = run(
      streamed, {std::vector{delta("sa")}, std::vector{delta("id")}, std::vector{finished()}}, 1);
  EXPECT_EQ(run(make_request("GET", "/v1/responses/" + id_in(left.text))).status, 404);
}

TEST_F(KeptResponsesTest, AnAnswerThatCannotBeKeptIsGivenAndSaysSo) {
  options_.limits.response_bytes_max = 100;
  const Heard whole = create(R"("input":"a")");
  EXPECT_EQ(whole.status, 200);
  EXPECT_THAT(whole.text, HasSubstr("\"store\":false"));
  EXPECT_EQ(run(make_request("GET", "/v1/responses/" + id_of(whole))).status, 404);
  const Heard streamed =
      run(make_request("POST", "/v1/responses", R"({"input":"a","stream":true})"),
          {std::vector{delta("said")}, std::vector{finished()}});
  const std::string end = streamed.text.substr(streamed.text.find("event: response.completed"));
  EXPECT_THAT(end, HasSubstr("\"store\":false"));
  EXPECT_EQ(store_->figures().refused, 2U);
}

TEST_F(KeptResponsesTest, WithoutAStoreNothingIsKept) {
  Harness harness;
  harness.script.steps = {std::vector{delta("x")}, std::vector{finished()}};
  harness.run(make_request("POST", "/v1/responses", R"({"input":"a"})"));
  EXPECT_THAT(harness.responder.text(), HasSubstr("\"store\":false"));
  Harness page;
  page.run(make_request("GET", "/v1/responses/resp_1"));
  EXPECT_EQ(page.responder.head.status, 404);
  EXPECT_THAT(page.responder.text(), HasSubstr("responses.enabled"));
}

}  // namespace
}  // namespace deepseek::frontend
