#include <fmt/format.h>

#include <algorithm>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "tools/cli.h"

namespace lapidary::cli {

void add_samples(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string model, data, output;
    int64_t first = 0, count = 0;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(
      app, "samples", "Writes a data set as the model's input arrays, for other engines", common);
  sub->add_option("model", o->model, "The ONNX model")->required();
  sub->add_option("--data", o->data, "A YAML file or an inline record")->required();
  sub->add_option("-o,--output", o->output, "OUT.npz: inputs by name, and `labels`")->required();
  sub->add_option("--first", o->first, "Start there")->check(CLI::NonNegativeNumber);
  sub->add_option("--count", o->count, "So many; 0: all")->check(CLI::NonNegativeNumber);
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      guard_output(o->output, {o->data});
      const Graph graph = load_beside(o->model, o->output);
      const Dataset data = open_data(o->data, graph, common.seed);
      guard_output(o->output, data.files());
      const int64_t left = std::max<int64_t>(0, data.size() - o->first);
      const Batch batch = data.batch(o->first, o->count > 0 ? std::min(o->count, left) : left);
      if (batch.next < std::min(data.size(), o->first + (o->count > 0 ? o->count : left)))
        fail_usage("sample {} has another length than those before it: no one array holds both",
                   batch.next);
      std::map<std::string, Tensor> arrays;
      for (const auto& [name, tensor] : batch.inputs)
        arrays[name.empty() ? graph.value(graph.inputs()[0]).name : name] = tensor;
      arrays.emplace("labels", Tensor::of<int64_t>({batch.size()}, batch.labels));
      write_npz(o->output, arrays);
      emit(common, {{"output", o->output}, {"samples", batch.size()}},
           fmt::format("{} samples -> {}\n", batch.size(), o->output));
      return 0;
    };
  });
}

}  // namespace lapidary::cli
