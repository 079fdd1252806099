// Pruning with the library: prune MODEL.onnx CALIB.yaml OUT.onnx
#include <lapidary/lapidary.h>

#include <cstdio>

namespace lp = lapidary;

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::fprintf(stderr, "usage: prune MODEL.onnx CALIB.yaml OUT.onnx\n");
    return 2;
  }
  const lp::Graph whole = lp::load_onnx(argv[1]);
  const lp::Dataset calib = lp::open_data(argv[2], whole);

  const lp::PruningGraph graph(whole);
  const lp::UnitScores scores =
      lp::score_units(graph, {.kind = "wanda"}, {.data = &calib, .samples = 128});
  const lp::Selection chosen =
      lp::select_units(graph, scores, {.target = {"macs", 0.5}, .round_to = 8});
  lp::Graph pruned = graph.prune(chosen.removed);
  const double difference =
      lp::compare_with_masked(graph, chosen.removed, pruned, calib.batch(0, 8).inputs);
  lp::repair(graph, chosen.removed, pruned, calib, {.samples = 256});
  lp::save_onnx(pruned, argv[3]);
  std::printf("%.1f %% of the MACs left; %.1g from the masked model before repair\n",
              100 * chosen.got, difference);
  for (const std::string& what : chosen.in_the_way) std::printf("in the way: %s\n", what.c_str());
  return difference <= lp::kMaskedTolerance ? 0 : 1;
} catch (const lp::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
