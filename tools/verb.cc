#include "tools/verb.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "src/base/fail.h"
#include "src/pipeline/yaml.h"
#include "tools/shapes.h"

namespace lapidary::cli {

namespace {

std::string flag_name(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

bool on_off(const std::string& flag, const std::string& text) {
  if (text != "on" && text != "off") fail_usage("{} is on or off, not '{}'", flag, text);
  return text == "on";
}

using Set = std::function<void(nlohmann::ordered_json value)>;

template <class T>
CLI::Option* add_value(CLI::App& sub, const std::string& flag, const Set& set) {
  return sub.add_option_function<T>(flag, [set](const T& given) { set(given); });
}

/// `--requantize`, or `--requantize=off`.
CLI::Option* add_switch(CLI::App& sub, const std::string& flag, const Set& set) {
  const auto take = [set, flag](const CLI::results_t& given) {
    set(given.back() == "true" || on_off(flag, given.back()));
    return true;
  };
  return sub.add_option(flag, CLI::callback_t(take))
      ->expected(0)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

CLI::Option* add_on_off(CLI::App& sub, const std::string& flag, const Set& set) {
  const auto take = [set, flag](const std::string& given) { set(on_off(flag, given)); };
  return sub.add_option_function<std::string>(flag, take)->type_name("on|off");
}

/// `cosine`, the record `{step: {every: 0.3}}`, or a list.
nlohmann::ordered_json inline_json(const std::string& flag, const std::string& text) {
  return nlohmann::ordered_json::parse(write_json(parse_inline(text, flag)));
}

CLI::Option* add_named(CLI::App& sub, const std::string& flag, const Set& set) {
  return sub.add_option_function<std::string>(
      flag, [set, flag](const std::string& given) { set(inline_json(flag, given)); });
}

/// Given several times, several texts, or a list as one text: `[cross_entropy, {kd: {}}]`.
CLI::Option* add_named_list(CLI::App& sub, const std::string& flag, const Set& set) {
  const auto take = [set, flag](const CLI::results_t& given) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const std::string& text : given) {
      const nlohmann::ordered_json one = inline_json(flag, text);
      if (one.is_array())
        all.insert(all.end(), one.begin(), one.end());
      else
        all.push_back(one);
    }
    set(all);
    return true;
  };
  // Without extra arguments CLI11 leaves lists whole; else it cuts them at every comma.
  return sub.add_option(flag, CLI::callback_t(take))
      ->type_name("TEXT ...")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args(false);
}

/// Null for lists of other things than names and losses.
CLI::Option* add_parameter(CLI::App& sub, const std::string& flag, const ParameterInfo& parameter,
                           const Set& set) {
  if (parameter.type == "boolean")
    return parameter.initial == "false" ? add_switch(sub, flag, set) : add_on_off(sub, flag, set);
  if (parameter.type == "integer") return add_value<int64_t>(sub, flag, set);
  if (parameter.type == "number") return add_value<double>(sub, flag, set);
  if (parameter.type == "string") return add_value<std::string>(sub, flag, set);
  if (parameter.type == "schedule" || parameter.type == "regularizer" ||
      parameter.type == "record" || parameter.type.starts_with("map of "))
    return add_named(sub, flag, set);
  if (parameter.type == "list of loss") return add_named_list(sub, flag, set);
  if (parameter.type != "list of string") return nullptr;
  CLI::Option* option = add_value<std::vector<std::string>>(sub, flag, set);
  return parameter.choices.empty() ? option : option->delimiter(',');
}

void add_parameters(CLI::App& sub, Verb& verb) {
  for (const ParameterInfo& parameter : step_parameters(verb.step)) {
    const std::string flag = flag_name(parameter.name);
    CLI::Option* option = add_parameter(
        sub, flag, parameter, [&verb, key = parameter.name](nlohmann::ordered_json value) {
          verb.params[key] = std::move(value);
        });
    if (option == nullptr) continue;
    verb.flags[parameter.name] = flag;
    std::string help = parameter.help;
    if (!parameter.choices.empty()) help += fmt::format(": {}", fmt::join(parameter.choices, ", "));
    option->description(help);
    if (!parameter.initial.empty() && parameter.initial != "false")
      option->default_str(parameter.type == "boolean" ? "on" : parameter.initial);
  }
}

/// "`data: {calib: ...}`" -> "--calib DATA".
std::string data_in_flags(std::string text, const Verb& verb) {
  constexpr std::string_view kBefore = "`data: {", kAfter = ": ...}`";
  for (const std::string& role : verb.roles) {
    const std::string recipe = fmt::format("{}{}{}", kBefore, role, kAfter);
    for (size_t at = text.find(recipe); at != std::string::npos; at = text.find(recipe))
      text.replace(at, recipe.size(), fmt::format("--{} DATA", role));
  }
  return text;
}

/// The recipe's words as the user typed them: `'hold_mb' is 0` -> `--hold-mb is 0`.
Error in_flags(const Error& error, const Verb& verb) {
  const std::string said = data_in_flags(error.message(), verb);
  if (said != error.message()) return Error(error.code(), said, error.context());
  const size_t end = said.starts_with('\'') ? said.find('\'', 1) : std::string::npos;
  if (end == std::string::npos || !error.context().empty()) return error;
  const auto flag = verb.flags.find(said.substr(1, end - 1));
  if (flag == verb.flags.end()) return error;
  return Error(error.code(), flag->second + said.substr(end + 1));
}

Recipe parse_recipe(const std::string& text, const Verb& verb) {
  try {
    return Recipe::parse(text);
  } catch (const Error& error) {
    throw in_flags(error, verb);
  }
}

}  // namespace

void add_data(CLI::App& sub, Verb& verb, const std::string& role, const std::string& help) {
  verb.roles.push_back(role);
  const auto take = [&verb, role](const std::string& given) { verb.data[role] = given; };
  sub.add_option_function<std::string>("--" + role, take,
                                       help + ": a YAML file or an inline record");
}

CLI::App* add_verb(CLI::App& app, const char* step, const char* help, Common& common, Verb& verb) {
  verb.step = step;
  CLI::App* sub = add_command(app, step, help, common);
  sub->add_option("model", verb.model, "The ONNX model")->required();
  sub->add_option("-o,--output", verb.output, "Where the result goes; its report lies beside it");
  add_data(*sub, verb, "eval", "Data to measure on");
  sub->add_flag("--external-data", verb.external_data,
                "Weights go into OUT.onnx.data beside the result");
  sub->add_flag("--no-bench", verb.no_bench, "Do not time the models");
  add_shapes(*sub, verb.shapes, "Sizes to time with,");
  sub->add_flag("--dry-run", verb.dry_run, "Check everything and say what would happen");
  add_parameters(*sub, verb);
  return sub;
}

int run_verb(const Verb& verb, const Common& common) {
  if (verb.output.empty() && !verb.dry_run) fail_usage("give the result's name: -o OUT.onnx");
  nlohmann::ordered_json recipe = {{"lapidary", 1}, {"model", verb.model}, {"seed", common.seed}};
  for (const auto& [role, record] : verb.data) recipe["data"][role] = record;
  recipe["steps"] = nlohmann::ordered_json::array({{{verb.step, verb.params}}});
  if (!verb.evaluate.empty()) recipe["evaluate"] = verb.evaluate;
  if (verb.no_bench) recipe["evaluate"]["bench"] = nullptr;
  if (!verb.limits.empty()) recipe["limits"] = verb.limits;
  if (verb.external_data) recipe["external_data"] = true;
  return run_and_print(parse_recipe(recipe.dump(), verb),
                       {.model_output = verb.output,
                        .input_shapes = parse_shapes(verb.shapes),
                        .dry_run = verb.dry_run,
                        .resume = verb.resume},
                       common);
}

}  // namespace lapidary::cli
