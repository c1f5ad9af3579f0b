#include "frontend/cached_stream.hpp"

#include "frontend/test_support.hpp"
#include "gateway/cache/memory_cache_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <algorithm>
#include <thread>

namespace deepseek::frontend {
namespace {

using testing::delta;
using testing::FakeResponder;
using testing::finished;
using testing::Harness;
using ::testing::HasSubstr;
using testing::make_request;
using ::testing::Not;
using testing::Wait;

constexpr std::string_view mark = R"("cached_answer":true)";

io::HttpRequest chat(std::string_view question = "Hi", std::string_view more = "") {
  return make_request("POST", "/v1/chat/completions",
                      R"({"messages": [{"role": "user", "content": ")" + std::string(question) +
                          "\"}]" + std::string(more) + "}");
}
io::HttpRequest streamed(std::string_view question = "Hi") {
  return chat(question, R"(, "stream": true, "stream_options": {"include_usage": true})");
}
io::HttpRequest with(io::HttpRequest request, std::string name, std::string value) {
  request.fields.add(std::move(name), std::move(value));
  return request;
}

std::vector<protocol::Event> answer(std::string text) {
  return {delta(std::move(text)), finished()};
}

struct FakeBooks final : gateway::AttemptObserver {
  void on_attempt(const gateway::AttemptRecord& record) override {
    tenants.emplace_back(record.tenant);
    usages.push_back(record.usage);
    all_cached = all_cached && record.cached;
  }
  std::vector<std::string> tenants;
  std::vector<protocol::Usage> usages;
  bool all_cached = true;
};

// Memory that says it must be asked slowly, and answers from another thread.
struct SlowStore final : gateway::CacheStore {
  gateway::CachedAnswerPtr get(const gateway::CacheLookup&) override { return nullptr; }
  bool has_slow_tier() const override { return true; }
  void load(const gateway::CacheLookup& lookup, Found found) override {
    ++loads;
    std::thread([answer = memory.get(lookup), found = std::move(found)] { found(answer); }).join();
  }
  bool put(const gateway::CacheKey& key, gateway::CachedAnswerPtr kept) override {
    return memory.put(key, std::move(kept));
  }
  void erase(const gateway::CacheKey& key) override { memory.erase(key); }
  void clear_tenant(std::string_view tenant) override { memory.clear_tenant(tenant); }
  gateway::CacheFigures figures() const override { return memory.figures(); }

  gateway::MemoryCacheStore memory{{}};
  int loads = 0;
};

// Several clients of one frontend with a cache.
class CachedHarness : public Harness {
 public:
  explicit CachedHarness(
      std::unique_ptr<gateway::CacheStore> store =
          std::make_unique<gateway::MemoryCacheStore>(gateway::MemoryCacheStore::Limits{}),
      std::size_t inline_bytes_max = 100'000, std::optional<SimilarAnswers::Options> similar = {})
      : cache(std::move(store), {{}, &books, inline_bytes_max, std::move(similar)}) {
    cache_rules.enabled = true;
    snapshot.cache = &cache;
    rebuild();
  }
  ~CachedHarness() { finish(); }

  // Begins, and goes as far as it can without resume().
  FakeResponder& begin(const io::HttpRequest& request) {
    clients.push_back(std::make_unique<FakeResponder>(context.get_executor()));
    group.spawn("request", frontend->handle(request, *clients.back()));
    go_on();
    return *clients.back();
  }
  void go_on() {
    context.restart();
    context.poll();
  }
  void resume() {
    script.resume();
    go_on();
  }
  // Until nothing is left to do.
  void finish() {
    context.restart();
    context.run();
  }
  FakeResponder& ask(const io::HttpRequest& request) {
    FakeResponder& client = begin(request);
    finish();
    return client;
  }
  std::size_t asked() const { return script.requests.size(); }
  std::string_view last_result() const { return observer.records.back().cache; }

  FakeBooks books;
  AnswerCache cache;
  std::vector<std::unique_ptr<FakeResponder>> clients;
  io::TaskGroup group{context.get_executor()};
};

TEST(CachedStream, TheSecondAnswerIsKept) {
  CachedHarness harness;
  harness.script.steps = {answer("Hello")};
  const FakeResponder& first = harness.ask(chat());
  EXPECT_EQ(first.field("DeepSeek-Cache"), "miss");
  EXPECT_EQ(first.field("Age"), "<absent>");
  EXPECT_EQ(harness.last_result(), "miss");
  const FakeResponder& second = harness.ask(chat());
  EXPECT_EQ(harness.asked(), 1u);
  EXPECT_EQ(second.head.status, 200);
  EXPECT_EQ(second.field("DeepSeek-Cache"), "hit");
  EXPECT_EQ(second.field("Age"), "0");
  EXPECT_EQ(second.field("content-type"), "application/json; charset=utf-8");
  EXPECT_THAT(second.text(), HasSubstr("Hello"));
  EXPECT_THAT(second.text(), HasSubstr(std::string(mark)));
  EXPECT_THAT(first.text(), Not(HasSubstr(std::string(mark))));
  EXPECT_EQ(harness.last_result(), "hit");
  EXPECT_EQ(harness.observer.records.back().usage.completion_tokens, 2);
}

TEST(CachedStream, AHitIsInTheBooks) {
  CachedHarness harness;
  harness.script.steps = {answer("Hello")};
  harness.ask(chat());
  EXPECT_TRUE(harness.books.tenants.empty());
  harness.ask(chat());
  ASSERT_EQ(harness.books.tenants.size(), 1u);
  EXPECT_EQ(harness.books.usages[0].prompt_tokens, 5);
  EXPECT_EQ(harness.books.usages[0].completion_tokens, 2);
  EXPECT_TRUE(harness.books.all_cached);
}

TEST(CachedStream, AStreamIsReplayedAsAStream) {
  CachedHarness harness;
  harness.script.steps = {std::vector{delta("Hel")}, std::vector{delta("lo"), finished()}};
  const std::string first = harness.ask(streamed()).text();
  const FakeResponder& second = harness.ask(streamed());
  EXPECT_EQ(harness.asked(), 1u);
  EXPECT_EQ(second.field("DeepSeek-Cache"), "hit");
  EXPECT_EQ(second.field("content-type"), "text/event-stream; charset=utf-8");
  std::string replayed = second.text();
  const std::size_t at = replayed.find(std::string(mark) + ",");
  ASSERT_NE(at, std::string::npos);
  replayed.erase(at, mark.size() + 1);
  EXPECT_EQ(replayed, first);
  EXPECT_TRUE(second.finished);
}

TEST(CachedStream, EachFormHasItsOwnAnswer) {
  CachedHarness harness;
  harness.script.steps = {answer("one"), answer("two"), answer("three")};
  harness.ask(chat());
  harness.ask(streamed());
  harness.ask(chat("Hi", R"(, "stream": true)"));
  EXPECT_EQ(harness.asked(), 3u);
  EXPECT_THAT(harness.ask(chat()).text(), HasSubstr("one"));
  EXPECT_THAT(harness.ask(streamed()).text(), HasSubstr("two"));
  EXPECT_EQ(harness.asked(), 3u);
}

TEST(CachedStream, EveryEndpointHasHits) {
  const std::vector<std::pair<std::string, std::string>> requests{
      {"/v1/completions", R"({"prompt": "Hi"})"},
      {"/api/v1/infer", R"({"query": "Hi"})"},
      {"/api/v1/infer", R"({"query": "Hi", "stream": true})"},
      {"/generate", R"({"prompt": "Hi"})"},
      {"/generate?prompt=Hi", ""}};
  for (const auto& [target, body] : requests) {
    CachedHarness harness;
    harness.script.steps = {answer("Hello"), answer("other")};
    harness.ask(make_request("POST", target, body));
    const FakeResponder& hit = harness.ask(make_request("POST", target, body));
    EXPECT_EQ(harness.asked(), 1u) << target;
    EXPECT_EQ(hit.field("DeepSeek-Cache"), "hit") << target;
    EXPECT_THAT(hit.text(), HasSubstr("Hello")) << target;
  }
}

TEST(CachedStream, TheQueryIsPartOfTheQuestion) {
  CachedHarness harness;
  harness.script.steps = {answer("one"), answer("two")};
  harness.ask(make_request("POST", "/generate?prompt=Hi"));
  EXPECT_THAT(harness.ask(make_request("POST", "/generate?prompt=Ho")).text(), HasSubstr("two"));
}

TEST(CachedStream, AnUpstreamsOwnBytesAreKept) {
  CachedHarness harness;
  protocol::Verbatim body;
  body.bytes = R"({"choices":[],"usage":{"prompt_tokens":5},"invented":1})";
  body.whole = true;
  harness.script.steps = {std::vector<protocol::Event>{body, finished()}};
  const std::string first = harness.ask(chat()).text();
  EXPECT_EQ(first, body.bytes);
  EXPECT_EQ(harness.ask(chat()).text(),
            R"({"choices":[],"usage":{"cached_answer":true,"prompt_tokens":5},"invented":1})");
  EXPECT_EQ(harness.asked(), 1u);
}

TEST(CachedStream, DoesWhatCacheControlSays) {
  CachedHarness harness;
  harness.script.steps = {answer("one"), answer("two"), answer("three"), answer("four")};
  const FakeResponder& unkept = harness.ask(with(chat(), "Cache-Control", "no-store"));
  EXPECT_EQ(unkept.field("DeepSeek-Cache"), "none; no-store");
  EXPECT_EQ(harness.last_result(), "none");
  EXPECT_THAT(harness.ask(chat()).text(), HasSubstr("two"));
  const FakeResponder& fresh = harness.ask(with(chat(), "cache-control", "no-cache"));
  EXPECT_EQ(fresh.field("DeepSeek-Cache"), "miss; no-cache");
  EXPECT_THAT(fresh.text(), HasSubstr("three"));
  EXPECT_THAT(harness.ask(chat()).text(), HasSubstr("three")) << "what was asked afresh is kept";
  EXPECT_THAT(harness.ask(with(chat(), "Cache-Control", "max-age=60")).text(), HasSubstr("three"));
  const auto twice = with(with(chat(), "Cache-Control", "max-age=60"), "Cache-Control", "no-store");
  EXPECT_THAT(harness.ask(twice).text(), HasSubstr("four"));
}

TEST(CachedStream, TenantsHaveNothingInCommon) {
  CachedHarness harness;
  const std::vector<access::StaticKey> keys{{"key-of-a-0001", "a", 1, 0},
                                            {"key-of-b-0001", "b", 1, 0}};
  auto table = access::KeyTable::build(keys);
  ASSERT_TRUE(table);
  harness.snapshot.keys = std::make_shared<access::KeyTable>(std::move(*table));
  harness.rebuild();
  harness.script.steps = {answer("of a"), answer("of b")};
  const auto of_a = with(chat(), "Authorization", "Bearer key-of-a-0001");
  const auto of_b = with(chat(), "Authorization", "Bearer key-of-b-0001");
  harness.ask(of_a);
  EXPECT_THAT(harness.ask(of_b).text(), HasSubstr("of b"));
  EXPECT_THAT(harness.ask(of_a).text(), HasSubstr("of a"));
  EXPECT_EQ(harness.asked(), 2u);
  EXPECT_EQ(harness.books.tenants, std::vector<std::string>{"a"});
}

TEST(CachedStream, RoutesMayDoWithout) {
  CachedHarness harness;
  harness.cache_rules.enabled = false;
  harness.rebuild();
  harness.script.steps = {answer("one"), answer("two")};
  EXPECT_EQ(harness.ask(chat()).field("DeepSeek-Cache"), "none; off");
  EXPECT_THAT(harness.ask(chat()).text(), HasSubstr("two"));
  harness.snapshot.cache = nullptr;
  harness.rebuild();
  harness.script.steps = {answer("three")};
  EXPECT_EQ(harness.ask(chat()).field("DeepSeek-Cache"), "<absent>");
  EXPECT_EQ(harness.last_result(), "");
}

TEST(CachedStream, FailuresAndFilteredAnswersAreNotKept) {
  CachedHarness harness;
  protocol::Finished filtered;
  filtered.reason = protocol::FinishReason::content_filter;
  harness.script.steps = {base::make_error(base::ErrorCode::invalid_request, "no"),
                          std::vector<protocol::Event>{delta("half"), filtered}, answer("good")};
  EXPECT_EQ(harness.ask(chat()).head.status, 400);
  EXPECT_THAT(harness.ask(chat()).text(), HasSubstr("half"));
  EXPECT_THAT(harness.ask(chat()).text(), HasSubstr("good"));
  EXPECT_EQ(harness.asked(), 3u);
  EXPECT_EQ(harness.cache.store().figures().entries, 1u);
}

TEST(CachedStream, LargeBodiesAreHashedElsewhere) {
  CachedHarness harness(
      std::make_unique<gateway::MemoryCacheStore>(gateway::MemoryCacheStore::Limits{}), 10);
  harness.script.steps = {answer("Hello")};
  harness.ask(chat());
  EXPECT_EQ(harness.ask(chat()).field("DeepSeek-Cache"), "hit");
  EXPECT_EQ(harness.asked(), 1u);
}

TEST(CachedStream, ASlowStoreIsWaitedFor) {
  auto slow = std::make_unique<SlowStore>();
  const SlowStore& store = *slow;
  CachedHarness harness(std::move(slow));
  harness.script.steps = {answer("Hello")};
  harness.ask(chat());
  EXPECT_EQ(harness.ask(chat()).field("DeepSeek-Cache"), "hit");
  EXPECT_EQ(store.loads, 2);
  EXPECT_EQ(harness.asked(), 1u);
}

// --- questions that mean the same -----------------------------------------------------------

std::unique_ptr<gateway::CacheStore> memory() {
  return std::make_unique<gateway::MemoryCacheStore>(gateway::MemoryCacheStore::Limits{});
}

SimilarAnswers::Options comparing() {
  SimilarAnswers::Options options;
  options.model = "tiny";
  return options;
}

TEST(CachedStream, ASimilarQuestionGetsTheKeptAnswer) {
  CachedHarness harness(memory(), 100'000, comparing());
  harness.script.steps = {answer("Hello")};
  const FakeResponder& first = harness.ask(chat("How are you?"));
  EXPECT_EQ(first.field("DeepSeek-Cache"), "miss");
  ASSERT_EQ(harness.script.embedding_requests.size(), 1u);
  EXPECT_EQ(std::get<std::string>(harness.script.embedding_requests[0].inputs.at(0)),
            "How are you?");
  const FakeResponder& second = harness.ask(chat("How do you do?"));
  EXPECT_EQ(second.field("DeepSeek-Cache"), "hit; similar");
  EXPECT_EQ(second.field("Age"), "0");
  EXPECT_THAT(second.text(), HasSubstr("Hello"));
  EXPECT_THAT(second.text(), HasSubstr(std::string(mark)));
  EXPECT_EQ(harness.last_result(), "similar");
  EXPECT_EQ(harness.asked(), 1u);
  EXPECT_EQ(harness.books.tenants.size(), 1u);
  // The same words again need no embedding.
  EXPECT_EQ(harness.ask(chat("How are you?")).field("DeepSeek-Cache"), "hit");
  EXPECT_EQ(harness.script.embedding_requests.size(), 2u);
}

TEST(CachedStream, ADifferentQuestionDoesNot) {
  CachedHarness harness(memory(), 100'000, comparing());
  harness.script.steps = {answer("one"), answer("two")};
  harness.script.embedding.emplace(gateway::EmbeddingResult{{{1.0F, 0.0F}}, 3});
  harness.ask(chat("How are you?"));
  harness.script.embedding.emplace(gateway::EmbeddingResult{{{0.0F, 1.0F}}, 3});
  EXPECT_THAT(harness.ask(chat("What is water?")).text(), HasSubstr("two"));
  EXPECT_EQ(harness.asked(), 2u);
}

TEST(CachedStream, AllButTheLastMessageMustBeTheSame) {
  CachedHarness harness(memory(), 100'000, comparing());
  harness.script.steps = {answer("one"), answer("two"), answer("three"), answer("four")};
  const auto asked = [&harness](std::string_view system, std::string_view question,
                                std::string_view more = "") {
    const std::string body = R"({"messages": [{"role": "system", "content": ")" +
                             std::string(system) + R"("}, {"role": "user", "content": ")" +
                             std::string(question) + "\"}]" + std::string(more) + "}";
    return harness.ask(make_request("POST", "/v1/chat/completions", body)).text();
  };
  EXPECT_THAT(asked("Be brief.", "How are you?"), HasSubstr("one"));
  EXPECT_THAT(asked("Be brief.", "How do you do?"), HasSubstr("one"));
  EXPECT_THAT(asked("Be long.", "How do you do?"), HasSubstr("two"));
  EXPECT_THAT(asked("Be brief.", "How do you do?", R"(, "temperature": 0.1)"), HasSubstr("three"));
}

TEST(CachedStream, AFailedEmbeddingIsAMiss) {
  CachedHarness harness(memory(), 100'000, comparing());
  harness.script.steps = {answer("one"), answer("two")};
  harness.script.embedding.emplace(base::make_error(base::ErrorCode::unavailable, "no"));
  EXPECT_EQ(harness.ask(chat("How are you?")).field("DeepSeek-Cache"), "miss");
  EXPECT_THAT(harness.ask(chat("How do you do?")).text(), HasSubstr("two"));
}

TEST(CachedStream, AnAnswerThatIsGoneIsForgotten) {
  CachedHarness harness(memory(), 100'000, comparing());
  harness.script.steps = {answer("one"), answer("two")};
  harness.ask(chat("How are you?"));
  harness.cache.store().clear_tenant("default");
  EXPECT_THAT(harness.ask(chat("How do you do?")).text(), HasSubstr("two"));
  EXPECT_EQ(harness.ask(chat("Are you well?")).field("DeepSeek-Cache"), "hit; similar");
  EXPECT_EQ(harness.asked(), 2u);
}

protocol::Message message(protocol::Role role, std::string text) {
  protocol::Message made;
  made.role = role;
  made.content.emplace_back(protocol::TextPart{std::move(text)});
  return made;
}

TEST(SimilarAnswers, AreForSomeTenantsAndNeverWithTools) {
  SimilarAnswers::Options options = comparing();
  options.tenants = {"research"};
  const SimilarAnswers similar(options);
  protocol::Request request;
  request.messages.push_back(message(protocol::Role::user, "Hi"));
  EXPECT_TRUE(similar.allows("research", request));
  EXPECT_FALSE(similar.allows("sales", request));
  request.features = {{protocol::Feature::tools, "tools"}};
  EXPECT_FALSE(similar.allows("research", request));
  request.features.clear();
  request.messages.push_back(message(protocol::Role::assistant, "Hello"));
  EXPECT_FALSE(similar.allows("research", request)) << "nothing was asked";
  request.messages.clear();
  EXPECT_FALSE(similar.allows("research", request));
}

// --- the same request at the same time ------------------------------------------------------

TEST(CachedStream, IdenticalRequestsMakeOne) {
  for (const bool stream : {true, false}) {
    CachedHarness harness;
    harness.script.steps = {std::vector{delta("Hel")}, Wait{},
                            std::vector{delta("lo"), finished()}};
    const auto request = stream ? streamed() : chat();
    const FakeResponder& leader = harness.begin(request);
    const FakeResponder& first = harness.begin(request);
    const FakeResponder& second = harness.begin(request);
    EXPECT_EQ(harness.asked(), 1u);
    if (stream) {
      EXPECT_THAT(second.text(), HasSubstr("Hel")) << "as prompt as the leader";
    }
    harness.resume();
    EXPECT_EQ(leader.field("DeepSeek-Cache"), "miss");
    for (const FakeResponder* follower : {&first, &second}) {
      EXPECT_EQ(follower->field("DeepSeek-Cache"), "shared");
      EXPECT_EQ(follower->text(), leader.text());
      EXPECT_TRUE(follower->finished);
    }
    EXPECT_EQ(harness.asked(), 1u);
    EXPECT_EQ(harness.books.tenants.size(), 2u);
    EXPECT_EQ(harness.last_result(), "shared");
    EXPECT_EQ(harness.observer.records.back().usage.completion_tokens, 2);
  }
}

TEST(CachedStream, WhoAsksAfreshFollowsNobody) {
  CachedHarness harness;
  harness.script.steps = {Wait{}, answer("old"), answer("new")};
  FakeResponder& leader = harness.begin(chat());
  harness.script.steps.pop_front();
  FakeResponder& fresh = harness.begin(with(chat(), "Cache-Control", "no-cache"));
  EXPECT_EQ(harness.asked(), 2u);
  EXPECT_TRUE(fresh.finished);
  harness.resume();
  EXPECT_TRUE(leader.finished);
}

TEST(CachedStream, ALeaderWithoutAClientGoesOnForItsFollowers) {
  for (const bool stream : {true, false}) {
    CachedHarness harness;
    harness.script.steps = {std::vector{delta("Hel")}, Wait{},
                            std::vector{delta("lo"), finished()}};
    const auto request = stream ? streamed() : chat();
    FakeResponder& leader = harness.begin(request);
    FakeResponder& follower = harness.begin(request);
    if (stream) leader.pieces_until_gone = leader.pieces.size();
    leader.gone();
    harness.resume();
    EXPECT_EQ(harness.script.cancelled, 0);
    EXPECT_THAT(follower.text(), HasSubstr("Hel"));
    EXPECT_TRUE(follower.finished);
    EXPECT_EQ(harness.ask(request).field("DeepSeek-Cache"), "hit");
    EXPECT_EQ(harness.asked(), 1u);
    const auto left = std::ranges::count_if(
        harness.observer.records, [](const auto& record) { return record.status == 499; });
    EXPECT_EQ(left, 1);
  }
}

TEST(CachedStream, WhatWasSaidToItsEndIsKeptForOthers) {
  CachedHarness harness;
  harness.script.steps = {Wait{}, std::vector{delta("Hello")}, std::vector{finished()}};
  FakeResponder& client = harness.begin(streamed());
  client.pieces_until_gone = 1;
  harness.resume();
  EXPECT_EQ(client.pieces.size(), 1u);
  EXPECT_FALSE(client.text().ends_with("[DONE]\n\n"));
  EXPECT_EQ(harness.observer.records.back().status, 499);
  EXPECT_EQ(harness.ask(streamed()).field("DeepSeek-Cache"), "hit");
}

TEST(CachedStream, NobodyIsLeftToGoOnFor) {
  CachedHarness harness;
  harness.script.steps = {std::vector{delta("Hel")}, Wait{}, std::vector{finished()}};
  FakeResponder& leader = harness.begin(streamed());
  FakeResponder& follower = harness.begin(streamed());
  leader.gone();
  EXPECT_EQ(harness.script.cancelled, 0);
  follower.gone();
  harness.go_on();
  EXPECT_EQ(harness.script.cancelled, 1);
  EXPECT_EQ(harness.observer.records.size(), 2u);
  EXPECT_EQ(harness.cache.flights().flights(), 0u);
}

TEST(CachedStream, AFollowerThatLeavesHarmsNobody) {
  CachedHarness harness;
  harness.script.steps = {std::vector{delta("Hel")}, Wait{}, std::vector{delta("lo"), finished()}};
  FakeResponder& leader = harness.begin(streamed());
  FakeResponder& leaving = harness.begin(streamed());
  FakeResponder& staying = harness.begin(streamed());
  leaving.gone();
  harness.go_on();
  harness.resume();
  EXPECT_EQ(harness.script.cancelled, 0);
  EXPECT_TRUE(leader.finished);
  EXPECT_EQ(staying.text(), leader.text());
  EXPECT_FALSE(leaving.finished);
}

TEST(CachedStream, AfterALeadersFailureEachTriesForItself) {
  CachedHarness harness;
  harness.script.steps = {Wait{}, base::make_error(base::ErrorCode::upstream_failed, "it died"),
                          answer("second"), answer("third")};
  FakeResponder& leader = harness.begin(streamed());
  FakeResponder& first = harness.begin(streamed());
  FakeResponder& second = harness.begin(streamed());
  harness.resume();
  EXPECT_EQ(leader.head.status, 502);
  EXPECT_EQ(harness.asked(), 3u);
  EXPECT_EQ(first.field("DeepSeek-Cache"), "miss");
  EXPECT_THAT(first.text(), HasSubstr("[DONE]"));
  EXPECT_THAT(second.text(), HasSubstr("[DONE]"));
  EXPECT_NE(first.text(), second.text());
}

TEST(CachedStream, AFollowerInTheMiddleIsToldThatItBrokeOff) {
  CachedHarness harness;
  harness.script.steps = {std::vector{delta("half")}, Wait{},
                          base::make_error(base::ErrorCode::upstream_failed, "it died")};
  harness.begin(streamed());
  FakeResponder& follower = harness.begin(streamed());
  harness.resume();
  EXPECT_EQ(follower.head.status, 200);
  EXPECT_THAT(follower.text(), HasSubstr("half"));
  EXPECT_THAT(follower.pieces.back(), HasSubstr("data: {\"error\""));
  EXPECT_THAT(follower.text(), Not(HasSubstr("[DONE]")));
  EXPECT_TRUE(follower.finished);
  EXPECT_EQ(harness.asked(), 1u);
}

TEST(CachedStream, WhenALeaderRunsOutOfTimeTheNextLeads) {
  CachedHarness harness;
  harness.snapshot.request_timeout = std::chrono::milliseconds(1);
  harness.rebuild();
  harness.script.steps = {Wait{}, answer("late")};
  FakeResponder& leader = harness.begin(chat());
  harness.snapshot.request_timeout = std::chrono::milliseconds(0);
  harness.frontend->replace(std::make_shared<Snapshot>(harness.snapshot));
  FakeResponder& follower = harness.begin(chat());
  harness.context.restart();
  while (!leader.finished) harness.context.run_one();
  harness.script.resume();
  harness.finish();
  EXPECT_EQ(leader.head.status, 504);
  EXPECT_EQ(follower.head.status, 200);
  EXPECT_THAT(follower.text(), HasSubstr("late"));
  EXPECT_EQ(harness.asked(), 2u);
}

}  // namespace
}  // namespace deepseek::frontend
