#include <fmt/format.h>

#include "src/base/text.h"
#include "tools/cli.h"

namespace lapidary::cli {

namespace {

nlohmann::ordered_json as_json(const std::string& model, const ModelSummary& s) {
  nlohmann::ordered_json out = {{"model", model},
                                {"inputs", s.inputs},
                                {"outputs", s.outputs},
                                {"nodes", s.nodes},
                                {"parameters", s.parameters},
                                {"nonzero_parameters", s.nonzero_parameters},
                                {"parameter_bytes", s.parameter_bytes},
                                {"macs", s.macs},
                                {"macs_complete", s.macs_complete},
                                {"unknown_types", s.unknown_types}};
  for (const auto& [op, count] : s.ops) out["ops"][op] = count;
  out["layers"] = nlohmann::ordered_json::array();
  for (const auto& l : s.layers)
    out["layers"].push_back({{"node", l.node},
                             {"op", l.op},
                             {"output", l.output_type},
                             {"macs", l.macs},
                             {"parameters", l.parameters},
                             {"bytes", l.bytes}});
  return out;
}

std::string as_text(const ModelSummary& s, bool layers) {
  std::string out;
  for (const std::string& text : s.inputs) out += "input   " + printable(text) + "\n";
  for (const std::string& text : s.outputs) out += "output  " + printable(text) + "\n";
  out += fmt::format(
      "{} nodes, {} parameters ({} bytes), {:.2f} M MACs a sample{}\n", s.nodes, s.parameters,
      s.parameter_bytes, static_cast<double>(s.macs) / 1e6,
      s.macs_complete
          ? ""
          : " (not counted: layers of unknown shape, which --shape gives, and branches and loops)");
  for (const auto& [op, count] : s.ops) out += fmt::format("{:6} {}\n", count, printable(op));
  for (const std::string& label : s.unknown_types) out += "type not inferred: " + label + "\n";
  if (!layers) return out;
  out += fmt::format("\n{:<40} {:<20} {:<28} {:>12} {:>10} {:>12}\n", "node", "op", "output",
                     "MACs", "params", "bytes");
  for (const auto& l : s.layers)
    out += fmt::format("{:<40} {:<20} {:<28} {:>12} {:>10} {:>12}\n", printable(l.node, 40),
                       printable(l.op, 20), l.output_type, l.macs, l.parameters, l.bytes);
  return out;
}

}  // namespace

void add_inspect(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string model;
    bool layers = false;
    std::vector<std::string> shapes;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "inspect", "Ops, shapes, parameters, MACs, bytes", common);
  sub->add_option("model", o->model, "The ONNX model")->required();
  sub->add_flag("--layers", o->layers, "A line for each node");
  sub->add_option("--shape", o->shapes, "Sizes of a symbolic input: x=1x3x224x224");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      const ModelSummary summary = summarize(load_onnx(o->model), parse_shapes(o->shapes));
      if (common.json)
        print_json(as_json(o->model, summary));
      else
        print(as_text(summary, o->layers));
      return 0;
    };
  });
}

}  // namespace lapidary::cli
