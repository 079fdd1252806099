#include <fmt/format.h>

#include "src/base/file.h"
#include "tools/cli.h"

namespace lapidary::cli {

void add_eval(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string model, data, against, outputs, executor = "fast";
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
      ->check(CLI::IsMember({0, 2, 4}));
  add_float_options(*sub, o->floats);
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      guard_output(o->outputs, {o->data});
      const Graph against = o->against.empty() ? Graph() : load_beside(o->against, o->outputs);
      const Graph model = load_beside(o->model, o->outputs);
      const Dataset data = open_data(o->data, model, common.seed);
      guard_output(o->outputs, data.files());
      EvaluateOptions options;
      options.metrics = o->metrics;
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
      if (common.json) {
        print_json({{"model", o->model},
                    {"samples", v.samples},
                    {"labelled", v.labelled},
                    {"metrics", v.metrics},
                    {"nonfinite_outputs", v.nonfinite_outputs},
                    {"seconds", v.seconds},
                    {"images_per_second", v.images_per_second},
                    {"threads", threads},
                    {"float_arithmetic", float_arithmetic_name(options.float_arithmetic)},
                    {"isa", std::string(isa_name(isa_cap()))}});
        return 0;
      }
      std::string text = fmt::format("{} samples, {:.0f} a second, {} threads\n", v.samples,
                                     v.images_per_second, threads);
      for (const auto& [name, value] : v.metrics)
        text += fmt::format("{:<22} {:.4f}\n", name, value);
      if (!v.labelled)
        text +=
            "The data have no labels, so there is no accuracy: `labels:` in the record names "
            "them; --against compares with a float model.\n";
      print(text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
