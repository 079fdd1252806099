#ifdef USE_C10D_GLOO

#include "src/train/gloo.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <type_traits>

#include "src/base/fail.h"
#include "src/base/net.h"
#include "src/base/text.h"
#include "src/train/farewell.h"

namespace lapidary::train {

namespace {

/// Longer than one process may be busy while the others wait: with the samples between two epochs,
/// with files that rank 0 alone writes.
constexpr int kDefaultTimeout = 600;

std::chrono::seconds time_limit() {
  const char* text = std::getenv("LAPIDARY_RANK_TIMEOUT");
  if (text == nullptr) return std::chrono::seconds(kDefaultTimeout);
  int seconds = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, seconds);
  if (error != std::errc{} || stop != end || seconds < 1)
    fail_usage("LAPIDARY_RANK_TIMEOUT is '{}', expected a number of seconds", printable(text, 100));
  return std::chrono::seconds(seconds);
}

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

/// torchrun's agent may keep the store that its workers meet at; each of its restarts begins anew.
c10::intrusive_ptr<c10d::Store> open_store(const Rank& rank) {
  c10d::TCPStoreOptions meeting;
  meeting.port = static_cast<uint16_t>(rank.master_port);
  meeting.isServer = rank.rank == 0 && variable("TORCHELASTIC_USE_AGENT_STORE") != "True";
  meeting.waitWorkers = false;  // the group does
  meeting.timeout = time_limit();
  return c10::make_intrusive<c10d::PrefixStore>(
      "lapidary/" + variable("TORCHELASTIC_RESTART_COUNT"),
      c10::make_intrusive<c10d::TCPStore>(rank.master_address, meeting));
}

/// The interface to the others: as torchrun's workers are told it, else the one that reaches the
/// master address. (c10d's own choice is that of the host's name, which may lead elsewhere.)
std::shared_ptr<::gloo::transport::Device> open_device(const Rank& rank) {
  if (const std::string interface = variable("GLOO_SOCKET_IFNAME"); !interface.empty())
    return c10d::ProcessGroupGloo::createDeviceForInterface(interface);
  const std::string own = own_address_towards(rank.master_address, rank.master_port);
  return own.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                     : c10d::ProcessGroupGloo::createDeviceForHostname(own);
}

at::Tensor bytes_tensor(const std::string& bytes, int64_t size) {
  at::Tensor out = at::zeros({size}, at::kByte);
  std::memcpy(out.data_ptr(), bytes.data(), bytes.size());
  return out;
}

std::string bytes_of(const at::Tensor& tensor, int64_t size) {
  return {static_cast<const char*>(tensor.data_ptr()), static_cast<size_t>(size)};
}

/// Tensors of other devices travel through the host.
class Gloo : public Communicator {
 public:
  explicit Gloo(const Rank& rank) : rank_(rank), store_(open_store(rank)) {
    try {
      const auto options = c10d::ProcessGroupGloo::Options::create(time_limit());
      options->devices.push_back(open_device(rank));
      group_ =
          c10::make_intrusive<c10d::ProcessGroupGloo>(store_, rank.rank, rank.world_size, options);
      // None goes on, or away, while another still connects to it.
      group_->barrier()->wait();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      lost(error.what());
    }
  }

  const Rank& rank() const override { return rank_; }

  void sum(at::Tensor& tensor) override {
    together([&] {
      on_host(tensor, [&](std::vector<at::Tensor>& host) { group_->allreduce(host)->wait(); });
    });
  }
  void broadcast(at::Tensor& tensor) override {
    together([&] {
      on_host(tensor, [&](std::vector<at::Tensor>& host) { group_->broadcast(host)->wait(); });
    });
  }

  std::vector<std::string> gather(const std::string& bytes) override {
    return together([&] {
      const auto sizes = gather(at::full({1}, static_cast<int64_t>(bytes.size()), at::kLong));
      int64_t largest = 0;
      for (const at::Tensor& size : sizes) largest = std::max(largest, size.item<int64_t>());
      std::vector<std::string> out(sizes.size());
      if (largest == 0) return out;
      const auto all = gather(bytes_tensor(bytes, largest));
      for (size_t i = 0; i < all.size(); ++i) out[i] = bytes_of(all[i], sizes[i].item<int64_t>());
      return out;
    });
  }

  std::string broadcast(const std::string& bytes) override {
    return together([&] {
      const bool mine = rank_.rank == 0;
      std::vector<at::Tensor> size{
          at::full({1}, mine ? static_cast<int64_t>(bytes.size()) : 0, at::kLong)};
      group_->broadcast(size)->wait();
      const auto count = size[0].item<int64_t>();
      if (count == 0) return std::string();
      std::vector<at::Tensor> all{mine ? bytes_tensor(bytes, count)
                                       : at::empty({count}, at::kByte)};
      group_->broadcast(all)->wait();
      return bytes_of(all[0], count);
    });
  }

  int64_t most(int64_t number) override {
    return together([&] {
      std::vector<at::Tensor> all{at::full({1}, number, at::kLong)};
      c10d::AllreduceOptions options;
      options.reduceOp = c10d::ReduceOp::MAX;
      group_->allreduce(all, options)->wait();
      return all[0].item<int64_t>();
    });
  }

  void leave(const std::string& reason) override {
    if (!ended_.empty()) return;
    ended_ = reason;
    group_.reset();  // closed connections end the calls that others wait in
    bid_farewell(store_, rank_, reason);
  }

 private:
  std::vector<at::Tensor> gather(const at::Tensor& own) {
    std::vector<std::vector<at::Tensor>> out(1);
    for (int i = 0; i < rank_.world_size; ++i) out[0].push_back(at::zeros_like(own));
    std::vector<at::Tensor> in{own};
    group_->allgather(out, in)->wait();
    return out[0];
  }

  template <class F>
  static void on_host(at::Tensor& tensor, F f) {
    std::vector<at::Tensor> host{tensor.to(at::kCPU)};
    f(host);
    if (!tensor.is_cpu()) tensor.copy_(host[0]);
  }

  template <class F>
  std::invoke_result_t<F> together(F f) {
    if (!ended_.empty()) fail(ErrorCode::kIo, "{}", ended_);
    try {
      return f();
    } catch (const std::exception& error) {
      lost(error.what());
    }
  }

  [[noreturn]] void lost(const std::string& what) {
    group_.reset();
    const std::string who = describe(bid_farewell(store_, rank_, ""), rank_);
    ended_ =
        !who.empty() ? who : fmt::format("the other processes are lost: {}", printable(what, 500));
    fail(ErrorCode::kIo, "{}", ended_);
  }

  const Rank rank_;
  const c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
  std::string ended_;  ///< why; empty: it works
};

}  // namespace

std::shared_ptr<Communicator> meet(const Rank& rank) {
  return with_context(
      [&] {
        return fmt::format("meeting at {}:{}", printable(rank.master_address, 200),
                           rank.master_port);
      },
      [&]() -> std::shared_ptr<Communicator> {
        try {
          return std::make_shared<Gloo>(rank);
        } catch (const Error&) {
          throw;
        } catch (const std::exception& error) {
          fail(ErrorCode::kIo, "{}", printable(error.what(), 500));
        }
      });
}

}  // namespace lapidary::train

#endif
