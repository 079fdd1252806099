#include "kernels/quantize/quantize.h"

#include "src/exec/steps/grain.h"
#include "src/exec/steps/quant.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

/// Where source and target lie; matrices where the layouts differ, one row of all elements where
/// not.
struct Geometry {
  Operand from, to;
  int64_t batch = 1, rows = 1, cols = 0;
  bool transpose = false;
};

Geometry geometry_of(const Operand& from, const Operand& to) {
  Geometry g{from, to, 1, 1, from.count()};
  if (from.layout == to.layout || layouts_coincide(from.shape)) return g;
  g.transpose = true;
  g.batch = from.shape[0];
  const int64_t channels = from.shape[1], pixels = from.count() / (g.batch * channels);
  g.rows = from.layout == Layout::kRowMajor ? channels : pixels;
  g.cols = from.layout == Layout::kRowMajor ? pixels : channels;
  return g;
}

/// Calls f(args) with the args' range set, on the run's threads.
template <class Args, class F>
void split(const StepRun& run, const Geometry& g, Args args, F f) {
  args.transpose = g.transpose;
  args.batch = g.batch;
  args.rows = g.rows;
  args.cols = g.cols;
  if (g.transpose) {
    run.parallel(g.batch, 1, [&](int64_t begin, int64_t end) {
      Args part = args;
      part.batch_begin = begin;
      part.batch_end = end;
      f(part, 0);
    });
    return;
  }
  run.parallel(g.cols, kGrainElements, [&](int64_t begin, int64_t end) {
    Args part = args;
    part.cols = end - begin;
    f(part, begin);
  });
}

/// The layout of the result: the one that its readers prefer, where the step can change it on the
/// way.
Layout result_layout(PlanBuilder& b, ValueId x, ValueId y) {
  const Operand& lies = b.operand(x);
  if (lies.shape.size() < 3) return Layout::kRowMajor;
  if (b.prefers_channels_last(y)) return Layout::kChannelsLast;
  return Layout::kRowMajor;
}

void emit(PlanBuilder& b, NodeId id, const Geometry& g, std::function<void(const StepRun&)> run) {
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = kernels::select_quantize().kernel->row.name;
  spec.precision = "int8";
  spec.reads = {g.from};
  spec.writes = {g.to};
  spec.run = std::move(run);
  b.emit(std::move(spec));
}

bool by_blocks(const PlanBuilder& b, NodeId id) {
  return b.attrs(id).get_int("block_size", 0) != 0;
}

}  // namespace

bool build_quantize(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const auto p = byte_params(b, id, 1, b.dtype(y));
  if (b.dtype(x) != DType::kF32 || !p || by_blocks(b, id)) return false;
  const Layout layout = result_layout(b, x, y);
  const Operand from = b.operand(x);
  const Geometry g = geometry_of(from, b.create_u8(y, layout));
  emit(b, id, g, [g, p = *p, call = kernels::select_quantize().kernel->call](const StepRun& run) {
    kernels::QuantizeArgs args;
    args.scale = p.scale;
    args.zero = p.zero;
    if (g.transpose && g.batch == 1)  // by columns, each a run of the result
      return run.parallel(g.cols, 1 + kGrainElements / g.rows, [&](int64_t begin, int64_t end) {
        kernels::QuantizeArgs part = args;
        part.transpose = true;
        part.rows = g.rows;
        part.cols = end - begin;
        part.x_row = g.cols;
        part.x = run.data<const float>(g.from) + begin;
        part.y = run.data<uint8_t>(g.to) + begin * g.rows;
        call->quantize(part);
      });
    split(run, g, args, [&](kernels::QuantizeArgs part, int64_t at) {
      part.x = run.data<const float>(g.from) + at;
      part.y = run.data<uint8_t>(g.to) + at;
      call->quantize(part);
    });
  });
  return true;
}

bool build_dequantize(PlanBuilder& b, NodeId id) {
  // The byte functions that begin here; float readers that are left need the step as well.
  while (!b.built(id) && build_table(b, id)) {
  }
  if (b.built(id)) return true;
  const ValueId x = b.input(id, 0), y = b.output(id);
  const auto p = byte_params(b, id, 1, b.dtype(x));
  if (b.dtype(y) != DType::kF32 || !p || by_blocks(b, id)) return false;
  const Layout layout = result_layout(b, x, y);
  const Operand lies = b.operand(x);
  const Operand from = b.get_u8(x, lies.layout);
  const Geometry g = geometry_of(from, b.create(y, layout));
  emit(b, id, g, [g, p = *p, call = kernels::select_quantize().kernel->call](const StepRun& run) {
    kernels::DequantizeArgs args;
    args.scale = p.scale;
    args.zero = p.zero;
    split(run, g, args, [&](kernels::DequantizeArgs part, int64_t at) {
      part.x = run.data<const uint8_t>(g.from) + at;
      part.y = run.data<float>(g.to) + at;
      call->dequantize(part);
    });
  });
  return true;
}

}  // namespace lapidary::exec
