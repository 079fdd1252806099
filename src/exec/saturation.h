#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "lapidary/exec.h"

namespace lapidary::exec {

/// Counts by layer over all plans of an executor. Layers stay where they are once made.
class SaturationCounts {
 public:
  struct Layer {
    std::string node, op;
    /// Added to atomically while steps run.
    int64_t pair_sums = 0, saturated = 0;
  };
  /// That of the node, made where it is new.
  Layer& layer(const std::string& node, const std::string& op) {
    for (Layer& known : layers_)
      if (known.node == node) return known;
    return layers_.emplace_back(Layer{node, op});
  }
  std::vector<LayerSaturation> all() const {
    std::vector<LayerSaturation> out;
    for (const Layer& l : layers_) out.push_back({l.node, l.op, l.pair_sums, l.saturated});
    return out;
  }

 private:
  std::deque<Layer> layers_;
};

}  // namespace lapidary::exec
