#include "src/train/communicator.h"

#include <cstdlib>

#include "src/base/fail.h"

#ifdef USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "src/base/text.h"
#endif

namespace lapidary::train {

#ifdef USE_C10D_GLOO

namespace {

/// c10d's process group on Gloo, over TCP; tensors of other devices travel through the host.
class Gloo : public Communicator {
 public:
  explicit Gloo(const Rank& rank) {
    c10d::TCPStoreOptions meeting;
    meeting.port = static_cast<uint16_t>(rank.master_port);
    meeting.isServer = rank.rank == 0;
    meeting.numWorkers = static_cast<size_t>(rank.world_size);
    const auto options = c10d::ProcessGroupGloo::Options::create();
    // The interface to the others, named as torchrun's workers take it.
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(
        interface ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                  : c10d::ProcessGroupGloo::createDefaultDevice());
    group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::TCPStore>(rank.master_address, meeting), rank.rank,
        rank.world_size, options);
  }

  int world_size() const override { return group_->getSize(); }

  void sum(at::Tensor& tensor) override {
    on_host(tensor, [&](std::vector<at::Tensor>& host) { group_->allreduce(host)->wait(); });
  }
  void broadcast(at::Tensor& tensor) override {
    on_host(tensor, [&](std::vector<at::Tensor>& host) { group_->broadcast(host)->wait(); });
  }

 private:
  template <class F>
  static void on_host(at::Tensor& tensor, F f) {
    std::vector<at::Tensor> host{tensor.to(at::kCPU)};
    f(host);
    if (!tensor.is_cpu()) tensor.copy_(host[0]);
  }

  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

}  // namespace

std::unique_ptr<Communicator> join(const Rank& rank) {
  if (rank.world_size <= 1) return nullptr;
  if (rank.rank < 0 || rank.rank >= rank.world_size)
    fail_usage("rank {} of {} processes", rank.rank, rank.world_size);
  try {
    return std::make_unique<Gloo>(rank);
  } catch (const std::exception& error) {
    fail(ErrorCode::kIo, "rank {} of {} does not meet the others at {}:{}: {}", rank.rank,
         rank.world_size, printable(rank.master_address, 200), rank.master_port,
         printable(error.what(), 500));
  }
}

#else

std::unique_ptr<Communicator> join(const Rank& rank) {
  if (rank.world_size <= 1) return nullptr;
  fail_unsupported("{} processes: built without Gloo; install libgloo-dev and build again",
                   rank.world_size);
}

#endif

}  // namespace lapidary::train
