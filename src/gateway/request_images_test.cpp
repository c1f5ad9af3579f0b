#include "gateway/request_images.hpp"

#include "protocol/image_samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using testing::HasSubstr;

protocol::Request asking(const std::vector<protocol::ImagePart>& images) {
  protocol::Request request;
  protocol::Message& message = request.messages.emplace_back();
  message.content.emplace_back(protocol::TextPart{"What is this?"});
  for (const protocol::ImagePart& image : images) message.content.emplace_back(image);
  request.features = {{protocol::Feature::tools, "tools"},
                      {protocol::Feature::images, "messages[0].content[1]"}};
  return request;
}

TEST(RequestImages, EachHasItsField) {
  const protocol::Request own = asking({{"data:1", "", "a.b"}, {"https://c", "", "a.c"}});
  const auto named = wanted_images(own, {}).value();
  ASSERT_EQ(named.size(), 2U);
  EXPECT_EQ(named[0].url, "data:1");
  EXPECT_EQ(named[0].param, "a.b");
  EXPECT_EQ(named[1].param, "a.c");
  const protocol::Request bare = asking({{"data:1"}, {"data:2"}});
  const auto guessed = wanted_images(bare, {}).value();
  EXPECT_EQ(guessed[0].param, "messages[0].content[1]");
  EXPECT_EQ(guessed[1].param, "messages");
}

TEST(RequestImages, TooManyAndTooLargeTogetherAreRefused) {
  protocol::ImageLimits limits;
  limits.count_max = 1;
  const protocol::Request two = asking({{"data:1"}, {"data:2"}});
  const auto refused = wanted_images(two, limits);
  ASSERT_TRUE(refused.has_error());
  EXPECT_THAT(refused.error().message,
              HasSubstr("2 images; at most 1 are taken (images.count_max"));
  protocol::Request answers = asking({{"data:1"}});
  const ImageFiles files{{std::string(4u << 20, 'x'), "a"}};
  EXPECT_TRUE(check_sum(files, answers).has_value());
  answers.choices = 12;
  EXPECT_TRUE(check_sum(files, answers).has_value());
  answers.choices = 13;
  EXPECT_TRUE(check_sum(files, answers).has_error());
}

TEST(RequestImages, AFileIsCheckedBeforeItIsSent) {
  const auto file = check_image(protocol::png_sample(1), "a.b", {});
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->param, "a.b");
  EXPECT_EQ(file->fingerprint, check_image(protocol::png_sample(1), "c", {})->fingerprint);
  EXPECT_NE(file->fingerprint, check_image(protocol::png_sample(2), "a.b", {})->fingerprint);
  const std::string good = protocol::data_url_of(protocol::png_sample(1));
  EXPECT_EQ(read_image({good, "a.b"}, {})->bytes, protocol::png_sample(1));
  const std::string url = "data:image/png;base64,R0lGODlh";
  const auto refused = read_image({url, "a.b"}, {});
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().param, "a.b");
  EXPECT_THAT(refused.error().message, HasSubstr("neither a PNG nor a JPEG"));
}

}  // namespace
}  // namespace deepseek::gateway
