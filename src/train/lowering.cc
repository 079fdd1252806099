#include "src/train/lowering.h"

#include <algorithm>
#include <array>

#include "src/base/fail.h"
#include "src/base/rng.h"

namespace lapidary::train {

#define LAPIDARY_LOWERING(domain, op, run, ...) Outputs run(LowerContext&);
#include "src/train/lowerings.def"
#undef LAPIDARY_LOWERING

// Reasons to refuse a node, each beside its lowering.
std::string refuse_max_pool(const AttrView& attrs);
std::string refuse_average_pool(const AttrView& attrs);
std::string refuse_resize(const AttrView& attrs);
std::string refuse_scatter_elements(const AttrView& attrs);
std::string refuse_scatter_nd(const AttrView& attrs);
// What may be computed with a node, each beside its lowering.
bool follows_add(const Graph&, const Analysis&, const std::vector<NodeId>& chain);
bool follows_batch_norm(const Graph&, const Analysis&, const std::vector<NodeId>& chain);

namespace {

constexpr std::array kRows = {
#define LAPIDARY_LOWERING(domain, op, run, ...) Lowering{domain, op, run, ##__VA_ARGS__},
#include "src/train/lowerings.def"
#undef LAPIDARY_LOWERING
};

}  // namespace

const Lowering* find_lowering(std::string_view domain, std::string_view op) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const Lowering& each) {
    return each.domain == domain && each.op == op;
  });
  return row == kRows.end() ? nullptr : &*row;
}

const at::Tensor& LowerContext::input(size_t i) const {
  if (!has(i)) fail_invalid("input {} is absent", i);
  return run_.values.on_device(node_.inputs[i]);
}

std::vector<int64_t> LowerContext::ints(size_t i) const {
  const Tensor& tensor = run_.values.on_host(node_.inputs[i]);
  if (tensor.dtype() == DType::kI32) {
    const auto elements = tensor.data<int32_t>();
    return {elements.begin(), elements.end()};
  }
  const auto elements = tensor.data<int64_t>();
  return {elements.begin(), elements.end()};
}

std::vector<float> LowerContext::floats(size_t i) const {
  const auto elements = run_.values.on_host(node_.inputs[i]).data<float>();
  return {elements.begin(), elements.end()};
}

std::optional<double> LowerContext::fixed_scalar(size_t i) const {
  if (!has(i) || run_.analysis.values[node_.inputs[i].index] != Dependence::kFixed)
    return std::nullopt;
  const Tensor& tensor = run_.values.on_host(node_.inputs[i]);
  if (tensor.dtype() != DType::kF32 || tensor.size() != 1) return std::nullopt;
  return tensor.data<float>()[0];
}

std::vector<LowerContext> LowerContext::following() const {
  std::vector<LowerContext> out;
  for (const NodeId id : then_) out.emplace_back(run_, id, 0);
  return out;
}

uint64_t LowerContext::seed() const {
  return Rng(mode().seed + 0x9E3779B97F4A7C15ull * (id_.index + 1)).next();
}

}  // namespace lapidary::train
