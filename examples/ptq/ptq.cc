// Post-training quantization with the library: ptq MODEL.onnx CALIB.yaml EVAL.yaml OUT.onnx
#include <lapidary/lapidary.h>

#include <cstdio>

namespace lp = lapidary;

int main(int argc, char** argv) try {
  if (argc != 5) {
    std::fprintf(stderr, "usage: ptq MODEL.onnx CALIB.yaml EVAL.yaml OUT.onnx\n");
    return 2;
  }
  lp::Graph fp32 = lp::load_onnx(argv[1]);
  lp::optimize(fp32);
  const lp::Dataset calib = lp::open_data(argv[2], fp32);
  const lp::Dataset eval = lp::open_data(argv[3], fp32);

  const lp::Statistics statistics = lp::calibrate(fp32, calib);
  lp::QuantizeLog log;
  lp::save_onnx(lp::quantize(fp32, statistics, calib, {.target = "onnxruntime-cpu"}, &log),
                argv[4]);
  for (const lp::KeptFloat& kept : log.kept_float)
    std::printf("float: %s (%s): %s\n", kept.node.c_str(), kept.op.c_str(), kept.reason.c_str());

  const lp::Validation v = lp::validate(lp::load_onnx(argv[4]), fp32, eval);
  std::printf("top-1 %.4f, agreement %.4f, SQNR %.1f dB on %lld samples\n", v.top1, v.agreement,
              v.sqnr_db, static_cast<long long>(v.samples));
  return 0;
} catch (const lp::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
