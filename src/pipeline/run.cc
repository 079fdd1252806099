#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include "lapidary/evaluate.h"
#include "lapidary/model_io.h"
#include "lapidary/ranks.h"
#include "lapidary/recipe.h"
#include "lapidary/runtime.h"
#include "quantize/checks.h"
#include "src/base/file.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/onnx/model_files.h"
#include "src/pipeline/estimate.h"
#include "src/pipeline/evaluate_models.h"
#include "src/pipeline/feed.h"
#include "src/pipeline/given_shapes.h"
#include "src/pipeline/limits.h"
#include "src/pipeline/recipe_data.h"
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
  for (const ValueId id : graph.values())
    if (const Tensor* constant = graph.constant(id);
        constant && constant->dtype() == DType::kF16 && constant->size() > 1)
      return "fp16";
  return "fp32";
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
              }) {
    folder_ = options.output.empty() ? fs::path(impl_.params.output) : options.output;
  }

  Report run() {
    const auto start = Clock::now();
    if (one_verb() && impl_.steps.size() > 1)
      fail_usage("one output file is for a recipe of one step; give a folder for {} steps",
                 impl_.steps.size());
    if (!options_.dry_run) ranks_ = join_ranks(options_.rank);
    open();
    if (options_.dry_run) {
      plan();
      open_data_of_steps();
      report_.estimate = estimate(start);
      note_training_memory(training_bytes_);
      note_data();
      return std::move(report_);
    }
    open_data_of_steps();
    if (writes()) prepare_output();
    try {
      report_.estimate = estimate(start);
    } catch (const Error& error) {  // the steps meet it where they can say more of it
      if (error.code() == ErrorCode::kInternal) throw;
    }
    transform();
    if (!report_.interrupted.empty() || !writes()) return std::move(report_);
    if (!measure()) {
      report_.interrupted = "evaluation";
      return std::move(report_);
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
  struct Stopped {};

  /// All that is measured of the models. False where it was asked to stop, which a process that
  /// trains alone is between any two batches: models and checkpoints are written by then.
  bool measure() {
    const auto stop = [this] { return !ranks_ && options_.stop && options_.stop(); };
    const LogSink log = options_.log;
    options_.log.progress = [&](const Progress& progress) {
      if (stop()) throw Stopped{};
      if (log.progress) log.progress(progress);
    };
    bool stopped = false;
    try {
      list_executions();
      evaluate_stages();
      compare_with_original();
      note_data();
      time_stages();
    } catch (const Stopped&) {
      stopped = true;
    }
    options_.log = log;
    return !stopped && !stop();
  }

  /// Of several processes that train together one does.
  bool writes() const { return options_.rank.rank == 0; }
  bool one_verb() const { return !options_.model_output.empty(); }

  /// Every file that this run may write: reports, models and the data files beside them,
  /// statistics.
  std::vector<std::string> output_files() const {
    std::vector<std::string> out;
    if (!one_verb() && folder_.empty()) return out;  // a dry run
    const auto add_model = [&](const fs::path& file) {
      out.push_back(file.string());
      out.push_back(file.string() + ".data");
    };
    for (const std::string& form : impl_.params.report) out.push_back(report_base() + "." + form);
    const auto add_training_files = [&](size_t step) {
      add_model(beside_file(stage_file(step), "best"));
      out.push_back(checkpoint_file(step).string());
    };
    if (one_verb()) {
      add_model(options_.model_output);
      if (recipe_.trains()) add_training_files(0);
      return out;
    }
    add_model(folder_ / "model.onnx");
    out.push_back((folder_ / "statistics.lpstat").string());
    for (size_t i = 0; i < impl_.steps.size(); ++i) {
      add_model(stage_file(i));
      if (impl_.steps[i].step->trains()) add_training_files(i);
    }
    return out;
  }

  void guard_outputs(const std::vector<std::string>& inputs) const {
    for (const std::string& output : output_files()) guard_output(output, inputs);
  }

  void on_opened(std::string_view role, const DataRecord& record, const Dataset& data) {
    std::vector<std::string> inputs = data.files();
    inputs.push_back(record.file);
    guard_outputs(inputs);
    report_.provenance.emplace_back(fmt::format("{} data", role), data.manifest_sha256());
  }

  std::string report_base() const {
    return one_verb() ? options_.model_output.string() + ".report" : (folder_ / "report").string();
  }

  /// The model that step i (from 0) leaves.
  fs::path stage_file(size_t i) const {
    if (one_verb()) return options_.model_output;
    return folder_ / fmt::format("{}-{}.onnx", i + 1, safe_name(impl_.steps[i].name));
  }
  /// out/1-qat.onnx -> out/1-qat.best.onnx
  static fs::path beside_file(fs::path model, const std::string& word) {
    return model.replace_extension(word + model.extension().string());
  }
  fs::path checkpoint_file(size_t i) const {
    fs::path file = stage_file(i).replace_extension("safetensors");
    if (one_verb()) return beside_file(file, "checkpoint");
    return folder_ / "checkpoints" / file.filename();
  }

  void open() {
    const std::string& path = impl_.params.model;
    guard_outputs(std::vector<std::string>{path});
    if (!impl_.source.empty()) guard_outputs(std::vector<std::string>{impl_.source});
    for (const RecipeStep& step : impl_.steps)
      for (const auto& [key, file] : step.step->paths())
        guard_outputs(std::vector<std::string>{*file});
    LoadedModel loaded = load_with_files(path);
    guard_outputs(loaded.file_names(path));
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
    }
    const DataSizes any{.calib = 1};
    for (const RecipeStep& step : impl_.steps)
      if (const StepWork work = step.step->work(any); work.calibrated + work.held > 0)
        data_.find("calib");
  }

  StepContext context() {
    return {.graph = original_,
            .original = &original_,
            .data = [this](std::string_view role) { return data_.find(role); },
            .report = report_,
            .output = folder_,
            .threads = options_.threads,
            .log = options_.log,
            .seed = impl_.params.seed,
            .rank = options_.rank,
            .resume = options_.resume,
            .stop = options_.stop};
  }

  void plan() {
    StepContext step_context = context();
    for (const RecipeStep& step : impl_.steps)
      with_context([&] { return "step '" + step.name + "'"; },
                   [&] { step.step->plan(step_context); });
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

  void prepare_output() {
    if (one_verb()) {
      const fs::path& out = options_.model_output;
      const fs::path parent = out.has_parent_path() ? out.parent_path() : fs::path(".");
      if (!fs::is_directory(parent))
        fail(ErrorCode::kIo, "the folder '{}' does not exist", parent.string());
      if (fs::exists(fs::symlink_status(out)) && !fs::is_regular_file(fs::symlink_status(out)))
        fail(ErrorCode::kIo,
             "{}: is not a regular file; it is not written over, give another output name",
             out.string());
      return;
    }
    if (folder_.empty()) fail_usage("no output folder: give `output:` in the recipe, or --out");
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error)
      fail(ErrorCode::kIo, "cannot make the folder '{}': {}", folder_.string(), error.message());
    if (recipe_.trains()) fs::create_directories(folder_ / "checkpoints", error);
    if (error)
      fail(ErrorCode::kIo, "cannot make the folder '{}': {}", (folder_ / "checkpoints").string(),
           error.message());
    write_effective_recipe();
  }

  /// A recipe that is this very file is left alone where nothing in it changes.
  void write_effective_recipe() const {
    const std::string file = (folder_ / "recipe.effective.yaml").string();
    const std::string text = effective_yaml(impl_, folder_.string());
    if (!impl_.source.empty() && same_file(file, impl_.source)) {
      if (read_file(file) == text) return;
      guard_output(file, {impl_.source});
    }
    write_file_atomically(file, text);
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
      if (step_context.interrupted) {
        report_.interrupted = step.name;
        return;
      }
      note_training_memory(step_context.training_bytes);
      if (writes()) save_step(i, step_context, seconds);
      if (asked_to_stop()) {
        report_.interrupted = step.name;
        return;
      }
    }
    if (step_context.statistics && !one_verb() && writes())
      step_context.statistics->save(folder_ / "statistics.lpstat");
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
    step_context.checkpoint = step.step->trains() ? checkpoint_file(i) : fs::path();
    step_context.beside.clear();
    if (!step.step->trains() && step.step->makes() != Form::kAsBefore) step_context.lower = {};
  }

  void save_step(size_t i, const StepContext& step_context, double seconds) {
    const RecipeStep& step = impl_.steps[i];
    const Graph result =
        step_context.lower ? step_context.lower(step_context.graph) : step_context.graph;
    fs::path file = stage_file(i);
    save_stage(result, file);
    for (const auto& [word, graph] : step_context.beside) {
      const fs::path other = beside_file(file, word);
      save_stage(graph, other);
      if (word == "best" && !report_.trainings.empty())
        report_.trainings.back().best_file = other.string();
    }
    if (i + 1 == impl_.steps.size() && !one_verb()) {
      file = folder_ / "model.onnx";
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

  /// A model of a stage to be computed in something else than FP32: report_.executions[i].
  struct Execution {
    size_t stage;
    FloatArithmetic arithmetic;
  };

  void list_executions() {
    std::set<size_t> ends = {0, stage_graphs_.size() - 1};
    std::erase_if(ends, [&](size_t i) { return is_quantized_model(stage_graphs_[i]); });
    for (const std::string& name : impl_.params.evaluate.execution)
      for (const size_t stage : ends) {
        executions_.push_back({stage, execution_arithmetic(name)});
        report_.executions.push_back(
            {.stage = report_.stages[stage].name,
             .precision = std::string(float_arithmetic_name(executions_.back().arithmetic))});
      }
  }

  static FloatArithmetic execution_arithmetic(const std::string& name) {
    if (name == "bf16") return FloatArithmetic::kBf16;
    return name == "fp16" ? FloatArithmetic::kF16Storage : FloatArithmetic::kF16;
  }

  void evaluate_stages() {
    const Dataset* eval = data_.find_opened("eval");
    if (eval == nullptr) return;
    std::vector<EvaluatedModel> models;
    std::vector<size_t> stages;
    for (size_t i = 0; i < stage_graphs_.size(); ++i) {
      const bool ends = i == 0 || i + 1 == stage_graphs_.size();
      if (ends || impl_.params.evaluate.every_step) stages.push_back(i);
    }
    for (size_t i : stages) models.push_back({&stage_graphs_[i]});
    for (const Execution& e : executions_)
      models.push_back({&stage_graphs_[e.stage], e.arithmetic});
    for (const std::string& name : impl_.params.evaluate.isa_semantics)
      models.push_back(
          {.graph = &stage_graphs_.back(), .integer_arithmetic = integer_arithmetic(name)});
    EvaluateOptions options;
    options.metrics = impl_.params.evaluate.metrics;
    options.threads = options_.threads;
    options.winograd = impl_.params.evaluate.winograd;
    options.log = options_.log;
    const auto found = evaluate_models(models, 0, *eval, options);
    for (size_t i = 0; i < stages.size(); ++i) {
      StageRecord& stage = report_.stages[stages[i]];
      stage.metrics = found[i].metrics;
      stage.samples = found[i].samples;
      const ExecutionPlan plan = plan_of(models[i], i == 0 ? 0 : options.winograd, found[i]);
      stage.activation_bytes = plan.arena_bytes;
      stage.packed_bytes = plan.packed_bytes;
      warn(nonfinite_warning(stage.name, found[i]));
    }
    warn_of_losses();
    for (size_t i = 0; i < executions_.size(); ++i) {
      ExecutionRecord& execution = report_.executions[i];
      const Validation& measured = found[stages.size() + i];
      execution.metrics = measured.metrics;
      execution.samples = measured.samples;
      const ExecutionPlan plan = plan_of(models[stages.size() + i], options.winograd, measured);
      execution.activation_bytes = plan.arena_bytes;
      execution.packed_bytes = plan.packed_bytes;
      for (const StepInfo& step : plan.steps)
        execution.layers.push_back({.node = step.nodes.empty() ? "" : step.nodes.front(),
                                    .op = step.op,
                                    .macs = step.macs,
                                    .parameters = step.parameters,
                                    .kernel = step.kernel,
                                    .precision = step.precision,
                                    .bytes_moved = step.bytes_moved});
      warn(nonfinite_warning(execution.stage + " in " + execution.precision, measured));
    }
    for (size_t i = stages.size() + executions_.size(); i < models.size(); ++i) {
      report_.cpu_classes.push_back(
          {.stage = report_.stages.back().name,
           .profile = std::string(execution_profile(models[i].integer_arithmetic)),
           .metrics = found[i].metrics,
           .samples = found[i].samples,
           .layers = found[i].saturation});
      warn(saturation_warning(found[i].saturation));
    }
  }

  /// Training that went wrong ends without an error.
  void warn_of_losses() {
    constexpr double kMuch = 0.1;
    for (size_t i = 1; i < report_.stages.size(); ++i) {
      const StageRecord &before = report_.stages[i - 1], &now = report_.stages[i];
      const auto a = before.metrics.find("top1"), b = now.metrics.find("top1");
      if (!impl_.steps[i - 1].step->trains() || a == before.metrics.end() ||
          b == now.metrics.end() || !(a->second - b->second > kMuch))
        continue;
      warn(
          fmt::format("step '{}' lost {:.1f} points of top1: a lower `lr`, more epochs or more "
                      "bits may keep them",
                      now.name, 100 * (a->second - b->second)));
    }
  }

  /// Of one sample; where the model alone leaves sizes open, of the last batch that ran. `winograd`
  /// as it was evaluated: the first stage, the reference, without.
  ExecutionPlan plan_of(const EvaluatedModel& model, int winograd, const Validation& ran) const {
    ExecutionPlan plan = plan_execution(*model.graph, options_.input_shapes,
                                        {.threads = options_.threads,
                                         .winograd = winograd,
                                         .float_arithmetic = model.float_arithmetic});
    return plan.steps.empty() ? ExecutionPlan{ran.steps, ran.arena_bytes, ran.packed_bytes} : plan;
  }

  void warn(const std::string& warning) {
    if (warning.empty()) return;
    report_.warnings.push_back(warning);
    options_.log.warn(warning);
  }

  /// What the data sets had to say, once they were read.
  void note_data() {
    for (const auto& [role, data] : data_.opened()) {
      for (const std::string& warning : data.warnings())
        report_.warnings.push_back(fmt::format("{} data: {}", role_word(role), warning));
      for (const SkippedSample& s : data.skipped())
        report_.warnings.push_back(
            fmt::format("{} sample skipped: {}: {}", role_word(role), s.source, s.reason));
    }
  }

  void compare_with_original() {
    const int64_t samples = impl_.params.evaluate.layer_samples;
    const Dataset* data = data_.find_opened("eval");
    if (data == nullptr) data = data_.find_opened("calib");
    if (stage_graphs_.size() < 2 || samples == 0 || data == nullptr) return;
    if (is_quantized_model(original_)) return;  // its layers have no float values to compare with
    const Graph& result = stage_graphs_.back();
    report_.layers = layer_records(
        result,
        compare_layers(result, stage_graphs_[0], *data,
                       {.samples = samples, .threads = options_.threads, .log = options_.log})
            .layers,
        *data, options_.threads);
    if (impl_.params.evaluate.bench)
      report_.peaks = measure_peaks(options_.threads > 0 ? options_.threads : thread_count());
  }

  void time_stages() {
    if (!impl_.params.evaluate.bench) return;
    const BenchParams& params = *impl_.params.evaluate.bench;
    const size_t stages = stage_graphs_.size(), count = stages + executions_.size();
    for (size_t i = 0; i < count; ++i) {
      options_.log.advance("time", static_cast<int64_t>(i), static_cast<int64_t>(count));
      const Execution model =
          i < stages ? Execution{i, FloatArithmetic::kF32} : executions_[i - stages];
      try {
        auto& latency =
            i < stages ? report_.stages[i].latency : report_.executions[i - stages].latency;
        latency = bench(stage_graphs_[model.stage], {.threads = params.threads,
                                                     .batch = params.batch,
                                                     .seconds = params.seconds,
                                                     .input_shapes = options_.input_shapes,
                                                     .winograd = impl_.params.evaluate.winograd,
                                                     .float_arithmetic = model.arithmetic});
      } catch (const Error& error) {
        // A model need not be run to be transformed: its ops may be unknown, its sizes open, and
        // random input may lead where it was never meant to go.
        if (error.code() == ErrorCode::kInternal) throw;
        report_.warnings.push_back(fmt::format("latency was not measured: {}", error.what()));
        options_.log.warn(report_.warnings.back());
        return;
      }
    }
  }

  void write_reports() {
    const std::string base = report_base();
    for (const std::string& form : impl_.params.report) {
      if (form == "json") write_file_atomically(base + ".json", report_json(report_));
      if (form == "md") write_file_atomically(base + ".md", report_markdown(report_));
      if (form == "html") write_file_atomically(base + ".html", report_html(report_));
    }
  }

  /// Letters, digits, '-' and '_' of a step's name, others as '_': it becomes part of a file name.
  static std::string safe_name(const std::string& name) {
    std::string out;
    for (char c : name.substr(0, 60))
      out += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ? c : '_';
    return out;
  }

  const Recipe& recipe_;
  const Recipe::Impl& impl_;
  RunOptions options_;
  std::shared_ptr<Ranks> ranks_;  ///< null: this process is alone
  fs::path folder_;
  Graph original_;
  std::string model_sha256_;
  RecipeData data_;
  std::vector<Graph> stage_graphs_;
  std::vector<Execution> executions_;
  Report report_;
  int64_t training_bytes_ = 0;  ///< of a dry run
};

}  // namespace

Report run_recipe(const Recipe& recipe, const RunOptions& options) {
  return Run(recipe, options).run();
}

}  // namespace lapidary
