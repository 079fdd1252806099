#include "src/base/fail.h"
#include "tools/training_verb.h"

namespace lapidary::cli {

namespace {

struct Bits {
  const char *key, *flag, *help;
};
constexpr Bits kBits[] = {
    {"weights", "--weight-bits", "Bits of weights, 2 to 8"},
    {"activations", "--activation-bits", "Bits of what layers read, 2 to 8"},
    {"first_last", "--first-last-bits",
     "Bits of the layers before or behind which there is no other; 0: as of all others"}};

/// "op:Conv=4"
void add_layer_bits(const std::string& text, nlohmann::ordered_json& params) {
  const size_t equals = text.rfind('=');
  const std::string bits = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (equals == 0 || bits.size() != 1 || bits[0] < '2' || bits[0] > '8')
    fail_usage("--layer-bits '{}' is not PATTERN=BITS, 2 to 8", text);
  params["bits"]["layers"][text.substr(0, equals)] = bits[0] - '0';
}

}  // namespace

void add_qat(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Verb>();
  CLI::App* sub = add_training_verb(
      app, "qat", "Trains a model with its quantization simulated: 2 to 8 bits", common, o, action);
  add_data(*sub, *o, "calib", "Data that ranges are first observed on, instead of --train");
  for (const Bits& bits : kBits) {
    o->flags[bits.key] = bits.flag;
    sub->add_option_function<int64_t>(
        bits.flag,
        [&params = o->params, key = bits.key](int64_t given) { params["bits"][key] = given; },
        bits.help);
  }
  sub->add_option_function<std::vector<std::string>>(
      "--layer-bits",
      [&params = o->params](const std::vector<std::string>& given) {
        for (const std::string& text : given) add_layer_bits(text, params);
      },
      "PATTERN=BITS: of the weights and inputs of such layers");
}

}  // namespace lapidary::cli
