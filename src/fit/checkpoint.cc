#include "src/fit/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/fit/check.h"

namespace lapidary {

namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "lapidary.checkpoint/1";

/// The file at `path` gets `previous` as a second name, in one step.
void keep_as(const std::string& path, const std::string& previous) {
  const std::string beside = previous + ".tmp";
  std::error_code failed;
  fs::remove(beside, failed);
  fs::create_hard_link(path, beside, failed);
  if (!failed) {
    fs::rename(beside, previous, failed);
    std::error_code ignored;
    fs::remove(beside, ignored);  // still there where both were names of one file
  } else {
    fs::rename(path, previous, failed);  // a file system without hard links
  }
  if (failed)
    fail(ErrorCode::kIo, "{}: cannot keep the previous checkpoint as {}: {}", path, previous,
         failed.message());
}

std::string entry_of(const Safetensors& file, const char* key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) fail_invalid("is no checkpoint: '{}' is missing", key);
  return found->second;
}

void expect(const Safetensors& file, const char* key, const std::string& wanted) {
  const std::string found = entry_of(file, key);
  if (found != wanted)
    fail_invalid(
        "is a checkpoint of another {} ({}, expected {}); start again without it, or with what it "
        "is of",
        std::string_view(key) == "model" ? "graph, as the steps before left it" : key,
        printable(found, 80), printable(wanted, 80));
}

using Lines = std::vector<std::pair<std::string, std::string>>;

/// Lines `KEY: VALUE`.
Lines lines_of(const std::string& text) {
  Lines out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const size_t colon = line.find(": ");
    out.emplace_back(line.substr(0, colon),
                     colon == std::string::npos ? "" : line.substr(colon + 2));
    at = end + 1;
  }
  return out;
}

const std::string* find(const Lines& lines, const std::string& key) {
  for (const auto& [name, value] : lines)
    if (name == key) return &value;
  return nullptr;
}

/// Compares the lines of an entry.
void expect_lines(const Safetensors& file, const char* key, const std::string& wanted) {
  const std::string found = entry_of(file, key);
  if (found == wanted) return;
  fail_invalid("is a checkpoint of another {} ({}); start again without it, or with what it is of",
               std::string_view(key) == "inputs" ? "run" : key, differing_lines(found, wanted));
}

/// What is a checkpoint and whole, of whatever run.
Safetensors read_checkpoint(const std::string& path) {
  Safetensors file = read_safetensors(path);
  with_context([&] { return path; },
               [&] {
                 expect(file, "format", kFormat);
                 for (const char* key : {"version", "recipe", "inputs", "run", "model", "progress",
                                         kSafetensorsDigest})
                   entry_of(file, key);
               });
  return file;
}

/// The checkpoint at `path`, or `previous` where that cannot be read, with its name; why each one
/// passed over could not be.
std::optional<std::pair<std::string, Safetensors>> read_latest(const std::string& path,
                                                               const std::string& previous,
                                                               std::vector<std::string>& problems) {
  for (const std::string& name : {path, previous}) {
    if (!fs::exists(name)) continue;
    try {
      return std::pair(name, read_checkpoint(name));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalid && error.code() != ErrorCode::kIo) throw;
      problems.emplace_back(error.what());
    }
  }
  return std::nullopt;
}

}  // namespace

std::string differing_lines(const std::string& there, const std::string& here) {
  if (there == here) return {};
  const Lines found = lines_of(there), wanted = lines_of(here);
  const auto text = [](const std::string* value) {
    return value == nullptr ? "nothing" : printable(*value, 200);
  };
  std::vector<std::string> differing;
  for (const auto& [name, value] : wanted)
    if (const std::string* other = find(found, name); other == nullptr || *other != value)
      differing.push_back(
          fmt::format("{}: {} there, {} here", printable(name, 80), text(other), text(&value)));
  for (const auto& [name, value] : found)
    if (find(wanted, name) == nullptr)
      differing.push_back(
          fmt::format("{}: {} there, nothing here", printable(name, 80), text(&value)));
  return differing.empty() ? "their order" : fmt::format("{}", fmt::join(differing, "; "));
}

// u64 length of the manifest, the manifest, the elements in its order.

std::string pack(const Checkpoint& checkpoint) {
  nlohmann::json manifest = {{"progress", checkpoint.progress},
                             {"tensors", nlohmann::json::array()}};
  for (const auto& [name, tensor] : checkpoint.tensors)
    manifest["tensors"].push_back({name, static_cast<int>(tensor.dtype()), tensor.shape()});
  const std::string head = manifest.dump();
  const auto length = static_cast<uint64_t>(head.size());
  std::string out(reinterpret_cast<const char*>(&length), sizeof(length));
  out += head;
  for (const auto& [name, tensor] : checkpoint.tensors)
    out.append(static_cast<const char*>(tensor.raw()), tensor.size_bytes());
  return out;
}

Checkpoint unpack(const std::string& bytes) {
  uint64_t length = 0;
  LAPIDARY_CHECK(bytes.size() >= sizeof(length));
  std::memcpy(&length, bytes.data(), sizeof(length));
  size_t at = sizeof(length);
  LAPIDARY_CHECK(bytes.size() - at >= length);
  const auto manifest = nlohmann::json::parse(bytes.substr(at, length));
  at += length;
  Checkpoint out{.tensors = {}, .progress = manifest.at("progress")};
  for (const auto& entry : manifest.at("tensors")) {
    Tensor tensor(static_cast<DType>(entry.at(1).get<int>()), entry.at(2).get<Shape>());
    LAPIDARY_CHECK(bytes.size() - at >= tensor.size_bytes());
    std::memcpy(tensor.mutable_raw(), bytes.data() + at, tensor.size_bytes());
    at += tensor.size_bytes();
    out.tensors[entry.at(0).get<std::string>()] = std::move(tensor);
  }
  LAPIDARY_CHECK(at == bytes.size());
  return out;
}

void CheckpointFile::save(const Checkpoint& checkpoint) {
  AtomicFile file(path_);
  write_safetensors({checkpoint.tensors,
                     {{"format", kFormat},
                      {"version", LAPIDARY_VERSION},
                      {"recipe", identity_.recipe},
                      {"inputs", identity_.inputs},
                      {"run", identity_.run},
                      {"model", identity_.model},
                      {"progress", checkpoint.progress}}},
                    file);
  if (good_ && fs::exists(path_)) keep_as(path_, previous_);
  file.commit();
  good_ = true;
}

void CheckpointFile::expect_own(const Safetensors& file, const std::string& path) const {
  with_context([&] { return path; },
               [&] {
                 expect(file, "version", LAPIDARY_VERSION);
                 expect_lines(file, "recipe", identity_.recipe);
                 expect_lines(file, "inputs", identity_.inputs);
                 expect_lines(file, "run", identity_.run);
                 expect(file, "model", identity_.model);
               });
}

std::optional<Checkpoint> CheckpointFile::load(const LogSink& log) {
  std::vector<std::string> problems;
  if (auto found = read_latest(path_, previous_, problems)) {
    auto& [path, file] = *found;
    expect_own(file, path);
    for (const std::string& problem : problems)
      log.warn(fmt::format("{}; going on from the previous one, {}", problem, path));
    good_ = path == path_;
    return Checkpoint{std::move(file.tensors), entry_of(file, "progress")};
  }
  if (problems.empty()) return std::nullopt;
  fail_invalid("no checkpoint can be used: {}; start again without it", fmt::join(problems, "; "));
}

void check_checkpoint_recipe(const std::string& path, const std::string& recipe) {
  std::vector<std::string> problems;  // whoever goes on from it tells them
  if (const auto found = read_latest(path, path + ".prev", problems))
    with_context([&] { return found->first; },
                 [&] { expect_lines(found->second, "recipe", recipe); });
}

}  // namespace lapidary
