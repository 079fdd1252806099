#pragma once

#include <memory>

#include "src/train/communicator.h"

namespace lapidary::train {

/// A group on c10d's Gloo, over TCP. Throws Error{kIo} where the others are not met.
std::shared_ptr<Communicator> meet(const Rank& rank);

}  // namespace lapidary::train
