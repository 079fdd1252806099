#include "lapidary/factorize.h"

#include <algorithm>

#include "quantize/checks.h"
#include "src/pipeline/latency_table.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

struct FactorizeParams {
  std::map<std::string, double> ranks = {{"energy", RankRule().value}};
  std::vector<std::string> methods;
  int64_t round_to = FactorizeOptions().round_to;
  std::vector<std::string> keep;
  std::string error_of = "weights";
  int64_t samples = FactorizeOptions().samples;
  bool time_layers = false;
  int latency_threads = 1;
  std::string latency_table;

  static const FieldTable& fields() {
    using P = FactorizeParams;
    static const FieldTable kTable{
        "factorize",
        {field("ranks", &P::ranks,
               "How they are chosen, one of: {energy: 0.9}, the cheapest that keep this share of a "
               "layer's squared singular values; {share: 0.5} of the full rank; {vbmf: 1}, so much "
               "of the way from the full rank to the one of variational Bayes; {macs: 0.5}, "
               "parameters or latency: of the whole model this share is left at most, with the "
               "least energy lost"),
         field("methods", &P::methods, "Those that may be used; empty: all").one_of(names()),
         field("round_to", &P::round_to, "Ranks are multiples of it, rounded up, or full")
             .range(1, 4096),
         field("keep", &P::keep, "Patterns of layers that stay as they are"),
         field("error_of", &P::error_of,
               "What loses the least: weights, or the layer's outputs on calib data (svd alone)")
             .one_of({"weights", "outputs"}),
         field("samples", &P::samples, "Of calib, for `error_of: outputs`; 0: all").range(0, 1e12),
         field("time_layers", &P::time_layers,
               "Time layers as they are and in factors: those that would not be faster stay as "
               "they are; `ranks: {latency: ...}` does it anyway"),
         field("latency_threads", &P::latency_threads, "Of times").range(1, 1024),
         field("latency_table", &P::latency_table,
               "A file of times, read where it is there, and written")}};
    return kTable;
  }
  static std::vector<std::string> names() { return names_of(list_factorizations()); }

  RankRule rule() const { return {ranks.begin()->first, ranks.begin()->second}; }
  bool times() const { return time_layers || rule().by == "latency"; }
  bool reads_data() const { return error_of == "outputs"; }

  void check(const Setting& at) const {
    if (ranks.size() != 1)
      fail_setting(at, "'ranks' has {} entries, expected one: {{energy: 0.9}}", ranks.size());
    const RankRule asked = rule();
    if (std::ranges::count(RankRule::kRules, asked.by) == 0)
      fail_setting(at, "'ranks' are chosen by {}, expected {}", asked.by,
                   fmt::join(RankRule::kRules, ", "));
    if (!(asked.value > 0 && asked.value <= 1))
      fail_setting(at, "'ranks' has {}: {}, expected more than 0, at most 1", asked.by,
                   asked.value);
    if (reads_data() && asked.by == "vbmf")
      fail_setting(at, "'ranks' by vbmf are of weights, not with `error_of: outputs`");
    if (reads_data() && !methods.empty() && std::ranges::count(methods, "svd") == 0)
      fail_setting(at, "'error_of' outputs is for the method svd, which 'methods' leaves out");
  }
};

class FactorizeStep : public Step {
 public:
  explicit FactorizeStep(const Setting& setting) : params_(bind<FactorizeParams>(setting)) {
    params_.check(setting);
  }

  std::vector<std::string_view> needs() const override {
    if (!params_.reads_data()) return {};
    return {"calib"};
  }

  std::string refuses(Form form) const override {
    if (form == Form::kQdq || form == Form::kQOperator)
      return "it is quantized; layers are taken apart before";
    if (form == Form::kHalf) return "its weights are float16; take a float32 model apart";
    if (form == Form::kQat) return "training has quantized it; layers are taken apart before";
    return {};
  }

  std::string explain() const override {
    const RankRule rule = params_.rule();
    std::string out = "Replaces layers by smaller ones of low rank";
    if (rule.is_target())
      out += fmt::format(", until {:.1f} % of the {} are left", 100 * rule.value, rule.by);
    else
      out += fmt::format(", ranks by {} {:g}", rule.by, rule.value);
    if (params_.reads_data()) out += ", nearest in their outputs on calibration samples";
    return out +
           (params_.times() ? ", where that is faster here." : ", where that takes fewer MACs.");
  }

  void run(StepContext& context) const override {
    check_float(context);
    std::optional<LatencyTable> table, again;
    if (params_.times()) {
      table.emplace(params_.latency_threads, params_.latency_table);
      again.emplace(params_.latency_threads);
    }
    FactorizeOptions all = options(context);
    if (params_.reads_data()) all.data = context.data("calib");
    if (table)
      all.latency = [&](const Graph& graph, bool once_more) {
        return (once_more ? again : table)->milliseconds(graph);
      };
    FactorizeResult result = factorize(context.graph, all);
    if (table) table->save();
    context.graph = std::move(result.graph);
    record(context, std::move(result));
  }

  /// Without samples and times.
  void plan(StepContext& context) const override {
    check_float(context);
    if (params_.reads_data() || params_.rule().by == "latency") return;
    record(context, factorize(context.graph, options(context)));
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out;
    if (params_.reads_data())
      out.calibrated = params_.samples > 0 ? std::min(params_.samples, data.calib) : data.calib;
    return out;
  }

  Setting params() const override { return unbind(FactorizeParams::fields(), &params_); }

 private:
  static void check_float(const StepContext& context) {
    if (is_quantized_model(context.graph))
      fail_unsupported("the model is quantized; take a float model apart and quantize that");
  }

  FactorizeOptions options(const StepContext& context) const {
    return {.ranks = params_.rule(),
            .methods = params_.methods,
            .round_to = params_.round_to,
            .keep = params_.keep,
            .samples = params_.samples,
            .threads = context.threads,
            .log = context.log};
  }

  void record(StepContext& context, FactorizeResult result) const {
    const auto split = std::ranges::count_if(
        result.layers, [](const FactorizedLayer& layer) { return !layer.method.empty(); });
    context.log.info(fmt::format("{} of {} layers in factors", split, result.layers.size()));
    if (split == 0)
      context.report.warnings.push_back(
          fmt::format("{}: no layer is smaller in factors; the model is as it was", context.name));
    context.report.factorizations.push_back({.step = context.name,
                                             .ranks = params_.rule(),
                                             .got = result.got,
                                             .before = result.before,
                                             .after = result.after,
                                             .ms_before = result.ms_before,
                                             .ms_after = result.ms_after,
                                             .layers = std::move(result.layers)});
  }

  FactorizeParams params_;
};

}  // namespace

const StepDef& step_factorize() {
  static const StepDef kDef{
      "factorize", "Replaces layers by smaller ones whose weights are low-rank factors",
      &FactorizeParams::fields,
      [](const Setting& s) -> std::unique_ptr<Step> { return std::make_unique<FactorizeStep>(s); }};
  return kDef;
}

}  // namespace lapidary
