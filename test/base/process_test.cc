#include "src/base/process.h"

#include <gtest/gtest.h>

#include "lapidary/error.h"

namespace lapidary {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{20'000};

TEST(LineProcess, AnswersLineByLine) {
  LineProcess cat({"cat"});
  cat.write_line("first");
  cat.write_line("");
  cat.write_line("third line");
  EXPECT_EQ(cat.read_line(kLong), "first");
  EXPECT_EQ(cat.read_line(kLong), "");
  EXPECT_EQ(cat.read_line(kLong), "third line");
}

TEST(LineProcess, SilenceAndEndAreErrors) {
  LineProcess silent({"sleep", "100"});
  EXPECT_THROW(silent.read_line(milliseconds(20)), Error);
  LineProcess ended({"sh", "-c", "echo last; exit 3"});
  EXPECT_EQ(ended.read_line(kLong), "last");
  EXPECT_THROW(ended.read_line(kLong), Error);
}

TEST(LineProcess, WritingToAnEndedProgramIsAnErrorNotASignal) {
  LineProcess ended({"true"});
  EXPECT_THROW(ended.read_line(kLong), Error);
  EXPECT_THROW(
      {
        for (int i = 0; i < 10'000; ++i) ended.write_line("nobody reads this");
      },
      Error);
}

TEST(LineProcess, ProgramThatIsNotThere) {
  try {
    LineProcess missing({"/no/such/program"});
    FAIL() << "started";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find("/no/such/program"), std::string::npos);
  }
}

}  // namespace
}  // namespace lapidary
