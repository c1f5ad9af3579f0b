// Answers and calls whose images are read before the engine hears of them.
//
// Each belongs to the coroutine that started it, as the stream or call that it becomes.
#pragma once

#include "gateway/backend.hpp"
#include "gateway/image_reader.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace deepseek::gateway {

// Reading them, until it is done, fails or is cancelled.
class ImageWait {
 public:
  ImageWait(std::shared_ptr<ImageReader> reader, const protocol::Request& request,
            boost::asio::any_io_executor executor, base::TimePoint deadline)
      : reader_(std::move(reader)),
        request_(request),
        executor_(std::move(executor)),
        deadline_(deadline) {}

  boost::asio::awaitable<base::Result<ImageFiles>> read() {
    base::Result<ImageFiles> files = co_await reader_->read(request_, executor_, deadline_, stop_);
    if (stop_->pulled()) co_return request_cancelled();
    co_return files;
  }
  void cancel() { stop_->pull(); }
  bool cancelled() const { return stop_->pulled(); }

 private:
  std::shared_ptr<ImageReader> reader_;
  const protocol::Request& request_;
  boost::asio::any_io_executor executor_;
  base::TimePoint deadline_;
  std::shared_ptr<io::ConnectStop> stop_ = std::make_shared<io::ConnectStop>();
};

using FailureOf = AttemptFailure (*)(const base::Error& error);

class SeeingStream final : public EventStream {
 public:
  using Begin = std::function<std::unique_ptr<EventStream>(ImageFiles files)>;

  SeeingStream(ImageWait wait, Begin begin, FailureOf failure_of)
      : wait_(std::move(wait)), begin_(std::move(begin)), failure_of_(failure_of) {}

  boost::asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override {
    if (!stream_ && !failure_) {
      base::Result<ImageFiles> files = co_await wait_.read();
      if (files.has_error()) {
        failure_ = failure_of_(files.error());
        co_return files.error();
      }
      stream_ = begin_(std::move(*files));
    }
    if (!stream_) co_return request_cancelled();
    base::Result<std::vector<protocol::Event>> events = co_await stream_->read();
    co_return events;
  }
  void cancel() override {
    wait_.cancel();
    if (stream_) stream_->cancel();
  }
  AttemptFailure failure() const override {
    return stream_ ? stream_->failure() : failure_.value_or(AttemptFailure{});
  }

 private:
  ImageWait wait_;
  Begin begin_;
  FailureOf failure_of_;
  std::unique_ptr<EventStream> stream_;
  std::optional<AttemptFailure> failure_;
};

template <class Answer>
class SeeingCall final : public Call<Answer> {
 public:
  using Begin = std::function<std::unique_ptr<Call<Answer>>(ImageFiles files)>;

  SeeingCall(ImageWait wait, Begin begin, FailureOf failure_of)
      : wait_(std::move(wait)), begin_(std::move(begin)), failure_of_(failure_of) {}

  boost::asio::awaitable<base::Result<Answer>> result() override {
    base::Result<ImageFiles> files = co_await wait_.read();
    if (files.has_error()) {
      failure_ = failure_of_(files.error());
      co_return files.error();
    }
    call_ = begin_(std::move(*files));
    base::Result<Answer> answer = co_await call_->result();
    co_return answer;
  }
  void cancel() override {
    wait_.cancel();
    if (call_) call_->cancel();
  }
  AttemptFailure failure() const override { return call_ ? call_->failure() : failure_; }

 private:
  ImageWait wait_;
  Begin begin_;
  FailureOf failure_of_;
  std::unique_ptr<Call<Answer>> call_;
  AttemptFailure failure_;
};

}  // namespace deepseek::gateway
