#pragma once

// ONNX messages in few words, for tests of the reader and writer.

#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/error.h"
#include "lapidary/model_io.h"
#include "src/onnx/proto.h"

namespace lapidary::testing_models {

inline pb::ModelProto empty_model(int64_t opset = 13, int64_t ir = 8) {
  pb::ModelProto model;
  model.set_ir_version(ir);
  model.mutable_graph()->set_name("g");
  auto* import = model.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
  return model;
}

inline void set_type(pb::ValueInfoProto* info, const std::string& name, int32_t dtype,
                     const std::vector<int64_t>& dims) {
  info->set_name(name);
  auto* type = info->mutable_type()->mutable_tensor_type();
  type->set_elem_type(dtype);
  auto* shape = type->mutable_shape();
  for (int64_t d : dims) shape->add_dim()->set_dim_value(d);
}

inline void add_input(pb::ModelProto& m, const std::string& name,
                      const std::vector<int64_t>& dims = {2, 3},
                      int32_t dtype = pb::TensorProto::FLOAT) {
  set_type(m.mutable_graph()->add_input(), name, dtype, dims);
}
inline void add_output(pb::ModelProto& m, const std::string& name,
                       const std::vector<int64_t>& dims = {2, 3},
                       int32_t dtype = pb::TensorProto::FLOAT) {
  set_type(m.mutable_graph()->add_output(), name, dtype, dims);
}

inline pb::NodeProto* add_node(pb::GraphProto* graph, const std::string& op,
                               const std::vector<std::string>& in,
                               const std::vector<std::string>& out, const std::string& name = {}) {
  auto* node = graph->add_node();
  node->set_op_type(op);
  for (const auto& i : in) node->add_input(i);
  for (const auto& o : out) node->add_output(o);
  if (!name.empty()) node->set_name(name);
  return node;
}
inline pb::NodeProto* add_node(pb::ModelProto& m, const std::string& op,
                               const std::vector<std::string>& in,
                               const std::vector<std::string>& out, const std::string& name = {}) {
  return add_node(m.mutable_graph(), op, in, out, name);
}

inline pb::TensorProto* add_initializer(pb::ModelProto& m, const std::string& name, int32_t dtype,
                                        const std::vector<int64_t>& dims, const std::string& raw) {
  auto* t = m.mutable_graph()->add_initializer();
  t->set_name(name);
  t->set_data_type(dtype);
  for (int64_t d : dims) t->add_dims(d);
  t->set_raw_data(raw);
  return t;
}

/// x -> Relu -> y, float[2,3].
inline pb::ModelProto relu_model() {
  pb::ModelProto m = empty_model();
  add_input(m, "x");
  add_output(m, "y");
  add_node(m, "Relu", {"x"}, {"y"}, "r");
  return m;
}

/// x + w -> y with an initializer w of float[3].
inline pb::ModelProto add_model() {
  pb::ModelProto m = empty_model();
  add_input(m, "x");
  add_output(m, "y");
  add_initializer(m, "w", pb::TensorProto::FLOAT, {3}, std::string(12, '\0'));
  add_node(m, "Add", {"x", "w"}, {"y"}, "a");
  return m;
}

inline Graph load(const pb::ModelProto& m, const LoadOptions& options = {}) {
  const std::string bytes = m.SerializeAsString();
  return parse_onnx(bytes.data(), bytes.size(), options);
}

/// The message of the error that `body` throws, which must have `code`.
inline std::string error_of(ErrorCode code, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}
inline std::string load_error(ErrorCode code, const pb::ModelProto& m,
                              const LoadOptions& options = {}) {
  return error_of(code, [&] { load(m, options); });
}
inline std::string bytes_error(ErrorCode code, const std::string& bytes) {
  return error_of(code, [&] { parse_onnx(bytes.data(), bytes.size()); });
}

}  // namespace lapidary::testing_models
