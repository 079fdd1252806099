#include <fmt/format.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "src/pipeline/report/to_json.h"
#include "tools/cli.h"
#include "tools/peaks.h"

namespace lapidary::cli {

namespace {

/// Where the loader would find a file whose name starts with `prefix`, "not found" otherwise.
/// Nothing is loaded.
std::string find_library(const std::string& prefix) {
  namespace fs = std::filesystem;
  std::vector<std::string> folders;
  const char* given = std::getenv("LD_LIBRARY_PATH");
  std::istringstream path(given == nullptr ? "" : given);
  for (std::string folder; std::getline(path, folder, ':');) folders.push_back(folder);
  utsname system{};
  uname(&system);
  const std::string triplet = std::string(system.machine) + "-linux-gnu";
  for (const char* root : {"/usr/local/lib", "/usr/lib", "/lib"}) {
    folders.emplace_back(root);
    folders.push_back(fs::path(root) / triplet);
  }
  std::error_code none;
  for (const std::string& folder : folders)
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, none))
      if (entry.path().filename().string().starts_with(prefix)) return entry.path().string();
  return "not found";
}

}  // namespace

void add_doctor(CLI::App& app, Common& common, Action& action) {
  CLI::App* sub =
      add_command(app, "doctor", "CPU, instruction sets, threads, memory, measured peaks", common);
  sub->callback([&common, &action] {
    action = [&common] {
      nlohmann::ordered_json json;
      std::string text;
      auto entries = describe_environment();
      entries.emplace_back("libtorch", find_library("libtorch_cpu.so"));
      const std::string no_training = training_unavailable();
      entries.emplace_back("training", no_training.empty() ? "yes" : no_training);
      for (const auto& [name, value] : entries) {
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
