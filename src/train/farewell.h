#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <optional>
#include <string>
#include <vector>

#include "lapidary/trainer.h"

namespace lapidary::train {

/// What processes tell each other when they end early.
struct Farewell {
  /// By rank; none: not heard of. Empty: it has only lost the others itself.
  std::vector<std::optional<std::string>> reasons;
  bool store_lost = false;  ///< whoever keeps it, rank 0 as a rule, is gone
};

/// Leaves `reason` in the store that all reach and waits for what the others leave there, 5 s at
/// most: a process that fails by itself takes that long to be heard, one that was killed to be
/// missed. Where rank 0 keeps the store it waits until the others have read.
Farewell bid_farewell(c10::intrusive_ptr<c10d::Store> store, const Rank& rank,
                      const std::string& reason);

/// "rank 1 fails: no such file; rank 2 is gone or does not answer", "" where all are there.
std::string describe(const Farewell& heard, const Rank& rank);

}  // namespace lapidary::train
