#include "src/ops/infer.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/control_flow.h"
#include "src/ops/evaluate.h"

namespace lapidary {

namespace {

/// What is known about a value's elements beside its type.
struct Elements {
  std::optional<Tensor> tensor;
  std::optional<ShapeValue> shape_value;
};

/// Fully known integers as the tensor they are.
std::optional<Tensor> as_tensor(const ShapeValue& value, const TensorType& type) {
  if (!type.is_static() || (type.dtype != DType::kI64 && type.dtype != DType::kI32))
    return std::nullopt;
  if (element_count(type.static_shape()) != static_cast<int64_t>(value.size())) return std::nullopt;
  Tensor out(type.dtype, type.static_shape());
  for (size_t i = 0; i < value.size(); ++i) {
    if (!value[i].known()) return std::nullopt;
    if (type.dtype == DType::kI64)
      out.mutable_data<int64_t>()[i] = value[i].value;
    else
      out.mutable_data<int32_t>()[i] = static_cast<int32_t>(value[i].value);
  }
  return out;
}

bool disagree(const TensorType& declared, const TensorType& inferred) {
  if (declared.dtype != DType::kUndefined && inferred.dtype != DType::kUndefined &&
      declared.dtype != inferred.dtype)
    return true;
  if (!declared.shape || !inferred.shape) return false;
  if (declared.shape->size() != inferred.shape->size()) return true;
  for (size_t i = 0; i < declared.shape->size(); ++i) {
    const Dim &a = (*declared.shape)[i], &b = (*inferred.shape)[i];
    if (a.known() && b.known() && a.value != b.value) return true;
  }
  return false;
}

/// What both say together, where they do not disagree: known sizes win, then inferred symbols.
TensorType merged(const TensorType& declared, const TensorType& inferred) {
  TensorType out = inferred;
  if (out.dtype == DType::kUndefined) out.dtype = declared.dtype;
  if (!out.shape) {
    out.shape = declared.shape;
  } else if (declared.shape) {
    for (size_t i = 0; i < out.shape->size(); ++i)
      (*out.shape)[i] = unify_dim((*out.shape)[i], (*declared.shape)[i]);
  }
  return out;
}

class TypeInference {
 public:
  TypeInference(Graph& graph, const InferOptions& options)
      : graph_(graph), options_(options), symbols_(options.symbols) {}

  std::vector<std::string> run() {
    bind_inputs();
    bind_symbols();
    std::vector<std::string> unknown = run_nodes();
    if (options_.elements != nullptr) hand_out(*options_.elements);
    return unknown;
  }

 private:
  std::vector<std::string> run_nodes() {
    std::vector<std::string> unknown;
    for (NodeId id : graph_.nodes()) {
      if (find_op(graph_.node(id).domain, graph_.node(id).op) != nullptr) {
        check_node(graph_, id);
        with_context([&] { return node_label(graph_, id); }, [&] { infer_node(id); });
      }
      if (stays_unknown(id)) unknown.push_back(node_label(graph_, id));
    }
    return unknown;
  }

  void bind_inputs() {
    for (const auto& [name, shape] : options_.input_shapes) {
      const ValueId id = graph_.find_value(name);
      if (!id || !graph_.is_input(id)) {
        std::vector<std::string> names;
        for (ValueId in : graph_.inputs()) names.push_back(graph_.value(in).name);
        fail_usage("no graph input is called '{}'{}", printable(name, 100),
                   did_you_mean(name, names));
      }
      bind_input(graph_.mutable_value(id), shape);
    }
  }

  void bind_input(Value& input, const Shape& shape) {
    auto& declared = input.type.shape;
    for (int64_t d : shape)
      if (d < 0)
        fail_usage("shape {} for input '{}'", shape_text(shape), printable(input.name, 100));
    const TensorType asked = tensor_type(input.type.dtype, shape);
    if (!options_.replace_declared && disagree(input.type, asked))
      fail_usage("input '{}' is {}, asked for {}", printable(input.name, 100), input.type.text(),
                 shape_text(shape));
    if (declared && declared->size() == shape.size())
      for (size_t i = 0; i < shape.size(); ++i) {
        const std::string& symbol = (*declared)[i].symbol;
        if (symbol.empty()) continue;
        const auto [bound, added] = symbols_.emplace(symbol, shape[i]);
        if (!added && bound->second != shape[i])
          fail_usage("symbol '{}' is {} and, by input '{}', {}", printable(symbol, 60),
                     bound->second, printable(input.name, 100), shape[i]);
      }
    declared = asked.shape;
  }

  void bind_symbols() {
    if (symbols_.empty()) return;
    for (ValueId id : graph_.values()) {
      auto& shape = graph_.mutable_value(id).type.shape;
      if (!shape) continue;
      for (Dim& d : *shape)
        if (const auto bound = symbols_.find(d.symbol); !d.known() && bound != symbols_.end())
          d = Dim(bound->second);
    }
  }

  void hand_out(InferredElements& out) {
    for (auto& [index, known] : elements_) {
      if (known.tensor) out.tensors.insert_or_assign(index, std::move(*known.tensor));
      if (known.shape_value)
        out.shape_values.insert_or_assign(index, std::move(*known.shape_value));
    }
  }

  bool stays_unknown(NodeId id) const {
    return std::ranges::any_of(graph_.node(id).outputs, [&](ValueId out) {
      if (!out) return false;
      const Value& v = graph_.value(out);
      return v.other_type.empty() && (v.type.dtype == DType::kUndefined || !v.type.shape);
    });
  }

  const Tensor* elements(ValueId id) const {
    if (const Tensor* constant = graph_.constant(id)) return constant;
    const auto found = elements_.find(id.index);
    return found != elements_.end() && found->second.tensor ? &*found->second.tensor : nullptr;
  }

  InferContext::Input describe(ValueId id) const {
    if (!id) return {};
    InferContext::Input out{true, graph_.value(id).type, elements(id)};
    if (const auto found = elements_.find(id.index); found != elements_.end())
      out.shape_value = found->second.shape_value;
    return out;
  }

  using Body = std::shared_ptr<const Graph>;

  /// Types of the graphs that the node holds, from those of what they read.
  void infer_bodies(NodeId id) {
    const auto attrs = graph_.node(id).attrs;
    for (const auto& [name, attr] : attrs)
      if (const auto* body = std::get_if<Body>(&attr))
        graph_.set_attr(id, name, typed_body(id, name, **body));
  }

  Body typed_body(NodeId id, const std::string& attr, const Graph& body) {
    auto typed = std::make_shared<Graph>(body);
    InferOptions options;
    options.symbols = symbols_;
    options.fold_limit = options_.fold_limit;
    options.replace_declared = options_.replace_declared;
    TypeInference inside(*typed, options);
    for (const Capture& capture : graph_.node(id).captures) {
      if (capture.attr != attr) continue;
      Value& inner = typed->mutable_value(capture.inner);
      inner.type = graph_.value(capture.outer).type;
      if (const Tensor* known = elements(capture.outer))
        inside.elements_[capture.inner.index].tensor = *known;
    }
    type_body_inputs(graph_, id, *typed);
    auto untouched = std::make_shared<Graph>(*typed);
    try {
      inside.bind_symbols();
      inside.run_nodes();
    } catch (const Error&) {
      // A branch need not fit the sizes at hand as long as it is not taken: running it will tell.
      return untouched;
    }
    return typed;
  }

  void infer_node(NodeId id) {
    const ResolvedOp op = require_op(graph_, id);
    if (is_control_flow(graph_.node(id))) infer_bodies(id);
    const Node& node = graph_.node(id);
    std::vector<InferContext::Input> inputs;
    for (ValueId in : node.inputs) inputs.push_back(describe(in));
    InferContext context(AttrView(node, op.version), std::move(inputs), node.outputs.size());
    try {
      op.def->infer(context);
      for (size_t i = 0; i < node.outputs.size(); ++i) accept(node.outputs[i], context, i);
      fold(*op.def, node, context);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalid) throw;
      throw Error(error.code(), error.message() + inputs_text(node), error.context());
    }
  }

  /// "; inputs: 'x' float32[1,3] of Relu 'r', ...".
  std::string inputs_text(const Node& node) const {
    constexpr size_t kShown = 8;
    std::vector<std::string> parts;
    for (size_t i = 0; i < node.inputs.size() && i < kShown; ++i) {
      if (!node.inputs[i]) continue;
      const Value& v = graph_.value(node.inputs[i]);
      parts.push_back(fmt::format("'{}' {}{}", printable(v.name, 100), v.type.text(),
                                  v.producer ? " of " + node_label(graph_, v.producer) : ""));
    }
    if (node.inputs.size() > kShown) parts.push_back("...");
    return parts.empty() ? "" : fmt::format("; inputs: {}", fmt::join(parts, ", "));
  }

  void accept(ValueId id, const InferContext& context, size_t i) {
    if (!id) return;
    Value& value = graph_.mutable_value(id);
    const TensorType& inferred = context.output_type(i);
    if (options_.replace_declared) {
      if (inferred.dtype != DType::kUndefined) value.type.dtype = inferred.dtype;
      if (inferred.shape) value.type.shape = inferred.shape;
    } else if (disagree(value.type, inferred)) {
      fail_invalid("output '{}' is declared as {}, but its inputs make it {}",
                   printable(value.name, 100), value.type.text(), inferred.text());
    } else {
      value.type = merged(value.type, inferred);
    }
    if (const auto& shape_value = context.output_shape_value(i)) {
      Elements known{as_tensor(*shape_value, value.type), *shape_value};
      elements_.insert_or_assign(id.index, std::move(known));
    }
  }

  /// Evaluates the node where its inputs are known and everything is small.
  void fold(const OpDef& def, const Node& node, const InferContext& context) {
    if (!def.foldable || def.evaluate == nullptr || !node.captures.empty()) return;
    std::vector<const Tensor*> inputs;
    for (ValueId in : node.inputs) {
      inputs.push_back(in ? elements(in) : nullptr);
      if (in && (inputs.back() == nullptr || inputs.back()->size() > options_.fold_limit)) return;
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const TensorType& type = context.output_type(i);
      if (!type.is_static() || element_count(type.static_shape()) > options_.fold_limit) return;
    }
    try {
      std::vector<Tensor> outputs = evaluate_inferred(def, context, inputs);
      for (size_t i = 0; i < node.outputs.size(); ++i)
        if (node.outputs[i])
          elements_[node.outputs[i].index] = {std::move(outputs[i]), std::nullopt};
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported)
        throw;  // the type is known, elements stay unknown
    }
  }

  Graph& graph_;
  const InferOptions& options_;
  std::unordered_map<std::string, int64_t> symbols_;
  std::unordered_map<uint32_t, Elements> elements_;
};

}  // namespace

std::vector<std::string> infer_types(Graph& graph, const InferOptions& options) {
  return TypeInference(graph, options).run();
}

}  // namespace lapidary
