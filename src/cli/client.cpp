#include "cli/client.hpp"

#include "cli/answer.hpp"
#include "cli/explanation.hpp"
#include "io/http_client.hpp"
#include "io/task_group.hpp"
#include "protocol/sse.hpp"

#include <boost/asio/io_context.hpp>

namespace deepseek::cli {
namespace {

namespace asio = boost::asio;
using base::Error;
using base::ErrorCode;
using base::Result;
using Action = Command::Action;

constexpr std::chrono::seconds connect_timeout{10};
constexpr std::chrono::minutes silence_timeout{10};
constexpr std::size_t body_max = 64u << 20;

io::HttpClientRequest make_request(const Command& command, const std::string& path,
                                   const std::string& key) {
  io::HttpClientRequest request;
  request.fields.add("User-Agent", "deepseek");
  request.fields.add("Accept", "*/*");
  if (!key.empty()) request.fields.add("Authorization", "Bearer " + key);
  switch (command.action) {
    case Action::ask:
      request.method = "POST";
      request.target = path + "/v1/chat/completions";
      request.fields.add("Content-Type", "application/json");
      request.body = chat_body(command.model, command.prompt, command.stream);
      break;
    case Action::models:
      request.target = path + "/v1/models";
      break;
    case Action::explain_route:
      request.method = "POST";
      request.target = path + "/routes/explain";
      request.fields.add("Content-Type", "application/json");
      request.body = command.prompt;
      break;
    default:
      request.target = path + "/ready";
      break;
  }
  return request;
}

// What an error means to someone at a terminal.
std::string explain(const Error& error, const std::string& url) {
  if (error.code == ErrorCode::unavailable) {
    return "no server answers at " + url + " (" + error.message +
           "); start one with deepseek-server, or name another with --url";
  }
  return error.message;
}

asio::awaitable<Result<std::string>> read_body(io::HttpClient& client) {
  std::string body;
  while (true) {
    auto piece = co_await client.read_piece(base::now() + silence_timeout);
    if (piece.has_error()) co_return piece.error();
    if (piece->empty()) co_return body;
    body += piece.value();
    if (body.size() > body_max) {
      co_return base::make_error(ErrorCode::upstream_failed, "the answer is larger than 64MB");
    }
  }
}

asio::awaitable<Result<void>> print_stream(io::HttpClient& client, const Outputs& outputs) {
  protocol::SseReader reader;
  while (true) {
    auto piece = co_await client.read_piece(base::now() + silence_timeout);
    if (piece.has_error()) co_return piece.error();
    if (piece->empty()) break;
    std::vector<protocol::SseEvent> events;
    auto pushed = reader.push(piece.value(), events);
    if (pushed.has_error()) co_return pushed.error();
    for (const auto& event : events) {
      auto text = text_of_frame(event.data);
      if (text.has_error()) co_return text.error();
      if (!text->empty()) outputs.out(for_terminal(text.value()));
    }
  }
  outputs.out("\n");
  co_return Result<void>{};
}

// Prints a complete body; the exit status.
int print_body(const Command& command, int status, const std::string& body,
               const Outputs& outputs) {
  if (command.action == Action::health) {
    outputs.out(for_terminal(readiness(status, body)) + "\n");
    return status == 200 ? 0 : 1;
  }
  if (status != 200) {
    outputs.error(for_terminal(refusal(status, body)));
    return 1;
  }
  const auto text = command.action == Action::models          ? list_of_models(body)
                    : command.action == Action::explain_route ? explanation(body)
                                                              : text_of_answer(body);
  if (text.has_error()) {
    outputs.error(for_terminal(text.error().message));
    return 1;
  }
  outputs.out(for_terminal(text.value()) + (command.action == Action::ask ? "\n" : ""));
  return 0;
}

asio::awaitable<Result<int>> exchange(const Command& command, const std::string& key,
                                      const io::HttpUrl& url, io::HttpClientOptions options,
                                      const Outputs& outputs) {
  const auto executor = co_await asio::this_coro::executor;
  auto client = co_await io::HttpClient::connect(executor, url, std::move(options),
                                                 base::now() + connect_timeout);
  if (client.has_error()) co_return client.error();
  const auto request = make_request(command, url.path, key);
  auto sent = co_await client.value()->send(request, base::now() + connect_timeout);
  if (sent.has_error()) co_return sent.error();
  auto head = co_await client.value()->read_head(base::now() + silence_timeout);
  if (head.has_error()) co_return head.error();
  const auto type = head->fields.find("Content-Type").value_or("");
  if (head->status == 200 && type.starts_with("text/event-stream")) {
    auto printed = co_await print_stream(*client.value(), outputs);
    if (printed.has_error()) co_return printed.error();
    co_return 0;
  }
  auto body = co_await read_body(*client.value());
  if (body.has_error()) co_return body.error();
  co_return print_body(command, head->status, body.value(), outputs);
}

struct Job {
  const Command& command;
  const std::string& key;
  const io::HttpUrl& url;
  io::HttpClientOptions options;
  const Outputs& outputs;
  int status = 1;
};

asio::awaitable<void> run_job(Job& job) {
  auto result =
      co_await exchange(job.command, job.key, job.url, std::move(job.options), job.outputs);
  if (result.has_value()) {
    job.status = result.value();
  } else {
    job.outputs.error(for_terminal(explain(result.error(), job.command.url)));
  }
}

}  // namespace

int run_command(const Command& command, const std::string& key, const Outputs& outputs) {
  const auto url = io::parse_url(command.url);
  if (url.has_error()) {
    outputs.error("--url: " + url.error().message);
    return 2;
  }
  Job job{command, key, url.value(), {}, outputs};
  if (url->secure) {
    auto trust = io::TlsClientContext::load(command.trust);
    if (trust.has_error()) {
      outputs.error(trust.error().message);
      return 2;
    }
    job.options.trust = trust.value();
  }
  asio::io_context context;
  io::TaskGroup group(context.get_executor(), [&outputs](std::string_view, std::string_view what) {
    outputs.error("internal error: " + std::string(what));
  });
  group.spawn("command", run_job(job));
  context.run();
  return job.status;
}

}  // namespace deepseek::cli
