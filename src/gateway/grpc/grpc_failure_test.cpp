#include "gateway/grpc/grpc_failure.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::ErrorCode;

io::GrpcEnd end_of(int code, std::string_view name = {}, bool answered = true) {
  io::GrpcEnd end;
  end.code = code;
  end.message = "words";
  end.answered = answered;
  if (!name.empty()) end.trailers.add("deepseek-error", name);
  return end;
}

TEST(GrpcFailure, TheNameSaysMoreThanTheCode) {
  const GrpcFailure full = describe_grpc_end(end_of(8, "queue_full"), "far", false);
  EXPECT_EQ(full.error.code, ErrorCode::queue_full);
  EXPECT_EQ(full.failure.kind, FailureKind::status_429);
  EXPECT_EQ(full.error.message, "far: words");
  const GrpcFailure bare = describe_grpc_end(end_of(8), "far", false);
  EXPECT_EQ(bare.error.code, ErrorCode::rate_limited);
  EXPECT_EQ(bare.failure.kind, FailureKind::status_429);
}

TEST(GrpcFailure, AClientsMistakeStaysOne) {
  io::GrpcEnd end = end_of(3, "invalid_request");
  end.trailers.add("deepseek-param", "messages[0].role");
  const GrpcFailure told = describe_grpc_end(end, "far", false);
  EXPECT_EQ(told.failure.kind, FailureKind::status_400_client);
  EXPECT_EQ(told.error.code, ErrorCode::invalid_request);
  EXPECT_EQ(told.error.param, "messages[0].role");
}

TEST(GrpcFailure, ConnectionsThatBreak) {
  EXPECT_EQ(describe_grpc_end(end_of(14, {}, false), "far", false).failure.kind,
            FailureKind::connect);
  EXPECT_EQ(describe_grpc_end(end_of(14, {}, true), "far", false).failure.kind,
            FailureKind::broken);
  EXPECT_EQ(describe_grpc_end(end_of(14, {}, true), "far", true).failure.kind, FailureKind::broken);
  EXPECT_EQ(describe_grpc_end(end_of(14, "unavailable"), "far", false).failure.kind,
            FailureKind::status_502_503_504);
  EXPECT_EQ(describe_grpc_end(end_of(1), "far", true).failure.kind, FailureKind::broken);
  EXPECT_EQ(describe_grpc_end(end_of(13, "internal_error"), "far", true).failure.kind,
            FailureKind::stream_error);
}

TEST(GrpcFailure, DeadlinesByWhatHadCome) {
  EXPECT_EQ(describe_grpc_end(end_of(4, "deadline_exceeded"), "far", false).failure.kind,
            FailureKind::timeout_first_token);
  EXPECT_EQ(describe_grpc_end(end_of(4), "far", true).failure.kind, FailureKind::timeout_gap);
}

TEST(GrpcFailure, OurKeyThereIsNotTheClientsBusiness) {
  const GrpcFailure told = describe_grpc_end(end_of(16, "invalid_api_key"), "far", false);
  EXPECT_EQ(told.failure.kind, FailureKind::status_4xx_ours);
  EXPECT_EQ(told.error.code, ErrorCode::upstream_failed);
  EXPECT_EQ(told.error.message.find("words"), std::string::npos);
}

TEST(GrpcFailure, TheWaitThatItAskedFor) {
  io::GrpcEnd end = end_of(8, "rate_limit_exceeded");
  end.trailers.add("retry-after-ms", "1500");
  EXPECT_EQ(describe_grpc_end(end, "far", false).failure.retry_after, base::Milliseconds(1500));
  io::GrpcEnd wrong = end_of(8, "rate_limit_exceeded");
  wrong.trailers.add("retry-after-ms", "soon");
  EXPECT_FALSE(describe_grpc_end(wrong, "far", false).failure.retry_after);
}

TEST(GrpcFailure, CodesThatNobodyKnows) {
  EXPECT_EQ(describe_grpc_end(end_of(99), "far", false).error.code, ErrorCode::upstream_failed);
  EXPECT_EQ(describe_grpc_end(end_of(-1, "no such name"), "far", false).error.code,
            ErrorCode::upstream_failed);
}

}  // namespace
}  // namespace deepseek::gateway
