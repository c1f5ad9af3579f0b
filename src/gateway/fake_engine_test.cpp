#include "gateway/fake_engine.hpp"

#include "io/frame_channel.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <csignal>

namespace deepseek::gateway::testing {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds limit{20};

class FakeProcess final : public EngineProcess {
 public:
  FakeProcess(asio::any_io_executor executor, std::shared_ptr<FakeLife> life)
      : life_(std::move(life)), event_(std::make_shared<io::Event>(executor)) {
    life_->set_wake([executor, weak = std::weak_ptr(event_)] {
      asio::post(executor, [weak] {
        if (const auto event = weak.lock()) event->notify();
      });
    });
  }
  ~FakeProcess() override { life_->set_wake({}); }
  int pid() const override { return 4242; }
  void signal(int number) override { life_->signal(number); }
  asio::awaitable<EngineEnd> wait() override {
    while (!life_->ended()) {
      co_await event_->wait();
    }
    co_return *life_->ended();
  }

 private:
  std::shared_ptr<FakeLife> life_;
  std::shared_ptr<io::Event> event_;
};

}  // namespace

void FakeLife::signal(int number) {
  {
    const std::lock_guard lock(mutex_);
    signals_.push_back(number);
    changed_.notify_all();
  }
  if (number == SIGKILL && !survives_signals) end("was killed by signal 9 (Killed)", true);
}

void FakeLife::end(std::string how, bool killed) {
  const std::lock_guard lock(mutex_);
  if (!ended_) ended_ = EngineEnd{std::move(how), killed};
  if (wake_) wake_();
}

std::optional<EngineEnd> FakeLife::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

std::vector<int> FakeLife::signals() const {
  const std::lock_guard lock(mutex_);
  return signals_;
}

bool FakeLife::wait_for_signal(int number, std::chrono::seconds time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [&] {
    return std::find(signals_.begin(), signals_.end(), number) != signals_.end();
  });
}

void FakeLife::set_wake(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void FakeEngine::say_raw(const std::string& payload) {
  const std::size_t size = payload.size();
  std::string frame = {static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                       static_cast<char>(size >> 8), static_cast<char>(size)};
  frame += payload;
  std::size_t sent = 0;
  while (sent < frame.size()) {
    const ssize_t count =
        ::send(descriptor_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;  // the backend closed the link, as some tests want
    sent += static_cast<std::size_t>(count);
  }
}

void FakeEngine::say(const wire::FromEngine& message) {
  say_raw(message.SerializeAsString());
}

void FakeEngine::hello(std::uint32_t version) {
  wire::FromEngine message;
  message.mutable_hello()->set_protocol_version(version);
  say(message);
}

void FakeEngine::device_failed(const std::string& text) {
  wire::FromEngine message;
  message.mutable_device_failed()->set_message(text);
  say(message);
}

void FakeEngine::ready(bool on_gpu) {
  wire::FromEngine message;
  message.mutable_ready()->set_on_gpu(on_gpu);
  message.mutable_ready()->set_architecture("llama");
  message.mutable_ready()->set_kv_cells(8192);
  say(message);
}

void FakeEngine::load_failed(const std::string& text, bool permanent) {
  wire::FromEngine message;
  message.mutable_load_failed()->set_message(text);
  message.mutable_load_failed()->set_permanent(permanent);
  say(message);
}

void FakeEngine::started(std::uint64_t request, std::int64_t prompt_tokens) {
  wire::FromEngine message;
  wire::SequenceEvent& event = *message.mutable_step()->add_events();
  event.set_request(request);
  event.mutable_started()->set_prompt_tokens(prompt_tokens);
  message.mutable_step()->mutable_load()->set_running(1);
  say(message);
}

void FakeEngine::delta(std::uint64_t request, const std::string& content) {
  wire::FromEngine message;
  wire::SequenceEvent& event = *message.mutable_step()->add_events();
  event.set_request(request);
  event.mutable_delta()->set_content(content);
  say(message);
}

void FakeEngine::finished(std::uint64_t request, std::int64_t completion_tokens) {
  wire::FromEngine message;
  wire::SequenceEvent& event = *message.mutable_step()->add_events();
  event.set_request(request);
  event.mutable_finished()->set_completion_tokens(completion_tokens);
  say(message);
}

void FakeEngine::failed(std::uint64_t request, wire::Failed::Code code, const std::string& text) {
  wire::FromEngine message;
  wire::SequenceEvent& event = *message.mutable_step()->add_events();
  event.set_request(request);
  event.mutable_failed()->set_code(code);
  event.mutable_failed()->set_message(text);
  say(message);
}

bool FakeEngine::read_bytes(char* bytes, std::size_t size) {
  std::size_t got = 0;
  while (got < size) {
    pollfd polled{descriptor_, POLLIN, 0};
    if (::poll(&polled, 1, static_cast<int>(limit.count() * 1000)) <= 0) {
      ADD_FAILURE() << "the backend said nothing";
      return false;
    }
    const ssize_t count = ::read(descriptor_, bytes + got, size - got);
    if (count <= 0) return false;
    got += static_cast<std::size_t>(count);
  }
  return true;
}

std::optional<wire::ToEngine> FakeEngine::hear() {
  std::array<char, 4> header{};
  if (!read_bytes(header.data(), header.size())) return std::nullopt;
  std::size_t size = 0;
  for (const char c : header) size = size << 8 | static_cast<unsigned char>(c);
  std::string payload(size, '\0');
  if (!read_bytes(payload.data(), size)) return std::nullopt;
  wire::ToEngine message;
  EXPECT_TRUE(message.ParseFromString(payload));
  return message;
}

std::optional<wire::ToEngine> FakeEngine::hear_work() {
  while (true) {
    std::optional<wire::ToEngine> message = hear();
    if (!message || !message->has_ping()) return message;
    wire::FromEngine pong;
    pong.mutable_pong()->set_number(message->ping().number());
    say(pong);
  }
}

wire::Submit FakeEngine::hear_submit() {
  const std::optional<wire::ToEngine> message = hear_work();
  if (!message || !message->has_submit()) {
    ADD_FAILURE() << "expected a Submit";
    return {};
  }
  return message->submit();
}

void FakeEngine::die(const std::string& how) {
  life->end(how);
  close();
}

void FakeEngine::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

std::unique_ptr<FakeEngine> FakeLauncher::Shared::next() {
  std::unique_lock lock(mutex);
  if (!changed.wait_for(lock, limit, [this] { return !engines.empty(); })) {
    ADD_FAILURE() << "no engine was launched";
    return nullptr;
  }
  auto engine = std::move(engines.front());
  engines.pop_front();
  return engine;
}

base::Result<LaunchedEngine> FakeLauncher::launch(asio::any_io_executor executor,
                                                  bool without_gpu) {
  const std::lock_guard lock(shared_->mutex);
  ++shared_->launches;
  shared_->without_gpu = without_gpu;
  if (shared_->failures > 0) {
    --shared_->failures;
    return base::make_error(base::ErrorCode::internal, "cannot start the engine: no such file");
  }
  const auto pair = io::make_socket_pair();
  if (pair.has_error()) return pair.error();
  auto life = std::make_shared<FakeLife>();
  shared_->engines.push_back(std::make_unique<FakeEngine>(pair->second, life));
  shared_->changed.notify_all();
  return LaunchedEngine{pair->first, std::make_unique<FakeProcess>(std::move(executor), life)};
}

}  // namespace deepseek::gateway::testing
