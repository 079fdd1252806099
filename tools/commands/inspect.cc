#include <fmt/format.h>

#include "src/base/text.h"
#include "src/pipeline/report/format.h"
#include "src/pipeline/report/to_json.h"
#include "tools/cli.h"
#include "tools/peaks.h"
#include "tools/shapes.h"

namespace lapidary::cli {

namespace {

/// Operations (two for a multiply-accumulate) a byte.
double intensity(int64_t macs, int64_t bytes) {
  return bytes > 0 ? 2 * static_cast<double>(macs) / static_cast<double>(bytes) : 0;
}

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
                             {"bytes", l.bytes},
                             {"intensity", intensity(l.macs, l.bytes)}});
  return out;
}

/// What the executor makes of the model, under the machine's roofline.
struct Planned {
  ExecutionPlan plan;
  std::string why_not;  ///< it cannot be executed
  MachinePeaks peaks;
};

Planned plan(const Graph& model, const std::map<std::string, Shape>& shapes) {
  Planned out;
  try {
    out.plan = plan_execution(model, shapes);
    if (out.plan.steps.empty()) out.why_not = "sizes are open: --shape binds them";
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) throw;
    out.why_not = error.what();
  }
  if (!out.plan.steps.empty()) out.peaks = measure_peaks(thread_count());
  return out;
}

void add_json(const Planned& planned, nlohmann::ordered_json& out) {
  if (!planned.why_not.empty()) {
    out["steps"] = nullptr;
    out["no_steps"] = planned.why_not;
    return;
  }
  for (const StepInfo& s : planned.plan.steps) {
    const Roofline r = roofline(planned.peaks, s.precision, s.macs, s.bytes_moved);
    out["steps"].push_back({{"nodes", s.nodes},
                            {"op", s.op},
                            {"kernel", s.kernel},
                            {"precision", s.precision},
                            {"macs", s.macs},
                            {"parameters", s.parameters},
                            {"bytes", s.bytes_moved},
                            {"intensity", r.intensity},
                            {"bound", r.memory_bound ? "memory" : "compute"},
                            {"attainable_gops", r.attainable_gops},
                            {"least_ms", r.least_ms}});
  }
  out["activation_bytes"] = planned.plan.arena_bytes;
  out["packed_bytes"] = planned.plan.packed_bytes;
  out["peaks"] = peaks_json(planned.peaks);
}

std::string as_text(const Planned& planned) {
  if (!planned.why_not.empty())
    return fmt::format("\nno plan, so no roofline: {}\n", printable(planned.why_not, 300));
  std::string out = fmt::format(
      "\nas executed, under the roofline of {}:\n{:>9} {:>9} {:>10} {:>9} {:<8} {:>10} {:>9}  "
      "{:<9} {}\n",
      peaks_text(planned.peaks), "MMACs", "params", "bytes", "ops/byte", "bound", "attainable",
      "least ms", "precision", "step");
  for (const StepInfo& s : planned.plan.steps) {
    const Roofline r = roofline(planned.peaks, s.precision, s.macs, s.bytes_moved);
    out += fmt::format("{:>9.3f} {:>9} {:>10} {:>9.2f} {:<8} {:>10} {:>9.4f}  {:<9} {} {}\n",
                       1e-6 * static_cast<double>(s.macs), s.parameters, s.bytes_moved, r.intensity,
                       r.memory_bound ? "memory" : "compute",
                       s.macs > 0 ? fmt::format("{:.1f} GOPS", r.attainable_gops) : "", r.least_ms,
                       s.precision, s.op, s.nodes.empty() ? "" : printable(s.nodes[0], 60));
  }
  return out + fmt::format("{} of activations, {} of weights as the kernels read them\n",
                           size_text(planned.plan.arena_bytes),
                           size_text(planned.plan.packed_bytes));
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
  out += fmt::format("\n{:<40} {:<20} {:<28} {:>12} {:>10} {:>12} {:>9}\n", "node", "op", "output",
                     "MACs", "params", "bytes", "ops/byte");
  for (const auto& l : s.layers)
    out += fmt::format("{:<40} {:<20} {:<28} {:>12} {:>10} {:>12} {:>9.2f}\n",
                       printable(l.node, 40), printable(l.op, 20), l.output_type, l.macs,
                       l.parameters, l.bytes, intensity(l.macs, l.bytes));
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
  sub->add_flag("--layers", o->layers,
                "A line for each node, and for each step of the plan where it stands under the "
                "roofline measured on --threads");
  add_shapes(*sub, o->shapes, "Sizes");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      const Graph model = load_onnx(o->model);
      const auto shapes = parse_shapes(o->shapes);
      const ModelSummary summary = summarize(model, shapes);
      nlohmann::ordered_json json = as_json(o->model, summary);
      std::string text = as_text(summary, o->layers);
      if (o->layers) {
        const Planned planned = plan(model, shapes);
        add_json(planned, json);
        text += as_text(planned);
      }
      emit(common, json, text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
