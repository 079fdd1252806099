#include "src/exec/steps/convert.h"

#include <algorithm>

#include "kernels/transpose/transpose.h"
#include "src/base/fail.h"
#include "src/exec/steps/grain.h"
#include "src/exec/strided.h"

namespace lapidary::exec {

namespace {

/// N matrices of rows x cols to be transposed: C x pixels or pixels x C.
kernels::TransposeArgs matrices(const Operand& from, const Operand& to) {
  const int64_t batch = from.shape[0], channels = from.shape[1];
  const int64_t pixels = from.count() / (batch * channels);
  kernels::TransposeArgs args;
  args.batch = batch;
  args.rows = to.layout == Layout::kChannelsLast ? channels : pixels;
  args.cols = to.layout == Layout::kChannelsLast ? pixels : channels;
  return args;
}

StridedCopy layout_copy(const Operand& from, const Operand& to) {
  StridedCopy copy{.element_bytes = dtype_size(from.dtype)};
  const auto x = from.strides(), y = to.strides();
  for (size_t axis = 0; axis < x.size(); ++axis)
    copy.axes.push_back({from.shape[axis], x[axis], y[axis]});
  // Written in order: the target's innermost axis last.
  std::stable_sort(copy.axes.begin(), copy.axes.end(),
                   [](const CopyAxis& a, const CopyAxis& b) { return a.y > b.y; });
  copy.simplify();
  return copy;
}

}  // namespace

void flip_bias(const uint8_t* x, uint8_t* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<uint8_t>(x[i] ^ 0x80);
}

StepSpec conversion_step(const Operand& from, const Operand& to, const std::string& value) {
  StepSpec spec;
  spec.reads = {from};
  spec.writes = {to};
  spec.precision = dtype_name(from.dtype);
  if (from.layout == to.layout) {
    spec.op = "Rebias of " + value;
    spec.kernel = "rebias";
    spec.run = [from, to](const StepRun& run) {
      run.parallel(from.count(), kGrainCopied, [&](int64_t begin, int64_t end) {
        flip_bias(run.data<uint8_t>(from) + begin, run.data<uint8_t>(to) + begin, end - begin);
      });
    };
    return spec;
  }
  spec.op = "Layout of " + value;
  const size_t bytes = dtype_size(from.dtype);
  if (bytes != 1 && bytes != 4) {
    spec.kernel = "copy";
    spec.run = [from, to, copy = layout_copy(from, to)](const StepRun& run) {
      copy_strided(copy, run.at(from.storage), run.at(to.storage), run.threads());
    };
    return spec;
  }
  const auto* kernel = kernels::select_transpose().kernel;
  spec.kernel = kernel->row.name;
  const auto call = bytes == 1 ? kernel->call->bytes1 : kernel->call->bytes4;
  spec.run = [from, to, bytes, call, args = matrices(from, to)](const StepRun& run) {
    const char* x = run.data<const char>(from);
    char* y = run.data<char>(to);
    if (args.batch == 1)  // by columns, each a run of the result
      return run.parallel(args.cols, 1 + kGrainElements / args.rows,
                          [&](int64_t begin, int64_t end) {
                            kernels::TransposeArgs part = args;
                            part.cols = end - begin;
                            part.x_row = args.cols;
                            part.x = x + begin * static_cast<int64_t>(bytes);
                            part.y = y + begin * args.rows * static_cast<int64_t>(bytes);
                            call(part);
                          });
    run.parallel(args.batch, 1, [&](int64_t begin, int64_t end) {
      kernels::TransposeArgs part = args;
      part.batch_begin = begin;
      part.batch_end = end;
      part.x = x;
      part.y = y;
      call(part);
    });
  };
  return spec;
}

Tensor to_channels_last(const Tensor& tensor) {
  Operand from{0, tensor.dtype(), tensor.shape()}, to = from;
  to.layout = Layout::kChannelsLast;
  Tensor out(tensor.dtype(), tensor.shape());
  copy_strided(layout_copy(from, to), tensor.raw(), out.mutable_raw(), 1);
  return out;
}

}  // namespace lapidary::exec
