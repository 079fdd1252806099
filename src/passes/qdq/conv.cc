// DQ(x), DQ(w) [, DQ(b)] -> Conv -> Q   =>   QLinearConv(x, sx, zx, w, sw, zw, sy, zy [, b])
//   acc = sum (x - zx) * (w - zw) + b,   y = sat(rint(float(acc) * ((sx * sw[c]) / sy)) + zy)
#include "src/passes/edit.h"
#include "src/passes/qdq/rules.h"

namespace lapidary {

RuleResult lower_conv(Graph& graph, const NodeGroup& group, const LoweringOptions& options) {
  if (auto bad = check_group(graph, group); !bad.empty()) return stays(bad);
  const QdqNode &x = group.input(0), &w = group.input(1), &y = group.outputs[0];
  if (auto bad = check_types(x, w, options); !bad.empty()) return stays(bad);
  if (x.storage != y.storage) return stays("its input and output are quantized to different types");
  if (!x.one_scale(graph) || !y.one_scale(graph))
    return stays("an activation of it has more than one scale");
  if (auto bad = check_weight_scales(graph, w, 0, rank_of(graph, w.data)); !bad.empty())
    return stays(bad);
  std::string remark;
  Node node;
  node.op = "QLinearConv";
  node.attrs = graph.node(group.node).attrs;
  const ValueId zx = zero_point_or_zero(graph, x), zw = zero_point_or_zero(graph, w),
                zy = zero_point_or_zero(graph, y);
  node.inputs = {x.data, x.scale, zx, w.data, w.scale, zw, y.scale, zy};
  if (group.has_input(2)) {
    const QdqNode& b = group.input(2);
    if (b.storage != DType::kI32) return stays("its bias is not int32");
    remark = bias_remark(x, w, b);
    node.inputs.push_back(b.data);
  }
  replace_group(graph, group, std::move(node));
  return lowered("QLinearConv", remark);
}

}  // namespace lapidary
