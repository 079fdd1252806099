#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "lapidary/error.h"
#include "lapidary/model_io.h"
#include "src/onnx/proto.h"
#include "src/ops/opdef.h"
#include "test/support/assets.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// The normal form in which a file and what was saved from it must be the same message:
/// tensors hold raw_data (or string_data), attributes state their type, initializers and
/// value_infos are ordered by name.
void normalize(pb::GraphProto* graph);

template <class T, class Field>
void to_raw(const Field& field, std::string* raw) {
  for (const auto& v : field) {
    const T narrow = static_cast<T>(v);
    raw->append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
  }
}

void normalize(pb::TensorProto* t) {
  if (t->data_type() == pb::TensorProto::STRING) return;
  std::string raw = t->raw_data();
  to_raw<float>(t->float_data(), &raw);
  to_raw<double>(t->double_data(), &raw);
  to_raw<int64_t>(t->int64_data(), &raw);
  if (t->data_type() == pb::TensorProto::UINT32) {
    to_raw<uint32_t>(t->uint64_data(), &raw);
  } else {
    to_raw<uint64_t>(t->uint64_data(), &raw);
  }
  switch (t->data_type()) {
    case pb::TensorProto::INT32:
      to_raw<int32_t>(t->int32_data(), &raw);
      break;
    case pb::TensorProto::INT16:
    case pb::TensorProto::UINT16:
    case pb::TensorProto::FLOAT16:
    case pb::TensorProto::BFLOAT16:
      to_raw<uint16_t>(t->int32_data(), &raw);
      break;
    default:
      to_raw<uint8_t>(t->int32_data(), &raw);
      break;
  }
  t->clear_float_data();
  t->clear_double_data();
  t->clear_int64_data();
  t->clear_uint64_data();
  t->clear_int32_data();
  t->set_raw_data(raw);
}

void normalize(pb::NodeProto* node) {
  for (auto& a : *node->mutable_attribute()) {
    if (a.has_t()) normalize(a.mutable_t());
    for (auto& t : *a.mutable_tensors()) normalize(&t);
    if (a.has_g()) normalize(a.mutable_g());
    for (auto& g : *a.mutable_graphs()) normalize(&g);
    if (a.type() != pb::AttributeProto::UNDEFINED) continue;
    using Type = pb::AttributeProto;
    if (a.has_f()) a.set_type(Type::FLOAT);
    if (a.has_i()) a.set_type(Type::INT);
    if (a.has_s()) a.set_type(Type::STRING);
    if (a.has_t()) a.set_type(Type::TENSOR);
    if (a.floats_size() > 0) a.set_type(Type::FLOATS);
    if (a.ints_size() > 0) a.set_type(Type::INTS);
    if (a.strings_size() > 0) a.set_type(Type::STRINGS);
  }
}

void normalize(pb::GraphProto* graph) {
  for (auto& t : *graph->mutable_initializer()) normalize(&t);
  for (auto& n : *graph->mutable_node()) normalize(&n);
  const auto by_name = [](const auto& a, const auto& b) { return a.name() < b.name(); };
  std::sort(graph->mutable_initializer()->begin(), graph->mutable_initializer()->end(), by_name);
  std::sort(graph->mutable_value_info()->begin(), graph->mutable_value_info()->end(), by_name);
}

/// Empty, or where the two files differ.
std::string difference(const std::string& original, const std::string& saved) {
  pb::ModelProto a, b;
  if (!a.ParseFromString(original) || !b.ParseFromString(saved)) return "not parsed";
  for (pb::ModelProto* model : {&a, &b}) {
    normalize(model->mutable_graph());
    for (auto& f : *model->mutable_functions())
      for (auto& n : *f.mutable_node()) normalize(&n);
  }
  google::protobuf::util::MessageDifferencer differ;
  std::string report;
  differ.ReportDifferencesToString(&report);
  if (differ.Compare(a, b)) return {};
  return report.substr(0, 1000);
}

std::vector<fs::path> models_below(const fs::path& folder) {
  std::vector<fs::path> out;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.path().extension() == ".onnx") out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

int64_t opset_of(const std::string& file) {
  pb::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(file));
  for (const auto& import : model.opset_import())
    if (import.domain().empty()) return import.version();
  return kOldestWorkingOpset;  // no node is of ai.onnx
}

void check_folder(const fs::path& folder, size_t at_least) {
  const auto models = models_below(folder);
  ASSERT_FALSE(models.empty()) << folder;
  size_t the_same = 0;
  for (const fs::path& path : models) {
    SCOPED_TRACE(path);
    try {
      const Graph graph = load_onnx(path, {.infer = false});
      graph.verify();
      const std::string original = read_all(path);
      if (opset_of(original) < kOldestWorkingOpset) continue;  // upgraded, with types
      const std::string saved = serialize_onnx(graph);
      EXPECT_EQ(difference(original, saved), "");
      const Graph again = parse_onnx(saved.data(), saved.size(), {.infer = false});
      std::string where;
      EXPECT_TRUE(same_graph(graph, again, &where)) << where;
      EXPECT_EQ(saved, serialize_onnx(again));
      ++the_same;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_THAT(error.what(), testing::HasSubstr("opset"))
          << "refused for another reason than age";
    }
  }
  EXPECT_GE(the_same, at_least);
}

/// With types inferred, what is written still reads back as the same graph.
void check_inference(const fs::path& folder) {
  const auto models = models_below(folder);
  ASSERT_FALSE(models.empty()) << folder;
  for (const fs::path& path : models) {
    SCOPED_TRACE(path);
    try {
      const Graph graph = load_onnx(path);
      graph.verify();
      const std::string saved = serialize_onnx(graph);
      const Graph again = parse_onnx(saved.data(), saved.size());
      std::string where;
      EXPECT_TRUE(same_graph(graph, again, &where)) << where;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
    }
  }
}

TEST(RoundTrip, EveryLentModelIsTheSameMessage) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  check_folder(fs::path(LAPIDARY_ASSETS_DIR) / "models", 18);
}

TEST(RoundTrip, EveryModelOfTheOnnxTestDataIsTheSameMessage) {
  check_folder("/usr/share/libonnx-testdata/data", 934);
}

TEST(RoundTrip, EveryLentModelReadsBackWithItsTypes) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  check_inference(fs::path(LAPIDARY_ASSETS_DIR) / "models");
}

TEST(RoundTrip, EveryModelOfTheOnnxTestDataReadsBackWithItsTypes) {
  check_inference("/usr/share/libonnx-testdata/data");
}

}  // namespace
}  // namespace lapidary
