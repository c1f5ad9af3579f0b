#include "cli/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <thread>

namespace deepseek::cli {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::HasSubstr;

struct Told {
  int status = -1;
  std::string out;
  std::string error;
  std::string request;
};

// Runs the command against a server that gives `answer` once.
Told run(Command command, const std::string& answer) {
  asio::io_context context;
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  command.url = "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  Told told;
  std::thread server([&] {
    tcp::socket socket = acceptor.accept();
    asio::read_until(socket, asio::dynamic_buffer(told.request), "\r\n\r\n");
    boost::system::error_code ignored;
    asio::write(socket, asio::buffer(answer), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    std::string rest;
    asio::read(socket, asio::dynamic_buffer(rest), ignored);
  });
  told.status = run_command(command, "sk-test",
                            {[&](std::string_view text) { told.out += text; },
                             [&](std::string_view text) { told.error += text; }});
  server.join();
  return told;
}

Command ask() {
  Command command;
  command.action = Command::Action::ask;
  command.prompt = "Hi";
  return command;
}

TEST(Client, PrintsAStream) {
  const auto told =
      run(ask(),
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
          "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n: comment\n\n"
          "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(told.status, 0);
  EXPECT_EQ(told.out, "Hello\n");
  EXPECT_EQ(told.error, "");
  EXPECT_THAT(told.request, HasSubstr("POST /v1/chat/completions HTTP/1.1"));
  EXPECT_THAT(told.request, HasSubstr("Authorization: Bearer sk-test"));
}

TEST(Client, PrintsModelsAndRefusals) {
  Command command;
  command.action = Command::Action::models;
  auto told = run(command, "HTTP/1.0 200 OK\r\n\r\n{\"data\":[{\"id\":\"a\"}]}");
  EXPECT_EQ(told.status, 0);
  EXPECT_EQ(told.out, "a\n");
  told = run(ask(), "HTTP/1.0 404 Not Found\r\n\r\n{\"error\":{\"message\":\"no such model\"}}");
  EXPECT_EQ(told.status, 1);
  EXPECT_EQ(told.error, "the server answered 404: no such model");
}

TEST(Client, SaysThatNobodyIsThere) {
  asio::io_context context;
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  Command command = ask();
  command.url = "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  acceptor.close();
  std::string error;
  const int status = run_command(
      command, "", {[](std::string_view) {}, [&](std::string_view text) { error += text; }});
  EXPECT_EQ(status, 1);
  EXPECT_THAT(error, HasSubstr("no server answers at " + command.url));
  EXPECT_THAT(error, HasSubstr("--url"));
  command.url = "nonsense";
  EXPECT_EQ(run_command(command, "", {[](std::string_view) {}, [](std::string_view) {}}), 2);
}

}  // namespace
}  // namespace deepseek::cli
