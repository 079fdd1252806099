#include "src/onnx/opset_list.h"

namespace lapidary {

std::vector<OpsetImport> read_opsets(const OpsetList& list) {
  std::vector<OpsetImport> out;
  for (const auto& import : list) out.push_back({import.domain(), import.version()});
  return out;
}

void keep_opsets_unless_plain(OpsetList& list) {
  for (const auto& import : list)
    if (import.has_domain() == import.domain().empty() || !import.has_version() ||
        !import.unknown_fields().empty())
      return;
  list.Clear();
}

void write_opsets(const std::vector<OpsetImport>& opsets, OpsetList* list) {
  if (read_opsets(*list) == opsets) return;
  list->Clear();
  for (const OpsetImport& import : opsets) {
    auto* out = list->Add();
    if (!import.domain.empty()) out->set_domain(import.domain);
    out->set_version(import.version);
  }
}

}  // namespace lapidary
