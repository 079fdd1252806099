#pragma once

#include <vector>

#include "lapidary/graph.h"
#include "src/onnx/proto.h"

namespace lapidary {

using OpsetList = google::protobuf::RepeatedPtrField<pb::OperatorSetIdProto>;

std::vector<OpsetImport> read_opsets(const OpsetList& list);
/// Clears a list that `write_opsets` would make again; another (with an empty domain spelled out,
/// or newer fields) stays, as a remainder.
void keep_opsets_unless_plain(OpsetList& list);
/// Leaves a list that says the same already, replaces any other.
void write_opsets(const std::vector<OpsetImport>& opsets, OpsetList* list);

}  // namespace lapidary
