#pragma once

#include <nlohmann/json.hpp>

#include "lapidary/prune.h"

namespace lapidary {

// What both reports and `prune --groups` print.

inline nlohmann::ordered_json cost_json(const PruneCost& c) {
  return {{"macs", c.macs}, {"parameters", c.parameters}, {"bytes", c.bytes}};
}

inline nlohmann::ordered_json repair_json(const RepairRecord& r) {
  return {{"weights", r.weights}, {"norms", r.norms}, {"scaled", r.scaled}, {"notes", r.notes}};
}

inline nlohmann::ordered_json frozen_axis_json(const FrozenAxis& f) {
  return {{"tensor", f.tensor},
          {"node", f.node},
          {"axis", f.axis},
          {"size", f.size},
          {"reason", f.reason}};
}

}  // namespace lapidary
