#include <fmt/format.h>

#include <cmath>

#include "src/base/text.h"
#include "tools/cli.h"

namespace lapidary::cli {

namespace {

/// The first layer whose error is far above that of the layers before it: 10 dB below their
/// minimum, or without a value, for something is not finite.
const LayerError* first_gone_wrong(const std::vector<LayerError>& layers) {
  constexpr double kDropDb = 10;
  double best = layers.empty() ? 0 : layers.front().sqnr_db;
  for (const LayerError& l : layers) {
    if (std::isnan(l.sqnr_db) || l.sqnr_db < best - kDropDb) return &l;
    best = std::min(best, l.sqnr_db);
  }
  return nullptr;
}

/// Why nothing could be compared, and what to do about it.
std::string why_nothing(const LayerComparison& found) {
  if (found.unlike > 0)
    return fmt::format(
        "{} tensors have one name in both models, but none has one shape in both: is the second "
        "model the one that the first was made of?",
        found.unlike);
  if (found.equalized > 0)
    return fmt::format(
        "the {} tensors that both models have are equalized (their channels scaled): quantize with "
        "--equalize off to compare",
        found.equalized);
  return "no tensor of the first model has a name that a tensor of the second has: is that the "
         "model it was made of?";
}

/// A line for each reason why tensors were left out.
std::string left_out(const LayerComparison& found) {
  std::string text;
  if (found.equalized > 0)
    text += fmt::format("{} left out: their channels were scaled (equalize)\n", found.equalized);
  if (found.unlike > 0) text += fmt::format("{} left out: their shapes differ\n", found.unlike);
  return text;
}

}  // namespace

void add_compare(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string a, b, data;
    int64_t samples = 16;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "compare", "Two models layer by layer", common);
  sub->add_option("a", o->a, "The compressed model")->required();
  sub->add_option("b", o->b, "The float model")->required();
  sub->add_option("--data", o->data, "A YAML file or an inline record")->required();
  sub->add_option("--samples", o->samples, "The first so many")->check(CLI::PositiveNumber);
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      const Graph a = load_onnx(o->a), b = load_onnx(o->b);
      const Dataset data = open_data(o->data, b, common.seed);
      const LayerComparison found = compare_layers(
          a, b, data, {.samples = o->samples, .threads = common.threads, .log = common.log()});
      common.warn_about(data);
      const std::vector<LayerError>& layers = found.layers;
      if (layers.empty()) throw Error(ErrorCode::kUsage, why_nothing(found));
      const LayerError* wrong = first_gone_wrong(layers);
      nlohmann::ordered_json json = {{"a", o->a}, {"b", o->b}};
      json["first_wrong"] = wrong ? nlohmann::ordered_json(wrong->node) : nullptr;
      json["equalized"] = found.equalized;
      json["unlike"] = found.unlike;
      json["layers"] = nlohmann::ordered_json::array();
      std::string text =
          fmt::format("{:<48} {:<20} {:>9} {:>10}\n", "node", "op", "SQNR dB", "cosine");
      for (const LayerError& l : layers) {
        json["layers"].push_back({{"tensor", l.tensor},
                                  {"node", l.node},
                                  {"op", l.op},
                                  {"sqnr_db", l.sqnr_db},
                                  {"cosine", l.cosine}});
        text += fmt::format("{:<48} {:<20} {:>9.2f} {:>10.6f}\n", printable(l.node, 48),
                            printable(l.op, 20), l.sqnr_db, l.cosine);
      }
      if (wrong != nullptr)
        text += fmt::format("first layer that goes wrong: {}\n", printable(wrong->node));
      emit(common, json, text + left_out(found));
      return 0;
    };
  });
}

}  // namespace lapidary::cli
