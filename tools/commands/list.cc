#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/cli.h"

namespace lapidary::cli {

void add_list(CLI::App& app, Common& common, Action& action) {
  auto kind = std::make_shared<std::string>();
  CLI::App* sub = add_command(app, "list", "What there is to choose from", common);
  sub->add_option("kind", *kind, fmt::format("{}", fmt::join(listable_kinds(), ", ")))->required();
  sub->callback([kind, &common, &action] {
    action = [kind, &common] {
      const auto items = list_items(*kind);
      nlohmann::ordered_json json = {{*kind, nlohmann::ordered_json::array()}};
      std::string text;
      for (const ListedItem& item : items) {
        json[*kind].push_back({{"name", item.name}, {"help", item.help}});
        text += fmt::format("{:<28} {}\n", item.name, item.help);
      }
      emit(common, json, text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
