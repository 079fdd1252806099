#include "src/onnx/graph_reader.h"

#include <algorithm>
#include <string_view>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/onnx/tensor_proto.h"
#include "src/onnx/type_proto.h"

namespace lapidary {

namespace {

/// As node_label, for a node that is not in a graph yet.
std::string label(const pb::NodeProto& node) {
  const std::string op =
      printable(node.domain().empty() ? node.op_type() : node.domain() + "." + node.op_type(), 100);
  if (!node.name().empty()) return fmt::format("{} '{}'", op, printable(node.name(), 200));
  for (const std::string& out : node.output())
    if (!out.empty()) return fmt::format("{} making '{}'", op, printable(out, 200));
  return op.empty() ? "a node without op type" : op;
}

template <class Nodes>
[[noreturn]] void fail_made_twice(const Nodes& nodes, const std::string& name) {
  std::vector<std::string> makers;
  for (const auto& node : nodes)
    for (const std::string& out : node.output())
      if (out == name && makers.size() < 2) makers.push_back(label(node));
  if (makers.size() == 2 && makers[0] != makers[1])
    fail_invalid("'{}' is made twice: by {} and by {}", printable(name, 200), makers[0], makers[1]);
  fail_invalid("'{}' is made twice, by {}", printable(name, 200), makers.at(0));
}

/// Serialized in the canonical field order; empty where nothing is set.
template <class Message>
std::string bytes_of(const Message& message) {
  std::string out;
  if (message.ByteSizeLong() > 0) message.SerializeToString(&out);
  return out;
}

}  // namespace

// -- the graph

void GraphReader::start() {
  graph_.opsets = context_.opsets;
  graph_.model.ir_version = context_.ir_version;
}

Graph GraphReader::read(pb::GraphProto& proto) {
  start();
  graph_.name = proto.name();
  if (!graph_.name.empty()) proto.clear_name();
  if (proto.sparse_initializer_size() > 0)
    fail_unsupported(
        "sparse initializer '{}': sparse tensors are not supported; store it as a dense one",
        printable(proto.sparse_initializer(0).values().name(), 200));
  read_inputs(proto);
  read_initializers(proto);
  declare_outputs(proto.node(), &proto);
  for (auto& node : *proto.mutable_node())
    with_context([&] { return label(node); }, [&] { read_node(node); });
  proto.clear_node();
  if (unsorted_) graph_.sort();
  read_outputs(proto);
  finish(&proto);
  return std::move(graph_);
}

Graph GraphReader::read_body(pb::FunctionProto& proto) {
  start();
  std::vector<ValueId> inputs, outputs;
  for (const std::string& name : proto.input()) {
    inputs.push_back(declare(name, "input"));
    given_.insert(inputs.back().index);
  }
  graph_.set_inputs(std::move(inputs));
  declare_outputs(proto.node(), nullptr);
  for (auto& node : *proto.mutable_node())
    with_context([&] { return label(node); }, [&] { read_node(node); });
  if (unsorted_) graph_.sort();
  for (const std::string& name : proto.output()) {
    const ValueId id = graph_.find_value(name);
    if (!id) fail_invalid("no node makes the output '{}'", printable(name, 200));
    outputs.push_back(id);
  }
  graph_.set_outputs(std::move(outputs));
  proto.clear_input();
  proto.clear_output();
  proto.clear_node();
  finish(nullptr);
  return std::move(graph_);
}

void GraphReader::finish(pb::GraphProto* proto) {
  for (auto& [index, kept] : kept_) graph_.mutable_value({index}).extra = bytes_of(kept);
  if (proto != nullptr) graph_.extra = bytes_of(*proto);
}

// -- values

ValueId GraphReader::declare(const std::string& name, std::string_view what) {
  if (name.empty()) fail_invalid("an {} has no name", what);
  checked_name(name, what);
  if (graph_.find_value(name))
    fail_invalid("{} '{}' has the name of another value", what, printable(name, 200));
  return graph_.add_value(name);
}

TensorType GraphReader::read_value_info(pb::ValueInfoProto& info, Place place, ValueId id) {
  TensorType type;
  info.clear_name();
  if (info.has_type()) {
    if (info.type().has_tensor_type()) {
      type = read_type(info.type().tensor_type());
      pb::TypeProto plain;
      write_type(type, plain.mutable_tensor_type());
      if (bytes_of(plain) == bytes_of(info.type())) info.clear_type();
    } else if (info.type().value_case() != pb::TypeProto::VALUE_NOT_SET ||
               !info.type().unknown_fields().empty()) {
      graph_.mutable_value(id).other_type = bytes_of(info.type());
      info.clear_type();
    }
  }
  if (info.ByteSizeLong() > 0) {
    pb::GraphProto& kept = kept_[id.index];
    auto* list = place == Place::kInput    ? kept.mutable_input()
                 : place == Place::kOutput ? kept.mutable_output()
                                           : kept.mutable_value_info();
    if (list->empty()) list->Add(std::move(info));
  }
  return type;
}

void GraphReader::read_inputs(pb::GraphProto& proto) {
  std::vector<ValueId> inputs;
  for (auto& info : *proto.mutable_input()) {
    const std::string name = info.name();
    const ValueId id = declare(name, "input");
    with_context([&] { return fmt::format("input '{}'", printable(name, 200)); },
                 [&] {
                   const bool typed = info.has_type();
                   const TensorType type = read_value_info(info, Place::kInput, id);
                   Value& value = graph_.mutable_value(id);
                   if (outermost() && value.other_type.empty() && type.dtype == DType::kUndefined)
                     fail_invalid("{}",
                                  typed ? "its type names no element type" : "it has no type");
                   value.type = type;
                 });
    given_.insert(id.index);
    inputs.push_back(id);
  }
  graph_.set_inputs(std::move(inputs));
  proto.clear_input();
}

void GraphReader::read_initializers(pb::GraphProto& proto) {
  for (auto& tensor : *proto.mutable_initializer()) {
    const std::string name = tensor.name();
    with_context([&] { return fmt::format("initializer '{}'", printable(name, 200)); },
                 [&] {
                   ValueId id = graph_.find_value(name);
                   if (!id) {
                     if (outer_ != nullptr && outer_->visible(name))
                       fail_invalid("it has the name of a value of the enclosing graph");
                     id = declare(name, "initializer");
                   } else if (graph_.value(id).constant) {
                     fail_invalid("two initializers have this name");
                   }
                   Tensor elements = read_tensor(tensor, context_.external, context_.options);
                   Value& value = graph_.mutable_value(id);
                   const TensorType type = tensor_type(elements);
                   if (!compatible(value.type, type) || !value.other_type.empty())
                     fail_invalid("it is {}, the input of that name is {}", type.text(),
                                  value.other_type.empty() ? value.type.text() : "no tensor");
                   // From IR 4 on, an initializer that is also an input is a default, which the
                   // caller may replace.
                   if (!given_.contains(id.index) || context_.ir_version < 4) value.type = type;
                   value.constant = std::move(elements);
                   tensor.clear_name();
                   if (tensor.ByteSizeLong() > 0)
                     *kept_[id.index].add_initializer() = std::move(tensor);
                 });
  }
  proto.clear_initializer();
}

template <class Nodes>
void GraphReader::declare_outputs(const Nodes& nodes, pb::GraphProto* infos) {
  std::unordered_set<std::string_view> made;
  for (const auto& node : nodes)
    for (const std::string& name : node.output())
      if (!name.empty() && !made.insert(name).second) fail_made_twice(nodes, name);
  // Values of the file's list first, in its order: a written list then has that order too.
  if (infos != nullptr) read_value_infos(*infos, made);
  for (const auto& node : nodes) {
    for (const std::string& name : node.output()) {
      if (name.empty()) continue;
      const ValueId known = graph_.find_value(name);
      if (known && (graph_.value(known).constant || given_.contains(known.index)))
        with_context([&] { return label(node); },
                     [&] {
                       fail_invalid("it makes '{}', which is an {} of the graph",
                                    printable(name, 200),
                                    graph_.value(known).constant ? "initializer" : "input");
                     });
      if (outer_ != nullptr && outer_->visible(name))
        with_context([&] { return label(node); },
                     [&] {
                       fail_invalid("it makes '{}', the name of a value of the enclosing graph",
                                    printable(name, 200));
                     });
      if (!known) graph_.add_value(checked_name(name, "value"));
    }
  }
}

void GraphReader::read_value_infos(pb::GraphProto& proto,
                                   const std::unordered_set<std::string_view>& made) {
  int kept = 0;
  for (int i = 0; i < proto.value_info_size(); ++i) {
    auto& info = *proto.mutable_value_info(i);
    const std::string name = checked_name(info.name(), "value");
    ValueId id = graph_.find_value(name);
    const bool known = id || made.contains(name);
    if (!known ||
        (id && graph_.value(id).in_file)) {  // of no value here, or said twice: kept as it is
      proto.mutable_value_info()->SwapElements(i, kept++);
      continue;
    }
    if (!id) id = graph_.add_value(name);
    with_context([&] { return fmt::format("value '{}'", printable(name, 200)); },
                 [&] {
                   const TensorType type = read_value_info(info, Place::kValueInfo, id);
                   Value& value = graph_.mutable_value(id);
                   value.in_file = true;
                   if (!value.constant && !given_.contains(id.index)) value.type = type;
                 });
  }
  proto.mutable_value_info()->DeleteSubrange(kept, proto.value_info_size() - kept);
}

void GraphReader::read_outputs(pb::GraphProto& proto) {
  std::vector<ValueId> outputs;
  for (auto& info : *proto.mutable_output()) {
    const std::string name = info.name();
    with_context([&] { return fmt::format("output '{}'", printable(name, 200)); },
                 [&] {
                   if (name.empty()) fail_invalid("an output has no name");
                   const ValueId id = resolve(checked_name(name, "output"));
                   if (!id) fail_dangling(name);
                   const bool typed = info.has_type();
                   const TensorType type = read_value_info(info, Place::kOutput, id);
                   Value& value = graph_.mutable_value(id);
                   if (outermost() && value.other_type.empty() && type.dtype == DType::kUndefined)
                     fail_invalid("{}",
                                  typed ? "its type names no element type" : "it has no type");
                   if (value.producer && value.other_type.empty() && type != TensorType{})
                     value.type = type;
                   outputs.push_back(id);
                 });
  }
  graph_.set_outputs(std::move(outputs));
  proto.clear_output();
}

ValueId GraphReader::resolve(const std::string& name) {
  if (const ValueId id = graph_.find_value(name)) return id;
  if (outer_ == nullptr) return {};
  const ValueId outside = outer_->resolve(name);
  if (!outside) return {};
  const Value& captured = outer_->graph_.value(outside);
  const ValueId id = graph_.add_value(name, captured.type);
  graph_.mutable_value(id).other_type = captured.other_type;
  given_.insert(id.index);
  captured_.emplace_back(outside, id);
  return id;
}

bool GraphReader::available(ValueId id) const {
  const Value& value = graph_.value(id);
  return value.producer || value.constant || given_.contains(id.index);
}

bool GraphReader::visible(const std::string& name) const {
  if (const ValueId id = graph_.find_value(name)) return available(id);
  return outer_ != nullptr && outer_->visible(name);
}

void GraphReader::fail_dangling(const std::string& name) const {
  constexpr size_t kMostNames = 5000;
  std::vector<std::string> names;
  for (const GraphReader* scope = this; scope != nullptr; scope = scope->outer_)
    for (ValueId id : scope->graph_.values())
      if (names.size() < kMostNames) names.push_back(scope->graph_.value(id).name);
  fail_invalid("nothing makes '{}': it is no input, initializer or output of a node{}",
               printable(name, 200), did_you_mean(name, names));
}

// -- nodes

void GraphReader::read_node(pb::NodeProto& proto) {
  Node node;
  node.op = checked_name(proto.op_type(), "op type");
  if (node.op.empty()) fail_invalid("a node has no op type");
  node.name = checked_name(proto.name(), "node");
  node.domain = checked_name(proto.domain(), "domain");
  if (graph_.opset(node.domain) == 0)
    fail_invalid("its domain '{}' is not among the model's opset imports",
                 node.domain.empty() ? "ai.onnx" : printable(node.domain, 200));
  if (node.domain == "ai.onnx") {
    node.domain.clear();  // the message keeps how the file spells it
  } else if (!node.domain.empty()) {
    proto.clear_domain();
  }
  for (const std::string& name : proto.input()) {
    node.inputs.push_back(name.empty() ? ValueId{} : resolve(name));
    if (!name.empty() && !node.inputs.back()) fail_dangling(name);
  }
  for (const std::string& name : proto.output())
    node.outputs.push_back(name.empty() ? ValueId{} : graph_.find_value(name));
  std::unordered_set<std::string> seen;
  int kept = 0;
  for (int i = 0; i < proto.attribute_size(); ++i) {
    auto& attr = *proto.mutable_attribute(i);
    const std::string name = checked_name(attr.name(), "attribute");
    if (name.empty()) fail_invalid("an attribute has no name");
    if (!seen.insert(name).second)
      fail_invalid("attribute '{}' is given twice", printable(name, 200));
    Attr value = with_context([&] { return fmt::format("attribute '{}'", printable(name, 200)); },
                              [&] { return read_attr(attr, node.captures); });
    node.attrs.emplace_back(name, std::move(value));
    attr.clear_name();
    if (attr.ByteSizeLong() == 0) continue;
    attr.set_name(name);
    proto.mutable_attribute()->SwapElements(i, kept++);
  }
  proto.mutable_attribute()->DeleteSubrange(kept, proto.attribute_size() - kept);
  proto.clear_input();
  proto.clear_output();
  proto.clear_op_type();
  if (!node.name.empty()) proto.clear_name();
  node.extra = bytes_of(proto);

  for (ValueId in : node.inputs) unsorted_ = unsorted_ || (in && !available(in));
  for (const Capture& capture : node.captures) unsorted_ = unsorted_ || !available(capture.outer);
  graph_.add_node(std::move(node));
}

std::shared_ptr<const Graph> GraphReader::read_subgraph(pb::GraphProto& proto,
                                                        const std::string& attr, uint32_t index,
                                                        std::vector<Capture>& captures) {
  GraphReader inner(context_, this);
  auto graph = std::make_shared<const Graph>(inner.read(proto));
  for (const auto& [outside, inside] : inner.captured_)
    captures.push_back({outside, attr, index, inside});
  return graph;
}

namespace {

using Type = pb::AttributeProto;

/// The kinds whose fields are set in the message.
std::vector<int> filled_kinds(const pb::AttributeProto& a) {
  std::vector<int> out;
  const auto add = [&](bool filled, int kind) {
    if (filled) out.push_back(kind);
  };
  add(a.has_f(), Type::FLOAT);
  add(a.has_i(), Type::INT);
  add(a.has_s(), Type::STRING);
  add(a.has_t(), Type::TENSOR);
  add(a.has_g(), Type::GRAPH);
  add(a.has_tp(), Type::TYPE_PROTO);
  add(a.has_sparse_tensor(), Type::SPARSE_TENSOR);
  add(a.floats_size() > 0, Type::FLOATS);
  add(a.ints_size() > 0, Type::INTS);
  add(a.strings_size() > 0, Type::STRINGS);
  add(a.tensors_size() > 0, Type::TENSORS);
  add(a.graphs_size() > 0, Type::GRAPHS);
  add(a.type_protos_size() > 0, Type::TYPE_PROTOS);
  add(a.sparse_tensors_size() > 0, Type::SPARSE_TENSORS);
  return out;
}

std::string kind_text(int kind) {
  return pb::AttributeProto::AttributeType_Name(static_cast<Type::AttributeType>(kind));
}

/// The kind that the message states, checked against the fields that are set; before IR 2 it was
/// not stated, and the one field that is set says it.
int find_kind(const pb::AttributeProto& proto) {
  const std::vector<int> filled = filled_kinds(proto);
  const int stated = proto.type();
  if (stated == Type::UNDEFINED) {
    if (filled.empty()) fail_invalid("it has neither a type nor a value");
    if (filled.size() > 1)
      fail_invalid("it has both a value of type {} and one of type {}", kind_text(filled[0]),
                   kind_text(filled[1]));
    return filled[0];
  }
  for (int kind : filled)
    if (kind != stated)
      fail_invalid("its type is {}, but it has a value of type {}", kind_text(stated),
                   kind_text(kind));
  return stated;
}

bool lies_elsewhere(const pb::SparseTensorProto& sparse) {
  return sparse.values().data_location() == pb::TensorProto::EXTERNAL ||
         sparse.indices().data_location() == pb::TensorProto::EXTERNAL;
}

/// The message as it is; the caller keeps nothing else of it.
Attr take_opaque(pb::AttributeProto& proto) {
  bool elsewhere = lies_elsewhere(proto.sparse_tensor());
  for (const auto& sparse : proto.sparse_tensors()) elsewhere = elsewhere || lies_elsewhere(sparse);
  if (elsewhere) fail_unsupported("a sparse tensor with external data cannot be kept");
  OpaqueAttr out{bytes_of(proto)};
  proto.Clear();
  return out;
}

bool has_unknown_type(const pb::AttributeProto& proto) {
  for (int i = 0; i < proto.unknown_fields().field_count(); ++i)
    if (proto.unknown_fields().field(i).number() == Type::kTypeFieldNumber) return true;
  return false;
}

AttrRef take_reference(pb::AttributeProto& proto,
                       const std::vector<std::string>* function_attributes) {
  const AttrRef out{checked_name(proto.ref_attr_name(), "attribute reference"), proto.type()};
  const std::string shown = printable(out.name, 200);
  if (function_attributes == nullptr)
    fail_invalid("it refers to attribute '{}' of a function, but stands in no function", shown);
  if (std::find(function_attributes->begin(), function_attributes->end(), out.name) ==
      function_attributes->end())
    fail_invalid("it refers to '{}', which is no attribute of the function{}", shown,
                 did_you_mean(out.name, *function_attributes));
  if (!filled_kinds(proto).empty()) fail_invalid("it has a value and refers to '{}' too", shown);
  proto.clear_ref_attr_name();
  proto.clear_type();
  return out;
}

}  // namespace

Attr GraphReader::read_attr(pb::AttributeProto& proto, std::vector<Capture>& captures) {
  if (!proto.ref_attr_name().empty()) return take_reference(proto, context_.function_attributes);
  if (has_unknown_type(proto)) return take_opaque(proto);
  const std::string name = proto.name();
  const int kind = find_kind(proto);
  Attr out;
  switch (kind) {
    case Type::FLOAT:
      out = proto.f();
      proto.clear_f();
      break;
    case Type::INT:
      out = static_cast<int64_t>(proto.i());
      proto.clear_i();
      break;
    case Type::STRING:
      out = proto.s();
      proto.clear_s();
      break;
    case Type::FLOATS:
      out = std::vector<float>(proto.floats().begin(), proto.floats().end());
      proto.clear_floats();
      break;
    case Type::INTS:
      out = std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
      proto.clear_ints();
      break;
    case Type::STRINGS:
      out = std::vector<std::string>(proto.strings().begin(), proto.strings().end());
      proto.clear_strings();
      break;
    case Type::TENSOR:
      if (!proto.has_t()) fail_invalid("it is a tensor attribute without a tensor");
      out = read_tensor(*proto.mutable_t(), context_.external, context_.options);
      if (proto.t().ByteSizeLong() == 0) proto.clear_t();
      break;
    case Type::TENSORS: {
      std::vector<Tensor> tensors;
      size_t kept = 0;
      for (auto& tensor : *proto.mutable_tensors()) {
        tensors.push_back(read_tensor(tensor, context_.external, context_.options));
        kept += tensor.ByteSizeLong();
      }
      if (kept == 0) proto.clear_tensors();
      out = std::move(tensors);
      break;
    }
    case Type::GRAPH:
      if (!proto.has_g()) fail_invalid("it is a graph attribute without a graph");
      out = read_subgraph(*proto.mutable_g(), name, 0, captures);
      proto.clear_g();
      break;
    case Type::GRAPHS: {
      std::vector<std::shared_ptr<const Graph>> graphs;
      for (auto& graph : *proto.mutable_graphs())
        graphs.push_back(
            read_subgraph(graph, name, static_cast<uint32_t>(graphs.size()), captures));
      proto.clear_graphs();
      out = std::move(graphs);
      break;
    }
    default:
      return take_opaque(proto);
  }
  proto.clear_type();
  return out;
}

}  // namespace lapidary
