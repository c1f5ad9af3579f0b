#include "io/grpc_server.hpp"

#include "base/clock.hpp"
#include "io/event.hpp"
#include "io/grpc_call.hpp"
#include "io/grpc_tls.hpp"
#include "io/task_group.hpp"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/impl/service_type.h>
#include <algorithm>
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <mutex>
#include <thread>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;

namespace {

constexpr int keepalive_ms = 60'000;  // a silent connection is asked whether it lives
constexpr int keepalive_timeout_ms = 20'000;
constexpr int ping_interval_min_ms = 10'000;  // of a client that asks the same

// What gRPC keeps for the whole process, once.
void prepare_grpc(bool reflection) {
  static std::once_flag quiet;
  std::call_once(quiet, [] {
    // It would write to standard error, in a form of its own.
    gpr_set_log_function([](gpr_log_func_args*) {});
    grpc::EnableDefaultHealthCheckService(true);
  });
  static std::once_flag reflected;
  if (reflection)
    std::call_once(reflected, grpc::reflection::InitProtoReflectionServerBuilderPlugin);
}

std::string place(const std::string& host, std::uint16_t port) {
  const bool six = host.find(':') != std::string::npos;
  return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

// gRPC does not say why it cannot listen, so the same is tried by hand.
base::Error word_listen_error(const std::string& host, std::uint16_t port) {
  const std::string text = "gRPC cannot listen on " + place(host, port) + ": ";
  asio::io_context context;
  boost::system::error_code error;
  asio::ip::tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(host, std::to_string(port), asio::ip::tcp::resolver::passive, error);
  if (error || found.empty()) {
    return base::make_error(ErrorCode::invalid_request,
                            text + "\"" + host + "\" is not an address of this machine");
  }
  asio::ip::tcp::acceptor acceptor(context);
  const asio::ip::tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1, error);
  if (error == asio::error::address_in_use) {
    return base::make_error(
        ErrorCode::invalid_request,
        text + "the address is in use; stop the program that uses it, or choose another port");
  }
  return base::make_error(ErrorCode::invalid_request,
                          text + (error ? error.message() : std::string("gRPC refused it")));
}

// The methods, as bytes: what they mean is the handler's business.
class Methods final : public grpc::Service {
 public:
  using Make =
      std::function<GrpcCall::Bidi*(const std::string& path, grpc::CallbackServerContext&)>;

  Methods(const std::vector<std::string>& paths, const Make& make) {
    using Handler = grpc::internal::CallbackBidiHandler<grpc::ByteBuffer, grpc::ByteBuffer>;
    int index = 0;
    for (const std::string& path : paths) {
      AddMethod(new grpc::internal::RpcServiceMethod(
          path.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
      MarkMethodRawCallback(index++,
                            new Handler([make, &path](grpc::CallbackServerContext* context) {
                              return make(path, *context);
                            }));
    }
  }
};

// Ends a call that was never begun.
class Refusal final : public GrpcCall::Bidi {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

struct GrpcServer::Core {
  struct Shard {
    explicit Shard(const asio::any_io_executor& executor, const base::Logger& logger)
        : tasks(executor, [logger](std::string_view task, std::string_view what) {
            logger.error("a task failed", {{"task", task}, {"what", what}});
          }) {}
    TaskGroup tasks;
    std::atomic<std::size_t> calls{0};
  };

  Core(IoThreads& io_threads, HttpHandler& given, GrpcServerOptions wanted, base::Logger log)
      : threads(io_threads), handler(given), options(std::move(wanted)), logger(std::move(log)) {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      shards.push_back(std::make_unique<Shard>(threads.context(i).get_executor(), logger));
    }
  }

  Result<std::shared_ptr<grpc::ServerCredentials>> credentials() const;
  GrpcCall::Bidi* begin(const std::string& path, grpc::CallbackServerContext& context);
  asio::awaitable<void> serve(std::shared_ptr<GrpcCall> call, Shard& shard);
  asio::awaitable<void> answer(GrpcCall& call);
  asio::awaitable<void> refuse(GrpcCall& call, const base::Error& error,
                               const HttpRequest& request);

  IoThreads& threads;
  HttpHandler& handler;
  const GrpcServerOptions options;
  const base::Logger logger;
  std::vector<std::unique_ptr<Shard>> shards;
  std::atomic<std::size_t> running{0};
  std::unique_ptr<Methods> methods;
  std::unique_ptr<grpc::Server> server;
};

Result<std::shared_ptr<grpc::ServerCredentials>> GrpcServer::Core::credentials() const {
  if (options.certificate.empty()) return grpc::InsecureServerCredentials();
  auto identity = load_grpc_identity(options.certificate, options.key, options.key_password);
  if (identity.has_error()) return identity.error();
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({std::move(identity->key), std::move(identity->certificate)});
  return grpc::SslServerCredentials(tls);
}

// On a thread of gRPC.
GrpcCall::Bidi* GrpcServer::Core::begin(const std::string& path,
                                        grpc::CallbackServerContext& context) {
  if (running.fetch_add(1) >= options.calls_max) {
    running.fetch_sub(1);
    return new Refusal(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                    "too many calls at a time (the limit is grpc.calls_max)"));
  }
  Shard& shard = **std::min_element(
      shards.begin(), shards.end(),
      [](const auto& left, const auto& right) { return left->calls < right->calls; });
  ++shard.calls;
  const asio::any_io_executor executor = shard.tasks.executor();
  auto call = std::make_shared<GrpcCall>(context, path, options, executor);
  GrpcCall::Bidi* const reactor = call->reactor();
  asio::post(executor, [this, call = std::move(call), &shard] {
    shard.tasks.spawn("grpc call", serve(call, shard));
  });
  return reactor;
}

asio::awaitable<void> GrpcServer::Core::serve(std::shared_ptr<GrpcCall> call, Shard& shard) {
  std::string failure;
  try {
    co_await answer(*call);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!failure.empty())
    logger.error("a call failed by a mistake of this server", {{"what", failure}});
  // gRPC must be done with the call before it goes, whoever has cancelled this task.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await call->close();
  --shard.calls;
  --running;
}

asio::awaitable<void> GrpcServer::Core::answer(GrpcCall& call) {
  auto request = call.make_request();
  if (request.has_error()) {
    const HttpRequest nothing;
    co_await refuse(call, request.error(), nothing);
    co_return;
  }
  auto accepted = handler.accept_head(*request);
  if (accepted.has_error()) {
    co_await refuse(call, accepted.error(), *request);
    co_return;
  }
  auto message = co_await call.read_message();
  if (message.has_error()) {
    co_await refuse(call, message.error(), *request);
    co_return;
  }
  if (message->size() > *accepted) {
    const base::Error error =
        base::make_error(ErrorCode::payload_too_large,
                         "the message has " + std::to_string(message->size()) + " bytes; at most " +
                             std::to_string(*accepted) + " (http.body_max) are allowed");
    co_await refuse(call, error, *request);
    co_return;
  }
  request->body = std::move(*message);
  co_await handler.handle(std::move(*request), call);
}

asio::awaitable<void> GrpcServer::Core::refuse(GrpcCall& call, const base::Error& error,
                                               const HttpRequest& request) {
  HttpResponse response = handler.refuse({error, {}}, request);
  if (!response.error) response.error = error;
  [[maybe_unused]] auto sent = co_await call.send(std::move(response));
}

GrpcServer::GrpcServer(IoThreads& threads, HttpHandler& handler, GrpcServerOptions options,
                       base::Logger logger)
    : core_(std::make_shared<Core>(threads, handler, std::move(options), std::move(logger))) {}

GrpcServer::~GrpcServer() {
  if (core_->server) core_->server->Shutdown(std::chrono::system_clock::now());
}

Result<std::uint16_t> GrpcServer::listen(const std::string& host, std::uint16_t port) {
  const GrpcServerOptions& options = core_->options;
  prepare_grpc(options.reflection);
  auto credentials = core_->credentials();
  if (credentials.has_error()) return credentials.error();
  core_->methods = std::make_unique<Methods>(
      options.paths,
      [core = core_.get()](const std::string& path, grpc::CallbackServerContext& context) {
        return core->begin(path, context);
      });
  grpc::ServerBuilder builder;
  int chosen = 0;
  builder.AddListeningPort(place(host, port), *credentials, &chosen);
  builder.RegisterService(core_->methods.get());
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.message_max));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(options.streams_max));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(options.metadata_max));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             static_cast<int>(options.idle_timeout.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_timeout_ms);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             ping_interval_min_ms);
  // Only reflection is served by threads that block.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  core_->server = builder.BuildAndStart();
  if (!core_->server || chosen == 0) {
    core_->server.reset();
    return word_listen_error(host, port);
  }
  if (auto* const health = core_->server->GetHealthCheckService()) {
    health->SetServingStatus(options.service, true);
  }
  return static_cast<std::uint16_t>(chosen);
}

asio::awaitable<bool> GrpcServer::drain(std::chrono::milliseconds limit) {
  if (!core_->server) co_return true;
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  if (auto* const health = core_->server->GetHealthCheckService()) health->Shutdown();
  const auto ended = std::make_shared<bool>(false);
  const auto news = std::make_shared<Event>(executor);
  const auto began = base::now();
  // Shutdown() blocks until the last call has ended, or was cut at the deadline.
  std::thread waiter([core = core_, executor, ended, news, limit] {
    core->server->Shutdown(std::chrono::system_clock::now() + limit);
    asio::post(executor, [ended, news] {
      *ended = true;
      news->notify();
    });
  });
  while (!*ended) {
    co_await news->wait();
  }
  waiter.join();
  const bool in_time = base::now() - began < limit;
  for (const auto& shard : core_->shards) {
    co_await run_on(shard->tasks.executor(), shard->tasks.join());
  }
  core_->server.reset();
  co_return in_time;
}

std::size_t GrpcServer::calls() const {
  return core_->running;
}

}  // namespace deepseek::io
