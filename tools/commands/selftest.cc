#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "src/base/file.h"
#include "tools/cli.h"

namespace lapidary::cli {

namespace {

/// Case names, one a line; '#' starts a comment. None where no file is given.
std::vector<std::string> read_names(const std::string& file) {
  if (file.empty()) return {};
  std::istringstream lines(read_file(file));
  std::vector<std::string> out;
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line.front() != '#') out.push_back(line);
  return out;
}

nlohmann::ordered_json counts(const SelftestResult::Op& op) {
  return {{"passed", op.passed}, {"failed", op.failed}, {"unsupported", op.unsupported}};
}

std::string as_text(const SelftestResult& r) {
  std::string out =
      fmt::format("{:<32} {:>7} {:>7} {:>12}\n", "op", "passed", "failed", "unsupported");
  for (const auto& [op, n] : r.ops)
    out += fmt::format("{:<32} {:>7} {:>7} {:>12}\n", op, n.passed, n.failed, n.unsupported);
  for (const std::string& text : r.failed) out += "failed: " + text + "\n";
  if (!r.skipped.empty()) out += fmt::format("{} skipped\n", r.skipped.size());
  if (!r.without_model.empty())
    out += fmt::format("{} without a model to run\n", r.without_model.size());
  return out + fmt::format("{} passed, {} failed, {} unsupported\n", r.summary.passed,
                           r.summary.failed, r.summary.unsupported);
}

}  // namespace

void add_selftest(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string folder, expect, skip, list, executor = "reference", filter = "*";
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "selftest", "Runs ONNX backend node tests", common);
  sub->add_option("folder", o->folder, "Folder of test cases, at any depth")->required();
  sub->add_option("--expect", o->expect, "File of case names that must pass");
  sub->add_option("--skip", o->skip, "File of case names not to run");
  sub->add_option("--list", o->list, "Write the names of the passing cases there");
  sub->add_option("--filter", o->filter, "Only cases whose name matches this glob");
  sub->add_option("--executor", o->executor, "reference or fast")
      ->check(CLI::IsMember({"fast", "reference"}));
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      guard_output(o->list, {o->expect, o->skip});
      const SelftestResult r = selftest(
          o->folder,
          {.executor = o->executor == "fast" ? ExecutorKind::kFast : ExecutorKind::kReference,
           .filter = o->filter,
           .skip = read_names(o->skip)});
      std::vector<std::string> missing;
      for (const std::string& name : read_names(o->expect))
        if (!std::binary_search(r.passed.begin(), r.passed.end(), name)) missing.push_back(name);
      if (!o->list.empty())
        write_file_atomically(o->list, fmt::format("{}\n", fmt::join(r.passed, "\n")));
      nlohmann::ordered_json ops;
      for (const auto& [op, n] : r.ops) ops[op] = counts(n);
      std::string text = as_text(r);
      for (const std::string& name : missing) text += "must pass and does not: " + name + "\n";
      emit(common,
           {{"summary", counts(r.summary)},
            {"ops", ops},
            {"failed", r.failed},
            {"unsupported", r.unsupported},
            {"without_model", r.without_model},
            {"skipped", r.skipped},
            {"missing", missing}},
           text);
      return r.failed.empty() && missing.empty() ? 0 : static_cast<int>(ErrorCode::kInternal);
    };
  });
}

}  // namespace lapidary::cli
