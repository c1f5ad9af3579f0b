#include "io/chunked_decoder.hpp"

#include <gtest/gtest.h>

namespace deepseek::io {
namespace {

using Status = ChunkedDecoder::Status;

struct Outcome {
  Status status;
  std::string body;
  std::size_t left;
};

Outcome decode(std::string_view bytes, std::size_t step, std::uint64_t body_max = 1000) {
  ChunkedDecoder decoder(body_max);
  std::string body;
  Status status = Status::need_more;
  while (!bytes.empty() && status == Status::need_more) {
    std::string_view piece = bytes.substr(0, step);
    const std::size_t before = piece.size();
    status = decoder.decode(piece, body);
    bytes.remove_prefix(before - piece.size());
  }
  return {status, body, bytes.size()};
}

TEST(ChunkedDecoder, DecodesInPiecesOfAnySize) {
  const std::string_view bytes = "5\r\nhello\r\n01\r\n \r\nA\r\n0123456789\r\n0\r\n\r\nGET /";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    const Outcome outcome = decode(bytes, step);
    EXPECT_EQ(outcome.status, Status::done);
    EXPECT_EQ(outcome.body, "hello 0123456789");
    EXPECT_EQ(outcome.left, 5u) << "what follows is the next request's";
  }
}

TEST(ChunkedDecoder, RefusesWhatTwoParsersCouldReadDifferently) {
  for (std::string_view bytes : {"5;a=b\r\nhello\r\n0\r\n\r\n",
                                 "5 \r\nhello\r\n",
                                 " 5\r\nhello",
                                 "+5\r\nhello",
                                 "-1\r\n",
                                 "0x5\r\nhello",
                                 "\r\nhello",
                                 "5\nhello",
                                 "5\r\nhello\n",
                                 "5\r\nhelloX",
                                 "5\r\nhello\r\r",
                                 "5\r\rhello",
                                 "000000005\r\n",
                                 "FFFFFFFFF\r\n",
                                 "g\r\n",
                                 "0\r\nA: b\r\n\r\n",
                                 "0\r\n\n",
                                 "0\n\n",
                                 "0\r\n\rX",
                                 "5\r\nhello\r\n\r\n"}) {
    for (std::size_t step : {std::size_t{1}, bytes.size()}) {
      EXPECT_EQ(decode(bytes, step).status, Status::invalid) << bytes;
    }
  }
}

TEST(ChunkedDecoder, SaysWhy) {
  ChunkedDecoder decoder(10);
  std::string body;
  std::string_view bytes = "0\r\nA: b";
  EXPECT_EQ(decoder.decode(bytes, body), Status::invalid);
  EXPECT_EQ(decoder.reason(), "trailer fields are not allowed");
}

TEST(ChunkedDecoder, BoundsTheTotalBeforeTheDataComes) {
  EXPECT_EQ(decode("5\r\nhello\r\n5\r\n", 1, 10).status, Status::need_more);
  EXPECT_EQ(decode("5\r\nhello\r\n6\r\n", 1, 10).status, Status::too_large);
  EXPECT_EQ(decode("FFFFFFFF\r\n", 1, 10).status, Status::too_large);
  EXPECT_EQ(decode("0\r\n\r\n", 1, 0).status, Status::done);
}

}  // namespace
}  // namespace deepseek::io
