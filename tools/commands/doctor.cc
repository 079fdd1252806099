#include <fmt/format.h>

#include "src/pipeline/report/to_json.h"
#include "tools/cli.h"
#include "tools/peaks.h"

namespace lapidary::cli {

void add_doctor(CLI::App& app, Common& common, Action& action) {
  CLI::App* sub =
      add_command(app, "doctor", "CPU, instruction sets, threads, memory, measured peaks", common);
  sub->callback([&common, &action] {
    action = [&common] {
      nlohmann::ordered_json json;
      std::string text;
      for (const auto& [name, value] : describe_environment()) {
        json[name] = value;
        text += fmt::format("{:<12} {}\n", name, value);
      }
      std::vector<int> counts = {1};
      if (thread_count() > 1) counts.push_back(thread_count());
      for (const int threads : counts) {
        const MachinePeaks peaks = measure_peaks(threads);
        json["peaks"].push_back(peaks_json(peaks));
        text += fmt::format("{:<12} {}\n", threads == counts[0] ? "peaks" : "", peaks_text(peaks));
      }
      emit(common, json, text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
