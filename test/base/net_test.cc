#include "src/base/net.h"

#include <gtest/gtest.h>

namespace lapidary {
namespace {

TEST(Net, LoopbackIsReachedByLoopback) {
  EXPECT_EQ(own_address_towards("127.0.0.1", 29500), "127.0.0.1");
  EXPECT_EQ(own_address_towards("127.3.2.1", 1), "127.0.0.1");  // its route's source
}

TEST(Net, NoWayIsSaid) { EXPECT_EQ(own_address_towards("", 29500), ""); }

}  // namespace
}  // namespace lapidary
