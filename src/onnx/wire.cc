#include "src/onnx/wire.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "src/base/fail.h"
#include "src/onnx/proto.h"

namespace lapidary {

namespace {

using namespace std::string_view_literals;

// protobuf itself stops at 100 nested messages; ONNX needs 3 a subgraph and 2 a sequence type.
constexpr int kMaxDepth = 90;
// In memory, a node with two inputs, an output and an attribute takes about 500 bytes.
constexpr int64_t kBytesPerNode = 512;
constexpr int64_t kBytesAtLeast = 1 << 20;
constexpr int64_t kBytesPerString = sizeof(std::string) + sizeof(void*);

enum class Kind : uint8_t {
  kModel,
  kGraph,
  kNode,
  kAttr,
  kTensor,
  kSparse,
  kValueInfo,
  kType,
  kTypeTensor,
  kTypeNested,
  kTypeMap,
  kShape,
  kFunction,
  kTraining,
  kAnnotation,
  kSmall,
  kString,
  kNone
};

/// Which message or string a length-delimited field holds; every other one is opaque bytes.
struct Edge {
  Kind parent;
  uint32_t field;
  Kind child;
};
constexpr std::array kEdges = {
    Edge{Kind::kModel, 7, Kind::kGraph},      Edge{Kind::kModel, 8, Kind::kSmall},
    Edge{Kind::kModel, 14, Kind::kSmall},     Edge{Kind::kModel, 20, Kind::kTraining},
    Edge{Kind::kModel, 25, Kind::kFunction},  Edge{Kind::kGraph, 1, Kind::kNode},
    Edge{Kind::kGraph, 5, Kind::kTensor},     Edge{Kind::kGraph, 15, Kind::kSparse},
    Edge{Kind::kGraph, 11, Kind::kValueInfo}, Edge{Kind::kGraph, 12, Kind::kValueInfo},
    Edge{Kind::kGraph, 13, Kind::kValueInfo}, Edge{Kind::kGraph, 14, Kind::kAnnotation},
    Edge{Kind::kNode, 1, Kind::kString},      Edge{Kind::kNode, 2, Kind::kString},
    Edge{Kind::kNode, 5, Kind::kAttr},        Edge{Kind::kAttr, 5, Kind::kTensor},
    Edge{Kind::kAttr, 6, Kind::kGraph},       Edge{Kind::kAttr, 9, Kind::kString},
    Edge{Kind::kAttr, 10, Kind::kTensor},     Edge{Kind::kAttr, 11, Kind::kGraph},
    Edge{Kind::kAttr, 14, Kind::kType},       Edge{Kind::kAttr, 15, Kind::kType},
    Edge{Kind::kAttr, 22, Kind::kSparse},     Edge{Kind::kAttr, 23, Kind::kSparse},
    Edge{Kind::kTensor, 3, Kind::kSmall},     Edge{Kind::kTensor, 6, Kind::kString},
    Edge{Kind::kTensor, 13, Kind::kSmall},    Edge{Kind::kSparse, 1, Kind::kTensor},
    Edge{Kind::kSparse, 2, Kind::kTensor},    Edge{Kind::kValueInfo, 2, Kind::kType},
    Edge{Kind::kType, 1, Kind::kTypeTensor},  Edge{Kind::kType, 8, Kind::kTypeTensor},
    Edge{Kind::kType, 4, Kind::kTypeNested},  Edge{Kind::kType, 9, Kind::kTypeNested},
    Edge{Kind::kType, 5, Kind::kTypeMap},     Edge{Kind::kType, 7, Kind::kSmall},
    Edge{Kind::kTypeNested, 1, Kind::kType},  Edge{Kind::kTypeMap, 2, Kind::kType},
    Edge{Kind::kTypeTensor, 2, Kind::kShape}, Edge{Kind::kShape, 1, Kind::kSmall},
    Edge{Kind::kFunction, 4, Kind::kString},  Edge{Kind::kFunction, 5, Kind::kString},
    Edge{Kind::kFunction, 6, Kind::kString},  Edge{Kind::kFunction, 7, Kind::kNode},
    Edge{Kind::kFunction, 9, Kind::kSmall},   Edge{Kind::kFunction, 11, Kind::kAttr},
    Edge{Kind::kTraining, 1, Kind::kGraph},   Edge{Kind::kTraining, 2, Kind::kGraph},
    Edge{Kind::kTraining, 3, Kind::kSmall},   Edge{Kind::kTraining, 4, Kind::kSmall},
    Edge{Kind::kAnnotation, 2, Kind::kSmall},
};

Kind child_of(Kind parent, uint32_t field) {
  for (const Edge& edge : kEdges)
    if (edge.parent == parent && edge.field == field) return edge.child;
  return Kind::kNone;
}

int64_t bytes_in_memory(Kind kind) {
  constexpr int64_t kPointer = sizeof(void*);
  switch (kind) {
    case Kind::kGraph:
      return sizeof(pb::GraphProto) + kPointer;
    case Kind::kNode:
      return sizeof(pb::NodeProto) + kPointer;
    case Kind::kAttr:
      return sizeof(pb::AttributeProto) + kPointer;
    case Kind::kTensor:
      return sizeof(pb::TensorProto) + kPointer;
    case Kind::kFunction:
      return sizeof(pb::FunctionProto) + kPointer;
    case Kind::kString:
      return kBytesPerString;
    case Kind::kNone:
      return 0;
    default:
      return sizeof(pb::ValueInfoProto) + kPointer;
  }
}

class Scanner {
 public:
  Scanner(std::span<const uint8_t> bytes, const LoadOptions& options)
      : bytes_(bytes), options_(options) {}

  void run(RootMessage root) {
    root_ = root == RootMessage::kModel ? Kind::kModel : Kind::kTensor;
    message(0, bytes_.size(), root_, 1);
  }

 private:
  struct Field {
    uint32_t number;
    uint32_t wire_type;
    uint64_t value;  ///< of a varint; the length of a length-delimited field
  };

  [[noreturn]] void truncated(size_t at) const {
    if (!recognised_) fail_invalid("not an ONNX model (no field of one at byte {})", at);
    fail_invalid("the file is truncated: it ends at byte {}, inside a field", bytes_.size());
  }
  [[noreturn]] void malformed(size_t at, std::string_view what) const {
    if (!recognised_) fail_invalid("not an ONNX model (byte {}: {})", at, what);
    fail_invalid("the file is damaged at byte {}: {}", at, what);
  }

  uint64_t varint(size_t& at, size_t end) const {
    uint64_t value = 0;
    const size_t begin = at;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at == end) {
        if (end == bytes_.size()) truncated(begin);
        malformed(begin, "a number leaves its message");
      }
      const uint64_t byte = bytes_[at++];
      if (shift == 63 && byte > 1) malformed(begin, "a number of more than 64 bits");
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    malformed(begin, "a number of more than ten bytes");
  }

  /// Reads a field's head; `at` then stands behind a scalar, or at the start of the delimited
  /// bytes.
  Field field(size_t& at, size_t end) const {
    const size_t begin = at;
    const uint64_t tag = varint(at, end);
    const uint64_t number = tag >> 3;
    if (number == 0 || number >= (uint64_t{1} << 29)) malformed(begin, "no such field number");
    Field f{static_cast<uint32_t>(number), static_cast<uint32_t>(tag & 7), 0};
    size_t skipped = 0;
    switch (f.wire_type) {
      case 0:
        f.value = varint(at, end);
        return f;
      case 1:
        skipped = 8;
        break;
      case 5:
        skipped = 4;
        break;
      case 2:
        f.value = varint(at, end);
        if (f.value > end - at) {
          if (end == bytes_.size()) truncated(begin);
          malformed(begin, fmt::format("a field of {} bytes leaves its message", f.value));
        }
        return f;
      default:
        malformed(begin, "groups are not part of ONNX");
    }
    if (skipped > end - at) {
      if (end == bytes_.size()) truncated(begin);
      malformed(begin, "a number leaves its message");
    }
    at += skipped;
    return f;
  }

  void message(size_t at, size_t end, Kind kind, int depth) {
    if (depth > kMaxDepth)
      fail_invalid("messages are nested more than {} deep at byte {}", kMaxDepth, at);
    while (at < end) {
      const Field f = field(at, end);
      if (depth == 1) recognise(f);
      if (f.wire_type != 2) continue;
      const Kind child = child_of(kind, f.number);
      if (child != Kind::kNone) count(kind, f.number, child);
      if (child != Kind::kNone && child != Kind::kString)
        message(at, at + f.value, child, depth + 1);
      at += f.value;
    }
  }

  /// The first top-level field that a model (or tensor) has makes later errors "damaged", not
  /// "other".
  void recognise(const Field& f) {
    if (recognised_) return;
    if (root_ == Kind::kTensor) {
      recognised_ = f.number <= 14;
    } else {
      recognised_ = (f.wire_type == 0 && (f.number == 1 || f.number == 5)) ||
                    (f.wire_type == 2 && f.number >= 2 && f.number <= 26);
    }
  }

  void count(Kind parent, uint32_t number, Kind child) {
    bytes_needed_ += bytes_in_memory(child);
    if (child == Kind::kNode) limit(++nodes_, options_.max_nodes, "nodes");
    if (child == Kind::kTensor) limit(++tensors_, options_.max_nodes, "tensors");
    if (parent == Kind::kGraph && number >= 11 && number <= 13)
      limit(++value_infos_, 2 * options_.max_nodes, "inputs, outputs and value_infos");
    if (bytes_needed_ > kBytesAtLeast + kBytesPerNode * options_.max_nodes)
      fail(ErrorCode::kResource,
           "the model declares so many parts ({} nodes, {} tensors, {} values so far) that its "
           "structure alone needs more than {} MiB; a limit of {} nodes allows no more",
           nodes_, tensors_, value_infos_, (kBytesPerNode * options_.max_nodes) >> 20,
           options_.max_nodes);
  }
  static void limit(int64_t count, int64_t most, std::string_view what) {
    if (count > most)
      fail(ErrorCode::kResource, "the model declares more than {} {}, the limit", most, what);
  }

  std::span<const uint8_t> bytes_;
  const LoadOptions& options_;
  Kind root_ = Kind::kModel;
  bool recognised_ = false;
  int64_t nodes_ = 0, tensors_ = 0, value_infos_ = 0, bytes_needed_ = 0;
};

struct Magic {
  size_t offset;
  std::string_view bytes;
  std::string_view what;
};
constexpr std::array kMagics = {
    Magic{0, "\x1f\x8b"sv, "a gzip archive"},
    Magic{0, "PK\x03\x04"sv, "a ZIP archive (perhaps a PyTorch checkpoint)"},
    Magic{0, "PK\x05\x06"sv, "an empty ZIP archive"},
    Magic{0, "BZh"sv, "a bzip2 archive"},
    Magic{0,
          "\xfd"
          "7zXZ\0"sv,
          "an xz archive"},
    Magic{0, "7z\xbc\xaf\x27\x1c"sv, "a 7-Zip archive"},
    Magic{0, "\x28\xb5\x2f\xfd"sv, "a Zstandard archive"},
    Magic{257, "ustar"sv, "a tar archive"},
    Magic{0, "version https://git-lfs"sv,
          "a Git LFS pointer, not the file it stands for (run `git lfs pull`)"},
    Magic{0,
          "\x7f"
          "ELF"sv,
          "an executable (ELF)"},
    Magic{0, "\x89HDF"sv, "an HDF5 file"},
    Magic{0, "\x89PNG"sv, "a PNG picture"},
    Magic{0, "\xff\xd8\xff"sv, "a JPEG picture"},
    Magic{0, "%PDF"sv, "a PDF document"},
    Magic{0, "\x93NUMPY"sv, "a NumPy array"},
    Magic{0, "\x80\x02"sv, "a Python pickle"},
    Magic{0, "\x80\x04"sv, "a Python pickle"},
    Magic{4, "TFL3"sv, "a TensorFlow Lite model"},
    Magic{4, "ORTM"sv, "a model in ONNX Runtime's own format (.ort)"},
    Magic{0, "ir_version"sv, "an ONNX model as text; convert it to the binary form"},
    Magic{0, "---"sv, "a YAML document"},
};

}  // namespace

std::string foreign_format(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Magic& magic : kMagics)
    if (text.size() >= magic.offset + magic.bytes.size() &&
        text.substr(magic.offset, magic.bytes.size()) == magic.bytes)
      return std::string(magic.what);
  std::string_view start = text.substr(0, 512);
  start.remove_prefix(std::min(start.size(), start.find_first_not_of(" \t\r\n\xef\xbb\xbf")));
  if (start.starts_with('<')) return "an HTML or XML page";
  if (start.starts_with("{") || start.starts_with("[")) return "a JSON document";
  return {};
}

void scan_wire(std::span<const uint8_t> bytes, RootMessage root, const LoadOptions& options) {
  Scanner(bytes, options).run(root);
}

}  // namespace lapidary
