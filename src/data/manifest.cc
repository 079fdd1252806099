#include "src/data/manifest.h"

#include <cstdint>
#include <filesystem>

#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/sha256.h"
#include "src/data/source.h"
#include "src/data/spec.h"

namespace lapidary {

namespace {

/// Whole data of more bytes are not read through for their digest.
constexpr uintmax_t kMostHashedBytes = uintmax_t{1} << 30;

/// "key: value" of every key but the paths, which say where the data lie and not what they are;
/// `augment`, which changes training batches only; `whole`: and but those that pick a part of them.
void append_settings(std::string& out, const DatasetSpec& spec, bool whole) {
  auto flat = [](auto& self, const Setting& s) -> std::string {
    std::string text = s.text;
    for (const Setting& item : s.items) text += self(self, item) + ";";
    for (const auto& [key, value] : s.entries) text += key + "=" + self(self, value) + ";";
    return text;
  };
  for (const auto& [key, value] : unbind(dataset_fields(), &spec).entries)
    if (key != "path" && key != "labels" && key != "inputs" && key != "batch" && key != "augment" &&
        !(whole && (key == "skip" || key == "limit")) && value.kind != Setting::Kind::kNull)
      out += key + ": " + flat(flat, value) + "\n";
  for (const DatasetSpec& one : spec.inputs) append_settings(out, one, whole);
}

/// SHA-256 of every file, or `size N` beyond kMostHashedBytes of the whole data.
std::vector<std::string> digests(const std::vector<std::string>& files, bool whole) {
  std::vector<uintmax_t> sizes(files.size());
  uintmax_t total = 0;
  for (size_t i = 0; whole && i < files.size(); ++i) {
    std::error_code failed;
    sizes[i] = std::filesystem::file_size(files[i], failed);
    total += failed ? 0 : sizes[i];
  }
  std::vector<std::string> out(files.size(), "unreadable");
  parallel_for(static_cast<int64_t>(files.size()), 1, [&](int64_t from, int64_t to, int) {
    for (auto i = static_cast<size_t>(from); i < static_cast<size_t>(to); ++i) {
      if (whole && total > kMostHashedBytes) {
        out[i] = fmt::format("size {}", sizes[i]);
        continue;
      }
      try {
        out[i] = sha256_file(files[i]);
      } catch (const Error&) {  // such a sample is skipped and reported when it is read
      }
    }
  });
  return out;
}

}  // namespace

std::string data_digest(const DatasetSpec& spec, uint64_t seed,
                        const std::vector<std::string>& files, bool whole) {
  const std::vector<std::string> lines = digests(files, whole);
  std::string text = whole ? "lapidary.data/1 whole\n" : "lapidary.data/1\n";
  append_settings(text, spec, whole);
  if (spec.shuffle) text += fmt::format("seed: {}\n", seed);
  Sha256 hash;
  hash.update(text);
  for (size_t i = 0; i < files.size(); ++i)
    hash.update(lines[i] + "  " + file_name(files[i]) + "\n");
  return hash.hex();
}

}  // namespace lapidary
