#include "engine/prefix_store.hpp"

#include "engine/prefix_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <csignal>
#include <fstream>
#include <future>
#include <numeric>

namespace deepseek::engine {
namespace {

namespace fs = std::filesystem;

std::vector<Token> row(Token first, std::int32_t count) {
  std::vector<Token> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

class PrefixStoreTest : public testing::Test {
 protected:
  PrefixStoreTest() {
    std::string name = (fs::temp_directory_path() / "prefix_store_XXXXXX").string();
    options_.folder = ::mkdtemp(name.data());
    options_.bytes_max = 1 << 20;
    options_.model = "model 1";
    open();
  }
  ~PrefixStoreTest() override {
    store_.reset();
    fs::remove_all(options_.folder);
  }

  void open() {
    store_.reset();
    store_ = std::move(PrefixStore::open(options_, base::Logger()).value());
  }
  void put(const std::vector<Token>& tokens, const std::string& state) {
    store_->put("k", tokens, std::make_shared<const std::string>(state));
    store_->flush();
  }
  std::optional<std::string> load(const std::vector<Token>& tokens) {
    const PrefixStore::Found found = store_->find("k", tokens);
    if (found.length == 0) return std::nullopt;
    std::promise<std::optional<PrefixFile>> promise;
    store_->load(found,
                 [&](std::optional<PrefixFile> file) { promise.set_value(std::move(file)); });
    std::optional<PrefixFile> file = promise.get_future().get();
    if (!file) return std::nullopt;
    EXPECT_EQ(common_length(file->tokens, tokens), found.length);
    return std::move(file->state);
  }
  fs::path only_file() const {
    fs::path path;
    for (const auto& entry : fs::directory_iterator(options_.folder)) path = entry.path();
    return path;
  }

  PrefixStoreOptions options_;
  std::unique_ptr<PrefixStore> store_;
};

TEST_F(PrefixStoreTest, FindsTheLongestBeginningAlsoAfterARestart) {
  put(row(0, 200), "state of 200");
  put(row(0, 400), "state of 400");
  for (int round = 0; round < 2; ++round) {
    std::vector<Token> prompt = row(0, 300);
    EXPECT_EQ(store_->find("k", prompt).length, 299);
    EXPECT_EQ(store_->find("k", prompt).tokens, 400);
    EXPECT_EQ(load(row(0, 500)), "state of 400");
    EXPECT_EQ(store_->find("other", prompt).length, 0);
    EXPECT_EQ(store_->find("k", row(7, 300)).length, 0);
    open();
  }
}

TEST_F(PrefixStoreTest, WantsWhatIsLongAndNew) {
  EXPECT_FALSE(store_->wants("k", row(0, 100)));
  EXPECT_TRUE(store_->wants("k", row(0, 200)));
  put(row(0, 200), "state");
  EXPECT_FALSE(store_->wants("k", row(0, 210)));
  EXPECT_TRUE(store_->wants("k", row(0, 400)));
  EXPECT_TRUE(store_->wants("other", row(0, 200)));
}

TEST_F(PrefixStoreTest, StaysWithinItsBoundTheLongestUnusedFirst) {
  const std::string state(300'000, 'x');
  put(row(0, 200), state);
  put(row(1000, 200), state);
  put(row(2000, 200), state);
  EXPECT_TRUE(load(row(0, 201)).has_value());
  put(row(3000, 200), state);
  EXPECT_EQ(store_->figures().files, 3U);
  EXPECT_LE(store_->figures().bytes, options_.bytes_max);
  EXPECT_TRUE(load(row(0, 201)).has_value());
  EXPECT_FALSE(load(row(1000, 201)).has_value());
  put(row(4000, 200), std::string(2'000'000, 'x'));
  EXPECT_EQ(store_->figures().dropped, 1U);
  EXPECT_EQ(store_->figures().files, 3U);
}

TEST_F(PrefixStoreTest, AFileThatIsCutOffOrDamagedIsRemoved) {
  for (const bool cut : {true, false}) {
    put(row(0, 200), std::string(1000, 's'));
    const fs::path path = only_file();
    if (cut) {
      fs::resize_file(path, 900);
    } else {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(-500, std::ios::end);
      file.put('!');
    }
    EXPECT_FALSE(load(row(0, 201)).has_value());
    EXPECT_FALSE(fs::exists(path));
    EXPECT_EQ(store_->find("k", row(0, 201)).length, 0);
  }
  EXPECT_EQ(store_->figures().removed_bad, 2U);
}

TEST_F(PrefixStoreTest, AfterADeathNothingHalfIsFound) {
  put(row(0, 200), std::string(1000, 's'));
  const fs::path path = only_file();
  fs::copy_file(path, fs::path(path) += ".tmp");
  fs::resize_file(path, 1000);
  std::ofstream(options_.folder / "stranger.txt") << "not ours";
  open();
  EXPECT_EQ(store_->figures().files, 0U);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(fs::exists(fs::path(path) += ".tmp"));
  EXPECT_TRUE(fs::exists(options_.folder / "stranger.txt"));
}

TEST_F(PrefixStoreTest, AnotherModelFindsNothing) {
  put(row(0, 200), "state");
  options_.model = "model 2";
  open();
  EXPECT_EQ(store_->find("k", row(0, 201)).length, 0);
  EXPECT_EQ(store_->figures().removed_bad, 1U);
}

TEST_F(PrefixStoreTest, AFullDiskCostsOnlyTheFile) {
  put(row(0, 200), "state");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{10'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  put(row(1000, 200), std::string(100'000, 's'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(store_->figures().dropped, 1U);
  EXPECT_EQ(load(row(0, 201)), "state");
  EXPECT_EQ(store_->find("k", row(1000, 201)).length, 0);
  put(row(1000, 200), std::string(100'000, 's'));
  EXPECT_TRUE(load(row(1000, 201)).has_value());
}

TEST_F(PrefixStoreTest, AStateThatIsTooLargeToWaitIsNotAskedForAgain) {
  options_.pending_bytes_max = 1000;
  open();
  EXPECT_TRUE(store_->wants("k", row(0, 400)));
  put(row(0, 400), std::string(2000, 's'));
  EXPECT_FALSE(store_->wants("k", row(1000, 400)));
  EXPECT_TRUE(store_->wants("k", row(1000, 300)));
  EXPECT_EQ(store_->figures().dropped, 1U);
}

TEST_F(PrefixStoreTest, AFolderThatCannotBeUsedIsAnErrorWithItsName) {
  PrefixStoreOptions wrong = options_;
  wrong.folder = "/proc/no-such-folder";
  const auto opened = PrefixStore::open(wrong, base::Logger());
  ASSERT_TRUE(opened.has_error());
  EXPECT_NE(opened.error().message.find("/proc/no-such-folder"), std::string::npos);
}

TEST(PrefixFile, EveryByteCounts) {
  const std::vector<Token> tokens = row(5, 10);
  const std::string head = prefix_file_head("m", "k", tokens, 4);
  const std::string whole = head + "abcd" + prefix_file_checksum(head, "abcd");
  const auto read = read_prefix_file(whole);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->tokens, tokens);
  EXPECT_EQ(read->state, "abcd");
  for (std::size_t index = 0; index < whole.size(); ++index) {
    std::string other = whole;
    other[index] = static_cast<char>(other[index] ^ 1);
    EXPECT_TRUE(read_prefix_file(other).has_error()) << index;
    EXPECT_TRUE(read_prefix_file(whole.substr(0, index)).has_error()) << index;
  }
}

}  // namespace
}  // namespace deepseek::engine
