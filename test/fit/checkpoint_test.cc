#include "src/fit/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "src/base/file.h"
#include "src/fit/safetensors.h"
#include "test/fit/folder.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointTest : public FolderTest {
 protected:
  CheckpointFile file(const std::string& recipe = "lr: 0.1\n", const std::string& model = "m1",
                      const std::string& run = "batch: 4\n",
                      const std::string& inputs = "teacher: a\n") const {
    return CheckpointFile(at("checkpoint"), {recipe, inputs, run, model});
  }
  static Checkpoint number(float value) {
    return {{{"w", Tensor::of<float>({1}, {value})}}, "{\"at\": 1}"};
  }
  /// The one number of what loads, or what goes wrong.
  std::string loaded(CheckpointFile from) {
    warnings_.clear();
    LogSink log;
    log.message = [&](LogLevel level, const std::string& text) {
      if (level == LogLevel::kWarning) warnings_.push_back(text);
    };
    std::string out = "none";
    const std::string error = error_of([&] {
      if (const auto found = from.load(log))
        out = std::to_string(found->tensors.at("w").data<float>()[0]).substr(0, 1);
    });
    return error == "no error" ? out : error;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      out.push_back(entry.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }
  void damage(const std::string& name, bool truncate) const {
    std::string bytes = read_file(at(name));
    if (truncate)
      bytes.resize(bytes.size() / 2);
    else
      bytes.back() = static_cast<char>(bytes.back() ^ 4);
    put_file(name, bytes);
  }

  std::vector<std::string> warnings_;
};

TEST_F(CheckpointTest, KeepsThePreviousOne) {
  EXPECT_EQ(loaded(file()), "none");
  CheckpointFile writer = file();
  for (const float value : {1.0f, 2.0f, 3.0f}) writer.save(number(value));
  EXPECT_THAT(names(), ElementsAre("checkpoint", "checkpoint.prev"));
  EXPECT_EQ(loaded(file()), "3");
  EXPECT_EQ(read_safetensors(at("checkpoint.prev")).tensors.at("w").data<float>()[0], 2);
}

TEST_F(CheckpointTest, DamageFallsBackToThePreviousOne) {
  for (const bool truncate : {true, false}) {
    CheckpointFile writer = file();
    writer.save(number(1));
    writer.save(number(2));
    damage("checkpoint", truncate);
    EXPECT_EQ(loaded(file()), "1");
    ASSERT_EQ(warnings_.size(), 1u);
    EXPECT_THAT(warnings_[0], HasSubstr("going on from the previous one"));
    // What goes on from there does not put the damaged file in the good one's place.
    CheckpointFile resumed = file();
    resumed.load({});
    resumed.save(number(5));
    EXPECT_EQ(read_safetensors(at("checkpoint.prev")).tensors.at("w").data<float>()[0], 1);
    damage("checkpoint", truncate);
    damage("checkpoint.prev", truncate);
    EXPECT_THAT(loaded(file()), HasSubstr("3: no checkpoint can be used"));
  }
}

TEST_F(CheckpointTest, EveryFlippedBitIsFound) {
  file().save(number(1));
  const std::string good = read_file(at("checkpoint"));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    put_file("checkpoint", bad);
    ASSERT_THAT(loaded(file()), HasSubstr("3: no checkpoint can be used")) << i;
  }
}

// Killed between the two renames of a file system without hard links.
TEST_F(CheckpointTest, ThePreviousOneAloneIsEnough) {
  file().save(number(7));
  std::filesystem::rename(at("checkpoint"), at("checkpoint.prev"));
  EXPECT_EQ(loaded(file()), "7");
}

TEST_F(CheckpointTest, OfAnotherRecipeOrModelIsRefused) {
  file().save(number(1));
  EXPECT_THAT(
      loaded(file("lr: 0.2\nema: 0.9\n")),
      HasSubstr("of another recipe (lr: 0.1 there, 0.2 here; ema: nothing there, 0.9 here)"));
  EXPECT_THAT(loaded(file("")), HasSubstr("of another recipe (lr: 0.1 there, nothing here)"));
  EXPECT_THAT(loaded(file("lr: 0.1\n", "m1", "batch: 8\n")),
              HasSubstr("of another run (batch: 4 there, 8 here)"));
  EXPECT_THAT(loaded(file("lr: 0.1\n", "m1", "batch: 4\n", "teacher: b\n")),
              HasSubstr("of another run (teacher: a there, b here)"));
  EXPECT_THAT(loaded(file("lr: 0.1\n", "m2")),
              HasSubstr("of another graph, as the steps before left it (m1, expected m2)"));
  Safetensors other = read_safetensors(at("checkpoint"));
  other.metadata["version"] = "0.0.0";
  AtomicFile rewritten(at("checkpoint"));
  write_safetensors(other, rewritten);
  rewritten.commit();
  EXPECT_THAT(loaded(file()), HasSubstr("of another version (0.0.0, expected"));
  AtomicFile foreign(at("checkpoint"));
  write_safetensors({}, foreign);
  foreign.commit();
  EXPECT_THAT(loaded(file()), HasSubstr("is no checkpoint: 'format' is missing"));
}

TEST_F(CheckpointTest, AFullDiskLeavesTheOldOne) {
  CheckpointFile writer = file();
  writer.save(number(1));
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  Checkpoint large = number(2);
  large.tensors["large"] = Tensor(DType::kF32, {100000});
  const std::string error = error_of([&] { writer.save(large); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old);
  EXPECT_THAT(error, HasSubstr("6: "));
  EXPECT_THAT(names(), ElementsAre("checkpoint"));
  EXPECT_EQ(loaded(file()), "1");
}

}  // namespace
}  // namespace lapidary
