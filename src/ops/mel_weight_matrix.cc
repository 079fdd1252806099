#include <cmath>

#include "src/base/checked.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

struct Sizes {
  int64_t mel_bins = 0, dft_length = 0, sample_rate = 0;
  int64_t spectrum_bins() const { return dft_length / 2 + 1; }
};

std::optional<Sizes> read_sizes(const std::optional<std::vector<int64_t>>& mel_bins,
                                const std::optional<std::vector<int64_t>>& dft_length,
                                const std::optional<std::vector<int64_t>>& sample_rate) {
  if (!mel_bins || !dft_length || !sample_rate) return std::nullopt;
  for (const auto* list : {&*mel_bins, &*dft_length, &*sample_rate})
    if (list->size() != 1 || (*list)[0] < 1)
      fail_invalid("num_mel_bins, dft_length and sample_rate: expected one positive number each");
  return Sizes{(*mel_bins)[0], (*dft_length)[0], (*sample_rate)[0]};
}

void infer(InferContext& ctx) {
  for (size_t i = 0; i < 3; ++i) ctx.require_dtype(i, kIndexTypes);
  for (size_t i = 3; i < 5; ++i) ctx.require_dtype(i, kFloatDTypes);
  for (size_t i = 0; i < 5; ++i) list_length(ctx, i, true);
  const auto sizes = read_sizes(ctx.ints(0), ctx.ints(1), ctx.ints(2));
  ctx.set_type(0, output_datatype(ctx.attrs()), {Dim{}, Dim{}});
  if (!sizes) return;
  checked_mul(sizes->spectrum_bins(), sizes->mel_bins);
  ctx.set_type(0, output_datatype(ctx.attrs()), {sizes->spectrum_bins(), sizes->mel_bins});
}

/// Triangular filters at equal steps of mel = 2595 log10(1 + f / 700) between the two edges.
void evaluate(EvalContext& ctx) {
  const Sizes sizes = *read_sizes(ctx.ints(0), ctx.ints(1), ctx.ints(2));
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = mel(read_as<double>(ctx.input(3)).at(0));
  const double high = mel(read_as<double>(ctx.input(4)).at(0));
  const double step = (high - low) / static_cast<double>(sizes.mel_bins + 2);
  const int64_t rows = sizes.spectrum_bins(), columns = sizes.mel_bins;
  std::vector<int64_t> bins;  // edges and centers of the triangles
  for (int64_t i = 0; i < columns + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (static_cast<double>(i) * step + low) / 2595) - 1);
    const double bin = std::floor(static_cast<double>(sizes.dft_length + 1) * hertz /
                                  static_cast<double>(sizes.sample_rate));
    if (!(bin >= 0 && bin <= static_cast<double>(rows)))
      fail_invalid("the edges reach spectrum bin {}, expected 0 to {}", bin, rows);
    bins.push_back(static_cast<int64_t>(bin));
  }
  Tensor out(output_datatype(ctx.attrs()), {rows, columns});
  dispatch<NumericTypes>(out.dtype(), [&]<class T>() {
    auto to = out.mutable_data<T>();
    const auto set = [&](int64_t row, int64_t column, double value) {
      if (row < rows)
        to[static_cast<size_t>(row * columns + column)] = store<T>(static_cast<Real<T>>(value));
    };
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t begin = bins[static_cast<size_t>(c)], center = bins[static_cast<size_t>(c + 1)];
      const int64_t end = bins[static_cast<size_t>(c + 2)];
      if (begin == center) set(center, c, 1);
      for (int64_t row = begin; begin < center && row <= center; ++row)
        set(row, c, static_cast<double>(row - begin) / static_cast<double>(center - begin));
      for (int64_t row = center; row < end; ++row)
        set(row, c, static_cast<double>(end - row) / static_cast<double>(end - center));
    }
  });
  ctx.set_output(0, std::move(out));
}

}  // namespace

const OpDef& op_MelWeightMatrix() {
  static const OpDef def{.name = "MelWeightMatrix",
                         .versions = {17},
                         .inputs = {5, 5},
                         .outputs = {1, 1},
                         .attrs = {{"output_datatype", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .half_since = kNoHalfForm};
  return def;
}

}  // namespace lapidary
