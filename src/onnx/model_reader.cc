#include "src/onnx/model_reader.h"

#include <algorithm>
#include <map>
#include <set>

#include "lapidary/ops.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/onnx/graph_reader.h"
#include "src/onnx/opset_list.h"
#include "src/onnx/type_proto.h"
#include "src/ops/function_body.h"
#include "src/ops/opdef.h"

namespace lapidary {

namespace {

void check_ir_version(int64_t version) {
  if (version < 1) fail_invalid("IR version {}; a model states one from 1 on", version);
  if (version > kNewestIrVersion)
    fail_unsupported("IR version {} is newer than {}, the newest that is known", version,
                     kNewestIrVersion);
}

/// One version per domain, in a range that is understood; other domains than ai.onnx are kept as
/// they are.
void check_opsets(const std::vector<OpsetImport>& opsets, int64_t oldest) {
  if (opsets.empty())
    fail_invalid("the model has no opset_import: it does not say which opset its nodes mean");
  std::map<std::string, int64_t> versions;
  for (const OpsetImport& import : opsets) {
    const std::string domain = import.domain.empty() ? "ai.onnx" : import.domain;
    const std::string shown = printable(domain, 200);
    if (import.version < 1)
      fail_invalid("opset {} of domain '{}'; opsets count from 1", import.version, shown);
    const auto [known, added] = versions.emplace(domain, import.version);
    if (!added && known->second != import.version)
      fail_invalid("domain '{}' is imported twice, in versions {} and {}", shown, known->second,
                   import.version);
    if (domain == "ai.onnx" && (import.version < oldest || import.version > kNewestOpset))
      fail_unsupported("opset {} of ai.onnx is not supported; supported are {} to {}",
                       import.version, oldest, kNewestOpset);
  }
}

/// attribute_proto (field 11, IR 9): attributes of a function with their defaults. libonnx 1.12
/// does not know the field, and keeps it among the unknown ones.
std::vector<pb::AttributeProto> default_attributes(const pb::FunctionProto& proto) {
  constexpr int kAttributeProto = 11;
  std::vector<pb::AttributeProto> out;
  const auto& unknown = proto.unknown_fields();
  for (int i = 0; i < unknown.field_count(); ++i) {
    const auto& field = unknown.field(i);
    if (field.number() != kAttributeProto ||
        field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    pb::AttributeProto attr;
    if (!attr.ParseFromString(field.length_delimited()))
      fail_invalid("an attribute's default cannot be read");
    out.push_back(std::move(attr));
  }
  return out;
}

Function read_function(pb::FunctionProto& proto, const ReadContext& model) {
  Function out;
  out.domain = checked_name(proto.domain(), "domain");
  out.name = checked_name(proto.name(), "function");
  for (const std::string& name : proto.attribute())
    out.attributes.push_back(checked_name(name, "attribute"));
  std::vector<std::string> referable = out.attributes;
  std::vector<pb::AttributeProto> defaults = default_attributes(proto);
  for (const auto& attr : defaults) referable.push_back(checked_name(attr.name(), "attribute"));
  ReadContext context = model;
  context.opsets = read_opsets(proto.opset_import());
  check_opsets(context.opsets, kOldestWorkingOpset);
  for (auto& attr : defaults)
    out.defaults.emplace_back(attr.name(), GraphReader(context).read_attr(attr));
  context.function_attributes = &referable;
  out.body = std::make_shared<const Graph>(GraphReader(context).read_body(proto));
  keep_opsets_unless_plain(*proto.mutable_opset_import());
  proto.clear_attribute();
  if (!out.domain.empty()) proto.clear_domain();
  proto.clear_name();
  out.extra = proto.SerializeAsString();
  return out;
}

using FunctionKey = std::pair<std::string, std::string>;

/// Functions that the nodes of `graph` call, subgraphs included.
void collect_calls(const Graph& graph, const std::map<FunctionKey, std::vector<size_t>>& by_key,
                   std::set<size_t>& calls) {
  for (NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (const auto found = by_key.find({node.domain, node.op}); found != by_key.end())
      calls.insert(found->second.begin(), found->second.end());
    for (const auto& [name, attr] : node.attrs) {
      if (const auto* one = std::get_if<std::shared_ptr<const Graph>>(&attr)) {
        collect_calls(**one, by_key, calls);
      } else if (const auto* many = std::get_if<std::vector<std::shared_ptr<const Graph>>>(&attr)) {
        for (const auto& each : *many) collect_calls(*each, by_key, calls);
      }
    }
  }
}

/// A function must not reach itself through calls. Depth first, without recursion: a chain of calls
/// may be as long as the file.
void check_recursion(const std::vector<Function>& functions) {
  std::map<FunctionKey, std::vector<size_t>> by_key;
  for (size_t i = 0; i < functions.size(); ++i)
    by_key[{functions[i].domain, functions[i].name}].push_back(i);
  std::vector<std::vector<size_t>> calls;
  for (const Function& f : functions) {
    std::set<size_t> found;
    collect_calls(*f.body, by_key, found);
    calls.emplace_back(found.begin(), found.end());
  }
  enum : uint8_t { kNew, kOnPath, kDone };
  std::vector<uint8_t> state(functions.size(), kNew);
  for (size_t root = 0; root < functions.size(); ++root) {
    if (state[root] != kNew) continue;
    std::vector<std::pair<size_t, size_t>> path = {{root, 0}};  // function, next call to look at
    state[root] = kOnPath;
    while (!path.empty()) {
      auto& [at, next] = path.back();
      if (next == calls[at].size()) {
        state[at] = kDone;
        path.pop_back();
        continue;
      }
      const size_t callee = calls[at][next++];
      if (state[callee] == kOnPath) {
        const auto begin = std::find_if(path.begin(), path.end(),
                                        [&](const auto& p) { return p.first == callee; });
        std::vector<std::string> chain;
        for (auto it = begin; it != path.end() && chain.size() < 8; ++it)
          chain.push_back(printable(functions[it->first].name, 100));
        fail_invalid("function '{}' calls itself: {} -> {}", printable(functions[callee].name, 100),
                     fmt::join(chain, " -> "), printable(functions[callee].name, 100));
      }
      if (state[callee] == kNew) {
        state[callee] = kOnPath;
        path.emplace_back(callee, 0);
      }
    }
  }
}

void read_metadata(pb::ModelProto& proto, ModelInfo& model) {
  bool plain = true;
  for (const auto& entry : proto.metadata_props()) {
    model.metadata.emplace_back(entry.key(), entry.value());
    plain = plain && entry.has_key() && entry.has_value() && entry.unknown_fields().empty();
  }
  if (plain) proto.clear_metadata_props();
}

/// Training graphs are kept as bytes, so files that they refer to would be lost.
void check_training_info(const pb::ModelProto& proto) {
  for (const auto& info : proto.training_info())
    for (const pb::GraphProto* graph : {&info.initialization(), &info.algorithm()})
      for (const auto& tensor : graph->initializer())
        if (tensor.data_location() == pb::TensorProto::EXTERNAL)
          fail_unsupported("training_info with external data cannot be kept");
}

}  // namespace

Graph read_model(pb::ModelProto& proto, ExternalData* external, const LoadOptions& options) {
  if (!proto.has_graph() && !proto.has_ir_version())
    fail_invalid("not an ONNX model: it has no graph");
  check_ir_version(proto.ir_version());
  if (!proto.has_graph()) fail_invalid("the model has no graph");
  check_training_info(proto);
  ReadContext context{options, external, proto.ir_version()};
  context.opsets = read_opsets(proto.opset_import());
  check_opsets(context.opsets, 1);
  Graph graph = GraphReader(context).read(*proto.mutable_graph());
  proto.clear_graph();

  ModelInfo& model = graph.model;
  for (auto& function : *proto.mutable_functions()) {
    model.functions.push_back(
        with_context([&] { return fmt::format("function '{}'", printable(function.name(), 200)); },
                     [&] { return read_function(function, context); }));
  }
  proto.clear_functions();
  check_recursion(model.functions);
  std::erase_if(model.functions, [&](const Function& f) { return is_own_function(graph, f); });

  keep_opsets_unless_plain(*proto.mutable_opset_import());
  proto.clear_ir_version();
  const auto take = [](std::string& to, const std::string& from, auto&& clear) {
    to = from;
    if (!to.empty()) clear();  // an empty one that is stated stays stated
  };
  take(model.producer_name, proto.producer_name(), [&] { proto.clear_producer_name(); });
  take(model.producer_version, proto.producer_version(), [&] { proto.clear_producer_version(); });
  take(model.domain, proto.domain(), [&] { proto.clear_domain(); });
  take(model.doc, proto.doc_string(), [&] { proto.clear_doc_string(); });
  model.model_version = proto.model_version();
  if (model.model_version != 0) proto.clear_model_version();
  read_metadata(proto, model);
  model.extra = proto.SerializeAsString();
  if (graph.opset() > 0 && graph.opset() < kOldestWorkingOpset)
    upgrade_opset(graph, kOldestWorkingOpset);
  return graph;
}

}  // namespace lapidary
