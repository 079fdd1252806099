#include "src/onnx/graph_writer.h"

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/onnx/tensor_proto.h"
#include "src/onnx/type_proto.h"
#include "src/ops/opdef.h"

namespace lapidary {

namespace {

constexpr uint64_t kLeastExternalBytes = 1024;

template <class Message>
void parse_kept(const std::string& kept, Message* message) {
  LAPIDARY_CHECK(kept.empty() || message->ParseFromString(kept));
}

void write_value_info(const Value& value, const std::string& name, pb::ValueInfoProto* info) {
  info->set_name(name);
  if (!value.other_type.empty()) {
    parse_kept(value.other_type, info->mutable_type());
    return;
  }
  if (value.type == TensorType{}) return;
  // The kept type has what a TensorType cannot say (denotations); it holds as long as it says the
  // same.
  const bool same =
      info->type().has_tensor_type() && read_type(info->type().tensor_type()) == value.type;
  if (!same) {
    info->clear_type();
    write_type(value.type, info->mutable_type()->mutable_tensor_type());
  }
}

}  // namespace

void ExternalWriter::put(const Tensor& tensor, pb::TensorProto* proto) {
  const uint64_t size = stored_bytes(tensor.dtype(), tensor.size());
  const int64_t alignment = size >= (uint64_t{1} << 20) ? 4096 : 64;
  const auto padding =
      static_cast<size_t>((alignment - file_.size_bytes() % alignment) % alignment);
  file_.write(std::string(padding, '\0'));
  const int64_t offset = file_.size_bytes();
  if (dtype_bits(tensor.dtype()) >= 8) {
    file_.write(tensor.raw(), tensor.size_bytes());
  } else {
    std::string stored;
    append_stored(tensor, stored);
    file_.write(stored);
  }
  for (int64_t d : tensor.shape()) proto->add_dims(d);
  proto->set_data_type(static_cast<int32_t>(tensor.dtype()));
  proto->set_data_location(pb::TensorProto::EXTERNAL);
  const auto say = [&](const char* key, const std::string& value) {
    auto* entry = proto->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  say("location", location_);
  say("offset", std::to_string(offset));
  say("length", std::to_string(size));
}

// -- names

void GraphWriter::capture(ValueId inner, const std::string& outer_name) {
  renamed_[inner.index] = outer_name;
}

const std::string& GraphWriter::name(ValueId id) const {
  const auto found = renamed_.find(id.index);
  return found == renamed_.end() ? graph_.value(id).name : found->second;
}

bool GraphWriter::visible(const std::string& value_name) const {
  return visible_.contains(value_name) || (outer_ != nullptr && outer_->visible(value_name));
}

/// In the file, one name space spans a graph and the graphs around it; here each graph has its own.
/// A value whose name means another value outside gets a new one.
void GraphWriter::choose_names() {
  if (outer_ == nullptr) return;
  std::unordered_set<std::string> taken;
  for (const auto& [index, captured_name] : renamed_) taken.insert(captured_name);
  for (ValueId id : graph_.values()) {
    if (renamed_.contains(id.index)) continue;
    const std::string& wanted = graph_.value(id).name;
    if (!taken.contains(wanted) && !outer_->visible(wanted)) continue;
    std::string chosen;
    for (uint64_t i = 1; chosen.empty(); ++i) {
      std::string candidate = fmt::format("{}_{}", wanted, i);
      if (!graph_.find_value(candidate) && !outer_->visible(candidate) &&
          taken.insert(candidate).second)
        chosen = std::move(candidate);
    }
    renamed_[id.index] = std::move(chosen);
  }
}

// -- the graph

void GraphWriter::write(pb::GraphProto* proto) {
  parse_kept(graph_.extra, proto);
  if (!graph_.name.empty()) proto->set_name(graph_.name);
  choose_names();

  std::unordered_map<uint32_t, pb::GraphProto> kept;
  for (ValueId id : graph_.values()) {
    const Value& value = graph_.value(id);
    if (value.quant)
      fail_usage(
          "value '{}' has quantization parameters that are no nodes yet, which a file cannot hold",
          printable(value.name, 200));
    if (!value.extra.empty()) parse_kept(value.extra, &kept[id.index]);
    if (!value.producer) visible_.insert(name(id));
  }
  const auto add_info = [&](ValueId id, auto* list, const auto& kept_list) {
    auto* info = list->Add();
    const auto found = kept.find(id.index);
    if (found != kept.end() && !kept_list(found->second).empty())
      *info = kept_list(found->second).Get(0);
    write_value_info(graph_.value(id), name(id), info);
  };
  for (ValueId id : graph_.inputs())
    add_info(
        id, proto->mutable_input(), [](const auto& k) -> const auto& { return k.input(); });
  for (ValueId id : graph_.outputs())
    add_info(
        id, proto->mutable_output(), [](const auto& k) -> const auto& { return k.output(); });
  for (NodeId id : graph_.nodes()) write_node(id, proto->add_node());
  for (ValueId id : graph_.values()) {
    const Value& value = graph_.value(id);
    if (value.constant) {
      auto* tensor = proto->add_initializer();
      const auto found = kept.find(id.index);
      if (found != kept.end() && found->second.initializer_size() > 0)
        *tensor = found->second.initializer(0);
      write_initializer(id, tensor);
    }
    if (value.in_file || only_stated(id))
      add_info(
          id, proto->mutable_value_info(),
          [](const auto& k) -> const auto& { return k.value_info(); });
  }
}

/// True for a type that a reader could not infer again.
bool GraphWriter::only_stated(ValueId id) const {
  const Value& value = graph_.value(id);
  return value.producer && (value.type != TensorType{} || !value.other_type.empty()) &&
         !graph_.is_output(id) && !resolve_op(graph_, value.producer);
}

void GraphWriter::write_initializer(ValueId id, pb::TensorProto* proto) {
  const Tensor& elements = *graph_.value(id).constant;
  proto->set_name(name(id));
  const bool apart = external_ != nullptr && outer_ == nullptr &&
                     elements.dtype() != DType::kString &&
                     stored_bytes(elements.dtype(), elements.size()) >= kLeastExternalBytes;
  if (apart) {
    external_->put(elements, proto);
  } else {
    write_tensor(elements, proto);
  }
}

void GraphWriter::write_body(pb::FunctionProto* proto) {
  for (ValueId id : graph_.inputs()) proto->add_input(name(id));
  for (ValueId id : graph_.outputs()) proto->add_output(name(id));
  for (ValueId id : graph_.values()) {
    const Value& value = graph_.value(id);
    if (value.constant)
      fail_usage(
          "value '{}' of a function is an initializer, which a function cannot hold; use a "
          "Constant node",
          printable(value.name, 200));
    if (!value.producer) visible_.insert(value.name);
  }
  for (NodeId id : graph_.nodes()) write_node(id, proto->add_node());
}

// -- nodes

void GraphWriter::write_node(NodeId id, pb::NodeProto* proto) {
  const Node& node = graph_.node(id);
  parse_kept(node.extra, proto);
  std::unordered_map<std::string, pb::AttributeProto> kept;
  for (auto& remainder : *proto->mutable_attribute()) kept[remainder.name()].Swap(&remainder);
  proto->clear_attribute();
  for (ValueId in : node.inputs) proto->add_input(in ? name(in) : std::string());
  for (ValueId out : node.outputs) proto->add_output(out ? name(out) : std::string());
  proto->set_op_type(node.op);
  if (!node.name.empty()) {
    proto->set_name(node.name);
  } else if (!proto->name().empty()) {
    proto->clear_name();
  }
  if (!node.domain.empty()) {
    proto->set_domain(node.domain);
  } else if (!proto->domain().empty() && proto->domain() != "ai.onnx") {
    proto->clear_domain();
  }
  const CaptureMap captures = captures_by_graph(node);
  for (const auto& [key, attr] : node.attrs) {
    auto* out = proto->add_attribute();
    if (const auto found = kept.find(key); found != kept.end()) out->Swap(&found->second);
    out->set_name(key);
    write_attr(captures, key, attr, out);
  }
  for (ValueId out : node.outputs)
    if (out) visible_.insert(name(out));
}

void GraphWriter::write_subgraph(const CaptureMap& captures, const std::string& key, uint32_t index,
                                 const Graph& graph, pb::GraphProto* proto) const {
  GraphWriter inner(graph, external_, this);
  if (const auto found = captures.find({key, index}); found != captures.end())
    for (const Capture* capture : found->second)
      inner.capture(capture->inner, name(capture->outer));
  inner.write(proto);
}

namespace {

/// Values of one attribute that need no names of the graph.
struct AttrWriter {
  pb::AttributeProto* proto;
  using Type = pb::AttributeProto;

  void operator()(int64_t v) const {
    proto->set_type(Type::INT);
    proto->set_i(v);
  }
  void operator()(float v) const {
    proto->set_type(Type::FLOAT);
    proto->set_f(v);
  }
  void operator()(const std::string& v) const {
    proto->set_type(Type::STRING);
    proto->set_s(v);
  }
  void operator()(const std::vector<int64_t>& v) const {
    proto->set_type(Type::INTS);
    proto->mutable_ints()->Assign(v.begin(), v.end());
  }
  void operator()(const std::vector<float>& v) const {
    proto->set_type(Type::FLOATS);
    proto->mutable_floats()->Assign(v.begin(), v.end());
  }
  void operator()(const std::vector<std::string>& v) const {
    proto->set_type(Type::STRINGS);
    for (const std::string& s : v) proto->add_strings(s);
  }
  void operator()(const Tensor& v) const {
    proto->set_type(Type::TENSOR);
    write_tensor(v, proto->mutable_t());
  }
  void operator()(const std::vector<Tensor>& v) const {
    proto->set_type(Type::TENSORS);
    const int kept = proto->tensors_size();  // remainders, one for each where the list is as it was
    if (kept != static_cast<int>(v.size())) proto->clear_tensors();
    for (size_t i = 0; i < v.size(); ++i)
      write_tensor(v[i], kept == static_cast<int>(v.size())
                             ? proto->mutable_tensors(static_cast<int>(i))
                             : proto->add_tensors());
  }
  void operator()(const AttrRef& v) const {
    proto->set_ref_attr_name(v.name);
    if (Type::AttributeType_IsValid(v.type) && v.type != Type::UNDEFINED)
      proto->set_type(static_cast<Type::AttributeType>(v.type));
  }
  void operator()(const OpaqueAttr& v) const {
    const std::string name = proto->name();
    parse_kept(v.proto, proto);
    proto->set_name(name);
  }
  // Subgraphs need the graph around them: write_attr.
  void operator()(const std::shared_ptr<const Graph>&) const {}
  void operator()(const std::vector<std::shared_ptr<const Graph>>&) const {}
};

}  // namespace

void GraphWriter::write_attr(const CaptureMap& captures, const std::string& key, const Attr& attr,
                             pb::AttributeProto* proto) const {
  if (const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&attr)) {
    proto->set_type(pb::AttributeProto::GRAPH);
    write_subgraph(captures, key, 0, **graph, proto->mutable_g());
  } else if (const auto* graphs = std::get_if<std::vector<std::shared_ptr<const Graph>>>(&attr)) {
    proto->set_type(pb::AttributeProto::GRAPHS);
    for (uint32_t i = 0; i < graphs->size(); ++i)
      write_subgraph(captures, key, i, *(*graphs)[i], proto->add_graphs());
  } else {
    std::visit(AttrWriter{proto}, attr);
  }
}

}  // namespace lapidary
