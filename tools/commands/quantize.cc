#include "src/base/fail.h"
#include "tools/verb.h"

namespace lapidary::cli {

namespace {

struct Limit {
  const char *key, *flag, *help;
};
constexpr Limit kLimits[] = {
    {"max_accuracy_drop", "--max-drop", "Limit: points of accuracy lost (missed: exit code 5)"},
    {"min_agreement", "--min-agreement", "Limit: share of the float model's answers"},
    {"min_sqnr_db", "--min-sqnr", "Limit: dB of the output"}};

}  // namespace

void add_quantize(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Verb>();
  CLI::App* sub = add_verb(app, "quantize", "Post-training quantization to INT8", common, *o);
  add_data(*sub, *o, "calib", "Calibration data");
  for (const Limit& limit : kLimits) {
    o->flags[limit.key] = limit.flag;
    sub->add_option_function<double>(
        limit.flag, [&limits = o->limits, key = limit.key](double bound) { limits[key] = bound; },
        limit.help);
  }
  sub->add_option_function<std::vector<std::string>>(
      "--isa-semantics",
      [&evaluate = o->evaluate](const std::vector<std::string>& classes) {
        evaluate["isa_semantics"] = classes;
      },
      "avx2-saturating: accuracy also as ONNX Runtime computes on x86 without VNNI");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      if (!o->data.contains("calib") && !o->params.contains("stats"))
        fail_usage(
            "give calibration data: --calib DATA (or --stats FILE of an earlier calibration)");
      if (!o->limits.empty() && !o->data.contains("eval"))
        fail_usage("limits on accuracy need data to measure on: --eval DATA");
      if (!o->evaluate.empty() && !o->data.contains("eval"))
        fail_usage("--isa-semantics needs data to measure on: --eval DATA");
      return run_verb(*o, common);
    };
  });
}

}  // namespace lapidary::cli
