#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>

#include "lapidary/report.h"
#include "src/base/isa.h"
#include "src/base/parallel.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

/// The first "key : value" line of a /proc file.
std::string proc_field(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    const size_t begin =
        colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (begin != std::string::npos) return printable(line.substr(begin), 200);
  }
  return "unknown";
}

}  // namespace

std::string version() { return LAPIDARY_VERSION; }

std::vector<std::pair<std::string, std::string>> describe_environment() {
  std::vector<std::string> usable;
  for (Isa isa : all_isas())
    if (cpu_has(isa)) usable.emplace_back(isa_name(isa));
  utsname system{};
  uname(&system);
  const double gib = static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                     static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 30);
  return {{"lapidary", version()},
          {"cpu", proc_field("/proc/cpuinfo", "model name")},
          {"isa", std::string(isa_name(isa_cap()))},
          {"isa_usable", fmt::format("{}", fmt::join(usable, " "))},
          {"threads", std::to_string(thread_count())},
          {"memory", fmt::format("{:.1f} GiB", gib)},
          {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)},
          {"compiler", "g++ " __VERSION__}};
}

}  // namespace lapidary
