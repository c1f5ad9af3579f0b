// EngineBackend against an engine in this process: two I/O threads, real sockets, no model, no
// sleeping.
#include "gateway/engine_backend.hpp"

#include "gateway/fake_engine.hpp"
#include "io/io_threads.hpp"
#include "io/task_group.hpp"
#include "protocol/image_samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <csignal>
#include <future>

namespace deepseek::gateway {
namespace {

namespace asio = boost::asio;
using base::ErrorCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeEngine;
using testing::FakeLauncher;
using ::testing::HasSubstr;
using testing::wire::Failed;
using Events = std::vector<protocol::Event>;

template <class T>
asio::awaitable<void> fulfil(asio::awaitable<T> work, std::promise<T>& promise) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
      promise.set_value();
    } else {
      auto value = co_await std::move(work);
      promise.set_value(std::move(value));
    }
  } catch (...) {
    promise.set_exception(std::current_exception());
  }
}

asio::awaitable<void> destroy(std::unique_ptr<EventStream> stream) {
  stream.reset();
  co_return;
}

asio::awaitable<base::Result<EmbeddingResult>> embed(EngineBackend& backend,
                                                     protocol::EmbeddingRequest request) {
  const auto executor = co_await asio::this_coro::executor;
  const std::unique_ptr<EmbeddingCall> call = backend.embed({request, executor});
  auto result = co_await call->result();
  co_return result;
}

asio::awaitable<void> cancel_call(std::shared_ptr<EmbeddingCall> call) {
  call->cancel();
  co_return;
}

asio::awaitable<base::Result<EmbeddingResult>> result_of(std::shared_ptr<EmbeddingCall> call) {
  auto result = co_await call->result();
  co_return result;
}

asio::awaitable<void> cancel(EventStream& stream) {
  stream.cancel();
  co_return;
}

protocol::Request completion(const std::string& prompt, std::int32_t choices = 1) {
  protocol::Request request;
  request.operation = protocol::Operation::completion;
  request.prompts = {prompt};
  request.choices = choices;
  return request;
}

class EngineBackendTest : public ::testing::Test {
 protected:
  EngineBackendTest() {
    options_.model = "m";
    options_.restart_backoff_min = milliseconds(1);
    options_.restart_backoff_max = milliseconds(5);
    options_.shutdown_timeout = milliseconds(50);
    threads_.start();
  }

  ~EngineBackendTest() override {
    if (backend_) {
      if (engine_) engine_->die("ended with exit status 0");
      EXPECT_TRUE(run(backend_->stop()));
      EXPECT_EQ(backend_->status().state, BackendState::stopped);
    }
    while (open_tasks() > 0) {
    }
    backend_.reset();
    threads_.stop();
    threads_.join();
  }

  void launch() {
    backend_ =
        std::make_unique<EngineBackend>(threads_.context(0).get_executor(), options_,
                                        base::Logger(), std::make_unique<FakeLauncher>(shared_));
    backend_->launch();
  }
  void launch_ready() {
    launch();
    engine_ = shared_->next();
    engine_->come_up();
  }

  // Runs on the second I/O thread: not the backend's.
  template <class T>
  std::future<T> begin(asio::awaitable<T> work) {
    auto promise = std::make_shared<std::promise<T>>();
    asio::post(threads_.context(1),
               [this, promise, w = std::make_shared<asio::awaitable<T>>(std::move(work))] {
                 tasks_.spawn("test", hold(std::move(*w), promise));
               });
    return promise->get_future();
  }
  template <class T>
  T run(asio::awaitable<T> work) {
    std::future<T> future = begin(std::move(work));
    if (future.wait_for(seconds(30)) != std::future_status::ready) {
      ADD_FAILURE() << "it never came";
      std::abort();
    }
    return future.get();
  }
  bool run(asio::awaitable<void> work) {
    std::future<void> future = begin(std::move(work));
    return future.wait_for(seconds(30)) == std::future_status::ready;
  }
  template <class T>
  static asio::awaitable<void> hold(asio::awaitable<T> work,
                                    std::shared_ptr<std::promise<T>> promise) {
    co_await fulfil(std::move(work), *promise);
  }

  // Asked on their thread: a task is still there for a moment after its promise is kept.
  std::size_t open_tasks() {
    std::promise<std::size_t> size;
    asio::post(threads_.context(1), [&] { size.set_value(tasks_.size()); });
    return size.get_future().get();
  }

  std::unique_ptr<EventStream> start(const protocol::Request& request,
                                     const protocol::Spoken* spoken = nullptr) {
    return backend_->start({request, threads_.context(1).get_executor(), spoken});
  }
  void drop(std::unique_ptr<EventStream> stream) { EXPECT_TRUE(run(destroy(std::move(stream)))); }

  // Reads to the end; the text of each sequence.
  base::Result<std::vector<std::string>> read_all(EventStream& stream, std::size_t sequences) {
    std::vector<std::string> texts(sequences);
    while (true) {
      base::Result<Events> events = run(stream.read());
      if (events.has_error()) return events.error();
      if (events->empty()) return texts;
      for (const auto& event : *events) {
        if (const auto* delta = std::get_if<protocol::Delta>(&event)) {
          texts.at(static_cast<std::size_t>(delta->sequence)) += delta->content;
        }
      }
    }
  }
  base::Error read_error(EventStream& stream) {
    auto texts = read_all(stream, 16);
    EXPECT_TRUE(texts.has_error());
    return texts.has_error() ? texts.error() : base::Error{};
  }

  io::IoThreads threads_{2};
  io::TaskGroup tasks_{threads_.context(1).get_executor()};
  EngineBackendOptions options_;
  std::shared_ptr<FakeLauncher::Shared> shared_ = std::make_shared<FakeLauncher::Shared>();
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<EngineBackend> backend_;
};

TEST_F(EngineBackendTest, Answers) {
  launch_ready();
  auto stream = start(completion("Hi"));
  const auto submit = engine_->hear_submit();
  EXPECT_EQ(submit.text(), "Hi");
  engine_->started(submit.request());
  engine_->delta(submit.request(), "Hel");
  engine_->delta(submit.request(), "lo");
  engine_->finished(submit.request(), 2);
  const auto texts = read_all(*stream, 1);
  ASSERT_TRUE(texts.has_value()) << texts.error().message;
  EXPECT_EQ(texts->at(0), "Hello");
  EXPECT_TRUE(run(stream->read())->empty()) << "after the end it stays at the end";
  EXPECT_EQ(backend_->load().running, 1);
  EXPECT_EQ(backend_->description()->kv_cells, 8192u);
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, SeveralChoicesAreSeveralSequences) {
  launch_ready();
  auto stream = start(completion("Hi", 2));
  const auto first = engine_->hear_submit();
  const auto second = engine_->hear_submit();
  EXPECT_TRUE(first.count_prompt());
  EXPECT_FALSE(second.count_prompt());
  engine_->delta(second.request(), "B");
  engine_->finished(second.request());
  engine_->delta(first.request(), "A");
  engine_->finished(first.request());
  const auto texts = read_all(*stream, 2);
  ASSERT_TRUE(texts.has_value());
  EXPECT_EQ(*texts, (std::vector<std::string>{"A", "B"}));
  drop(std::move(stream));
}

protocol::Request asking_with(const std::vector<std::string>& urls) {
  protocol::Request request;
  protocol::Message& message = request.messages.emplace_back();
  message.content.emplace_back(protocol::TextPart{"What is this?"});
  for (const std::string& url : urls) message.content.emplace_back(protocol::ImagePart{url});
  request.features = {{protocol::Feature::images, "messages[0].content[1]"}};
  return request;
}

TEST_F(EngineBackendTest, ImagesReachTheEngineAsFiles) {
  options_.command.mmproj = "projector.gguf";
  launch_ready();
  const std::string small = protocol::png_sample(1);
  const std::string large = protocol::png_sample(2, 200, 200);  // decoded on another thread
  const protocol::Request request =
      asking_with({protocol::data_url_of(small), protocol::data_url_of(large)});
  auto stream = start(request);
  auto pending = begin(stream->read());
  const auto submit = engine_->hear_submit();
  const auto& told = submit.chat().messages(0);
  ASSERT_EQ(told.parts_size(), 3);
  EXPECT_EQ(told.parts(0).text(), "What is this?");
  EXPECT_EQ(told.parts(1).image().file(), small);
  EXPECT_EQ(told.parts(1).image().param(), "messages[0].content[1]");
  EXPECT_EQ(told.parts(2).image().file(), large);
  engine_->delta(submit.request(), "noise");
  engine_->finished(submit.request());
  EXPECT_TRUE(pending.get().has_value());
  EXPECT_TRUE(read_all(*stream, 1).has_value());
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, WhatIsWrongWithAnImageNeverReachesTheEngine) {
  options_.command.mmproj = "projector.gguf";
  launch_ready();
  const protocol::Request request = asking_with({"data:image/png;base64,AAAA"});
  auto stream = start(request);
  const base::Error error = read_error(*stream);
  EXPECT_EQ(error.code, ErrorCode::invalid_request);
  EXPECT_EQ(error.param, "messages[0].content[1]");
  EXPECT_EQ(stream->failure().kind, FailureKind::status_400_client);
  drop(std::move(stream));
  const protocol::Request named = asking_with({"https://example.com/a.png"});
  auto other = start(named);
  EXPECT_THAT(read_error(*other).message, HasSubstr("images.remote"));
  drop(std::move(other));
}

TEST_F(EngineBackendTest, AModelThatSeesNothingLeavesImagesToOthers) {
  launch_ready();
  const protocol::Request request = asking_with({protocol::data_url_of(protocol::png_sample(1))});
  auto stream = start(request);
  EXPECT_EQ(read_error(*stream).code, ErrorCode::not_implemented);
  EXPECT_EQ(stream->failure().kind, FailureKind::status_4xx_there);
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, CancelledBeforeItsImagesAreThere) {
  options_.command.mmproj = "projector.gguf";
  launch_ready();
  const protocol::Request request = asking_with({protocol::data_url_of(protocol::png_sample(1))});
  auto stream = start(request);
  EXPECT_TRUE(run(cancel(*stream)));
  EXPECT_EQ(read_error(*stream).code, ErrorCode::cancelled);
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, CreditComesBackOnlyWhenRead) {
  options_.stream_credits = 4;
  launch_ready();
  auto stream = start(completion("Hi"));
  const auto submit = engine_->hear_submit();
  EXPECT_EQ(submit.credits(), 4);
  for (int i = 0; i < 4; ++i) engine_->delta(submit.request(), "x");
  int credits = 0;
  std::size_t read = 0;
  while (read < 4) {
    const auto events = run(stream->read());
    ASSERT_TRUE(events.has_value());
    read += events->size();
  }
  while (credits < 4) {
    const auto message = engine_->hear_work();
    ASSERT_TRUE(message && message->has_credit());
    EXPECT_EQ(message->credit().request(), submit.request());
    credits += message->credit().credits();
  }
  EXPECT_EQ(credits, 4);
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, AnEngineThatIgnoresCreditsLosesTheRequestOnly) {
  options_.stream_credits = 2;
  launch_ready();
  auto flooded = start(completion("flood"));
  const auto flood = engine_->hear_submit();
  for (int i = 0; i < 50; ++i) engine_->delta(flood.request(), "x");
  const auto cancelled = engine_->hear_work();
  ASSERT_TRUE(cancelled && cancelled->has_cancel());
  EXPECT_EQ(cancelled->cancel().request(), flood.request());
  EXPECT_EQ(read_error(*flooded).code, ErrorCode::internal);
  drop(std::move(flooded));
  auto stream = start(completion("other"));
  const auto submit = engine_->hear_submit();
  engine_->finished(submit.request());
  EXPECT_TRUE(read_all(*stream, 1).has_value());
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, LeavingCancelsEverySequence) {
  launch_ready();
  auto stream = start(completion("Hi", 2));
  const auto first = engine_->hear_submit();
  const auto second = engine_->hear_submit();
  drop(std::move(stream));
  std::vector<std::uint64_t> cancelled;
  for (int i = 0; i < 2; ++i) {
    const auto message = engine_->hear_work();
    ASSERT_TRUE(message && message->has_cancel());
    cancelled.push_back(message->cancel().request());
  }
  EXPECT_THAT(cancelled, ::testing::UnorderedElementsAre(first.request(), second.request()));
}

TEST_F(EngineBackendTest, CancelEndsAPendingRead) {
  launch_ready();
  auto stream = start(completion("Hi"));
  const auto submit = engine_->hear_submit();
  auto pending = begin(stream->read());
  EXPECT_TRUE(run(cancel(*stream)));
  ASSERT_EQ(pending.wait_for(seconds(20)), std::future_status::ready);
  EXPECT_EQ(pending.get().error().code, ErrorCode::cancelled);
  const auto message = engine_->hear_work();
  ASSERT_TRUE(message && message->has_cancel());
  EXPECT_EQ(message->cancel().request(), submit.request());
  engine_->delta(submit.request(), "late");  // what was under way is ignored
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, RefusalsOfTheEngineKeepTheirCode) {
  launch_ready();
  auto stream = start(completion("Hi", 2));
  const auto first = engine_->hear_submit();
  const auto second = engine_->hear_submit();
  engine_->failed(first.request(), Failed::QUEUE_FULL, "engine.priority_queue_size");
  const base::Error error = read_error(*stream);
  EXPECT_EQ(error.code, ErrorCode::queue_full);
  EXPECT_EQ(error.message, "engine.priority_queue_size");
  EXPECT_TRUE(error.retry_after.has_value());
  const auto message = engine_->hear_work();
  ASSERT_TRUE(message && message->has_cancel()) << "the other choice is of no use any more";
  EXPECT_EQ(message->cancel().request(), second.request());
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, KilledWhileItAnswers) {
  launch_ready();
  auto stream = start(completion("Hi"));
  const auto submit = engine_->hear_submit();
  engine_->started(submit.request());
  engine_->delta(submit.request(), "Hel");
  engine_->die();
  const base::Error error = read_error(*stream);
  EXPECT_EQ(error.code, ErrorCode::upstream_failed);
  EXPECT_EQ(error.message,
            "The engine of model \"m\" was killed by signal 9 (Killed) while it answered; send the "
            "request again.");
  EXPECT_TRUE(error.retry_after.has_value());
  drop(std::move(stream));
  engine_ = shared_->next();
  // A request that comes while it loads waits for it.
  auto waiting = start(completion("again"));
  engine_->come_up();
  const auto again = engine_->hear_submit();
  EXPECT_EQ(again.text(), "again");
  engine_->finished(again.request());
  EXPECT_TRUE(read_all(*waiting, 1).has_value());
  EXPECT_EQ(backend_->status().restarts, 1u);
  drop(std::move(waiting));
}

TEST_F(EngineBackendTest, WhatWasSentBeforeTheDeathStillArrives) {
  launch_ready();
  auto stream = start(completion("Hi"));
  const auto submit = engine_->hear_submit();
  engine_->delta(submit.request(), "all");
  engine_->finished(submit.request());
  engine_->die();
  const auto texts = read_all(*stream, 1);
  ASSERT_TRUE(texts.has_value()) << texts.error().message;
  EXPECT_EQ(texts->at(0), "all");
  drop(std::move(stream));
  engine_ = shared_->next();
}

TEST_F(EngineBackendTest, ARequestThatKillsTwiceIsRefused) {
  launch_ready();
  for (int death = 0; death < 2; ++death) {
    auto stream = start(completion("poison"));
    const auto submit = engine_->hear_submit();
    engine_->started(submit.request());
    engine_->die();
    EXPECT_EQ(read_error(*stream).code, ErrorCode::upstream_failed);
    drop(std::move(stream));
    engine_ = shared_->next();
    engine_->come_up();
  }
  auto refused = start(completion("poison"));
  const base::Error error = read_error(*refused);
  EXPECT_EQ(error.code, ErrorCode::internal);
  EXPECT_THAT(error.message, HasSubstr("not tried again"));
  drop(std::move(refused));
  auto other = start(completion("harmless"));
  const auto submit = engine_->hear_submit();
  EXPECT_EQ(submit.text(), "harmless");
  engine_->finished(submit.request());
  EXPECT_TRUE(read_all(*other, 1).has_value());
  drop(std::move(other));
}

TEST_F(EngineBackendTest, AnAnswerGoesOnBehindItsEnginesDeath) {
  launch_ready();
  const protocol::Request request = completion("Hi");
  auto stream = start(request);
  const auto submit = engine_->hear_submit();
  EXPECT_FALSE(submit.has_resume());
  engine_->started(submit.request());
  engine_->delta(submit.request(), "Hel");
  engine_->die();
  EXPECT_EQ(read_error(*stream).code, ErrorCode::upstream_failed);
  EXPECT_EQ(stream->failure().kind, FailureKind::broken) << "so the same engine may go on";
  drop(std::move(stream));
  engine_ = shared_->next();
  engine_->come_up();
  const protocol::Spoken spoken{"Hel", "", {7, 8}, 2};
  auto resumed = start(request, &spoken);
  const auto again = engine_->hear_submit();
  EXPECT_EQ(again.text(), "Hi");
  EXPECT_EQ(again.resume().content(), "Hel");
  EXPECT_EQ(again.resume().token_ids_size(), 2);
  engine_->started(again.request());
  engine_->delta(again.request(), "lo");
  engine_->finished(again.request());
  const auto texts = read_all(*resumed, 1);
  ASSERT_TRUE(texts.has_value()) << texts.error().message;
  EXPECT_EQ(texts->at(0), "lo");
  drop(std::move(resumed));
}

TEST_F(EngineBackendTest, AResumedRequestThatKillsAgainIsRefused) {
  launch_ready();
  const protocol::Request request = completion("poison");
  protocol::Spoken spoken;
  for (int death = 0; death < 2; ++death) {
    auto stream = start(request, &spoken);
    const auto submit = engine_->hear_submit();
    EXPECT_EQ(submit.resume().content(), spoken.content);
    engine_->started(submit.request());
    engine_->delta(submit.request(), "x");
    engine_->die();
    EXPECT_EQ(read_error(*stream).code, ErrorCode::upstream_failed);
    drop(std::move(stream));
    spoken.content += "x";
    spoken.token_ids.push_back(7);
    engine_ = shared_->next();
    engine_->come_up();
  }
  auto refused = start(request, &spoken);
  EXPECT_EQ(read_error(*refused).code, ErrorCode::internal);
  EXPECT_EQ(refused->failure().kind, FailureKind::refused_suspect);
  drop(std::move(refused));
  auto anew = start(request);
  EXPECT_EQ(read_error(*anew).code, ErrorCode::internal) << "nor from its beginning";
  drop(std::move(anew));
}

TEST_F(EngineBackendTest, WhatAnEngineCannotGoOnWithIsOthers) {
  launch_ready();
  const protocol::Spoken spoken{"text", "", {}, 1};
  const protocol::Request several = completion("Hi", 2);
  auto stream = start(several, &spoken);
  EXPECT_EQ(read_error(*stream).code, ErrorCode::not_implemented);
  EXPECT_EQ(stream->failure().kind, FailureKind::status_4xx_there);
  drop(std::move(stream));
  const protocol::Request one = completion("Hi");
  auto other = start(one, &spoken);
  const auto submit = engine_->hear_submit();
  engine_->failed(submit.request(), Failed::NOT_IMPLEMENTED, "other tokens");
  EXPECT_EQ(read_error(*other).code, ErrorCode::not_implemented);
  EXPECT_EQ(other->failure().kind, FailureKind::status_4xx_there);
  drop(std::move(other));
}

TEST_F(EngineBackendTest, AWedgedEngineIsKilledAndReplaced) {
  options_.ping_interval = milliseconds(2);
  options_.silence_timeout = milliseconds(20);
  launch_ready();
  auto stream = start(completion("Hi"));
  const base::Error error = read_error(*stream);  // nobody answers its pings
  EXPECT_EQ(error.code, ErrorCode::upstream_failed);
  EXPECT_THAT(error.message, HasSubstr("did not answer"));
  EXPECT_TRUE(engine_->life->wait_for_signal(SIGKILL));
  engine_->close();
  drop(std::move(stream));
  engine_ = shared_->next();
}

TEST_F(EngineBackendTest, GarbageEndsTheEngine) {
  launch_ready();
  auto stream = start(completion("Hi"));
  engine_->hear_submit();
  engine_->say_raw("\xff\xff\xff\xff garbage");
  EXPECT_THAT(read_error(*stream).message, HasSubstr("not a message"));
  EXPECT_TRUE(engine_->life->wait_for_signal(SIGKILL));
  drop(std::move(stream));
  engine_ = shared_->next();
}

TEST_F(EngineBackendTest, NotReadyInTimeIsUnavailable) {
  options_.ready_wait = milliseconds(1);
  launch();
  engine_ = shared_->next();
  engine_->hello();
  auto stream = start(completion("Hi"));
  const base::Error error = read_error(*stream);
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_THAT(error.message, ::testing::AnyOf(HasSubstr("loading"), HasSubstr("starting")));
  EXPECT_TRUE(error.retry_after.has_value());
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, OnlySoManyWaitForIt) {
  options_.ready_wait_max = 1;
  options_.ready_wait = seconds(20);
  launch();
  engine_ = shared_->next();
  auto first = start(completion("first"));
  auto second = start(completion("second"));
  EXPECT_EQ(read_error(*second).code, ErrorCode::unavailable);
  engine_->come_up();
  const auto submit = engine_->hear_submit();
  EXPECT_EQ(submit.text(), "first");
  engine_->finished(submit.request());
  EXPECT_TRUE(read_all(*first, 1).has_value());
  drop(std::move(first));
  drop(std::move(second));
}

TEST_F(EngineBackendTest, APermanentFailureIsToldAndNotRepeated) {
  launch();
  engine_ = shared_->next();
  engine_->hello();
  auto waiting = start(completion("Hi"));
  engine_->load_failed("m.gguf: byte 0 is not GGUF", true);
  const base::Error error = read_error(*waiting);
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_THAT(error.message, HasSubstr("byte 0"));
  drop(std::move(waiting));
  EXPECT_EQ(backend_->status().state, BackendState::failed);
  auto refused = start(completion("Hi"));
  EXPECT_EQ(read_error(*refused).code, ErrorCode::unavailable);
  EXPECT_EQ(refused->failure().kind, FailureKind::connect);
  drop(std::move(refused));
  EXPECT_TRUE(shared_->none());
  backend_->retry();
  engine_ = shared_->next();
  engine_->come_up();
  auto stream = start(completion("Hi"));
  engine_->finished(engine_->hear_submit().request());
  EXPECT_TRUE(read_all(*stream, 1).has_value());
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, AProgramThatCannotStartIsTriedAgain) {
  shared_->failures = 3;
  launch_ready();
  auto stream = start(completion("Hi"));
  engine_->finished(engine_->hear_submit().request());
  EXPECT_TRUE(read_all(*stream, 1).has_value());
  EXPECT_EQ(shared_->launches, 4);
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, ADeadlineEndsTheReadAndTheWork) {
  options_.rpc_timeout = milliseconds(30);
  launch_ready();
  auto stream = start(completion("Hi"));
  EXPECT_EQ(read_error(*stream).code, ErrorCode::deadline_exceeded);
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, WithoutPreloadTheFirstRequestLoads) {
  options_.preload = false;
  launch();
  EXPECT_EQ(backend_->status().reason, "the model loads with the first request");
  auto stream = start(completion("Hi"));
  engine_ = shared_->next();
  engine_->come_up();
  engine_->finished(engine_->hear_submit().request());
  EXPECT_TRUE(read_all(*stream, 1).has_value());
  drop(std::move(stream));
}

TEST_F(EngineBackendTest, AnIdleModelMakesRoomForAnother) {
  options_.memory = std::make_shared<ModelMemory>(100);
  options_.memory_bytes = 60;
  launch_ready();
  EngineBackendOptions other_options = options_;
  other_options.model = "other";
  other_options.preload = false;
  const auto other_engines = std::make_shared<FakeLauncher::Shared>();
  EngineBackend other(threads_.context(0).get_executor(), other_options, base::Logger(),
                      std::make_unique<FakeLauncher>(other_engines));
  other.launch();
  EXPECT_EQ(other.status().state, BackendState::unloaded);
  // While the first one answers, the second waits.
  auto first = start(completion("Hi"));
  const auto submit = engine_->hear_submit();
  const protocol::Request request = completion("Ho");
  auto second = other.start({request, threads_.context(1).get_executor()});
  auto refused = begin(second->read());
  EXPECT_TRUE(other_engines->none());
  engine_->finished(submit.request());
  EXPECT_TRUE(read_all(*first, 1).has_value());
  drop(std::move(first));
  const auto farewell = engine_->hear_work();
  ASSERT_TRUE(farewell && farewell->has_shutdown());
  engine_->die("ended with exit status 0");
  const auto other_engine = other_engines->next();
  other_engine->come_up();
  other_engine->finished(other_engine->hear_submit().request());
  EXPECT_TRUE(refused.get().has_value());
  EXPECT_EQ(backend_->status().state, BackendState::unloaded);
  drop(std::move(second));
  // And back.
  auto third = start(completion("Hi"));
  EXPECT_TRUE(other_engine->hear_work()->has_shutdown());
  other_engine->die("ended with exit status 0");
  engine_ = shared_->next();
  engine_->come_up();
  engine_->finished(engine_->hear_submit().request());
  EXPECT_TRUE(read_all(*third, 1).has_value());
  drop(std::move(third));
  EXPECT_TRUE(run(other.stop()));
}

TEST_F(EngineBackendTest, Embeds) {
  launch_ready();
  protocol::EmbeddingRequest request;
  request.inputs = {std::string("a"), std::string("b")};
  auto pending = begin(embed(*backend_, request));
  const auto message = engine_->hear_work();
  ASSERT_TRUE(message && message->has_embed());
  EXPECT_EQ(message->embed().inputs_size(), 2);
  testing::wire::FromEngine reply;
  reply.mutable_embed_reply()->set_call(message->embed().call());
  reply.mutable_embed_reply()->set_prompt_tokens(4);
  reply.mutable_embed_reply()->add_vectors()->add_values(0.5f);
  engine_->say(reply);
  const auto result = pending.get();
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->prompt_tokens, 4);
  EXPECT_EQ(result->vectors.at(0).at(0), 0.5f);
}

TEST_F(EngineBackendTest, ACancelledEmbeddingStopsInTheEngine) {
  launch_ready();
  protocol::EmbeddingRequest request;
  request.inputs = {std::string("a")};
  const std::shared_ptr<EmbeddingCall> call =
      backend_->embed({request, threads_.context(1).get_executor()});
  const auto asked = engine_->hear_work();
  ASSERT_TRUE(asked && asked->has_embed());
  auto pending = begin(result_of(call));
  EXPECT_TRUE(run(cancel_call(call)));
  EXPECT_EQ(pending.get().error().code, ErrorCode::cancelled);
  const auto told = engine_->hear_work();
  ASSERT_TRUE(told && told->has_cancel());
  EXPECT_EQ(told->cancel().request(), asked->embed().call());
}

TEST_F(EngineBackendTest, StopLetsItFinishAndLeavesNothingBehind) {
  options_.shutdown_timeout = seconds(20);
  launch_ready();
  auto stream = start(completion("Hi"));
  const auto submit = engine_->hear_submit();
  auto stopped = begin(backend_->stop());
  const auto message = engine_->hear_work();
  ASSERT_TRUE(message && message->has_shutdown());
  engine_->delta(submit.request(), "end");
  engine_->finished(submit.request());
  engine_->die("ended with exit status 0");
  EXPECT_EQ(stopped.wait_for(seconds(20)), std::future_status::ready);
  EXPECT_EQ(read_all(*stream, 1)->at(0), "end");
  EXPECT_TRUE(engine_->life->signals().empty()) << "it went by itself";
  drop(std::move(stream));
  backend_.reset();
}

TEST_F(EngineBackendTest, StopKillsWhatDoesNotGo) {
  launch_ready();
  auto stream = start(completion("Hi"));
  engine_->hear_submit();
  auto stopped = begin(backend_->stop());
  EXPECT_TRUE(engine_->life->wait_for_signal(SIGTERM));
  EXPECT_TRUE(engine_->life->wait_for_signal(SIGKILL));
  engine_->close();
  EXPECT_EQ(stopped.wait_for(seconds(20)), std::future_status::ready);
  EXPECT_EQ(read_error(*stream).code, ErrorCode::unavailable);
  drop(std::move(stream));
  backend_.reset();
}

}  // namespace
}  // namespace deepseek::gateway
