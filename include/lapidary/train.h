#pragma once

#include <memory>
#include <string>

#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// A trainer of the graph on libtorch, whose library is loaded at the first call. Throws
/// Error{kUnsupported} where Lapidary was built without training (the message says what to install)
/// and for nodes between parameters and loss that cannot be trained, each named with the reason;
/// Error{kUsage} for names that are not of the graph.
LAPIDARY_API std::unique_ptr<Trainer> open_trainer(const Graph& graph,
                                                   const TrainerOptions& options);
/// Empty where `open_trainer` has a library to load, else the reason.
LAPIDARY_API std::string training_unavailable();

}  // namespace lapidary
