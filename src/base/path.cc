#include "src/base/path.h"

#include <cstdlib>
#include <filesystem>

#include "src/base/fail.h"

namespace lapidary {

std::string expand_path(const std::string& path, const std::string& base_dir) {
  const auto variable = [&](const std::string& name) -> std::string {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) fail_usage("'{}': the variable {} is not set", path, name);
    return value;
  };
  std::string out;
  size_t at = 0;
  if (path == "~" || path.starts_with("~/")) {
    out = variable("HOME");
    at = 1;
  }
  while (at < path.size()) {
    if (path.compare(at, 2, "${") != 0) {
      out += path[at++];
      continue;
    }
    const size_t end = path.find('}', at);
    if (end == std::string::npos) fail_usage("'{}': a ${{ is not closed by }}", path);
    out += variable(path.substr(at + 2, end - at - 2));
    at = end + 1;
  }
  const std::filesystem::path file(out);
  if (base_dir.empty() || file.is_absolute()) return out;
  return (base_dir / file).lexically_normal().string();
}

}  // namespace lapidary
