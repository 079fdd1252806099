#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "lapidary/graph.h"
#include "src/base/file.h"
#include "src/onnx/captures.h"
#include "src/onnx/proto.h"

namespace lapidary {

/// The data file beside a model that is being written.
class ExternalWriter {
 public:
  ExternalWriter(const std::string& path, std::string location)
      : file_(path), location_(std::move(location)) {}
  /// Appends the elements and refers to them: at a multiple of 64 bytes, from 1 MiB on at a
  /// multiple of 4096, so that a reader can use them where they are mapped.
  void put(const Tensor& tensor, pb::TensorProto* proto);
  bool empty() const { return file_.size_bytes() == 0; }
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
  std::string location_;
};

/// Writes one Graph as a GraphProto, or as the body of a FunctionProto. Every part starts from the
/// bytes that were kept when it was read; lists come in the order of the graph's nodes and values,
/// so that the same graph gives the same bytes.
class GraphWriter {
 public:
  GraphWriter(const Graph& graph, ExternalWriter* external, const GraphWriter* outer = nullptr)
      : graph_(graph), external_(external), outer_(outer) {}

  /// The name under which an enclosing graph's value is known here. Before `write`.
  void capture(ValueId inner, const std::string& name);
  void write(pb::GraphProto* proto);
  /// Inputs, outputs and nodes.
  void write_body(pb::FunctionProto* proto);

 private:
  const std::string& name(ValueId id) const;
  bool visible(const std::string& name) const;
  void choose_names();
  bool only_stated(ValueId id) const;
  void write_initializer(ValueId id, pb::TensorProto* proto);
  void write_node(NodeId id, pb::NodeProto* proto);
  void write_attr(const CaptureMap& captures, const std::string& key, const Attr& attr,
                  pb::AttributeProto* proto) const;
  void write_subgraph(const CaptureMap& captures, const std::string& key, uint32_t index,
                      const Graph& graph, pb::GraphProto* proto) const;

  const Graph& graph_;
  ExternalWriter* external_;
  const GraphWriter* outer_;
  std::unordered_map<uint32_t, std::string> renamed_;  // captures, and values in their way
  std::unordered_set<std::string> visible_;            // to subgraphs of the node being written
};

}  // namespace lapidary
