#include "lapidary/model_io.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <limits>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/base/sha256.h"
#include "src/onnx/captures.h"
#include "src/onnx/graph_writer.h"
#include "src/onnx/mapped_file.h"
#include "src/onnx/model_files.h"
#include "src/onnx/model_reader.h"
#include "src/onnx/opset_list.h"
#include "src/onnx/tensor_proto.h"
#include "src/onnx/wire.h"
#include "src/ops/function_body.h"
#include "src/ops/infer.h"

namespace lapidary {

namespace {

constexpr uint64_t kMostProtobufBytes = std::numeric_limits<int32_t>::max();
constexpr int64_t kFunctionsIr = 8;  ///< the first version whose models have functions

template <class Message>
void parse(std::span<const uint8_t> bytes, RootMessage root, const LoadOptions& options,
           Message* message) {
  if (bytes.empty()) fail_invalid("empty file");
  if (root == RootMessage::kModel)
    if (const std::string other = foreign_format(bytes); !other.empty())
      fail_invalid("not an ONNX model: this is {}", other);
  if (bytes.size() > kMostProtobufBytes)
    fail(ErrorCode::kResource,
         "{} bytes; a model file of more than 2 GiB cannot be read, keep its weights as external "
         "data",
         bytes.size());
  scan_wire(bytes, root, options);
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    fail_invalid("the file is damaged: protobuf cannot parse it");
}

void check_subgraphs(const Graph& graph);

void check_nodes(const Graph& graph) {
  for (NodeId id : graph.nodes()) check_node(graph, id);
  check_subgraphs(graph);
}

/// Types are inferred of the outermost graph, which checks its nodes too; those of subgraphs are
/// checked here, and those of functions where they are inlined, with the attributes of the call.
void check_subgraphs(const Graph& graph) {
  for (NodeId id : graph.nodes()) {
    for (const auto& [name, attr] : graph.node(id).attrs) {
      const auto in_context = [&](const Graph& inner) {
        with_context([&] { return node_label(graph, id); }, [&] { check_nodes(inner); });
      };
      if (const auto* one = std::get_if<std::shared_ptr<const Graph>>(&attr)) in_context(**one);
      if (const auto* many = std::get_if<std::vector<std::shared_ptr<const Graph>>>(&attr))
        for (const auto& each : *many) in_context(*each);
    }
  }
}

/// Values that subgraphs capture get the types that were inferred outside.
void type_captures(Graph& graph) {
  using One = std::shared_ptr<const Graph>;
  for (NodeId id : graph.nodes()) {
    if (graph.node(id).captures.empty()) continue;
    const CaptureMap captures = captures_by_graph(graph.node(id));
    const auto typed = [&](const std::string& key, uint32_t index, const Graph& body) -> One {
      auto copy = std::make_shared<Graph>(body);
      if (const auto found = captures.find({key, index}); found != captures.end())
        for (const Capture* capture : found->second)
          copy->mutable_value(capture->inner).type = graph.value(capture->outer).type;
      type_captures(*copy);
      return copy;
    };
    const auto attrs = graph.node(id).attrs;
    for (const auto& [key, attr] : attrs) {
      if (const auto* one = std::get_if<One>(&attr)) {
        graph.set_attr(id, key, typed(key, 0, **one));
      } else if (const auto* many = std::get_if<std::vector<One>>(&attr)) {
        std::vector<One> out;
        for (const One& each : *many)
          out.push_back(typed(key, static_cast<uint32_t>(out.size()), *each));
        graph.set_attr(id, key, std::move(out));
      }
    }
  }
}

Graph parse_model(std::span<const uint8_t> bytes, ExternalData* external,
                  const LoadOptions& options) {
  Graph graph;
  {
    pb::ModelProto model;
    parse(bytes, RootMessage::kModel, options, &model);
    graph = read_model(model, external, options);
  }
  if (options.infer) {
    check_subgraphs(graph);
    infer_types(graph);
    type_captures(graph);
  }
  return graph;
}

/// Bytes that the constants alone would take in the file.
uint64_t constant_bytes(const Graph& graph) {
  uint64_t total = 0;
  for (ValueId id : graph.values()) {
    const Value& value = graph.value(id);
    if (value.constant && value.constant->dtype() != DType::kString)
      total += stored_bytes(value.constant->dtype(), value.constant->size());
  }
  return total;
}

[[noreturn]] void fail_too_large(uint64_t bytes, bool external) {
  fail(ErrorCode::kResource, "the model takes {} bytes, protobuf can write 2147483647; {}", bytes,
       external ? "even with external data" : "save it with external data");
}

void write_function(const Function& function, pb::FunctionProto* proto) {
  LAPIDARY_CHECK(function.extra.empty() || proto->ParseFromString(function.extra));
  if (!function.domain.empty()) proto->set_domain(function.domain);
  proto->set_name(function.name);
  for (const std::string& attribute : function.attributes) proto->add_attribute(attribute);
  write_opsets(function.body->opsets, proto->mutable_opset_import());
  GraphWriter(*function.body, nullptr).write_body(proto);
}

/// The graph's imports, and those of its own ops.
std::vector<OpsetImport> opsets_of(const Graph& graph, const std::vector<Function>& own) {
  std::vector<OpsetImport> out = graph.opsets;
  for (const Function& function : own)
    if (std::ranges::find(out, function.domain, &OpsetImport::domain) == out.end())
      out.push_back({function.domain, 1});
  return out;
}

void build_model(const Graph& graph, ExternalWriter* external, pb::ModelProto* proto) {
  const ModelInfo& model = graph.model;
  LAPIDARY_CHECK(model.extra.empty() || proto->ParseFromString(model.extra));
  if (external == nullptr)
    if (const uint64_t bytes = constant_bytes(graph); bytes > kMostProtobufBytes)
      fail_too_large(bytes, false);
  const std::vector<Function> own = own_functions(graph);
  proto->set_ir_version(own.empty() ? model.ir_version : std::max(model.ir_version, kFunctionsIr));
  write_opsets(opsets_of(graph, own), proto->mutable_opset_import());
  if (!model.producer_name.empty()) proto->set_producer_name(model.producer_name);
  if (!model.producer_version.empty()) proto->set_producer_version(model.producer_version);
  if (!model.domain.empty()) proto->set_domain(model.domain);
  if (!model.doc.empty()) proto->set_doc_string(model.doc);
  if (model.model_version != 0) proto->set_model_version(model.model_version);
  std::vector<std::pair<std::string, std::string>> kept;
  for (const auto& entry : proto->metadata_props()) kept.emplace_back(entry.key(), entry.value());
  if (kept != model.metadata) {
    proto->clear_metadata_props();
    for (const auto& [key, value] : model.metadata) {
      auto* entry = proto->add_metadata_props();
      entry->set_key(key);
      entry->set_value(value);
    }
  }
  GraphWriter(graph, external).write(proto->mutable_graph());
  for (const std::vector<Function>* functions : {&model.functions, &own})
    for (const Function& function : *functions) write_function(function, proto->add_functions());
  if (const uint64_t bytes = proto->ByteSizeLong(); bytes > kMostProtobufBytes)
    fail_too_large(bytes, external != nullptr);
}

/// A failed write is kept until protobuf has returned: no exception may pass through its
/// destructors.
class FileStream : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit FileStream(AtomicFile& file) : file_(file) {}
  bool Write(const void* data, int size) override {
    if (failure_) return false;
    try {
      file_.write(data, static_cast<size_t>(size));
    } catch (const Error&) {
      failure_ = std::current_exception();
    }
    return !failure_;
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  AtomicFile& file_;
  std::exception_ptr failure_;
};

}  // namespace

LoadedModel load_with_files(const std::filesystem::path& path, const LoadOptions& options) {
  return with_context([&] { return path.string(); },
                      [&] {
                        const auto file = MappedFile::open(path.string());
                        ExternalData external(path.parent_path(), file);
                        LoadedModel out{parse_model(file->bytes(), &external, options), {file}};
                        const auto data = external.files();
                        out.files.insert(out.files.end(), data.begin(), data.end());
                        return out;
                      });
}

int64_t LoadedModel::size_bytes() const {
  int64_t total = 0;
  for (const auto& file : files) total += static_cast<int64_t>(file->bytes().size());
  return total;
}

std::vector<std::string> LoadedModel::file_names(const std::filesystem::path& path) const {
  std::vector<std::string> names = {path.string()};
  for (size_t i = 1; i < files.size(); ++i)
    names.push_back((path.parent_path() / files[i]->path()).string());
  return names;
}

std::string LoadedModel::sha256() const {
  Sha256 hash;
  for (const auto& file : files) hash.update(file->bytes().data(), file->bytes().size());
  return hash.hex();
}

Graph load_onnx(const std::filesystem::path& path, const LoadOptions& options) {
  return load_with_files(path, options).graph;
}

bool needs_external_data(const Graph& graph, uint64_t limit_bytes) {
  return constant_bytes(graph) > limit_bytes;
}

Graph parse_onnx(const void* data, size_t size_bytes, const LoadOptions& options) {
  return parse_model({static_cast<const uint8_t*>(data), size_bytes}, nullptr, options);
}

void save_onnx(const Graph& graph, const std::filesystem::path& path, const SaveOptions& options) {
  with_context([&] { return path.string(); },
               [&] {
                 pb::ModelProto proto;
                 std::optional<ExternalWriter> external;
                 if (options.external_data) {
                   const std::string location = path.filename().string() + ".data";
                   external.emplace((path.parent_path() / location).string(), location);
                 }
                 build_model(graph, external ? &*external : nullptr, &proto);
                 AtomicFile file(path.string());
                 FileStream stream(file);
                 bool complete = false;
                 {
                   google::protobuf::io::CopyingOutputStreamAdaptor adaptor(&stream);
                   complete = proto.SerializeToZeroCopyStream(&adaptor) && adaptor.Flush();
                 }
                 stream.rethrow();
                 LAPIDARY_CHECK(complete);
                 // Both are complete by now; the model, which refers to the data, appears last.
                 if (external && !external->empty()) external->commit();
                 file.commit();
               });
}

std::string serialize_onnx(const Graph& graph) {
  pb::ModelProto proto;
  build_model(graph, nullptr, &proto);
  std::string out;
  LAPIDARY_CHECK(proto.SerializeToString(&out));
  return out;
}

Tensor load_tensor_proto(const std::filesystem::path& path) {
  return with_context([&] { return path.string(); },
                      [&] {
                        const auto file = MappedFile::open(path.string());
                        const auto bytes = file->bytes();
                        // A sequence's or optional's file starts with its name, field 1 as a
                        // string; a tensor's field 1 is a number (dims), which nobody writes
                        // packed, and its field 3 (segment) nobody writes at all.
                        if (!bytes.empty() && bytes[0] == 0x0A)
                          fail_unsupported("a sequence or an optional, not a tensor");
                        pb::TensorProto proto;
                        parse(bytes, RootMessage::kTensor, {}, &proto);
                        if (proto.has_segment())
                          fail_unsupported("a sequence or an optional, not a tensor");
                        return read_tensor(proto, nullptr, {});
                      });
}

}  // namespace lapidary
