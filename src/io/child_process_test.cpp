#include "io/child_process.hpp"

#include "io/task_group.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> wait_child(ChildProcess& child, std::optional<ChildExit>& exit) {
  exit = co_await child.wait();
}

ChildOptions shell(const std::string& script) {
  return {.program = "/bin/sh", .arguments = {"-c", script}, .environment = {}, .descriptors = {}};
}

// Reads until end of file: returns when every holder of the other end is gone.
std::string read_all(int descriptor) {
  std::string text;
  char bytes[256];
  ssize_t size = 0;
  while ((size = ::read(descriptor, bytes, sizeof bytes)) > 0) {
    text.append(bytes, static_cast<std::size_t>(size));
  }
  return text;
}

struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends), 0); }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  int ends[2] = {-1, -1};
};

class ChildProcessTest : public testing::Test {
 protected:
  ChildExit wait_for(ChildProcess& child) {
    std::optional<ChildExit> exit;
    group_.spawn("wait", wait_child(child, exit));
    context_.restart();
    context_.run();
    EXPECT_TRUE(exit);
    return exit.value_or(ChildExit{});
  }
  asio::io_context context_;
  TaskGroup group_{context_.get_executor()};
};

TEST_F(ChildProcessTest, TellsTheExitStatus) {
  auto child = ChildProcess::spawn(context_.get_executor(), shell("exit 7"));
  ASSERT_TRUE(child) << child.error().message;
  const ChildExit exit = wait_for(*child);
  EXPECT_EQ(exit.status, 7);
  EXPECT_EQ(exit.describe(), "exit status 7");
}

TEST_F(ChildProcessTest, TellsTheSignal) {
  auto child = ChildProcess::spawn(context_.get_executor(), shell("exec sleep 1000"));
  ASSERT_TRUE(child);
  child->signal(SIGKILL);
  const ChildExit exit = wait_for(*child);
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT_EQ(exit.describe(), "killed by signal 9 (Killed)");
  child->signal(SIGTERM);  // nothing happens
}

TEST_F(ChildProcessTest, NamesAMissingProgram) {
  auto child = ChildProcess::spawn(
      context_.get_executor(),
      {.program = "/no/such/program", .arguments = {}, .environment = {}, .descriptors = {}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().message, "cannot start /no/such/program: No such file or directory");
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a zombie was left";
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(ChildProcessTest, GetsTheGivenDescriptorsAndNoOthers) {
  Pipe result;
  Pipe other;  // not close-on-exec, and still not passed on
  ChildOptions options = shell("ls /proc/self/fd >&5; echo $NAME >&5");
  options.descriptors = {{result.ends[1], 5}};
  options.environment = {"NAME=value", "PATH=/usr/bin:/bin"};
  auto child = ChildProcess::spawn(context_.get_executor(), options);
  ASSERT_TRUE(child);
  result.close_writer();
  // 3 is the directory that ls itself has open.
  EXPECT_EQ(read_all(result.ends[0]), "0\n1\n2\n3\n5\nvalue\n");
  EXPECT_EQ(wait_for(*child).status, 0);
}

TEST_F(ChildProcessTest, SwapsDescriptorNumbers) {
  Pipe first;
  Pipe second;
  ChildOptions options = shell("echo one > /dev/fd/" + std::to_string(second.ends[1]) +
                               "; echo two > /dev/fd/" + std::to_string(first.ends[1]));
  options.descriptors = {{first.ends[1], second.ends[1]}, {second.ends[1], first.ends[1]}};
  auto child = ChildProcess::spawn(context_.get_executor(), options);
  ASSERT_TRUE(child);
  first.close_writer();
  second.close_writer();
  EXPECT_EQ(read_all(first.ends[0]), "one\n");
  EXPECT_EQ(read_all(second.ends[0]), "two\n");
  wait_for(*child);
}

TEST_F(ChildProcessTest, StandardInputIsEmptyAndSignalsAreDefault) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto child = ChildProcess::spawn(context_.get_executor(), shell("cat; exec sleep 1000"));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(child);
  child->signal(SIGTERM);
  EXPECT_EQ(wait_for(*child).signal, SIGTERM);
}

TEST_F(ChildProcessTest, DestructionLeavesNothingBehind) {
  Pipe alive;  // its reader sees the end when child and grandchild are both gone
  {
    ChildOptions options = shell("sleep 1000 & echo up >&3; wait");
    options.descriptors = {{alive.ends[1], 3}};
    auto child = ChildProcess::spawn(context_.get_executor(), options);
    ASSERT_TRUE(child);
    alive.close_writer();
    char bytes[3];
    ASSERT_EQ(::read(alive.ends[0], bytes, 3), 3);
  }
  EXPECT_EQ(read_all(alive.ends[0]), "");
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST_F(ChildProcessTest, AnEndedChildTakesItsGroupAlong) {
  Pipe alive;
  ChildOptions options = shell("sleep 1000 & exit 0");
  options.descriptors = {{alive.ends[1], 3}};
  auto child = ChildProcess::spawn(context_.get_executor(), options);
  ASSERT_TRUE(child);
  alive.close_writer();
  EXPECT_EQ(wait_for(*child).status, 0);
  EXPECT_EQ(read_all(alive.ends[0]), "");
}

TEST_F(ChildProcessTest, DiesWithItsParent) {
  Pipe alive;
  const pid_t parent = ::fork();
  if (parent == 0) {
    asio::io_context context;
    ChildOptions options = shell("echo up >&3; exec sleep 1000");
    options.descriptors = {{alive.ends[1], 3}};
    auto child = ChildProcess::spawn(context.get_executor(), options);
    ::raise(SIGKILL);
  }
  alive.close_writer();
  // "up" may be lost when the parent dies first; the end of file may not.
  const std::string text = read_all(alive.ends[0]);
  EXPECT_TRUE(text == "up\n" || text.empty()) << text;
  int status = 0;
  EXPECT_EQ(::waitpid(parent, &status, 0), parent);
}

}  // namespace
}  // namespace deepseek::io
