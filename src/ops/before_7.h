#pragma once

#include <string_view>

#include "src/ops/opdef.h"

namespace lapidary {

// Rules to version 7, which are found with the rows of the ops they rewrite. Each understands every
// version before 7: files of opset 1 to 6 are brought to 7 when they are read, so nothing else of
// the toolkit meets those versions.

/// Add, Sub, Mul, Div, Pow, And, Or, Xor, Equal, Greater, Less: B was aligned by `axis`, as was
/// asked by `broadcast`; now as NumPy does.
void align_second_input(Graph& graph, NodeId id);
/// PRelu: a slope per channel was aligned to axis 1.
void align_slope(Graph& graph, NodeId id);
/// Attributes that said nothing about the result of an inference: of Gemm (`broadcast`), Dropout
/// and BatchNormalization (`is_test`), and `consumed_inputs` of all.
void drop_old_attributes(Graph& graph, NodeId id);
/// AveragePool: version 7 only adds an attribute.
void keep_as_it_is(Graph& graph, NodeId id);

}  // namespace lapidary
