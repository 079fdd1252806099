#include "lapidary/evaluate.h"
#include "lapidary/exec.h"
#include "src/pipeline/recipe_impl.h"

namespace lapidary {

const FieldTable& BenchParams::fields() {
  using P = BenchParams;
  static const FieldTable kTable{
      "bench",
      {field("threads", &P::threads, "Thread counts to time").range(1, 1024),
       field("seconds", &P::seconds, "Time spent on each").range(0.01, 3600),
       field("batch", &P::batch, "Samples in one inference").range(1, 65536)}};
  return kTable;
}

const FieldTable& EvaluateParams::fields() {
  using P = EvaluateParams;
  static const FieldTable kTable{
      "evaluate",
      {field("metrics", &P::metrics, "What to measure; empty: all that the data allow")
           .one_of(names_of(list_metrics())),
       field("execution", &P::execution,
             "The float models among the first and the last also computed in these: bf16, fp16 "
             "(weights only), fp16-arithmetic")
           .one_of({"bf16", "fp16", "fp16-arithmetic"}),
       field("isa_semantics", &P::isa_semantics,
             "The last model also computed as other classes of CPU do, by name or profile: "
             "avx2-saturating (ONNX Runtime on x86 without VNNI), by layers that saturate")
           .one_of(integer_arithmetic_names()),
       field("every_step", &P::every_step,
             "Measure after each step, not only the first and last model"),
       field("bench", &P::bench, "Time one inference; null: do not"),
       field("layer_samples", &P::layer_samples,
             "Samples of the layer-by-layer comparison; 0: none")
           .range(0, 1e6),
       field("winograd", &P::winograd,
             "2 or 4: float 3x3 convolutions by Winograd's F(2x2) or up to F(4x4) where that is "
             "faster, in accuracy (but for the stage that others are held against) and latency; 0: "
             "none")
           .one_of(kWinogradTiles)}};
  return kTable;
}

const FieldTable& LimitsParams::fields() {
  using P = LimitsParams;
  static const FieldTable kTable{
      "limits",
      {field("max_drop_points", &P::max_drop_points,
             "By metric: how far it may fall below the first stage, or the last one whose weights "
             "began "
             "anew (points of 100; other metrics in their own unit)"),
       field("max_accuracy_drop", &P::max_accuracy_drop, "max_drop_points of the first metric")
           .range(0, 100),
       field("bounds", &P::bounds,
             "By metric: the worst value that the last stage may have (shares of samples 0 to 1)"),
       field("min_agreement", &P::min_agreement, "bounds: {agreement_with_fp32: ...}").range(0, 1),
       field("min_sqnr_db", &P::min_sqnr_db, "bounds: {sqnr_db: ...}"),
       field("max_size_mb", &P::max_size_mb, "Of the file, in 10^6 bytes").range(0, 1e9),
       field("max_latency_ms", &P::max_latency_ms, "Median, with `threads`").range(0, 1e9),
       field("min_speedup", &P::min_speedup, "Median of the first stage over the last one's")
           .range(0, 1e6),
       field("threads", &P::threads, "Of the two limits above").range(1, 1024)}};
  return kTable;
}

const FieldTable& RecipeParams::fields() {
  using P = RecipeParams;
  static const FieldTable kTable{
      "recipe",
      {field("lapidary", &P::version, "Version of this format").range(1, 1).needed(),
       field("model", &P::model, "The ONNX model to start from").needed(),
       field("output", &P::output, "Folder for the results"),
       field("seed", &P::seed, "Of everything random"),
       field("data", &P::data, "Data records: calib, train, valid (measured between epochs), eval"),
       field("steps", &P::steps, "What to do, in order; none: the model is measured as it is"),
       field("evaluate", &P::evaluate, "What to measure"),
       field("limits", &P::limits, "Bounds; a missed one ends with exit code 5"),
       field("external_data", &P::external_data,
             "Weights of the results go into FILE.onnx.data beside them, as they do by themselves "
             "from 2 GB on"),
       field("report", &P::report, "Forms of the report").one_of({"html", "json", "md"})}};
  return kTable;
}

}  // namespace lapidary
