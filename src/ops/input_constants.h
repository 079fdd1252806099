#pragma once

#include "lapidary/graph.h"

namespace lapidary {

/// Takes initializers off the graph's inputs where the model is of IR version 3 or older, and
/// raises it to 4: before IR 4 an initializer had to be an input as well, since then one that is an
/// input is a default which the caller may replace. What was a constant stays one. Models of IR 4
/// on stay as they are.
void unlist_constants(Graph& graph);

}  // namespace lapidary
