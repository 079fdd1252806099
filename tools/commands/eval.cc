#include <fmt/format.h>

#include <algorithm>

#include "src/base/file.h"
#include "src/base/text.h"
#include "tools/cli.h"

namespace lapidary::cli {

namespace {

double share(const LayerSaturation& l) {
  return l.pair_sums > 0 ? static_cast<double>(l.saturated) / static_cast<double>(l.pair_sums) : 0;
}

nlohmann::ordered_json saturation_json(const std::vector<LayerSaturation>& layers) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const LayerSaturation& l : layers)
    out.push_back({{"node", l.node},
                   {"op", l.op},
                   {"pair_sums", l.pair_sums},
                   {"saturated", l.saturated},
                   {"share", share(l)}});
  return out;
}

/// The layers that saturate, most first.
std::string saturation_text(std::vector<LayerSaturation> layers) {
  if (layers.empty()) return "";
  const size_t count = layers.size();
  std::erase_if(layers, [](const LayerSaturation& l) { return l.saturated == 0; });
  if (layers.empty()) return fmt::format("None of {} layers saturates.\n", count);
  std::stable_sort(layers.begin(), layers.end(),
                   [](const auto& a, const auto& b) { return share(a) > share(b); });
  std::string out = fmt::format(
      "{} of {} layers saturate; the target onnxruntime-cpu-avx2 (7-bit weights) avoids it:\n",
      layers.size(), count);
  for (const LayerSaturation& l : layers)
    out += fmt::format("{:>12} of {:>14} pairs {:>9.2e}  {} {}\n", l.saturated, l.pair_sums,
                       share(l), printable(l.op, 20), printable(l.node, 60));
  return out;
}

}  // namespace

void add_eval(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string model, data, against, outputs, executor = "fast", isa_semantics = "exact";
    std::vector<std::string> metrics;
    int winograd = 0;
    FloatOptions floats;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "eval", "Accuracy over a data set", common);
  sub->add_option("model", o->model, "The ONNX model")->required();
  sub->add_option("--data", o->data, "A YAML file or an inline record")->required();
  sub->add_option("--against", o->against, "A float model to compare with");
  sub->add_option("--outputs", o->outputs, "OUT.npy: the first output, samples along axis 0");
  sub->add_option("--metrics", o->metrics, "Which (default: all that apply; list metrics)")
      ->delimiter(',');
  sub->add_option("--executor", o->executor, "fast or reference")
      ->check(CLI::IsMember({"fast", "reference"}));
  sub->add_option(
         "--winograd", o->winograd,
         "2 or 4: float 3x3 convolutions by Winograd's F(2x2) or up to F(4x4) where that is "
         "faster; sums round differently (default 0: none)")
      ->check(CLI::IsMember(std::vector<int>(kWinogradTiles.begin(), kWinogradTiles.end())));
  add_float_options(*sub, o->floats);
  sub->add_option(
      "--isa-semantics", o->isa_semantics,
      "Whose integer products: exact (CPUs with VNNI), avx2-saturating (ONNX Runtime on "
      "x86 CPUs without: counts what saturates in each layer), or a profile's name: "
      "onnxruntime-1.31/vnni, onnxruntime-1.31/avx2");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      guard_output(o->outputs, {o->data});
      const Graph against = o->against.empty() ? Graph() : load_beside(o->against, o->outputs);
      const Graph model = load_beside(o->model, o->outputs);
      // Both see the same samples: those of the model that gives the truth, in each one's type.
      const Dataset data = open_data(o->data, o->against.empty() ? model : against, common.seed);
      guard_output(o->outputs, data.files());
      EvaluateOptions options;
      options.metrics = o->metrics;
      options.integer_arithmetic = integer_arithmetic(o->isa_semantics);
      options.threads = common.threads;
      options.executor = o->executor == "fast" ? ExecutorKind::kFast : ExecutorKind::kReference;
      options.winograd = o->winograd;
      options.float_arithmetic = o->floats.arithmetic();
      options.keep_outputs = !o->outputs.empty();
      options.log = common.log();
      const Validation v = o->against.empty() ? evaluate(model, data, options)
                                              : validate(model, against, data, options);
      common.warn_about(data);
      if (v.nonfinite_outputs > 0)
        options.log.warn(
            fmt::format("{} outputs are not finite (NaN or infinite), in {} of {} samples",
                        v.nonfinite_outputs, v.nonfinite_samples, v.samples));
      if (!o->outputs.empty()) write_npy(o->outputs, v.outputs);
      const int threads = common.threads > 0 ? common.threads : thread_count();
      const nlohmann::ordered_json json = {
          {"model", o->model},
          {"samples", v.samples},
          {"labelled", v.labelled},
          {"metrics", v.metrics},
          {"nonfinite_outputs", v.nonfinite_outputs},
          {"seconds", v.seconds},
          {"images_per_second", v.images_per_second},
          {"threads", threads},
          {"float_arithmetic", float_arithmetic_name(options.float_arithmetic)},
          {"isa", std::string(isa_name(isa_cap()))},
          {"profile", std::string(execution_profile(options.integer_arithmetic))},
          {"saturation", saturation_json(v.saturation)}};
      std::string text = fmt::format("{} samples, {:.0f} a second, {} threads\n", v.samples,
                                     v.images_per_second, threads);
      for (const auto& [name, value] : v.metrics)
        text += fmt::format("{:<22} {:.4f}\n", name, value);
      text += saturation_text(v.saturation);
      if (options.integer_arithmetic != IntegerArithmetic::kExact && v.saturation.empty())
        text += "No layer has integer products that could saturate: nothing differs.\n";
      if (!v.labelled)
        text +=
            "The data have no labels, so there is no accuracy: `labels:` in the record names "
            "them; --against compares with a float model.\n";
      emit(common, json, text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
