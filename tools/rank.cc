#include "tools/rank.h"

#include <charconv>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "src/base/fail.h"

namespace lapidary::cli {

namespace {

int number(const char* name, int low, int high) {
  const char* text = std::getenv(name);
  if (text == nullptr) fail_usage("WORLD_SIZE is set and {} is not: torchrun sets both", name);
  const std::string given = text;
  int out = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), out);
  if (error != std::errc{} || end != given.data() + given.size() || out < low || out > high)
    fail_usage("{} is '{}', expected a number in {}..{}", name, given, low, high);
  return out;
}

}  // namespace

Rank rank_of_environment() {
  Rank out;
  if (std::getenv("WORLD_SIZE") == nullptr) return out;
  out.world_size = number("WORLD_SIZE", 1, 1 << 20);
  if (out.world_size == 1) return out;
  out.rank = number("RANK", 0, out.world_size - 1);
  if (const char* address = std::getenv("MASTER_ADDR")) out.master_address = address;
  if (std::getenv("MASTER_PORT") != nullptr) out.master_port = number("MASTER_PORT", 1, 65535);
  return out;
}

int together(const Rank& rank, const std::function<int(Ranks*)>& work) {
  if (rank.world_size == 1) return work(nullptr);
  return with_context([&] { return fmt::format("rank {} of {}", rank.rank, rank.world_size); },
                      [&] {
                        const std::shared_ptr<Ranks> ranks = join_ranks(rank);
                        try {
                          return work(ranks.get());
                        } catch (const std::exception& error) {
                          ranks->leave(error.what());
                          throw;
                        }
                      });
}

}  // namespace lapidary::cli
