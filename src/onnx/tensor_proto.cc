#include "src/onnx/tensor_proto.h"

#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "src/base/checked.h"

namespace lapidary {

static_assert(std::endian::native == std::endian::little,
              "raw_data is little endian, and so are tensors");

namespace {

Shape read_shape(const pb::TensorProto& proto) {
  if (proto.dims_size() > kMaxRank)
    fail(ErrorCode::kResource, "rank {}; at most {} are read", proto.dims_size(), kMaxRank);
  Shape shape(proto.dims().begin(), proto.dims().end());
  for (int64_t d : shape)
    if (d < 0) fail_invalid("negative size in shape {}", shape_text(shape));
  return shape;
}

/// Which of a TensorProto's fields hold elements; more than one is an error.
enum class Payload { kNone, kRaw, kFloat, kInt32, kInt64, kDouble, kUint64, kString, kExternal };

Payload find_payload(const pb::TensorProto& proto) {
  std::vector<std::pair<Payload, std::string_view>> found;
  if (!proto.raw_data().empty()) found.emplace_back(Payload::kRaw, "raw_data");
  if (proto.float_data_size() > 0) found.emplace_back(Payload::kFloat, "float_data");
  if (proto.int32_data_size() > 0) found.emplace_back(Payload::kInt32, "int32_data");
  if (proto.int64_data_size() > 0) found.emplace_back(Payload::kInt64, "int64_data");
  if (proto.double_data_size() > 0) found.emplace_back(Payload::kDouble, "double_data");
  if (proto.uint64_data_size() > 0) found.emplace_back(Payload::kUint64, "uint64_data");
  if (proto.string_data_size() > 0) found.emplace_back(Payload::kString, "string_data");
  if (proto.data_location() == pb::TensorProto::EXTERNAL)
    found.emplace_back(Payload::kExternal, "external data");
  if (found.size() > 1)
    fail_invalid("elements stand in both {} and {}", found[0].second, found[1].second);
  if (!found.empty()) return found[0].first;
  return proto.has_raw_data() ? Payload::kRaw : Payload::kNone;
}

/// The typed field that ONNX prescribes for a dtype.
Payload typed_field(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kComplex64:
      return Payload::kFloat;
    case DType::kF64:
    case DType::kComplex128:
      return Payload::kDouble;
    case DType::kI64:
      return Payload::kInt64;
    case DType::kU32:
    case DType::kU64:
      return Payload::kUint64;
    case DType::kString:
      return Payload::kString;
    default:
      return Payload::kInt32;
  }
}

std::string_view payload_name(Payload payload) {
  switch (payload) {
    case Payload::kNone:
      return "no field";
    case Payload::kRaw:
      return "raw_data";
    case Payload::kFloat:
      return "float_data";
    case Payload::kInt32:
      return "int32_data";
    case Payload::kInt64:
      return "int64_data";
    case Payload::kDouble:
      return "double_data";
    case Payload::kUint64:
      return "uint64_data";
    case Payload::kString:
      return "string_data";
    case Payload::kExternal:
      break;
  }
  return "external data";
}

/// Element i of packed storage with `bits` (2 or 4) each, the first in the lowest bits of a byte;
/// sign-extended for signed types.
uint8_t unpack_one(const uint8_t* packed, int64_t i, unsigned bits, bool is_signed) {
  const unsigned per_byte = 8 / bits, mask = (1u << bits) - 1;
  unsigned v = (packed[static_cast<uint64_t>(i) / per_byte] >>
                (static_cast<uint64_t>(i) % per_byte * bits)) &
               mask;
  if (is_signed && (v >> (bits - 1)) != 0) v |= ~mask;
  return static_cast<uint8_t>(v);
}

/// True where the stored bytes are the elements in memory.
bool stored_plainly(DType dtype) { return dtype_bits(dtype) >= 8 && dtype != DType::kBool; }

/// Stored bytes -> elements; `out` is of the right dtype and count.
void decode(std::span<const uint8_t> stored, Tensor& out) {
  const DType dtype = out.dtype();
  auto* to = static_cast<uint8_t*>(out.mutable_raw());
  if (stored_plainly(dtype)) {
    if (!stored.empty()) std::memcpy(to, stored.data(), stored.size());
  } else if (dtype == DType::kBool) {
    for (size_t i = 0; i < stored.size(); ++i) to[i] = stored[i] != 0;
  } else {
    const auto bits = static_cast<unsigned>(dtype_bits(dtype));
    for (int64_t i = 0; i < out.size(); ++i)
      to[i] = unpack_one(stored.data(), i, bits, is_signed_int(dtype));
  }
}

Tensor from_raw(DType dtype, Shape shape, const std::string& raw, uint64_t expected) {
  if (raw.size() != expected) {
    const size_t size = dtype_bits(dtype) / 8;
    fail_invalid("raw_data has {} bytes, {}{} needs {}{}", raw.size(), dtype_name(dtype),
                 shape_text(shape), expected,
                 size > 1 && raw.size() % size != 0
                     ? fmt::format(" (and {} is not a multiple of {}, the size of an element)",
                                   raw.size(), size)
                     : "");
  }
  Tensor out(dtype, std::move(shape));
  decode({reinterpret_cast<const uint8_t*>(raw.data()), raw.size()}, out);
  return out;
}

template <class Field>
void check_count(const Field& field, Payload payload, DType dtype, const Shape& shape,
                 uint64_t expected) {
  if (static_cast<uint64_t>(field.size()) != expected)
    fail_invalid("{} has {} entries, {}{} needs {}", payload_name(payload), field.size(),
                 dtype_name(dtype), shape_text(shape), expected);
}

/// Entries of a wider field as T; one that T cannot hold is an error.
template <class T, class Field>
void narrow(const Field& field, Tensor& out, std::string_view name) {
  auto* to = static_cast<T*>(out.mutable_raw());
  for (int i = 0; i < field.size(); ++i) {
    if (!std::in_range<T>(field.Get(i)))
      fail_invalid("{} holds {} at {}, which is no {}", name, field.Get(i), i,
                   dtype_name(out.dtype()));
    to[i] = static_cast<T>(field.Get(i));
  }
}

void decode_int32(const pb::TensorProto& proto, Tensor& out) {
  const auto& field = proto.int32_data();
  switch (out.dtype()) {
    case DType::kI32:
      return narrow<int32_t>(field, out, "int32_data");
    case DType::kI16:
      return narrow<int16_t>(field, out, "int32_data");
    case DType::kU16:
    case DType::kF16:
    case DType::kBF16:
      return narrow<uint16_t>(field, out, "int32_data");
    case DType::kI8:
      return narrow<int8_t>(field, out, "int32_data");
    case DType::kBool: {
      auto* to = static_cast<uint8_t*>(out.mutable_raw());
      for (int i = 0; i < field.size(); ++i) to[i] = field.Get(i) != 0;
      return;
    }
    default:
      break;
  }
  if (dtype_bits(out.dtype()) == 8) return narrow<uint8_t>(field, out, "int32_data");
  // Packed as in raw_data, one byte an entry.
  std::string packed;
  for (int32_t v : field) {
    if (v < -128 || v > 255)
      fail_invalid("int32_data holds {}, which is no byte of packed {}", v,
                   dtype_name(out.dtype()));
    packed.push_back(static_cast<char>(v));
  }
  decode({reinterpret_cast<const uint8_t*>(packed.data()), packed.size()}, out);
}

Tensor from_typed(Payload payload, DType dtype, Shape shape, const pb::TensorProto& proto) {
  const auto count = static_cast<uint64_t>(element_count(shape));
  const uint64_t per_element = dtype == DType::kComplex64 || dtype == DType::kComplex128 ? 2 : 1;
  // Checked before the elements get memory: a shape alone must not ask for any.
  switch (payload) {
    case Payload::kFloat:
      check_count(proto.float_data(), payload, dtype, shape, count * per_element);
      break;
    case Payload::kDouble:
      check_count(proto.double_data(), payload, dtype, shape, count * per_element);
      break;
    case Payload::kInt64:
      check_count(proto.int64_data(), payload, dtype, shape, count);
      break;
    case Payload::kUint64:
      check_count(proto.uint64_data(), payload, dtype, shape, count);
      break;
    case Payload::kString:
      check_count(proto.string_data(), payload, dtype, shape, count);
      break;
    default:
      check_count(proto.int32_data(), payload, dtype, shape,
                  dtype_bits(dtype) < 8 ? stored_bytes(dtype, static_cast<int64_t>(count)) : count);
  }
  Tensor out(dtype, std::move(shape));
  switch (payload) {
    case Payload::kFloat:
      std::memcpy(out.mutable_raw(), proto.float_data().data(), out.size_bytes());
      break;
    case Payload::kDouble:
      std::memcpy(out.mutable_raw(), proto.double_data().data(), out.size_bytes());
      break;
    case Payload::kInt64:
      narrow<int64_t>(proto.int64_data(), out, "int64_data");
      break;
    case Payload::kUint64:
      if (dtype == DType::kU32) {
        narrow<uint32_t>(proto.uint64_data(), out, "uint64_data");
      } else {
        narrow<uint64_t>(proto.uint64_data(), out, "uint64_data");
      }
      break;
    case Payload::kString: {
      auto to = out.mutable_data<std::string>();
      for (int i = 0; i < proto.string_data_size(); ++i)
        to[static_cast<size_t>(i)] = proto.string_data(i);
      break;
    }
    default:
      decode_int32(proto, out);
  }
  return out;
}

/// Borrowed from the mapping where kernels can read it there: aligned, and 64 bytes past the end.
Tensor from_external(DType dtype, Shape shape, const ExternalBytes& found) {
  constexpr size_t kAlignment = 64, kSlack = 64;
  const std::span<const uint8_t> stored = found.bytes();
  if (stored_plainly(dtype) && reinterpret_cast<uintptr_t>(stored.data()) % kAlignment == 0 &&
      found.file->readable(found.offset, found.size_bytes + kSlack))
    return Tensor::borrow(dtype, std::move(shape), stored.data(), found.file);
  Tensor out(dtype, std::move(shape));
  decode(stored, out);
  return out;
}

void clear_payload(pb::TensorProto& proto) {
  delete proto.release_raw_data();  // clear() would keep the memory for later
  proto.clear_float_data();
  proto.clear_int32_data();
  proto.clear_string_data();
  proto.clear_int64_data();
  proto.clear_double_data();
  proto.clear_uint64_data();
  proto.clear_external_data();
  proto.clear_data_location();
}

}  // namespace

DType read_dtype(int32_t number) {
  const auto dtype = static_cast<DType>(number);
  if (number == 0) fail_invalid("the element type is undefined (0)");
  if (!dtype_known(dtype)) fail_invalid("unknown element type {}", number);
  return dtype;
}

uint64_t stored_bytes(DType dtype, int64_t count) {
  const auto bits = static_cast<int64_t>(dtype_bits(dtype));
  if (bits >= 8) return static_cast<uint64_t>(checked_mul(count, bits / 8));
  const int64_t per_byte = 8 / bits;
  return static_cast<uint64_t>(count / per_byte + (count % per_byte != 0));
}

Tensor read_tensor(pb::TensorProto& proto, ExternalData* external, const LoadOptions& options) {
  const DType dtype = read_dtype(proto.data_type());
  Shape shape = read_shape(proto);
  const int64_t count = element_count(shape);
  if (proto.has_segment())
    fail_unsupported("the tensor is stored in segments, which no known tool writes");
  if (!proto.unknown_fields().empty()) {
    // data_location is a closed enum: a value newer than its list lands among the unknown fields.
    for (int i = 0; i < proto.unknown_fields().field_count(); ++i)
      if (proto.unknown_fields().field(i).number() == pb::TensorProto::kDataLocationFieldNumber)
        fail_unsupported("the tensor's elements lie at a kind of place that is not known");
  }
  const Payload payload = find_payload(proto);
  Tensor out;
  if (dtype == DType::kString) {
    if (payload != Payload::kString && (payload != Payload::kNone || count > 0))
      fail_invalid("string{} has {}, expected string_data", shape_text(shape),
                   payload_name(payload));
    out = from_typed(Payload::kString, dtype, std::move(shape), proto);
  } else {
    const uint64_t expected = stored_bytes(dtype, count);
    if (expected > static_cast<uint64_t>(options.max_tensor_bytes) ||
        static_cast<uint64_t>(count) > static_cast<uint64_t>(options.max_tensor_bytes))
      fail(ErrorCode::kResource, "{}{} takes {} bytes; the limit is {}", dtype_name(dtype),
           shape_text(shape), expected, options.max_tensor_bytes);
    if (payload == Payload::kRaw) {
      out = from_raw(dtype, std::move(shape), proto.raw_data(), expected);
    } else if (payload == Payload::kExternal) {
      if (external == nullptr)
        fail_unsupported("external data can be read only for a model that is a file");
      out = from_external(dtype, std::move(shape), external->find(proto, expected));
    } else if (payload == typed_field(dtype)) {
      out = from_typed(payload, dtype, std::move(shape), proto);
    } else if (payload != Payload::kNone) {
      fail_invalid("{} elements stand in {}, expected raw_data or {}", dtype_name(dtype),
                   payload_name(payload), payload_name(typed_field(dtype)));
    } else {
      if (count > 0)
        fail_invalid("no field holds the elements of {}{}", dtype_name(dtype), shape_text(shape));
      out = Tensor(dtype, std::move(shape));
    }
  }
  clear_payload(proto);
  proto.clear_dims();
  proto.clear_data_type();
  return out;
}

void append_stored(const Tensor& tensor, std::string& out) {
  const auto* elements = static_cast<const uint8_t*>(tensor.raw());
  if (dtype_bits(tensor.dtype()) >= 8) {
    if (tensor.size_bytes() > 0)
      out.append(reinterpret_cast<const char*>(elements), tensor.size_bytes());
    return;
  }
  const auto bits = static_cast<unsigned>(dtype_bits(tensor.dtype()));
  const int64_t per_byte = 8 / bits;
  for (int64_t i = 0; i < tensor.size(); i += per_byte) {
    unsigned byte = 0;
    for (int64_t j = 0; j < per_byte && i + j < tensor.size(); ++j)
      byte |= (elements[i + j] & ((1u << bits) - 1)) << (static_cast<unsigned>(j) * bits);
    out.push_back(static_cast<char>(byte));
  }
}

void write_tensor(const Tensor& tensor, pb::TensorProto* proto) {
  LAPIDARY_CHECK(!tensor.empty());
  for (int64_t d : tensor.shape()) proto->add_dims(d);
  proto->set_data_type(static_cast<int32_t>(tensor.dtype()));
  if (tensor.dtype() == DType::kString) {
    for (const std::string& s : tensor.data<std::string>()) proto->add_string_data(s);
  } else {
    append_stored(tensor, *proto->mutable_raw_data());
  }
}

}  // namespace lapidary
