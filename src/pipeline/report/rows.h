#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/report.h"
#include "src/pipeline/report/svg.h"

namespace lapidary {

/// A table that every form of the report prints: a title, column heads, rows of plain text.
struct ReportTable {
  std::string title;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
  size_t numeric_from = 1;  ///< columns from here on are figures (aligned right)
  bool long_list = false;   ///< folded away in HTML, cut in the console
  std::string note = {};
};

ReportTable stage_table(const Report& report);
ReportTable latency_table(const Report& report);
/// Report::cpu_classes, each stage of them on CPUs with VNNI first; and the layers that saturate.
ReportTable cpu_class_table(const Report& report);
ReportTable saturation_table(const Report& report);
ReportTable limit_table(const Report& report);
ReportTable layer_table(const Report& report);
/// The layers of Report::executions.
ReportTable execution_layer_table(const Report& report);
/// Of a dry run: the nodes that would be quantized.
ReportTable planned_table(const Report& report);
ReportTable kept_float_table(const Report& report);
/// Groups of Report::prunings, and what each step came to.
ReportTable pruned_table(const Report& report);
/// Layers of Report::factorizations, and what each step came to.
ReportTable factorized_table(const Report& report);
ReportTable frozen_table(const Report& report);
/// Of Report::sensitivities: groups, and the metric by the share of units removed.
ReportTable sensitivity_table(const Report& report);
/// The tries of Report::searches, and what each came to.
ReportTable search_table(const Report& report);
/// Report::layer_bits.
ReportTable bits_table(const Report& report);
ReportTable tensor_table(const Report& report);
ReportTable pass_table(const Report& report);
/// Epochs of Report::trainings.
ReportTable training_table(const Report& report);
/// Report::masked: zeros of each layer's weights.
ReportTable masked_table(const Report& report);
ReportTable provenance_table(const Report& report);
ReportTable environment_table(const Report& report);
ReportTable estimate_table(const Report& report);

/// Of a training, over its steps: loss; and in per cent the accuracy on its batches and what was
/// measured after each epoch.
std::vector<Curve> loss_curves(const TrainingRecord& training);
std::vector<Curve> accuracy_curves(const TrainingRecord& training);

/// A figure of curves.
struct CurveFigure {
  std::string title;
  std::vector<Curve> curves;
  CurveAxes axes;
};
/// The metric of each group over the share of its units removed, from the whole model on; as many
/// groups in one figure as there are inks, all on one scale.
std::vector<CurveFigure> sensitivity_figures(const SensitivityRecord& sensitivity);
/// The metric over the share that was left, and the least that the budget allows.
CurveFigure search_figure(const SearchRecord& search);

/// Operations in 1e9 a second of a layer that was timed and has MACs, and what share of the
/// machine's peak in its precision that is.
std::optional<double> layer_gops(const LayerRecord& layer);
std::optional<double> share_of_peak(const Report& report, const LayerRecord& layer);

/// Layers with MACs, and those among them that the executor ran on integer kernels; absent where
/// nothing was quantized or no layer was looked at.
struct IntegerLayers {
  int64_t ran = 0, of = 0;
};
std::optional<IntegerLayers> integer_layers(const Report& report);

/// Where the file is for another engine: that the figures are of its simulation here; else empty.
std::string engine_note(const Report& report);

/// One sentence: what became of the model.
std::string headline(const Report& report);

}  // namespace lapidary
