#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "lapidary/ranks.h"
#include "lapidary/train.h"
#include "src/base/fail.h"

namespace lapidary {

namespace {

using OpenFn = Trainer* (*)(const Graph&, const TrainerOptions&);
using JoinFn = void (*)(const Rank&, std::shared_ptr<Ranks>&);

/// The library's file lies beside the one that this code is in; else where the system looks.
std::string library_file() {
  constexpr const char* kName = "liblapidary_train.so." LAPIDARY_VERSION;
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&library_file), &self) != 0 && self.dli_fname) {
    const auto beside = std::filesystem::path(self.dli_fname).parent_path() / kName;
    if (std::filesystem::exists(beside)) return beside.string();
  }
  return kName;
}

struct Library {
  OpenFn open = nullptr;
  JoinFn join = nullptr;
  std::string problem;

  Library() {
    void* handle = dlopen(library_file().c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle) open = reinterpret_cast<OpenFn>(dlsym(handle, "lapidary_open_trainer"));
    if (handle) join = reinterpret_cast<JoinFn>(dlsym(handle, "lapidary_join_ranks"));
    if (open && join) return;
    open = nullptr;
    const char* why = dlerror();
    problem = fmt::format("built without training; install libtorch-dev and build again ({})",
                          why ? why : "");
  }
};

/// Loaded once: libtorch takes half a second and some 300 shared objects.
const Library& library() {
  static const Library loaded;
  return loaded;
}

}  // namespace

std::string training_unavailable() { return library().problem; }

std::unique_ptr<Trainer> open_trainer(const Graph& graph, const TrainerOptions& options) {
  if (!library().open) fail_unsupported("{}", library().problem);
  return std::unique_ptr<Trainer>(library().open(graph, options));
}

std::shared_ptr<Ranks> join_ranks(const Rank& rank) {
  std::shared_ptr<Ranks> out;
  if (rank.world_size <= 1) return out;
  if (!library().open) fail_unsupported("{}", library().problem);
  library().join(rank, out);
  return out;
}

}  // namespace lapidary
