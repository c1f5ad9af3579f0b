#include "io/grpc_client.hpp"

#include "io/event.hpp"
#include "io/grpc_bytes.hpp"
#include "io/grpc_tls.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;

namespace {

constexpr int reconnect_min_ms = 100;
constexpr int reconnect_max_ms = 2'000;  // the breaker decides whether it is asked at all
constexpr int keepalive_ms = 60'000;
constexpr std::chrono::milliseconds end_wait{2'000};
constexpr int keepalive_timeout_ms = 20'000;

std::chrono::system_clock::time_point system_time(base::TimePoint time) {
  constexpr auto far = std::chrono::hours(24 * 30);
  const auto left = std::min<base::Clock::duration>(time - base::now(), far);
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(left);
}

}  // namespace

struct GrpcChannel::Core {
  explicit Core(std::shared_ptr<grpc::Channel> given) : stub(std::move(given)) {}
  grpc::GenericStub stub;
  std::mutex mutex;
  std::condition_variable none;  // no call is left
  std::size_t calls = 0;

  void leave() {
    const std::lock_guard lock(mutex);
    if (--calls == 0) none.notify_all();
  }
};

GrpcChannel::GrpcChannel(std::unique_ptr<Core> core) : core_(std::move(core)) {}
// What gRPC still tells of calls that were cancelled goes to executors, which must be there.
GrpcChannel::~GrpcChannel() {
  std::unique_lock lock(core_->mutex);
  core_->none.wait_for(lock, end_wait, [this] { return core_->calls == 0; });
}

Result<std::unique_ptr<GrpcChannel>> GrpcChannel::make(const GrpcChannelOptions& options) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (options.secure) {
    grpc::SslCredentialsOptions tls;
    if (!options.trust_file.empty()) {
      auto trusted = read_pem(options.trust_file);
      if (trusted.has_error()) return trusted.error();
      tls.pem_root_certs = std::move(*trusted);
    }
    credentials = grpc::SslCredentials(tls);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.message_max));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, reconnect_min_ms);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, reconnect_max_ms);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   static_cast<int>(options.connect_timeout.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_timeout_ms);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // whether to try again is the plan's affair
  // A pool of its own: two servers at one address may have other keys.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel = grpc::CreateCustomChannel(options.address, credentials, arguments);
  return std::unique_ptr<GrpcChannel>(new GrpcChannel(std::make_unique<Core>(std::move(channel))));
}

// Called on threads of gRPC; what it tells is kept on the executor's thread.
struct GrpcClientCall::State final : grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                                     std::enable_shared_from_this<State> {
  State(GrpcChannel::Core& owner, asio::any_io_executor given)
      : channel(owner), executor(std::move(given)), news(executor) {}

  void OnReadInitialMetadataDone(bool ok) override {
    if (ok) answered = true;
  }
  void OnReadDone(bool ok) override {
    asio::post(executor, [self = shared_from_this(), ok] {
      self->read = ok;
      if (!ok) self->release();
      self->news.notify();
    });
  }
  void OnDone(const grpc::Status& status) override {
    GrpcEnd told;
    told.code = static_cast<int>(status.error_code());
    told.message = status.error_message();
    told.answered = answered;
    for (const auto& [name, value] : context.GetServerTrailingMetadata()) {
      told.trailers.add({name.data(), name.size()}, {value.data(), value.size()});
    }
    // gRPC is done with this, whose end may come as soon as it is posted.
    GrpcChannel::Core& owner = channel;
    const asio::any_io_executor target = executor;
    asio::post(target, [self = std::move(held), told = std::move(told)]() mutable {
      self->end = std::move(told);
      self->done = true;
      self->news.notify();
    });
    owner.leave();
  }

  // Lets gRPC end the call: from here on nothing is begun in it.
  void release() {
    if (std::exchange(holding, false)) RemoveHold();
  }

  GrpcChannel::Core& channel;
  const asio::any_io_executor executor;
  Event news;
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
  std::shared_ptr<State> held;  // until OnDone
  std::atomic<bool> answered{false};
  // On the executor's thread from here on.
  std::optional<bool> read;  // the end of the read that runs
  bool reads = false;        // a read runs
  bool holding = true;       // gRPC keeps the call, since reads are begun from outside of it
  bool done = false;
  bool cancelled = false;
  GrpcEnd end;
};

GrpcClientCall::GrpcClientCall(GrpcChannel& channel, asio::any_io_executor executor,
                               std::string_view path, const HttpFields& fields, std::string message,
                               base::TimePoint end_by)
    : state_(std::make_shared<State>(*channel.core_, std::move(executor))) {
  {
    const std::lock_guard lock(channel.core_->mutex);
    ++channel.core_->calls;
  }
  for (const auto& [name, value] : fields) {
    state_->context.AddMetadata(std::string(name), std::string(value));
  }
  if (end_by != base::TimePoint::max()) state_->context.set_deadline(system_time(end_by));
  state_->request = to_buffer(message);
  state_->held = state_;
  channel.core_->stub.PrepareBidiStreamingCall(&state_->context, std::string(path), {},
                                               state_.get());
  state_->AddHold();
  state_->StartWriteLast(&state_->request, grpc::WriteOptions());
  state_->StartRead(&state_->response);
  state_->reads = true;
  state_->StartCall();
}

GrpcClientCall::~GrpcClientCall() {
  if (!state_->done) state_->context.TryCancel();
  state_->release();
}

asio::awaitable<Result<std::optional<std::string>>> GrpcClientCall::read(base::TimePoint by) {
  State& state = *state_;
  if (!state.reads && state.holding) {
    state.read.reset();
    state.reads = true;
    state.StartRead(&state.response);
  }
  asio::steady_timer limit(state.executor);
  if (by != base::TimePoint::max()) {
    limit.expires_at(by);
    limit.async_wait([weak = std::weak_ptr(state_)](const boost::system::error_code& error) {
      if (const auto alive = weak.lock(); alive && !error) alive->news.notify();
    });
  }
  // A failed read is the end, whose status follows.
  const auto waits = [&state] { return !state.done && !(state.read && *state.read); };
  while (waits() && !state.cancelled && base::now() < by) {
    co_await state.news.wait();
  }
  if (state.cancelled) co_return base::make_error(ErrorCode::cancelled, "the call was cancelled");
  if (state.read && *state.read) {
    state.reads = false;
    std::string bytes = to_string(state.response);
    state.response.Clear();
    co_return std::optional<std::string>(std::move(bytes));
  }
  if (state.done) co_return std::optional<std::string>{};
  cancel();
  co_return base::make_error(ErrorCode::deadline_exceeded, "nothing came in time");
}

void GrpcClientCall::cancel() {
  if (state_->done || state_->cancelled) return;
  state_->cancelled = true;
  state_->context.TryCancel();
  state_->release();
  state_->news.notify();
}

const GrpcEnd& GrpcClientCall::end() const {
  return state_->end;
}

}  // namespace deepseek::io
