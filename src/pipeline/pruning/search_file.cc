#include "src/pipeline/pruning/search_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/base/text.h"
#include "src/fit/checkpoint.h"

namespace lapidary {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "lapidary.search/1";

std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json read(const std::filesystem::path& path) {
  Json json = Json::parse(read_file(path), nullptr, false);
  if (!json.is_object() || text_of(json, "format") != kFormat)
    fail_invalid("{}: is no state of a search ('format': '{}'); start again without it",
                 path.string(), kFormat);
  if (text_of(json, "version") != version())
    fail_invalid("{}: is of version '{}', this is {}; start again without it", path.string(),
                 printable(text_of(json, "version"), 80), version());
  return json;
}

void expect(const std::filesystem::path& path, const Json& json, const char* key,
            const std::string& wanted) {
  const std::string differing = differing_lines(text_of(json, key), wanted);
  if (!differing.empty())
    fail_usage(
        "{}: is of a search of other {} ({}); start again without it, or with what it is "
        "of",
        path.string(), std::string_view(key) == "recipe" ? "parameters" : "inputs", differing);
}

}  // namespace

void SearchFile::save(const SearchState& state) const {
  if (path_.empty()) return;
  Json points = Json::array();
  for (const SearchRecord::Point& p : state.points)
    points.push_back({{"share", p.share},
                      {"got", p.got},
                      {"metric", std::isfinite(p.metric) ? Json(p.metric) : Json(nullptr)},
                      {"met", p.met}});
  const Json json = {
      {"format", kFormat},           {"version", version()},
      {"recipe", recipe_},           {"inputs", inputs_},
      {"points", std::move(points)}, {"best", state.best ? Json(*state.best) : Json(nullptr)}};
  write_file_atomically(path_, json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::optional<SearchState> SearchFile::load() const {
  if (path_.empty() || !std::filesystem::exists(path_)) return std::nullopt;
  const Json json = read(path_);
  expect(path_, json, "recipe", recipe_);
  expect(path_, json, "inputs", inputs_);
  try {
    SearchState out;
    for (const Json& p : json.at("points"))
      out.points.push_back({.share = p.at("share").get<double>(),
                            .got = p.at("got").get<double>(),
                            .metric = p.at("metric").is_null()
                                          ? std::numeric_limits<double>::quiet_NaN()
                                          : p.at("metric").get<double>(),
                            .met = p.at("met").get<bool>()});
    if (const Json& best = json.at("best"); !best.is_null()) out.best = best.get<RemovedUnits>();
    if (std::ranges::any_of(out.points, &SearchRecord::Point::met) != out.best.has_value())
      fail_invalid("{}: 'best' does not follow from 'points'; start again without it",
                   path_.string());
    return out;
  } catch (const Json::exception& error) {
    fail_invalid("{}: is damaged ({}); start again without it", path_.string(), error.what());
  }
}

void SearchFile::check_recipe() const {
  if (!path_.empty() && std::filesystem::exists(path_))
    expect(path_, read(path_), "recipe", recipe_);
}

}  // namespace lapidary
