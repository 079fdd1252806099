#include <fmt/format.h>

#include "tools/cli.h"

namespace lapidary::cli {

void add_doctor(CLI::App& app, Common& common, Action& action) {
  CLI::App* sub = add_command(app, "doctor", "CPU, instruction sets, threads, memory", common);
  sub->callback([&common, &action] {
    action = [&common] {
      nlohmann::ordered_json json;
      std::string text;
      for (const auto& [name, value] : describe_environment()) {
        json[name] = value;
        text += fmt::format("{:<12} {}\n", name, value);
      }
      if (common.json)
        print_json(json);
      else
        print(text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
