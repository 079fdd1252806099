#include <algorithm>
#include <chrono>
#include <filesystem>

#include "lapidary/evaluate.h"
#include "lapidary/model_io.h"
#include "lapidary/ranks.h"
#include "lapidary/recipe.h"
#include "lapidary/runtime.h"
#include "quantize/checks.h"
#include "src/base/file.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/fit/check.h"
#include "src/onnx/model_files.h"
#include "src/pipeline/estimate.h"
#include "src/pipeline/evaluate_models.h"
#include "src/pipeline/feed.h"
#include "src/pipeline/given_shapes.h"
#include "src/pipeline/limits.h"
#include "src/pipeline/masked.h"
#include "src/pipeline/measure_stages.h"
#include "src/pipeline/recipe_data.h"
#include "src/pipeline/run_files.h"
#include "src/pipeline/yaml.h"

namespace lapidary {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What the first stage is called: the numbers that its weights are.
std::string precision_name(const Graph& graph) {
  if (is_quantized_model(graph)) return "int8";
  return has_half_weights(graph) ? "fp16" : "fp32";
}

/// A recipe on its way: one function per phase, in the order of `run`.
class Run {
 public:
  Run(const Recipe& recipe, const RunOptions& options)
      : recipe_(recipe),
        impl_(recipe.impl()),
        options_(options),
        data_(impl_, original_,
              [this](std::string_view role, const DataRecord& record, const Dataset& data) {
                on_opened(role, record, data);
              }),
        files_(impl_, options_) {}

  Report run() {
    const auto start = Clock::now();
    if (files_.one_model() && impl_.steps.size() > 1)
      fail_usage("one output file is for a recipe of one step; give a folder for {} steps",
                 impl_.steps.size());
    if (!options_.dry_run) ranks_ = join_ranks(options_.rank);
    open();
    if (options_.dry_run) {
      check_settings_of_checkpoints();
      plan();
      open_data_of_steps();
      report_.estimate = estimate(start);
      note_training_memory(training_bytes_);
      note_data(data_, report_);
      return std::move(report_);
    }
    open_data_of_steps();
    check_settings_of_checkpoints();
    if (keeps_checkpoints()) asked_to_stop();  // from here on it is heard
    if (writes()) files_.prepare(options_.resume);
    try {
      report_.estimate = estimate(start);
    } catch (const Error& error) {  // the steps meet it where they can say more of it
      if (error.code() == ErrorCode::kInternal) throw;
    }
    transform();
    if (writes() && options_.resume) files_.write_effective_recipe();
    if (!report_.interrupted.empty() || !writes()) return std::move(report_);
    if (!measure()) {
      report_.interrupted = "evaluation";
      return std::move(report_);
    }
    if (masked_) {
      report_.masked = measure_masked(stage_graphs_[report_.reference], stage_graphs_.back());
      report_.masked->stage = report_.stages.back().name;
      report_.masked->before = report_.stages[report_.reference].name;
    }
    report_.limits = check_limits(impl_.params.limits, report_);
    if (report_.estimate) {
      report_.estimate->actual_seconds = seconds_since(start);
      report_.estimate->actual_memory_bytes = peak_rss_bytes();
    }
    write_reports();
    return std::move(report_);
  }

 private:
  /// Of several processes that train together one does.
  bool writes() const { return options_.rank.rank == 0; }

  bool keeps_checkpoints() const {
    return std::any_of(impl_.steps.begin(), impl_.steps.end(),
                       [](const RecipeStep& step) { return !step.step->keeps().empty(); });
  }

  void on_opened(std::string_view role, const DataRecord& record, const Dataset& data) {
    std::vector<std::string> inputs = data.files();
    inputs.push_back(record.file);
    files_.guard(inputs);
    report_.provenance.emplace_back(fmt::format("{} data", role), data.manifest_sha256());
  }

  void open() {
    const std::string& path = impl_.params.model;
    files_.guard(std::vector<std::string>{path});
    if (!impl_.source.empty()) files_.guard(std::vector<std::string>{impl_.source});
    for (const RecipeStep& step : impl_.steps)
      for (const auto& [key, file] : step.step->paths())
        files_.guard(std::vector<std::string>{*file});
    LoadedModel loaded = load_with_files(path);
    files_.guard(loaded.file_names(path));
    model_sha256_ = loaded.sha256();
    original_ = loaded.graph;
    given_shapes(original_, options_.input_shapes);  // refuses names that the model does not have
    report_.title = fs::path(path).filename().string();
    report_.version = version();
    report_.seed = impl_.params.seed;
    report_.environment = describe_environment();
    report_.provenance.emplace_back("model", model_sha256_);
    report_.provenance.emplace_back("recipe", sha256_hex(portable_yaml(recipe_)));
    if (const Dataset* eval = data_.find("eval")) {
      check_metrics(impl_.params.evaluate.metrics, eval->labelled());
      check_needs(impl_.params.limits, eval->labelled(), classes_of(original_));
    } else if (!impl_.params.evaluate.isa_semantics.empty())
      fail_usage("'isa_semantics' needs data to measure on: `eval:` under `data:`");
    const std::string precision = precision_name(loaded.graph);
    add_stage(precision, path, std::move(loaded), 0);
  }

  /// What the steps will read is found and checked before any work.
  void open_data_of_steps() {
    for (const RecipeStep& step : impl_.steps) {
      for (const std::string_view role : step.step->needs()) data_.find(role);
      if (step.step->trains())
        for (const std::string_view role : {"calib", "valid"}) data_.find(role);
      for (const std::string_view role : step.step->measures_on())
        if (data_.find(role) != nullptr) break;
    }
    const DataSizes any{.calib = 1};
    for (const RecipeStep& step : impl_.steps)
      if (const StepWork work = step.step->work(any); work.calibrated + work.held > 0)
        data_.find("calib");
  }

  StepContext context() {
    return {.graph = original_,
            .original = &original_,
            .model = &original_,
            .input_shapes = options_.input_shapes,
            .data = [this](std::string_view role) { return data_.find(role); },
            .report = report_,
            .output = files_.folder(),
            .threads = options_.threads,
            .log = options_.log,
            .seed = impl_.params.seed,
            .rank = options_.rank,
            .resume = options_.resume,
            .stop = options_.stop};
  }

  /// Before anything is written: what a later step would refuse is told before the first one runs.
  void check_settings_of_checkpoints() {
    StepContext step_context = context();
    for (size_t i = 0; options_.resume && i < impl_.steps.size(); ++i) {
      begin_step(i, step_context);
      if (!step_context.checkpoint.empty())
        with_context([&] { return "step '" + impl_.steps[i].name + "'"; },
                     [&] { impl_.steps[i].step->check_checkpoint(step_context); });
    }
  }

  void plan() {
    StepContext step_context = context();
    for (size_t i = 0; i < impl_.steps.size(); ++i) {
      const RecipeStep& step = impl_.steps[i];
      begin_step(i, step_context);
      // What later steps begin from is not known yet; several processes would have to meet.
      step_context.resume &= i == 0 && options_.rank.world_size == 1;
      with_context([&] { return "step '" + step.name + "'"; },
                   [&] { step.step->plan(step_context); });
    }
    training_bytes_ = step_context.training_bytes;
  }

  std::optional<Estimate> estimate(Clock::time_point start) {
    const Dataset* calib = data_.find_opened("calib");
    return estimate_run({.model = original_,
                         .calib = calib ? calib : data_.find_opened("train"),
                         .eval = data_.find_opened("eval"),
                         .sizes = data_.sizes(),
                         .steps = impl_.steps,
                         .evaluate = impl_.params.evaluate,
                         .seconds_so_far = seconds_since(start),
                         .threads = options_.threads});
  }

  void transform() {
    StepContext step_context = context();
    for (size_t i = 0; i < impl_.steps.size(); ++i) {
      const RecipeStep& step = impl_.steps[i];
      options_.log.info(fmt::format("{}/{} {}", i + 1, impl_.steps.size(), step.name));
      begin_step(i, step_context);
      const auto start = Clock::now();
      with_context([&] { return "step '" + step.name + "'"; },
                   [&] { step.step->run(step_context); });
      const double seconds = seconds_since(start);
      note_training_memory(step_context.training_bytes);
      if (step_context.interrupted) {
        report_.interrupted = step.name;
        return;
      }
      if (writes()) save_step(i, step_context, seconds);
      if (step.step->begins_anew()) {
        reference_ = step_context.graph;
        step_context.original = &reference_;
      }
      if (asked_to_stop()) {
        report_.interrupted = step.name;
        return;
      }
    }
    masked_ = step_context.masked;
    if (step_context.statistics && writes() && !files_.statistics().empty())
      step_context.statistics->save(files_.statistics());
  }

  void note_training_memory(int64_t bytes) {
    if (!report_.estimate) return;
    report_.estimate->training_bytes = bytes;
    report_.estimate->memory_bytes = std::max(report_.estimate->memory_bytes, bytes);
  }

  /// Of several processes all end where one is asked to.
  bool asked_to_stop() const {
    if (!options_.stop) return false;
    const bool own = options_.stop();
    return ranks_ ? ranks_->most(own ? 1 : 0) > 0 : own;
  }

  void begin_step(size_t i, StepContext& step_context) const {
    const RecipeStep& step = impl_.steps[i];
    step_context.name = step.name;
    Setting params = step.step->params();
    for (const std::string_view key : step.step->without_effect())
      std::erase_if(params.entries, [&](const auto& entry) { return entry.first == key; });
    step_context.params = fmt::format("step: {}\n", step.def->name);
    for (const auto& [key, value] : params.entries)
      step_context.params += fmt::format("{}: {}\n", key, write_json(value));
    const bool kept =
        !step.step->keeps().empty() && (files_.one_model() || !files_.folder().empty());
    step_context.checkpoint = kept ? files_.checkpoint(i) : fs::path();
    step_context.beside.clear();
    if (!step.step->trains() && step.step->makes() != Form::kAsBefore) step_context.lower = {};
  }

  void save_step(size_t i, const StepContext& step_context, double seconds) {
    const RecipeStep& step = impl_.steps[i];
    const Graph result =
        step_context.lower ? step_context.lower(step_context.graph) : step_context.graph;
    fs::path file = files_.stage(i);
    save_stage(result, file);
    for (const auto& [word, graph] : step_context.beside) {
      const fs::path other = RunFiles::beside(file, word);
      save_stage(graph, other);
      if (word == "best" && !report_.trainings.empty())
        report_.trainings.back().best_file = other.string();
    }
    if (i + 1 == impl_.steps.size() && !files_.result().empty()) {
      file = files_.result();
      save_stage(result, file);
    }
    add_stage(step.name, file, load_with_files(file), seconds);
  }

  void save_stage(Graph graph, const fs::path& file) {
    auto& metadata = graph.model.metadata;
    std::erase_if(metadata, [](const auto& entry) {
      return entry.first == "lapidary.version" || entry.first.starts_with("lapidary.sha256.");
    });
    metadata.emplace_back("lapidary.version", version());
    for (const auto& [what, hash] : report_.provenance) {
      std::string key = what;
      for (char& c : key) c = c == ' ' ? '_' : c;
      metadata.emplace_back("lapidary.sha256." + key, hash);
    }
    const bool too_large = needs_external_data(graph);
    if (too_large && !impl_.params.external_data)
      options_.log.info(fmt::format("{}: more than one file can hold; its weights are in {}.data",
                                    file.string(), file.filename().string()));
    save_onnx(graph, file, {.external_data = too_large || impl_.params.external_data});
  }

  /// Every stage is what was read from its file: what ships is what is measured.
  void add_stage(const std::string& name, const fs::path& file, LoadedModel loaded,
                 double seconds) {
    StageRecord stage;
    stage.name = name;
    stage.file = file.string();
    stage.seconds = seconds;
    stage.peak_rss_bytes = peak_rss_bytes();
    stage.size_bytes = loaded.size_bytes();
    stage.sha256 = report_.stages.empty() ? model_sha256_ : loaded.sha256();
    const ModelSummary summary = summarize(loaded.graph);
    stage.parameters = summary.parameters;
    stage.nonzero_parameters = summary.nonzero_parameters;
    stage.macs = summary.macs;
    stage.macs_complete = summary.macs_complete;
    report_.stages.push_back(std::move(stage));
    stage_graphs_.push_back(std::move(loaded.graph));
  }

  struct Stopped {};

  /// All that is measured of the models. False where it was asked to stop, which a process that
  /// trains alone is between any two batches: models and checkpoints are written by then.
  bool measure() {
    const auto stop = [this] { return !ranks_ && options_.stop && options_.stop(); };
    RunOptions options = options_;
    options.log.progress = [&](const Progress& progress) {
      if (stop()) throw Stopped{};
      if (options_.log.progress) options_.log.progress(progress);
    };
    try {
      report_.reference = impl_.reference_stage();
      measure_stages(stage_graphs_, impl_.params.evaluate, data_, options, report_);
      warn_of_losses();
    } catch (const Stopped&) {
      return false;
    }
    return !stop();
  }

  /// Training that went wrong ends without an error.
  void warn_of_losses() {
    constexpr double kMuch = 0.1;
    for (size_t i = 1; i < report_.stages.size(); ++i) {
      const StageRecord &before = report_.stages[i - 1], &now = report_.stages[i];
      const auto a = before.metrics.find("top1"), b = now.metrics.find("top1");
      const Step& step = *impl_.steps[i - 1].step;
      if (!step.trains() || step.begins_anew() || a == before.metrics.end() ||
          b == now.metrics.end() || !(a->second - b->second > kMuch))
        continue;
      warn(fmt::format(
          "step '{}' lost {:.1f} points of top1: a lower `lr`{} may keep them", now.name,
          100 * (a->second - b->second),
          step.makes() == Form::kQat ? ", more epochs or more bits" : " or more epochs"));
    }
  }

  void warn(const std::string& warning) {
    report_.warnings.push_back(warning);
    options_.log.warn(warning);
  }

  void write_reports() {
    for (const std::string& form : impl_.params.report) {
      const std::string text = form == "json" ? report_json(report_)
                               : form == "md" ? report_markdown(report_)
                                              : report_html(report_);
      write_file_atomically(files_.report(form), text);
    }
  }

  const Recipe& recipe_;
  const Recipe::Impl& impl_;
  RunOptions options_;
  std::shared_ptr<Ranks> ranks_;  ///< null: this process is alone
  Graph original_;
  Graph reference_;  ///< after a step that begins anew: what it left
  std::string model_sha256_;
  RecipeData data_;
  const RunFiles files_;
  std::vector<Graph> stage_graphs_;
  Report report_;
  int64_t training_bytes_ = 0;  ///< of a dry run
  bool masked_ = false;         ///< StepContext::masked behind the last step
};

}  // namespace

Report run_recipe(const Recipe& recipe, const RunOptions& options) {
  return Run(recipe, options).run();
}

}  // namespace lapidary
