#include "tools/cli.h"

namespace lapidary::cli {

void add_recipe(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string file;
    std::vector<std::string> sets;
    bool markdown = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* recipe = app.add_subcommand("recipe", "Checks, explains and starts recipes");
  recipe->require_subcommand(1);
  const auto with_file = [&](const char* name, const char* help) {
    CLI::App* sub = add_command(*recipe, name, help, common);
    sub->add_option("file", o->file, "The recipe (YAML)")->required();
    sub->add_option("--set", o->sets, "Change a setting: steps.quantize.target=tensorrt");
    return sub;
  };
  with_file("validate", "Checks a recipe without running it")->callback([o, &common, &action] {
    action = [o, &common] {
      Recipe::load(o->file, o->sets);
      emit(common, {{"recipe", o->file}, {"valid", true}}, o->file + ": valid\n");
      return 0;
    };
  });
  with_file("explain", "Says what a recipe will do")->callback([o, &common, &action] {
    action = [o, &common] {
      const std::string text = Recipe::load(o->file, o->sets).explain();
      emit(common, {{"recipe", o->file}, {"explanation", text}}, text);
      return 0;
    };
  });
  add_command(*recipe, "init", "Prints a commented recipe to start from", common)
      ->callback([&common, &action] {
        action = [&common] {
          emit(common, {{"recipe", recipe_template()}}, recipe_template());
          return 0;
        };
      });
  CLI::App* schema = add_command(*recipe, "schema", "Prints the JSON Schema of recipes", common);
  schema->add_flag("--markdown", o->markdown, "Instead the keys with their help, in Markdown")
      ->excludes(schema->get_option("--json"));
  schema->callback([o, &action] {
    action = [o] {  // JSON with --json and without
      print(o->markdown ? recipe_markdown() : recipe_schema());
      return 0;
    };
  });
}

}  // namespace lapidary::cli
