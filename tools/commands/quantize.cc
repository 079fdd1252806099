#include "src/base/fail.h"
#include "tools/verb.h"

namespace lapidary::cli {

namespace {

struct Options : Verb {
  std::string target, format, calibrator, weight_calibrator, activation_type, nonfinite, stats;
  std::string bias_correction, equalize, per_channel, symmetric;
  std::vector<std::string> skip, isa_semantics;
  std::optional<double> percentile, momentum, hold_mb, max_drop, min_agreement, min_sqnr;
  std::optional<int64_t> samples;
  bool inputs_only = false, allow_nonfinite = false, requantize = false;
};

bool on_off(const std::string& option, const std::string& text) {
  if (text != "on" && text != "off") fail_usage("{} is on or off, not '{}'", option, text);
  return text == "on";
}

/// Only what the user gave: the rest has the step's defaults.
void fill_params(Options& o) {
  auto& p = o.params;
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) p[key] = value;
  };
  text("target", o.target);
  text("format", o.format);
  text("calibrator", o.calibrator);
  text("weight_calibrator", o.weight_calibrator);
  text("activation_type", o.activation_type);
  text("nonfinite", o.nonfinite);
  text("stats", o.stats);
  if (!o.bias_correction.empty())
    p["bias_correction"] = on_off("--bias-correction", o.bias_correction);
  if (!o.equalize.empty()) p["equalize"] = on_off("--equalize", o.equalize);
  if (!o.per_channel.empty()) p["per_channel"] = on_off("--per-channel", o.per_channel);
  if (!o.symmetric.empty()) p["symmetric"] = on_off("--symmetric", o.symmetric);
  if (!o.skip.empty()) p["skip"] = o.skip;
  if (o.percentile) p["percentile"] = *o.percentile;
  if (o.momentum) p["momentum"] = *o.momentum;
  if (o.hold_mb) p["hold_mb"] = *o.hold_mb;
  if (o.samples) p["samples"] = *o.samples;
  if (o.inputs_only) p["inputs_only"] = true;
  if (o.allow_nonfinite) p["allow_nonfinite"] = true;
  if (o.requantize) p["requantize"] = true;
  if (!o.isa_semantics.empty()) o.evaluate["isa_semantics"] = o.isa_semantics;
  if (o.max_drop) o.limits["max_accuracy_drop"] = *o.max_drop;
  if (o.min_agreement) o.limits["min_agreement"] = *o.min_agreement;
  if (o.min_sqnr) o.limits["min_sqnr_db"] = *o.min_sqnr;
}

}  // namespace

void add_quantize(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "quantize", "Post-training quantization to INT8", common);
  add_verb_options(*sub, *o);
  sub->add_option("--calib", o->calib, "Calibration data: a YAML file or an inline record");
  sub->add_option("--stats", o->stats, "Statistics of an earlier calibration instead");
  sub->add_option("--target", o->target, "Whose placement rules to follow (list targets)");
  sub->add_option("--format", o->format, "qdq or qoperator");
  sub->add_option("--calibrator", o->calibrator,
                  "How activation ranges are chosen (list calibrators)");
  sub->add_option("--weight-calibrator", o->weight_calibrator, "minmax or mse");
  sub->add_option("--percentile", o->percentile, "Of the percentile calibrator");
  sub->add_option("--momentum", o->momentum,
                  "Of the moving_average calibrator: a new chunk's weight");
  sub->add_option("--skip", o->skip, "Nodes that stay float: name, glob, re:REGEX, op:TYPE");
  sub->add_option("--samples", o->samples, "Calibrate on the first so many");
  sub->add_option("--bias-correction", o->bias_correction, "on (default) or off");
  sub->add_option("--equalize", o->equalize,
                  "Channels before depthwise convolutions: on (default) or off");
  sub->add_option("--hold-mb", o->hold_mb, "Memory for the samples that bias correction holds");
  sub->add_option("--per-channel", o->per_channel, "on or off, instead of the target's");
  sub->add_option("--symmetric", o->symmetric, "on or off, instead of the target's");
  sub->add_option("--activation-type", o->activation_type,
                  "uint8 or int8, instead of the target's");
  sub->add_flag("--inputs-only", o->inputs_only,
                "Quantize only inputs of Conv, Gemm and MatMul: slower, more accurate");
  sub->add_flag("--allow-nonfinite", o->allow_nonfinite,
                "Leave out calibration samples that make NaN or infinity instead of failing");
  sub->add_flag("--requantize", o->requantize, "Accept a model that is quantized already");
  sub->add_option("--nonfinite", o->nonfinite, "Weights that are NaN or infinite: error or clamp");
  sub->add_option("--max-drop", o->max_drop,
                  "Limit: points of accuracy lost (missed: exit code 5)");
  sub->add_option("--min-agreement", o->min_agreement, "Limit: share of the float model's answers");
  sub->add_option("--min-sqnr", o->min_sqnr, "Limit: dB of the output");
  sub->add_option("--isa-semantics", o->isa_semantics,
                  "avx2-saturating: accuracy also as ONNX Runtime computes on x86 without VNNI");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      fill_params(*o);
      if (o->calib.empty() && o->stats.empty())
        fail_usage(
            "give calibration data: --calib DATA (or --stats FILE of an earlier calibration)");
      if (!o->limits.empty() && o->eval.empty())
        fail_usage("limits on accuracy need data to measure on: --eval DATA");
      if (!o->isa_semantics.empty() && o->eval.empty())
        fail_usage("--isa-semantics needs data to measure on: --eval DATA");
      return run_verb("quantize", *o, common);
    };
  });
}

}  // namespace lapidary::cli
