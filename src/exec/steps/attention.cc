#include <algorithm>
#include <cmath>

#include "kernels/conv_s8/conv_s8.h"
#include "kernels/gemm_f32/gemm_f32.h"
#include "kernels/quantize/quantize.h"
#include "kernels/softmax_f32/softmax_f32.h"
#include "kernels/transpose/transpose.h"
#include "src/base/parallel.h"
#include "src/exec/steps/batch.h"
#include "src/exec/steps/fusions.h"
#include "src/exec/steps/grain.h"
#include "src/passes/edit.h"

namespace lapidary::exec {

namespace {

constexpr int64_t kQueries = 56;  ///< rows of scores done at a time: four tiles of 14
/// Elements of a sum of products of two differences of bytes that float32 holds exactly:
/// 255^2 * 258 < 2^24.
constexpr int64_t kExactProducts = 258;

/// What MatMulIntegerToFloat -> .. softmax -> QuantizeLinear -> QLinearMatMul have beside shapes.
/// Every integer sum has at most kExactProducts terms, so that floats compute it exactly.
struct Bytes {
  int q_zero = 0, k_zero = 0, v_zero = 0;
  float scores_scale = 1;  ///< of a sum
  ByteParams p;            ///< of the softmax
  int product_zero = 0;    ///< of the softmax, as the second product reads it
  float multiplier = 1;    ///< of a sum of the second product
  int y_zero = 0;
};

/// The nodes of softmax(factor * q k + mask) v, where each matrix may be a transposed view of
/// another value.
struct Attention {
  NodeId scores, quantize, product;  ///< the softmax quantized, where the products are on bytes
  ValueId q, k, v, mask, y;
  std::optional<Bytes> bytes;
  float factor = 1;
  /// Transposes of q, k, v (computed by the step's strides) and of y; none where there is none.
  NodeId q_transpose, k_transpose, v_transpose, y_transpose;
};

/// Matrices [rows, cols] of one operand: where each begins, and elements between rows and columns.
struct Matrices {
  Operand operand;
  std::vector<int64_t> at;
  int64_t row = 0, col = 0;
};

/// Strides of the value that a Transpose makes, in the elements of its input.
std::vector<int64_t> transposed_strides(const PlanBuilder& b, NodeId transpose,
                                        const std::vector<int64_t>& strides) {
  std::vector<int64_t> perm = b.attrs(transpose).get_ints("perm"), out;
  if (perm.empty())
    for (size_t i = strides.size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  for (const int64_t axis : perm)
    out.push_back(
        strides[static_cast<size_t>(wrap_axis(axis, static_cast<int64_t>(strides.size())))]);
  return out;
}

/// Matrices of `shape` with `strides` for every batch index of `result`.
Matrices matrices_of(const Operand& operand, const Shape& shape, std::vector<int64_t> strides,
                     const Shape& result) {
  Matrices m{.operand = operand};
  m.col = strides.back();
  m.row = strides[strides.size() - 2];
  const size_t batch_rank = result.size() - 2, own_rank = shape.size() - 2;
  m.at = {0};
  for (size_t axis = 0; axis < batch_rank; ++axis) {
    const bool own = axis + own_rank >= batch_rank;
    const size_t i = own ? axis + own_rank - batch_rank : 0;
    const int64_t step = own && shape[i] != 1 ? strides[i] : 0;
    std::vector<int64_t> next;
    for (const int64_t at : m.at)
      for (int64_t n = 0; n < result[axis]; ++n) next.push_back(at + n * step);
    m.at = std::move(next);
  }
  return m;
}

Matrices read_matrices(PlanBuilder& b, ValueId value, NodeId transpose, const Shape& result) {
  const Operand operand = b.get_u8(transpose ? b.input(transpose, 0) : value, Layout::kRowMajor);
  std::vector<int64_t> strides = operand.strides();
  if (transpose) strides = transposed_strides(b, transpose, strides);
  return matrices_of(operand, b.shape(value), std::move(strides), result);
}

/// A Transpose that alone makes the value for `reader`.
NodeId transpose_before(const PlanBuilder& b, ValueId value) {
  const NodeId made = producer_of(b.graph(), value, "Transpose");
  return made && only_user(b.graph(), value) ? made : NodeId();
}

/// Everything that the step needs at run time.
struct AttentionStep {
  Matrices q, k, v, mask, y;
  int64_t queries = 0, keys = 0, depth = 0, width = 0;  ///< [T, D] [D, S], [T, S] [S, W]
  float factor = 1;
  bool masked = false;
  int64_t mask_row = 0;
  std::optional<Bytes> bytes;
  const kernels::GemmF32Functions* gemm = nullptr;
  const kernels::SoftmaxF32Functions* softmax = nullptr;
  const kernels::TransposeFunctions* transpose = nullptr;
  const kernels::QuantizeFunctions* quantize = nullptr;

  int64_t keys_row() const { return (keys + 15) / 16 * 16; }
  int64_t most_rows() const { return std::min(kQueries, queries); }
  // A thread's scratch: K turned, scores, and the softmax's bytes; each with 64 bytes behind it.
  int64_t keys_bytes() const { return (depth * keys_row() + 16) * 4; }
  int64_t scores_bytes() const { return (most_rows() * keys_row() + 16) * 4; }
  int64_t thread_bytes() const {
    return keys_bytes() + scores_bytes() + (bytes ? most_rows() * keys_row() + 64 : 0);
  }
  // Before the threads' scratch: q, k, v and y as floats, where they are bytes.
  static int64_t float_bytes(const Operand& o) { return (o.count() + 31) / 16 * 16 * 4; }
  int64_t floats_bytes() const {
    if (!bytes) return 0;
    return float_bytes(q.operand) + float_bytes(k.operand) + float_bytes(v.operand) +
           float_bytes(y.operand);
  }
};

/// The operands as floats.
struct Floats {
  const float *q, *k, *v, *mask;
  float* y;
};

/// rint(p / scale) of the softmax's rows, as floats less the zero point: what the second product
/// multiplies.
void round_to_bytes(const AttentionStep& s, float* p, int64_t rows, uint8_t* q) {
  const int64_t count = rows * s.keys_row();
  s.quantize->quantize(
      {.cols = count, .x = p, .y = q, .scale = s.bytes->p.scale, .zero = s.bytes->p.zero});
  s.quantize->dequantize({.cols = count, .x = q, .y = p, .zero = s.bytes->product_zero});
}

/// Zeros behind the keys of each row: whatever lay there, subnormal numbers among it, would slow
/// the vectors that reach past the last key.
void clear_past_keys(const AttentionStep& s, int64_t rows, float* at) {
  for (int64_t r = 0; r < rows; ++r, at += s.keys_row())
    std::fill(at + s.keys, at + s.keys_row(), 0.0f);
}

/// Queries begin..end of matrix i.
void attend(const AttentionStep& s, const Floats& f, size_t i, int64_t begin, int64_t end,
            char* scratch) {
  kernels::GemmF32Args scores, product;
  const float* k = f.k + s.k.at[i];
  scores.b = {.data = k, .ld = s.k.row};
  if (s.k.col != 1) {  // rows of K: turned to columns
    float* turned = reinterpret_cast<float*>(scratch);
    clear_past_keys(s, s.depth, turned);
    s.transpose->bytes4({.rows = s.keys,
                         .cols = s.depth,
                         .x_row = s.k.col,
                         .y_row = s.keys_row(),
                         .x = k,
                         .y = turned});
    scores.b = {.data = turned, .ld = s.keys_row()};
  }
  float* p = reinterpret_cast<float*>(scratch + s.keys_bytes());
  clear_past_keys(s, s.most_rows(), p);
  for (int64_t t = begin; t < end; t += kQueries) {
    const int64_t rows = std::min(kQueries, end - t);
    scores.shape = {rows, s.keys, s.depth};
    scores.a = f.q + s.q.at[i] + t * s.q.row;
    scores.lda = s.q.row;
    scores.y = p;
    scores.ldy = s.keys_row();
    s.gemm->run(scores);
    kernels::SoftmaxF32Args softmax;
    softmax.rows = rows;
    softmax.cols = s.keys;
    softmax.x_row = softmax.y_row = s.keys_row();
    softmax.x = softmax.y = p;
    softmax.x_scale = s.bytes ? s.bytes->scores_scale : 1.0f;
    softmax.factor = s.factor;
    if (s.masked) {
      softmax.mask = f.mask + s.mask.at[i] + t * s.mask_row;
      softmax.mask_row = s.mask_row;
    }
    s.softmax->softmax(softmax);
    if (s.bytes)
      round_to_bytes(s, p, rows,
                     reinterpret_cast<uint8_t*>(scratch + s.keys_bytes() + s.scores_bytes()));
    product.shape = {rows, s.width, s.keys};
    product.a = p;
    product.lda = s.keys_row();
    product.b = {.data = f.v + s.v.at[i], .ld = s.v.row};
    product.y = f.y + s.y.at[i] + t * s.y.row;
    product.ldy = s.y.row;
    s.gemm->run(product);
  }
}

/// Every matrix and query, on the run's threads.
void attend_all(const AttentionStep& s, const StepRun& run, const Floats& f, char* scratch) {
  const auto count = static_cast<int64_t>(s.q.at.size());
  // Whole matrices where there are enough of them: each turns its K once.
  const int64_t parts = count >= run.threads() ? 1 : (s.queries + kQueries - 1) / kQueries;
  const int64_t step = parts == 1 ? s.queries : kQueries;
  const auto body = [&](int64_t begin, int64_t end, int thread) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t first = n % parts * step;
      attend(s, f, static_cast<size_t>(n / parts), first, std::min(first + step, s.queries),
             scratch + s.thread_bytes() * thread);
    }
  };
  parallel_for(count * parts, 1, body, run.threads());
}

/// float(q - zero) of all of an operand.
const float* to_floats(const AttentionStep& s, const StepRun& run, const Operand& operand, int zero,
                       char* to) {
  const auto* from = run.data<const uint8_t>(operand);
  auto* floats = reinterpret_cast<float*>(to);
  run.parallel(operand.count(), kGrainElements, [&](int64_t begin, int64_t end) {
    s.quantize->dequantize(
        {.cols = end - begin, .x = from + begin, .y = floats + begin, .zero = zero});
  });
  return floats;
}

void run_attention(const AttentionStep& s, const StepRun& run, char* scratch) {
  Floats f{};
  if (s.masked) f.mask = run.data<const float>(s.mask.operand);
  if (!s.bytes) {
    f.q = run.data<const float>(s.q.operand);
    f.k = run.data<const float>(s.k.operand);
    f.v = run.data<const float>(s.v.operand);
    f.y = run.data<float>(s.y.operand);
    return attend_all(s, run, f, scratch);
  }
  f.q = to_floats(s, run, s.q.operand, s.bytes->q_zero, scratch);
  scratch += s.float_bytes(s.q.operand);
  f.k = to_floats(s, run, s.k.operand, s.bytes->k_zero, scratch);
  scratch += s.float_bytes(s.k.operand);
  f.v = to_floats(s, run, s.v.operand, s.bytes->v_zero, scratch);
  scratch += s.float_bytes(s.v.operand);
  f.y = reinterpret_cast<float*>(scratch);
  attend_all(s, run, f, scratch + s.float_bytes(s.y.operand));
  auto* y = run.data<uint8_t>(s.y.operand);
  run.parallel(s.y.operand.count(), kGrainElements, [&](int64_t begin, int64_t end) {
    s.quantize->requantize({.count = end - begin,
                            .x = f.y + begin,
                            .y = y + begin,
                            .multiplier = s.bytes->multiplier,
                            .zero = s.bytes->y_zero});
  });
}

/// False where strides are none that the kernels take.
bool read_operands(PlanBuilder& b, const Attention& a, const Fusion& fusion, AttentionStep& s) {
  const Shape scores = b.shape(b.output(a.scores)), result = b.shape(b.output(a.product));
  s.queries = scores[scores.size() - 2];
  s.keys = scores.back();
  s.depth = b.shape(a.q).back();
  s.width = result.back();
  s.q = read_matrices(b, a.q, a.q_transpose, result);
  s.k = read_matrices(b, a.k, a.k_transpose, result);
  s.v = read_matrices(b, a.v, a.v_transpose, result);
  const bool key_rows = s.k.row == 1 && s.k.col >= s.depth;  // K as [S, D]
  if (s.q.col != 1 || s.v.col != 1 || (s.k.col != 1 && !key_rows)) return false;
  s.factor = a.factor;
  s.bytes = a.bytes;
  if (a.mask) {
    s.masked = true;
    const Operand mask = b.row_major(a.mask);
    s.mask = matrices_of(mask, mask.shape, mask.strides(), result);
    s.mask_row = mask.shape[mask.shape.size() - 2] == 1 ? 0 : s.mask.row;
  }
  const Operand out = b.create_u8(fusion.output, Layout::kRowMajor);
  std::vector<int64_t> strides = out.strides();
  if (a.y_transpose) {
    // The product's axis perm[i] is axis i of the output.
    const std::vector<int64_t> own = strides;
    std::vector<int64_t> perm = b.attrs(a.y_transpose).get_ints("perm");
    const auto rank = static_cast<int64_t>(own.size());
    if (perm.empty())
      for (int64_t i = rank; i-- > 0;) perm.push_back(i);
    for (size_t i = 0; i < own.size(); ++i)
      strides[static_cast<size_t>(wrap_axis(perm[i], rank))] = own[i];
  }
  s.y = matrices_of(out, result, strides, result);
  return true;
}

bool build_attention(PlanBuilder& b, const Attention& a, const Fusion& fusion) {
  AttentionStep s;
  if (!read_operands(b, a, fusion, s)) return false;
  const auto* gemm = kernels::select_gemm_f32({s.queries, s.keys, s.depth}).kernel;
  s.gemm = gemm->call;
  s.softmax = kernels::select_softmax_f32().kernel->call;
  s.transpose = kernels::select_transpose().kernel->call;
  s.quantize = kernels::select_quantize().kernel->call;
  StepSpec spec;
  spec.nodes = fusion.nodes;
  spec.op = "attention";
  spec.kernel = gemm->row.name;
  if (a.bytes) spec.precision = "int8";
  spec.reads = {s.q.operand, s.k.operand, s.v.operand};
  if (s.masked) spec.reads.push_back(s.mask.operand);
  spec.writes = {s.y.operand};
  const int scratch = b.scratch(s.floats_bytes() + s.thread_bytes() * b.threads());
  spec.scratch = {scratch};
  spec.run = [=](const StepRun& run) {
    run_attention(s, run, static_cast<char*>(run.at(scratch)));
  };
  b.emit(std::move(spec));
  return true;
}

/// Scores that the mask fits: [.., T or 1, S].
bool mask_fits(const PlanBuilder& b, ValueId mask, const Shape& scores) {
  const TensorType& type = b.graph().value(mask).type;
  if (type.dtype != DType::kF32 || !type.is_static()) return false;
  const Shape shape = type.static_shape();
  if (shape.size() < 2 || shape.size() > scores.size() || shape.back() != scores.back())
    return false;
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1 && shape[i] != scores[scores.size() - shape.size() + i]) return false;
  return true;
}

/// MatMul before and behind, on floats.
bool match_floats(const PlanBuilder& b, const Region& region, Attention& a) {
  a.scores = producer_of(b.graph(), region.inputs[0], "MatMul");
  a.product = only_user(b.graph(), region.output);
  if (!a.scores || !a.product || !is_op(b.graph(), a.product, "MatMul") ||
      b.input(a.product, 0) != region.output)
    return false;
  a.v = b.input(a.product, 1);
  return true;
}

/// MatMulIntegerToFloat before; QuantizeLinear and QLinearMatMul behind.
bool match_bytes(const PlanBuilder& b, const Region& region, Attention& a) {
  const Graph& graph = b.graph();
  a.scores = graph.value(region.inputs[0]).producer;
  a.quantize = only_user(graph, region.output);
  if (!a.scores || !a.quantize || !is_op(graph, a.quantize, "QuantizeLinear")) return false;
  const ValueId p = b.output(a.quantize);
  a.product = only_user(graph, p);
  if (!graph.node(a.scores).is("MatMulIntegerToFloat", "com.microsoft") || !a.product ||
      !graph.node(a.product).is("QLinearMatMul") || b.input(a.product, 0) != p ||
      b.input(a.scores, 6))
    return false;
  a.v = b.input(a.product, 3);
  const ValueId q = b.input(a.scores, 0), k = b.input(a.scores, 1), y = b.output(a.product);
  const auto qp = byte_params(b, b.input(a.scores, 2), b.input(a.scores, 4), b.dtype(q)),
             kp = byte_params(b, b.input(a.scores, 3), b.input(a.scores, 5), b.dtype(k)),
             pp = byte_params(b, a.quantize, 1, b.dtype(p)),
             read = byte_params(b, a.product, 1, b.dtype(p)),
             vp = byte_params(b, a.product, 4, b.dtype(a.v)),
             yp = byte_params(b, a.product, 6, b.dtype(y));
  if (!qp || !kp || !pp || !read || !vp || !yp || b.attrs(a.quantize).get_int("block_size", 0) != 0)
    return false;
  a.bytes = Bytes{.q_zero = qp->zero,
                  .k_zero = kp->zero,
                  .v_zero = vp->zero,
                  .scores_scale = qp->scale * kp->scale,
                  .p = *pp,
                  .product_zero = read->zero,
                  .multiplier = kernels::requant_multiplier(read->scale, vp->scale, yp->scale),
                  .y_zero = yp->zero};
  // Division by what has no exact inverse rounds differently from a product.
  int exponent = 0;
  const auto divides = [&](NodeId id) { return is_op(graph, id, "Div"); };
  if (std::any_of(region.nodes.begin(), region.nodes.end(), divides) &&
      std::abs(std::frexp(region.factor, &exponent)) != 0.5f)
    return false;
  const TensorType &depth = graph.value(q).type, &keys = graph.value(p).type;
  return depth.is_static() && keys.is_static() && depth.shape->back().value <= kExactProducts &&
         keys.shape->back().value <= kExactProducts;
}

std::optional<Attention> match(const PlanBuilder& b, const Region& region) {
  const Graph& graph = b.graph();
  Attention a;
  if (!match_floats(b, region, a)) {
    a = {};
    if (!match_bytes(b, region, a)) return std::nullopt;
  }
  a.factor = region.factor;
  a.q = b.input(a.scores, 0);
  a.k = b.input(a.scores, 1);
  if (region.inputs.size() > 1) a.mask = region.inputs[1];
  a.y = b.output(a.product);
  for (const ValueId v : {a.q, a.k, a.v, region.inputs[0], region.output, a.y}) {
    const TensorType& type = graph.value(v).type;
    const bool fits = type.dtype == DType::kF32 || (a.bytes && is_byte(type.dtype));
    if (!fits || !type.is_static() || type.shape->size() < 3) return std::nullopt;
  }
  const Shape scores = b.shape(region.inputs[0]), result = b.shape(a.y);
  if (b.shape(region.output) != scores) return std::nullopt;
  // V has the batch of the scores: every product's result has as many matrices as the scores.
  if (!std::equal(scores.begin(), scores.end() - 1, result.begin(), result.end() - 1))
    return std::nullopt;
  if (a.mask && !mask_fits(b, a.mask, scores)) return std::nullopt;
  const auto rank = static_cast<int64_t>(scores.size());
  if (region.axes != std::vector<int64_t>{rank - 1}) return std::nullopt;
  a.q_transpose = transpose_before(b, a.q);
  a.k_transpose = transpose_before(b, a.k);
  a.v_transpose = transpose_before(b, a.v);
  const NodeId behind = only_user(graph, a.y);
  if (behind && is_op(graph, behind, "Transpose")) a.y_transpose = behind;
  return a;
}

/// True where the Transpose of the product leaves its last axis the last.
bool keeps_columns(const PlanBuilder& b, NodeId transpose) {
  const std::vector<int64_t> perm = b.attrs(transpose).get_ints("perm");
  const auto rank = static_cast<int64_t>(b.shape(b.output(transpose)).size());
  return !perm.empty() && wrap_axis(perm.back(), rank) == rank - 1;
}

}  // namespace

std::optional<Fusion> attention_fusion(const PlanBuilder& b, const Region& region) {
  if (region.kind != RegionKind::kAttentionSoftmax) return std::nullopt;
  auto a = match(b, region);
  if (!a) return std::nullopt;
  if (a->y_transpose && !keeps_columns(b, a->y_transpose)) a->y_transpose = {};
  Fusion fusion;
  for (const NodeId id : {a->q_transpose, a->k_transpose, a->v_transpose, a->scores})
    if (id) fusion.nodes.push_back(id);
  fusion.nodes.insert(fusion.nodes.end(), region.nodes.begin(), region.nodes.end());
  if (a->quantize) fusion.nodes.push_back(a->quantize);
  fusion.nodes.push_back(a->product);
  if (a->y_transpose) fusion.nodes.push_back(a->y_transpose);
  fusion.output = b.output(fusion.nodes.back());
  fusion.build = [a = *a](PlanBuilder& builder, const Fusion& self) {
    return build_attention(builder, a, self);
  };
  return fusion;
}

}  // namespace lapidary::exec
