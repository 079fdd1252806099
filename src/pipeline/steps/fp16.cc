#include "lapidary/compress.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

struct Fp16Params {
  bool weights_only = false;
  std::vector<std::string> skip;
  bool keep_io = true;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "fp16",
        {field("weights_only", &Fp16Params::weights_only, "Half the file, float32 arithmetic"),
         field("skip", &Fp16Params::skip, "Patterns of nodes that stay float32"),
         field("keep_io", &Fp16Params::keep_io, "Graph inputs and outputs stay float32")}};
    return kTable;
  }
};

class Fp16Step : public Step {
 public:
  explicit Fp16Step(const Setting& setting) : params_(bind<Fp16Params>(setting)) {}

  std::string refuses(Form form) const override {
    return form == Form::kQat ? "it trains with quantization" : "";
  }

  Form makes() const override { return params_.weights_only ? Form::kAsBefore : Form::kHalf; }

  std::string explain() const override {
    return params_.weights_only
               ? "Stores weights as FP16; arithmetic stays FP32."
               : "Converts the graph to FP16, with FP32 islands where FP16 overflows.";
  }

  void run(StepContext& context) const override {
    context.graph = convert_to_fp16(context.graph,
                                    {.weights_only = params_.weights_only,
                                     .skip = params_.skip,
                                     .keep_io = params_.keep_io,
                                     .log = context.log},
                                    &context.report.kept_float);
  }

  void plan(StepContext& context) const override { run(context); }
  Setting params() const override { return unbind(Fp16Params::fields(), &params_); }

 private:
  Fp16Params params_;
};

}  // namespace

const StepDef& step_fp16() {
  static const StepDef kDef{
      "fp16", "Converts weights or the whole graph to FP16", &Fp16Params::fields,
      [](const Setting& s) -> std::unique_ptr<Step> { return std::make_unique<Fp16Step>(s); }};
  return kDef;
}

}  // namespace lapidary
