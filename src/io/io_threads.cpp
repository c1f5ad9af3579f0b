#include "io/io_threads.hpp"

#include <pthread.h>
#include <boost/asio/executor_work_guard.hpp>
#include <csignal>
#include <string>
#include <thread>

namespace deepseek::io {

namespace asio = boost::asio;

struct IoThreads::Thread {
  // A hint of 1: the context is run by one thread, which lets Asio skip wake-ups. Its locks stay,
  // since other threads post to it.
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread;
};

namespace {

thread_local std::size_t current_index = 0;

void run_thread(asio::io_context& context, std::size_t index) {
  // A peer that leaves must show as an error of the write, also inside OpenSSL, which has no
  // MSG_NOSIGNAL.
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  current_index = index;
  pthread_setname_np(pthread_self(), ("io-" + std::to_string(index)).c_str());
  context.run();
}

}  // namespace

IoThreads::IoThreads(std::size_t count) {
  for (std::size_t index = 0; index < (count == 0 ? 1 : count); ++index) {
    threads_.push_back(std::make_unique<Thread>());
  }
}

IoThreads::~IoThreads() {
  stop();
  join();
}

void IoThreads::start() {
  for (std::size_t index = 0; index < threads_.size(); ++index) {
    Thread& thread = *threads_[index];
    thread.thread = std::thread(run_thread, std::ref(thread.context), index);
  }
}

void IoThreads::stop() {
  for (const auto& thread : threads_) {
    thread->work.reset();
    thread->context.stop();
  }
}

void IoThreads::join() {
  for (const auto& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();
  }
}

std::size_t IoThreads::current() {
  return current_index;
}

std::size_t IoThreads::size() const {
  return threads_.size();
}

asio::io_context& IoThreads::context(std::size_t index) {
  return threads_[index]->context;
}

}  // namespace deepseek::io
