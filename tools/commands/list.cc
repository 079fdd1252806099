#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/base/fail.h"
#include "tools/cli.h"

namespace lapidary::cli {

namespace {

/// "    warmup                   number 0..0.99, 0: Share of ..."
std::string parameter_line(const ParameterInfo& p) {
  std::string out = fmt::format("    {:<24} {}", p.name, p.type);
  if (!p.range.empty()) out += " " + p.range;
  if (!p.initial.empty()) out += ", default " + p.initial;
  if (!p.help.empty()) out += ": " + p.help;
  return out + "\n";
}

}  // namespace

void add_list(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string kind;
    bool markdown = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "list", "What there is to choose from", common);
  sub->add_option("kind", o->kind, fmt::format("{}", fmt::join(listable_kinds(), ", ")));
  sub->add_flag("--markdown", o->markdown, "As a Markdown table (of ops all that is known)")
      ->excludes(sub->get_option("--json"));
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      if (o->kind.empty()) fail_usage("say what to list: {}", fmt::join(listable_kinds(), ", "));
      if (o->markdown) {
        print(list_markdown(o->kind));
        return 0;
      }
      const auto items = list_items(o->kind);
      nlohmann::ordered_json json = {{o->kind, nlohmann::ordered_json::array()}};
      std::string text;
      for (const ListedItem& item : items) {
        json[o->kind].push_back({{"name", item.name}, {"help", item.help}});
        text += fmt::format("{:<28} {}\n", item.name, item.help);
        if (item.parameters.empty()) continue;
        auto& parameters = json[o->kind].back()["parameters"] = nlohmann::ordered_json::array();
        for (const ParameterInfo& p : item.parameters) {
          parameters.push_back({{"name", p.name},
                                {"type", p.type},
                                {"range", p.range},
                                {"default", p.initial},
                                {"help", p.help}});
          text += parameter_line(p);
        }
      }
      emit(common, json, text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
