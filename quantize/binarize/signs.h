#pragma once

#include <string>
#include <vector>

#include "lapidary/binarize.h"

namespace lapidary {

/// Puts signs before layers: Binarize on what each reads, one for all that read the same.
class SignMaker {
 public:
  /// `sharpness`: the input of that name, or none.
  SignMaker(Graph& graph, const BinarizeOptions& options, std::string estimator, ValueId sharpness)
      : graph_(graph), options_(options), estimator_(std::move(estimator)), sharpness_(sharpness) {}

  void run(const std::vector<NodeId>& layers);
  int64_t bypassed() const { return bypassed_; }
  /// Values that cannot be negative, whose signs are therefore all +1.
  const std::vector<std::string>& never_negative() const { return never_negative_; }

 private:
  ValueId add(const std::string& op, std::vector<ValueId> inputs, const std::string& name,
              NodeId before, const std::string& domain = {});
  ValueId without_clamp(ValueId value, size_t readers);
  ValueId shifted(ValueId x, const std::string& name, int64_t channels, bool images, NodeId before);
  void rectify_behind(NodeId layer);
  void pad_with_ones(NodeId layer, ValueId sign);

  Graph& graph_;
  const BinarizeOptions& options_;
  const std::string estimator_;
  const ValueId sharpness_;
  int64_t bypassed_ = 0;
  std::vector<std::string> never_negative_;
};

}  // namespace lapidary
