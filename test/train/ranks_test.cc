#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "lapidary/error.h"
#include "lapidary/ranks.h"
#include "test/train/net.h"

// Two ranks, each on its half of a batch, against one process on the whole.

namespace lapidary {
namespace {

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool ok = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  return ok ? ntohs(address.sin_port) : 0;
}

/// Convolution, BatchNormalization and a loss on labels.
Net small_net() {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim::named("N"), Dim(2), Dim(4), Dim(4)});
  const ValueId label = net.builder.input("lapidary.label", DType::kI64, {Dim::named("N")});
  const ValueId conv = net.op("Conv", {x, net.param({3, 2, 3, 3})});
  const ValueId y = net.op("BatchNormalization",
                           {conv, net.param({3}, .5, 1.5), net.param({3}),
                            net.builder.constant("mean", Tensor::of<float>({3}, {0, 0, 0})),
                            net.builder.constant("variance", Tensor::of<float>({3}, {1, 1, 1}))});
  const ValueId flat = net.op("Flatten", {net.op("Relu", {y})});
  net.finish(net.op("Gemm", {flat, net.param({12, 4}), net.param({4})}));
  const ValueId loss = net.op("SoftmaxCrossEntropyLoss", {net.graph.find_value("y"), label});
  net.graph.rename_value(loss, "loss");
  return net;
}

Trainer::Values batch(int64_t from, int64_t to) {
  Rng rng(9);
  Tensor x(DType::kF32, {to - from, 2, 4, 4}), label(DType::kI64, {to - from});
  for (int64_t i = 0; i < to; ++i) {
    for (int64_t k = 0; k < 32; ++k) {
      const auto v = static_cast<float>(2 * rng.uniform() - 1);
      if (i >= from) x.mutable_data<float>()[static_cast<size_t>((i - from) * 32 + k)] = v;
    }
    const auto of = static_cast<int64_t>(rng.below(4));
    if (i >= from) label.mutable_data<int64_t>()[static_cast<size_t>(i - from)] = of;
  }
  return {{"x", x}, {"lapidary.label", label}};
}

TEST(Ranks, TwoEqualOneWithTheWholeBatch) {
  const Net net = small_net();
  const auto one = open_trainer(net.graph, net.options());
  const int port = free_port();
  ASSERT_GT(port, 0);
  Trainer::Values states[2];
  double losses[2] = {};
  std::exception_ptr failed[2];
  const auto work = [&](int rank) {
    try {
      auto options = net.options();
      options.threads = 1;
      options.rank = {.rank = rank, .world_size = 2, .master_port = port};
      const auto trainer = open_trainer(net.graph, options);
      for (int i = 0; i < 3; ++i)
        losses[rank] = trainer->step(batch(8 * rank, 8 * rank + 8), {.lr = .1}).loss;
      states[rank] = trainer->state();
    } catch (...) {
      failed[rank] = std::current_exception();
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  for (const auto& each : failed)
    if (each) std::rethrow_exception(each);
  double loss = 0;
  for (int i = 0; i < 3; ++i) loss = one->step(batch(0, 16), {.lr = .1}).loss;
  EXPECT_NEAR(losses[0], loss, 1e-6);
  EXPECT_EQ(losses[0], losses[1]);
  for (const auto& [key, tensor] : one->state()) {
    EXPECT_TRUE(states[0].at(key).equals(states[1].at(key))) << key;
    if (tensor.dtype() != DType::kF32) continue;
    for (size_t i = 0; i < tensor.data<float>().size(); ++i)
      EXPECT_NEAR(states[0].at(key).data<float>()[i], tensor.data<float>()[i], 2e-5) << key;
  }
}

/// Runs work(ranks) as so many threads that have met.
template <class Work>
void together(int count, Work work) {
  const int port = free_port();
  ASSERT_GT(port, 0);
  std::vector<std::exception_ptr> failed(static_cast<size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      try {
        work(*join_ranks({.rank = rank, .world_size = count, .master_port = port}));
      } catch (...) {
        failed[static_cast<size_t>(rank)] = std::current_exception();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& each : failed)
    if (each) std::rethrow_exception(each);
}

TEST(Ranks, BytesAndNumbersGoAround) {
  const std::vector<std::string> texts = {"", std::string("a\0b", 3), std::string(100000, 'x')};
  together(3, [&](Ranks& ranks) {
    const int me = ranks.rank().rank;
    EXPECT_EQ(ranks.gather(texts[static_cast<size_t>(me)]), texts);
    EXPECT_EQ(ranks.gather(""), std::vector<std::string>(3));
    EXPECT_EQ(ranks.broadcast(me == 0 ? texts[2] : "another"), texts[2]);
    EXPECT_EQ(ranks.broadcast(me == 0 ? "" : "another"), "");
    EXPECT_EQ(ranks.most(-10 * me - 7), -7);
    EXPECT_EQ(ranks.most(me == 1 ? int64_t{1} << 40 : 0), int64_t{1} << 40);
  });
}

TEST(Ranks, PartsAreTheWhole) {
  struct Numbered : Ranks {
    Rank at;
    const Rank& rank() const override { return at; }
    std::vector<std::string> gather(const std::string&) override { return {}; }
    std::string broadcast(const std::string&) override { return {}; }
    int64_t most(int64_t number) override { return number; }
    void leave(const std::string&) override {}
  };
  for (const int64_t count : {0, 2, 7, 61}) {
    int64_t next = 0;
    for (int rank = 0; rank < 3; ++rank) {
      Numbered ranks;
      ranks.at = {.rank = rank, .world_size = 3};
      const auto [begin, end] = ranks.part(count);
      EXPECT_EQ(begin, next);
      EXPECT_LE(std::abs(3 * (end - begin) - count), 2);
      next = end;
    }
    EXPECT_EQ(next, count);
  }
}

TEST(Ranks, ProcessMeetsTheOthersOnce) {
  together(2, [](Ranks& ranks) { EXPECT_EQ(join_ranks(ranks.rank()).get(), &ranks); });
  EXPECT_EQ(join_ranks({}), nullptr);
}

TEST(Ranks, ReasonOfOneIsHeardByAll) {
  std::string heard[3];
  together(3, [&](Ranks& ranks) {
    if (ranks.rank().rank == 1) return ranks.leave("there is no such file");
    try {
      ranks.most(0);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      heard[ranks.rank().rank] = error.what();
    }
    EXPECT_THROW(ranks.most(0), Error);  // for good
  });
  for (const int rank : {0, 2}) EXPECT_EQ(heard[rank], "rank 1 fails: there is no such file");
}

}  // namespace
}  // namespace lapidary
