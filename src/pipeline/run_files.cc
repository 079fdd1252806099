#include "src/pipeline/run_files.h"

#include <algorithm>
#include <cctype>

#include "src/base/fail.h"
#include "src/base/file.h"

namespace lapidary {

namespace fs = std::filesystem;

namespace {

/// Letters, digits, '-' and '_' of a step's name, others as '_': it becomes part of a file name.
std::string safe_name(const std::string& name) {
  std::string out;
  for (char c : name.substr(0, 60))
    out += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ? c : '_';
  return out;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    fail(ErrorCode::kIo, "cannot make the folder '{}': {}", folder.string(), error.message());
}

bool keeps(const RecipeStep& step) { return !step.step->keeps().empty(); }

}  // namespace

RunFiles::RunFiles(const Recipe::Impl& recipe, const RunOptions& options)
    : recipe_(recipe),
      folder_(options.output.empty() ? fs::path(recipe.params.output) : options.output),
      model_(options.model_output) {}

fs::path RunFiles::stage(size_t i) const {
  if (one_model()) return model_;
  return folder_ / fmt::format("{}-{}.onnx", i + 1, safe_name(recipe_.steps[i].name));
}

fs::path RunFiles::result() const { return one_model() ? fs::path() : folder_ / "model.onnx"; }

fs::path RunFiles::checkpoint(size_t i) const {
  fs::path file = stage(i).replace_extension(recipe_.steps[i].step->keeps());
  if (one_model()) return beside(file, "checkpoint");
  return folder_ / "checkpoints" / file.filename();
}

fs::path RunFiles::statistics() const {
  return one_model() ? fs::path() : folder_ / "statistics.lpstat";
}

fs::path RunFiles::report(const std::string& form) const {
  const fs::path base = one_model() ? fs::path(model_.string() + ".report") : folder_ / "report";
  return base.string() + "." + form;
}

fs::path RunFiles::beside(fs::path model, const std::string& word) {
  return model.replace_extension(word + model.extension().string());
}

std::vector<std::string> RunFiles::all() const {
  std::vector<std::string> out;
  if (!one_model() && folder_.empty()) return out;  // a dry run
  const auto add = [&](const fs::path& file) {
    if (!file.empty()) out.push_back(file.string());
  };
  const auto add_model = [&](const fs::path& file) {
    if (file.empty()) return;
    add(file);
    add(file.string() + ".data");
  };
  for (const std::string& form : recipe_.params.report) add(report(form));
  add_model(result());
  add(statistics());
  for (size_t i = 0; i < recipe_.steps.size(); ++i) {
    add_model(stage(i));
    if (recipe_.steps[i].step->trains()) add_model(beside(stage(i), "best"));
    if (keeps(recipe_.steps[i])) add(checkpoint(i));
  }
  return out;
}

void RunFiles::guard(const std::vector<std::string>& inputs) const {
  for (const std::string& output : all()) guard_output(output, inputs);
}

void RunFiles::prepare(bool resume) const {
  if (one_model()) {
    const fs::path parent = model_.has_parent_path() ? model_.parent_path() : fs::path(".");
    if (!fs::is_directory(parent))
      fail(ErrorCode::kIo, "the folder '{}' does not exist", parent.string());
    if (fs::exists(fs::symlink_status(model_)) && !fs::is_regular_file(fs::symlink_status(model_)))
      fail(ErrorCode::kIo,
           "{}: is not a regular file; it is not written over, give another output name",
           model_.string());
    return;
  }
  if (folder_.empty()) fail_usage("no output folder: give `output:` in the recipe, or --out");
  make_folder(folder_);
  if (std::any_of(recipe_.steps.begin(), recipe_.steps.end(), keeps))
    make_folder(folder_ / "checkpoints");
  if (resume) return;
  drop_later_checkpoints();
  write_effective_recipe();
}

void RunFiles::drop_later_checkpoints() const {
  const fs::path folder = folder_ / "checkpoints";
  if (!fs::is_directory(folder) || recipe_.steps.empty()) return;
  const std::string first = checkpoint(0).filename().string();
  std::vector<fs::path> later;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.ends_with(".safetensors") || name.ends_with(".safetensors.prev") ||
                      name.ends_with(".json");
    if (ours && name != first && name != first + ".prev") later.push_back(entry.path());
  }
  for (const fs::path& file : later) fs::remove(file);
}

/// A recipe that is this very file is left alone where nothing in it changes.
void RunFiles::write_effective_recipe() const {
  if (one_model()) return;
  const std::string file = (folder_ / "recipe.effective.yaml").string();
  const std::string text = effective_yaml(recipe_, folder_.string());
  if (!recipe_.source.empty() && same_file(file, recipe_.source)) {
    if (read_file(file) == text) return;
    guard_output(file, {recipe_.source});
  }
  write_file_atomically(file, text);
}

}  // namespace lapidary
