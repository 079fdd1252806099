#include <cmath>

#include "src/base/checked.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

using RangeTypes = Types<float, double, int16_t, int32_t, int64_t>;
inline constexpr auto kRangeDTypes = dtypes_of(RangeTypes{});

template <class T>
T element(const Tensor& t) {
  return t.data<T>()[0];
}

/// max(ceil((limit - start) / delta), 0)
template <class T>
int64_t range_count(T start, T limit, T delta) {
  if (delta == 0) fail_invalid("delta is 0");
  if constexpr (std::is_floating_point_v<T>) {
    const double count = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) /
                                   static_cast<double>(delta));
    if (!(count < 0x1p62)) fail(ErrorCode::kResource, "a range of {} elements", count);
    return count > 0 ? static_cast<int64_t>(count) : 0;
  } else {
    __extension__ using Wide = __int128;  // the difference of two int64
    const Wide span = static_cast<Wide>(limit) - start, step = delta;
    const Wide count = span / step + (span % step != 0 && (span < 0) == (step < 0) ? 1 : 0);
    if (count > std::numeric_limits<int64_t>::max())
      fail(ErrorCode::kResource, "a range of more than 2^63 elements");
    return count > 0 ? static_cast<int64_t>(count) : 0;
  }
}

int64_t range_count(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  int64_t count = 0;
  dispatch<RangeTypes>(start.dtype(), [&]<class T>() {
    count = range_count(element<T>(start), element<T>(limit), element<T>(delta));
  });
  return count;
}

void infer(InferContext& ctx) {
  for (size_t i = 0; i < 3; ++i) {
    ctx.require_dtype(i, kRangeDTypes);
    ctx.require_same_dtype(0, i);
    ctx.require_rank(i, 0, 1);
    const Tensor* t = ctx.constant(i);
    if (t && t->size() != 1) fail_invalid("input {} has {} elements, expected 1", i, t->size());
  }
  ctx.set_type(0, ctx.dtype(0), {Dim{}});
  if (ctx.constant(0) && ctx.constant(1) && ctx.constant(2)) {
    ctx.set_type(0, ctx.dtype(0),
                 {range_count(*ctx.constant(0), *ctx.constant(1), *ctx.constant(2))});
    return;
  }
  // Range(0, N, 1), how exporters number the positions of a sequence.
  const auto start = ctx.shape_value(0), limit = ctx.shape_value(1), delta = ctx.shape_value(2);
  if (start && delta && limit && limit->size() == 1 && *start == ShapeValue{0} &&
      *delta == ShapeValue{1})
    ctx.set_type(0, ctx.dtype(0), *limit);
}

void evaluate(EvalContext& ctx) {
  const int64_t count = range_count(ctx.input(0), ctx.input(1), ctx.input(2));
  Tensor out(ctx.input(0).dtype(), {count});
  dispatch<RangeTypes>(out.dtype(), [&]<class T>() {
    const T start = element<T>(ctx.input(0)), delta = element<T>(ctx.input(2));
    auto to = out.mutable_data<T>();
    for (size_t i = 0; i < to.size(); ++i)
      to[i] = static_cast<T>(start + static_cast<T>(i) * delta);
  });
  ctx.set_output(0, std::move(out));
}

}  // namespace

const OpDef& op_Range() {
  static const OpDef def{
      .name = "Range",
      .versions = {11},
      .later = {27},  // float16, bfloat16, stash_type
      .inputs = {3, 3},
      .outputs = {1, 1},
      .infer = infer,
      .evaluate = evaluate,
      .half_since = kNoHalfForm,
  };
  return def;
}

}  // namespace lapidary
