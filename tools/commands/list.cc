#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/cli.h"

namespace lapidary::cli {

void add_list(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string kind;
    bool markdown = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "list", "What there is to choose from", common);
  sub->add_option("kind", o->kind, fmt::format("{}", fmt::join(listable_kinds(), ", ")))
      ->required();
  sub->add_flag("--markdown", o->markdown, "As a Markdown table (of ops all that is known)")
      ->excludes(sub->get_option("--json"));
  sub->callback([o, &common, &action] {
    action = [o, &common] {
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
      }
      emit(common, json, text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
