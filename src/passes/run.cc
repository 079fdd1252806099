#include <algorithm>
#include <array>
#include <chrono>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/passes/pass.h"

namespace lapidary {

namespace {

enum class Training { kSafe, kMerges };

struct PassRow {
  std::string_view name, help;
  Training training;
  PassResult (*run)(Graph&, const PassOptions&);
};

constexpr auto kSafe = Training::kSafe;
constexpr auto kMerges = Training::kMerges;
constexpr PassRow kPasses[] = {
#define LAPIDARY_PASS(name, training, help) {#name, help, training, name},
#include "src/passes/passes.def"
#undef LAPIDARY_PASS
};

// Local rewrites enable one another across passes; more rounds than this means two of them undo
// each other's work, which the next start must not repeat forever.
constexpr int kMaxRounds = 8;

const PassRow& find_pass(const std::string& name) {
  for (const PassRow& row : kPasses)
    if (row.name == name) return row;
  std::vector<std::string> names;
  for (const PassRow& row : kPasses) names.emplace_back(row.name);
  fail_usage("no pass is called '{}'{}", printable(name, 100), did_you_mean(name, names));
}

std::vector<const PassRow*> selected(const std::vector<std::string>& names, bool train_safe) {
  std::vector<const PassRow*> rows;
  for (const std::string& name : names) rows.push_back(&find_pass(name));
  if (names.empty())
    for (const PassRow& row : kPasses)
      if (!train_safe || row.training == kSafe) rows.push_back(&row);
  return rows;
}

void run_one(Graph& graph, const PassRow& row, const PassOptions& options, PassRecord& record) {
  const auto start = std::chrono::steady_clock::now();
  PassResult result = with_context([&] { return fmt::format("pass {}", row.name); },
                                   [&] { return row.run(graph, options); });
  if (result.changes > 0) graph.verify();
  record.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  record.changes += result.changes;
  // A pass that runs again says again why it did not do something.
  for (std::string& note : result.notes)
    if (std::find(record.notes.begin(), record.notes.end(), note) == record.notes.end()) {
      options.log.info(fmt::format("{}: {}", row.name, note));
      record.notes.push_back(std::move(note));
    }
  if (result.changes > 0)
    options.log.debug(
        fmt::format("{}: {} changes, {} nodes", row.name, result.changes, graph.node_count()));
}

}  // namespace

std::vector<PassInfo> list_passes() {
  std::vector<PassInfo> list;
  for (const PassRow& row : kPasses) list.push_back({std::string(row.name), std::string(row.help)});
  return list;
}

std::vector<PassRecord> run_passes(Graph& graph, const std::vector<std::string>& passes,
                                   const PassOptions& options) {
  const auto rows = selected(passes, options.train_safe);
  std::vector<PassRecord> records;
  for (const PassRow* row : rows) records.push_back({std::string(row->name), 0, 0, {}});
  for (int round = 0; round < kMaxRounds; ++round) {
    int64_t before = 0, after = 0;
    for (const PassRecord& record : records) before += record.changes;
    for (size_t i = 0; i < rows.size(); ++i) run_one(graph, *rows[i], options, records[i]);
    for (const PassRecord& record : records) after += record.changes;
    if (after == before) break;
  }
  return records;
}

std::vector<PassRecord> optimize(Graph& graph, const PassOptions& options) {
  return run_passes(graph, {}, options);
}

}  // namespace lapidary
