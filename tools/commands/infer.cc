#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/base/text.h"
#include "tools/cli.h"

namespace lapidary::cli {

void add_infer(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string model, output, executor = "fast";
    std::vector<std::string> inputs;
    bool all_values = false;
    FloatOptions floats;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "infer", "Runs a model on .npy inputs", common);
  sub->add_option("model", o->model, "The ONNX model")->required();
  sub->add_option("--input", o->inputs, "NAME=FILE.npy, one for each graph input")->required();
  sub->add_option("-o,--output", o->output, "OUT.npz: graph outputs by name")->required();
  sub->add_flag("--all-values", o->all_values, "Every value of the graph");
  sub->add_option("--executor", o->executor, "fast or reference")
      ->check(CLI::IsMember({"fast", "reference"}));
  add_float_options(*sub, o->floats);
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      Graph model = load_beside(o->model, o->output);
      Executor::Values inputs;
      for (const std::string& text : o->inputs) {
        const size_t equals = text.find('=');
        if (equals == std::string::npos) fail_usage("--input '{}' is not NAME=FILE.npy", text);
        guard_output(o->output, {text.substr(equals + 1)});
        inputs[text.substr(0, equals)] = read_npy(text.substr(equals + 1));
      }
      Executor executor(
          std::move(model),
          {.executor = o->executor == "fast" ? ExecutorKind::kFast : ExecutorKind::kReference,
           .threads = common.threads,
           .keep_all_values = o->all_values,
           .float_arithmetic = o->floats.arithmetic()});
      const Executor::Values outputs = executor.run(inputs);
      write_npz(o->output, outputs);
      nlohmann::ordered_json json = {{"output", o->output}};
      std::string text;
      for (const auto& [name, tensor] : outputs) {
        json["values"][name] = {{"dtype", dtype_name(tensor.dtype())}, {"shape", tensor.shape()}};
        text += fmt::format("{} {}\n", printable(name), tensor_type(tensor).text());
      }
      emit(common, json, text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
