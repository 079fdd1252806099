#pragma once

#include <gtest/gtest.h>

#include <filesystem>

// Skips the test where the folder of trained models and labelled data (LAPIDARY_ASSETS) is absent.
// Where it is there it is whole: a file missing in it is a failure. test/checks/skips.py knows the
// sentence.
#define LAPIDARY_SKIP_WITHOUT_ASSETS()                     \
  if (!std::filesystem::is_directory(LAPIDARY_ASSETS_DIR)) \
  GTEST_SKIP() << "no assets: " << LAPIDARY_ASSETS_DIR << " is not there"
