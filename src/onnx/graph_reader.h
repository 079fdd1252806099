#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lapidary/graph.h"
#include "lapidary/model_io.h"
#include "src/onnx/external_data.h"
#include "src/onnx/proto.h"

namespace lapidary {

/// What all graphs of one model share while they are read.
struct ReadContext {
  const LoadOptions& options;
  ExternalData* external = nullptr;  ///< null: external data is refused
  int64_t ir_version = 0;
  std::vector<OpsetImport> opsets = {};
  /// In a function's body: the attributes that its nodes may refer to.
  const std::vector<std::string>* function_attributes = nullptr;
};

/// Builds one Graph from a GraphProto, or from a FunctionProto's body. What is read is cleared in
/// the message; the rest is kept as bytes: of the graph in Graph::extra (a GraphProto), of a node
/// in Node::extra (a NodeProto whose attributes are remainders too), of a value in Value::extra (a
/// GraphProto with what its input, output, value_info and initializer entries said beyond name,
/// type and elements). Writing starts from those bytes and sets what the Graph knows.
class GraphReader {
 public:
  /// `outer` is the reader of the enclosing graph, whose values this one may capture.
  explicit GraphReader(const ReadContext& context, GraphReader* outer = nullptr)
      : context_(context), outer_(outer) {}

  Graph read(pb::GraphProto& proto);
  /// Consumes inputs, outputs and nodes.
  Graph read_body(pb::FunctionProto& proto);
  /// An attribute outside of any graph: a function's default.
  Attr read_attr(pb::AttributeProto& proto) {
    std::vector<Capture> captures;
    return read_attr(proto, captures);
  }

 private:
  enum class Place { kInput, kOutput, kValueInfo };

  void start();
  bool outermost() const { return outer_ == nullptr && context_.function_attributes == nullptr; }
  ValueId declare(const std::string& name, std::string_view what);
  void read_inputs(pb::GraphProto& proto);
  void read_initializers(pb::GraphProto& proto);
  template <class Nodes>
  void declare_outputs(const Nodes& nodes, pb::GraphProto* infos);
  void read_value_infos(pb::GraphProto& proto, const std::unordered_set<std::string_view>& made);
  void read_outputs(pb::GraphProto& proto);
  TensorType read_value_info(pb::ValueInfoProto& info, Place place, ValueId id);

  void read_node(pb::NodeProto& proto);
  Attr read_attr(pb::AttributeProto& proto, std::vector<Capture>& captures);
  std::shared_ptr<const Graph> read_subgraph(pb::GraphProto& proto, const std::string& attr,
                                             uint32_t index, std::vector<Capture>& captures);

  /// The value of that name in this graph, or captured from an enclosing one; none where there is
  /// none.
  ValueId resolve(const std::string& name);
  /// True where a node that comes now could read the value.
  bool available(ValueId id) const;
  bool visible(const std::string& name) const;
  [[noreturn]] void fail_dangling(const std::string& name) const;
  void finish(pb::GraphProto* proto);

  const ReadContext& context_;
  GraphReader* outer_;
  Graph graph_;
  std::unordered_set<uint32_t> given_;                 // inputs and captures
  std::vector<std::pair<ValueId, ValueId>> captured_;  // of the outer graph, here
  std::unordered_map<uint32_t, pb::GraphProto> kept_;  // what Value::extra will hold
  bool unsorted_ = false;
};

}  // namespace lapidary
