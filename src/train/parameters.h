#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "lapidary/trainer.h"

namespace lapidary::train {

/// A trained constant: a leaf that autograd knows, whose elements and gradient lie in its group's.
struct Parameter {
  std::string name;
  Shape shape;
  bool channels_last = false;  ///< 4-D elements lie as [N,H,W,C]
  int64_t offset = 0;          ///< into the group's tensors
  at::Tensor leaf;
  bool has_mask = false;

  /// The parameter's part of one of its group's flat tensors, of its shape.
  at::Tensor view_of(const at::Tensor& flat) const;
};

/// Parameters that one update treats alike, one after the other in flat tensors: an update is a few
/// calls, however many parameters there are.
struct ParameterGroup {
  bool decay = true;
  double lr_scale = 1;
  double least_share = 0;
  bool moves = false;  ///< movement scores are kept
  std::vector<Parameter> parameters;
  at::Tensor elements, gradients;  ///< float32 [all]; what lies between parameters is 0
  std::vector<at::Tensor> memory;  ///< of the optimizer, like `elements`
  at::Tensor average;              ///< of the EMA; undefined where none is kept
  at::Tensor least;                ///< of each element; undefined without least_share
  at::Tensor masked;    ///< bool [all], true: the element stays 0; undefined before the first mask
  at::Tensor movement;  ///< scores, float32 [all]; undefined where none are kept

  /// Of elements and average.
  void clear_masked();
};

/// All trained constants, in groups of equal (decay, lr_scale, least_share, movement).
class Parameters {
 public:
  /// `channels_last`: of 4-D ones. `memories`: of the optimizer per element.
  Parameters(const Graph& graph, const TrainerOptions& options, bool channels_last, size_t memories,
             at::Device device);

  std::vector<ParameterGroup>& groups() { return groups_; }
  const std::vector<ParameterGroup>& groups() const { return groups_; }
  /// Null where no parameter has that name.
  const Parameter* find(const std::string& name) const;
  /// Throws Error{kUsage} where no parameter has that name.
  const ParameterGroup& group_with(const std::string& name) const;

  /// u8; empty where there is none. Setting it (empty: none any more) throws Error{kInvalid} for
  /// another shape or dtype.
  Tensor mask(const std::string& name) const;
  void set_mask(const std::string& name, const Tensor& mask);
  void zero_gradients();
  /// Masked elements have none.
  void mask_gradients();
  /// 2-norm over all gradients.
  double gradient_norm() const;
  /// Host copies by name.
  Gradients gradients() const;

 private:
  std::pair<ParameterGroup*, Parameter*> place_of(const std::string& name);

  std::vector<ParameterGroup> groups_;
  std::map<std::string, std::pair<size_t, size_t>> at_;  ///< name -> group, parameter
};

}  // namespace lapidary::train
