#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/data/source.h"

namespace lapidary {

namespace {

using Json = nlohmann::json;

/// Input tokens t[begin..end) of a sequence; the targets are t[begin + 1..end + 1).
struct TokenWindow {
  size_t file = 0;
  int64_t sequence = 0;
  size_t begin = 0, end = 0;
};

std::vector<int64_t> tokens_of(const Json& json, size_t at) {
  if (!json.is_array()) fail_invalid("sequence {} is no list of token ids", at);
  std::vector<int64_t> out;
  for (const Json& token : json) {
    if (!token.is_number_unsigned() ||
        token.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int32_t>::max()))
      fail_invalid("sequence {}, token {}: '{}' is no token id", at, out.size(),
                   token.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40));
    out.push_back(token.get<int64_t>());
  }
  return out;
}

/// {"bos": 1, "sequences": [[...], ...]}: next-token samples. A sequence that does not start with
/// bos gets it; one longer than `window` + 1 is cut into windows that overlap by the one token
/// which is both the last target and the next input, so that every token but the first is a target
/// once.
class TokenSource : public Source {
 public:
  explicit TokenSource(const DatasetSpec& spec) : paths_(spec.path) {
    for (size_t i = 0; i < paths_.size(); ++i)
      with_context([&] { return paths_[i]; }, [&] { read_file_at(i, spec.window); });
  }

  int64_t size() const override { return static_cast<int64_t>(windows_.size()); }
  bool ragged() const override { return true; }

  std::string name(int64_t index) const override {
    const TokenWindow& w = windows_[static_cast<size_t>(index)];
    return fmt::format("{}[{}][{}:{}]", file_name(paths_[w.file]), w.sequence, w.begin, w.end);
  }

  Stored read(int64_t index) const override {
    const TokenWindow& w = windows_[static_cast<size_t>(index)];
    const auto& tokens = sequences_[w.file][static_cast<size_t>(w.sequence)];
    const auto length = static_cast<int64_t>(w.end - w.begin);
    Stored out;
    out.tensor = Tensor::of<int64_t>({length}, std::span(tokens).subspan(w.begin, w.end - w.begin));
    out.targets =
        Tensor::of<int64_t>({length}, std::span(tokens).subspan(w.begin + 1, w.end - w.begin));
    return out;
  }

  std::vector<std::string> files(std::span<const int64_t>) const override { return paths_; }

 private:
  void read_file_at(size_t file, int64_t window) {
    const std::string text = read_file(paths_[file], int64_t{1} << 31);
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded() || !json.is_object() || !json.contains("sequences") ||
        !json["sequences"].is_array())
      fail_invalid("expected JSON {{\"bos\": 1, \"sequences\": [[...], ...]}}");
    const bool has_bos = json.contains("bos") && !json["bos"].is_null();
    if (has_bos && !json["bos"].is_number_unsigned()) fail_invalid("'bos' is no token id");
    auto& sequences = sequences_.emplace_back();
    for (const Json& one : json["sequences"]) {
      std::vector<int64_t> tokens = tokens_of(one, sequences.size());
      const int64_t bos = has_bos ? json["bos"].get<int64_t>() : -1;
      if (has_bos && (tokens.empty() || tokens[0] != bos)) tokens.insert(tokens.begin(), bos);
      add_windows(file, static_cast<int64_t>(sequences.size()), tokens.size(), window);
      sequences.push_back(std::move(tokens));
    }
  }

  void add_windows(size_t file, int64_t sequence, size_t tokens, int64_t window) {
    if (tokens < 2) return;  // nothing to predict
    const size_t longest = window > 0 ? static_cast<size_t>(window) : tokens;
    for (size_t begin = 0; begin < tokens - 1; begin += longest)
      windows_.push_back({file, sequence, begin, std::min(begin + longest, tokens - 1)});
  }

  PathList paths_;
  std::vector<std::vector<std::vector<int64_t>>> sequences_;  // by file
  std::vector<TokenWindow> windows_;
};

}  // namespace

std::unique_ptr<Source> open_tokens(const DatasetSpec& spec) {
  return std::make_unique<TokenSource>(spec);
}

}  // namespace lapidary
