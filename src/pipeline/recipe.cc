#include "lapidary/recipe.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "src/base/file.h"
#include "src/base/path.h"
#include "src/base/text.h"
#include "src/data/spec.h"
#include "src/pipeline/feed.h"
#include "src/pipeline/limits.h"
#include "src/pipeline/metric.h"
#include "src/pipeline/recipe_data.h"
#include "src/pipeline/recipe_impl.h"
#include "src/pipeline/yaml.h"

namespace lapidary {

namespace fs = std::filesystem;

namespace {

/// A path that means the same from any folder.
std::string absolute_path(const std::string& path, const std::string& base_dir) {
  return fs::absolute(expand_path(path, base_dir)).lexically_normal().string();
}

std::string parent_of(const std::string& file) {
  const fs::path parent = fs::path(file).parent_path();
  return parent.empty() ? "." : parent.string();
}

/// DATA: a record, or the name of a YAML file that holds one.
DataRecord parse_data_record(const Setting& setting, const std::string& base_dir) {
  DataRecord record;
  if (setting.kind != Setting::Kind::kScalar) {
    bind(dataset_fields(), setting, &record.spec);
    record.base_dir = base_dir;
    return record;
  }
  const Setting record_itself = parse_inline(setting.text, "data");
  if (record_itself.kind != Setting::Kind::kScalar && !fs::exists(setting.text))
    return parse_data_record(record_itself, base_dir);
  const std::string file = expand_path(setting.text, base_dir);
  bind(dataset_fields(), parse_yaml(read_file(file), file), &record.spec);
  record.base_dir = parent_of(file);
  record.file = file;
  return record;
}

/// The length of the key that a dotted path starts with, where it is `key`; else 0.
size_t leads(const std::string& path, const std::string& key) {
  const bool does = !key.empty() && (path == key || path.starts_with(key + "."));
  return does ? key.size() : 0;
}

/// The parameters of the first step whose name or, where none has it, whose kind the path starts
/// with, and the length of that; null where there is none.
std::pair<Setting*, size_t> find_params(std::vector<Setting>& steps, const std::string& path) {
  for (Setting& step : steps) {
    const Setting* name = step.find("name");
    const size_t length = name != nullptr ? leads(path, name->text) : 0;
    for (auto& [key, params] : step.entries)
      if (length > 0 && key != "name") return {&params, length};
  }
  for (Setting& step : steps)
    for (auto& [key, params] : step.entries)
      if (const size_t length = leads(path, key); length > 0 && key != "name")
        return {&params, length};
  return {nullptr, 0};
}

/// Sets `value` at a dotted path below `root`; list entries by number, steps by name or kind.
void override_setting(Setting& root, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    fail_usage("--set '{}' is not KEY.KEY=VALUE", assignment);
  const Setting value =
      parse_yaml(assignment.substr(equals + 1) + "\n", "--set " + assignment, false);
  Setting* at = &root;
  std::string path = assignment.substr(0, equals);
  while (true) {
    size_t dot = path.find('.');
    const std::string key = path.substr(0, dot);
    if (at->kind == Setting::Kind::kList) {
      size_t index = 0;
      const auto [stop, error] = std::from_chars(key.data(), key.data() + key.size(), index);
      if (error == std::errc{} && stop == key.data() + key.size()) {
        if (index >= at->items.size())
          fail_usage("--set '{}': there are {} entries", assignment, at->items.size());
        at = &at->items[index];
      } else {
        const auto [params, length] = find_params(at->items, path);
        if (params == nullptr)
          fail_usage("--set '{}': no entry is a '{}' or has that name", assignment, key);
        at = params;
        dot = length < path.size() ? length : std::string::npos;
      }
    } else {
      if (at->kind == Setting::Kind::kScalar)
        fail_usage("--set '{}': there is no '{}' below a value", assignment, key);
      at->kind = Setting::Kind::kMap;
      const Setting* found = at->find(key);
      if (found == nullptr) at->entries.emplace_back(key, Setting{});
      at = const_cast<Setting*>(at->find(key));
    }
    if (dot == std::string::npos) break;
    path = path.substr(dot + 1);
  }
  const auto keep = std::array{at->key_line, at->key_column};
  *at = value;
  at->key_line = keep[0];
  at->key_column = keep[1];
}

RecipeStep parse_step(const Setting& setting) {
  if (setting.kind != Setting::Kind::kMap)
    fail_setting(setting, "a step is a map with one key, its kind: `- quantize: {{...}}`");
  RecipeStep out;
  const Setting* params = nullptr;
  for (const auto& [key, value] : setting.entries) {
    if (key == "name") {
      out.name = value.text;
      continue;
    }
    if (params != nullptr)
      fail_key(value, "a step has one kind; '{}' is a second (give it a '-' of its own)", key);
    out.def = &find_step(key, value);
    params = &value;
  }
  if (params == nullptr) fail_setting(setting, "a step without a kind");
  if (const Setting* name = params->find("name");
      name != nullptr && out.def->fields().find("name") == nullptr)
    fail_key(*name, "unknown key 'name' in '{0}': it stands beside it, `- {{name: {1}, {0}: ...}}`",
             out.def->name, name->text.empty() ? "NAME" : printable(name->text));
  out.step = out.def->make(*params);
  if (out.name.empty()) out.name = out.def->name;
  return out;
}

void parse_data(const Setting& data, const std::string& base_dir, Recipe::Impl& impl) {
  if (data.kind == Setting::Kind::kNull) return;
  if (data.kind != Setting::Kind::kMap)
    fail_setting(data, "'data' wants a map: {}", fmt::join(kDataRoles, ", "));
  const std::vector<std::string> roles(kDataRoles.begin(), kDataRoles.end());
  for (const auto& [role, record] : data.entries) {
    if (std::find(roles.begin(), roles.end(), role) == roles.end())
      fail_key(record, "unknown key '{}' in 'data'{}", role, did_you_mean(role, roles));
    if (!impl.data.emplace(role, parse_data_record(record, base_dir)).second)
      fail_key(record, "key '{}' stands twice", role);
  }
}

/// Each step must be able to start from what those before it leave.
void check_order(const Recipe::Impl& impl) {
  Form form = Form::kAsBefore;
  std::string maker;
  for (size_t i = 0; i < impl.steps.size(); ++i) {
    const RecipeStep& step = impl.steps[i];
    if (const std::string reason = step.step->refuses(form); !reason.empty())
      fail_key(*impl.params.steps[i].find(step.def->name), "step '{}' cannot follow step '{}': {}",
               step.name, maker, reason);
    if (step.step->makes() == Form::kAsBefore) continue;
    form = step.step->makes();
    maker = step.name;
  }
}

/// The setting at a dotted path below `root`; `root` where there is none.
const Setting& setting_at(const Setting& root, const std::string& path) {
  const size_t dot = path.find('.');
  const Setting* found = root.find(path.substr(0, dot));
  if (found == nullptr) return root;
  return dot == std::string::npos ? *found : setting_at(*found, path.substr(dot + 1));
}

/// Shares of samples have ends: a limit beyond them is a slip that no result meets, or all do.
void check_reach(const MetricLimit& limit, const MetricDef& metric, const Setting& at) {
  const double most = limit.drop ? metric.points : 1;
  if (!metric.is_share() || (limit.asked >= 0 && limit.asked <= most)) return;
  fail_setting(at, "'{}' is {}; it must lie in 0..{} ({})", limit.key, at.text, most,
               limit.drop ? "points of 100" : "a share of samples");
}

/// One metric is not held to two bounds: `min_agreement` is another word for one of `bounds`.
void check_once(const std::vector<MetricLimit>& limits, const Setting& settings) {
  for (size_t i = 0; i < limits.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (limits[i].metric == limits[j].metric && limits[i].drop == limits[j].drop)
        fail_key(setting_at(settings, limits[i].key), "'{}' and '{}' are the same limit; give one",
                 limits[i].key, limits[j].key);
}

/// A last step that makes all weights anew leaves nothing that its result could be held against.
void check_held_against(const Recipe::Impl& impl, const MetricLimit& limit, const Setting& at) {
  if (!impl.steps.empty() && impl.reference_stage() == impl.steps.size())
    fail_key(at,
             "'{}' holds the result against an earlier stage; step '{}' makes its weights anew. "
             "`bounds` speaks of the result alone",
             limit.key, impl.steps.back().name);
}

/// What a limit speaks of must be measured, or the whole run goes by before it is missed.
void check_metric_limits(const Recipe::Impl& impl, const Setting& limits) {
  const std::vector<std::string>& measured = impl.params.evaluate.metrics;  // empty: all there are
  const auto is_measured = [&](const MetricDef& def) {
    return measured.empty() ||
           std::find(measured.begin(), measured.end(), def.name) != measured.end();
  };
  std::vector<std::string> names;
  bool any_drops = false;
  for (const MetricDef* def : all_metrics()) {
    names.emplace_back(def->name);
    any_drops |= is_measured(*def) && !def->needs_reference;
  }
  const std::vector<MetricLimit> wanted = metric_limits(impl.params.limits);
  for (const MetricLimit& limit : wanted) {
    const Setting& at = setting_at(limits, limit.key);
    if (limit.metric.empty() && any_drops) {
      check_held_against(impl, limit, at);
      continue;
    }
    if (limit.metric.empty())
      fail_key(at,
               "'{}' speaks of a metric of the first stage; `evaluate: {{metrics: [{}]}}` has none",
               limit.key, fmt::join(measured, ", "));
    const MetricDef* def = find_metric(limit.metric);
    if (def == nullptr)
      fail_key(at, "no metric is called '{}'; there are {}{}", printable(limit.metric),
               fmt::join(names, ", "), did_you_mean(limit.metric, names));
    check_reach(limit, *def, at);
    if (limit.drop && def->needs_reference)
      fail_key(at, "'{}' holds the result against the first stage, which has none to fall from",
               limit.metric);
    if (!is_measured(*def))
      fail_key(at, "'{}' needs '{}' among `evaluate: {{metrics: [{}]}}`", limit.key, limit.metric,
               fmt::join(measured, ", "));
    if (def->needs_reference && impl.steps.empty())
      fail_key(at, "'{}' holds the result against the first stage; without steps there is none",
               limit.key);
    if (limit.drop || def->needs_reference) check_held_against(impl, limit, at);
  }
  check_once(wanted, limits);
}

/// ": criterion 'taylor'", or nothing.
std::string because(const std::string& why) { return why.empty() ? why : ": " + why; }

void check(const Recipe::Impl& impl, const Setting& root) {
  check_order(impl);
  const auto at = [&](const char* key) -> const Setting& {
    const Setting* found = root.find(key);
    return found ? *found : root;
  };
  for (const RecipeStep& step : impl.steps)
    for (const std::string_view role : step.step->needs())
      if (!impl.find_data(std::string(role)))
        fail_setting(at("steps"), "step '{}'{} needs {} data: give `data: {{{}: ...}}`", step.name,
                     because(step.step->why_needs(role)), role_word(role), role);
  for (const RecipeStep& step : impl.steps)
    if (const auto roles = step.step->measures_on();
        !roles.empty() && std::none_of(roles.begin(), roles.end(), [&](std::string_view role) {
          return impl.find_data(std::string(role)) != nullptr;
        }))
      fail_setting(at("steps"), "step '{}' measures models: give `data: {{{}: ...}}`", step.name,
                   fmt::join(roles, ": ...}` or `data: {"));
  const LimitsParams& limits = impl.params.limits;
  check_metric_limits(impl, at("limits"));
  if (!metric_limits(limits).empty() && !impl.find_data("eval"))
    fail_setting(at("limits"),
                 "limits on accuracy need evaluation data: give `data: {{eval: ...}}`");
  if (!limits.max_drop_points.empty() && limits.max_accuracy_drop)
    fail_setting(at("limits"),
                 "max_accuracy_drop and max_drop_points are the same limit; give one");
  const bool timed = limits.max_latency_ms || limits.min_speedup;
  const auto& bench = impl.params.evaluate.bench;
  if (timed && (!bench || std::find(bench->threads.begin(), bench->threads.end(), limits.threads) ==
                              bench->threads.end()))
    fail_setting(at("limits"), "limits on time need `evaluate: {{bench: {{threads: [{}]}}}}`",
                 limits.threads);
}

std::shared_ptr<const Recipe::Impl> build(Setting root, const std::string& source,
                                          const std::string& base_dir,
                                          const std::vector<std::string>& overrides) {
  for (const std::string& assignment : overrides) override_setting(root, assignment);
  auto impl = std::make_shared<Recipe::Impl>();
  impl->source = source;
  impl->base_dir = base_dir;
  impl->params = bind<RecipeParams>(root);
  impl->params.model = expand_path(impl->params.model, base_dir);
  if (!impl->params.output.empty())
    impl->params.output = expand_path(impl->params.output, base_dir);
  parse_data(impl->params.data, base_dir, *impl);
  for (const Setting& step : impl->params.steps) {
    impl->steps.push_back(parse_step(step));
    for (const auto& [key, path] : impl->steps.back().step->paths())
      if (!path->empty()) *path = absolute_path(*path, base_dir);
  }
  check(*impl, root);
  return impl;
}

/// What becomes of paths when a recipe is written.
enum class Paths {
  kAbsolute,  ///< the same files from any folder
  kLeftOut,   ///< the same text in any folder
};

void write_paths(DatasetSpec& spec, const std::string& base_dir, Paths paths) {
  if (paths == Paths::kLeftOut) spec.path.clear();
  for (std::string& path : spec.path) path = absolute_path(path, base_dir);
  if (!spec.labels.empty() && spec.labels != "folders")
    spec.labels = paths == Paths::kLeftOut ? "" : absolute_path(spec.labels, base_dir);
  for (DatasetSpec& input : spec.inputs) write_paths(input, base_dir, paths);
}

/// The keys of the record that are not as by default.
Setting effective_data(const DataRecord& record, Paths paths) {
  DatasetSpec spec = record.spec;
  write_paths(spec, record.base_dir, paths);
  Setting all = unbind(dataset_fields(), &spec);
  const DatasetSpec defaults;
  const Setting plain = unbind(dataset_fields(), &defaults);
  Setting out = Setting::map({});
  for (size_t i = 0; i < all.entries.size(); ++i)
    if (write_json(all.entries[i].second) != write_json(plain.entries[i].second))
      out.entries.push_back(all.entries[i]);
  return out;
}

/// The step's kind and parameters, and its name where that is another.
Setting effective_step(const RecipeStep& step, Paths paths) {
  Setting params = step.step->params();
  if (paths == Paths::kLeftOut)
    std::erase_if(params.entries, [files = step.step->paths()](const auto& entry) {
      return files.contains(entry.first);
    });
  Setting out = Setting::map({{std::string(step.def->name), std::move(params)}});
  if (step.name != step.def->name) {
    Setting name = Setting::scalar(step.name);
    name.quoted = true;
    out.entries.insert(out.entries.begin(), {"name", name});
  }
  return out;
}

std::string write_effective(const Recipe::Impl& impl, const std::string& output, Paths paths) {
  RecipeParams params = impl.params;
  params.output = output;
  for (std::string* path : {&params.model, &params.output})
    if (!path->empty()) *path = paths == Paths::kLeftOut ? "" : absolute_path(*path, "");
  params.data = Setting::map({});
  for (const auto& [role, record] : impl.data)
    params.data.entries.emplace_back(role, effective_data(record, paths));
  params.steps.clear();
  for (const RecipeStep& step : impl.steps) params.steps.push_back(effective_step(step, paths));
  return write_yaml(unbind(RecipeParams::fields(), &params));
}

}  // namespace

Dataset open_data(const std::string& data, const Graph& graph, uint64_t seed) {
  if (data.find_first_not_of(" \t\n") == std::string::npos)
    fail_usage("the data record is empty: give a YAML file or {{kind: ..., path: ...}}");
  return open_for(parse_data_record(Setting::scalar(data), ""), graph, seed);
}

Recipe Recipe::load(const fs::path& path, const std::vector<std::string>& overrides) {
  Recipe recipe;
  recipe.impl_ = build(parse_yaml(read_file(path), path.string()), path.string(),
                       parent_of(path.string()), overrides);
  return recipe;
}

Recipe Recipe::parse(const std::string& text, const std::string& source,
                     const std::vector<std::string>& overrides) {
  Recipe recipe;
  recipe.impl_ = build(parse_yaml(text, source, !source.empty()), source, "", overrides);
  return recipe;
}

std::string Recipe::effective_yaml() const {
  return lapidary::effective_yaml(*impl_, impl_->params.output);
}

std::string effective_yaml(const Recipe::Impl& impl, const std::string& output) {
  return write_effective(impl, output, Paths::kAbsolute);
}

std::string portable_yaml(const Recipe& recipe) {
  return write_effective(recipe.impl(), "", Paths::kLeftOut);
}

bool Recipe::trains() const {
  return std::any_of(impl_->steps.begin(), impl_->steps.end(),
                     [](const RecipeStep& step) { return step.step->trains(); });
}

std::string Recipe::explain() const {
  std::string out = fmt::format("Starts from {}.\n", printable(impl_->params.model));
  for (const auto& [role, record] : impl_->data)
    out += fmt::format("{} data: {} from {}{}.\n", role, record.spec.kind,
                       record.spec.path.empty() ? "nowhere" : printable(record.spec.path.front()),
                       record.spec.limit > 0 ? fmt::format(", {} samples", record.spec.limit) : "");
  if (impl_->steps.empty()) out += "No steps: the model is measured as it is.\n";
  int number = 1;
  for (const RecipeStep& step : impl_->steps)
    out += fmt::format("{}. {}: {}\n", number++, printable(step.name), step.step->explain());
  if (impl_->find_data("eval")) out += "Each model is loaded again from its file and evaluated.\n";
  return out;
}

}  // namespace lapidary
