#include "src/exec/planner.h"

#include <algorithm>

#include "kernels/conv_b1/conv_b1.h"
#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/exec/arena.h"
#include "src/exec/fusion.h"
#include "src/exec/steps/convert.h"
#include "src/exec/steps/reference.h"
#include "src/exec/steps/steps.h"
#include "src/ops/evaluate.h"

namespace lapidary::exec {

namespace {

bool has_rank_of_image(const TensorType& type) { return type.shape && type.shape->size() >= 3; }

}  // namespace

PlanBuilder::PlanBuilder(const Graph& graph, PlanOptions options)
    : graph_(graph), options_(std::move(options)) {
  plan_.threads = options_.threads;
  for (const std::string& name : options_.taps)
    if (const ValueId id = graph_.find_value(name)) tapped_.insert(id.index);
  for (size_t i = 0; i < options_.outputs; ++i) returned_.insert(graph_.outputs()[i].index);
  for (const ValueId id : graph_.values())
    pending_[id.index] = static_cast<int64_t>(graph_.value(id).uses.size());
}

AttrView PlanBuilder::attrs(NodeId id) const { return {node(id), resolve_op(graph_, id).version}; }

ValueId PlanBuilder::input(NodeId id, size_t slot) const {
  const auto& inputs = node(id).inputs;
  return slot < inputs.size() ? inputs[slot] : ValueId();
}

ValueId PlanBuilder::output(NodeId id, size_t slot) const {
  const auto& outputs = node(id).outputs;
  return slot < outputs.size() ? outputs[slot] : ValueId();
}

Plan PlanBuilder::build() {
  if (!options_.reference_only) find_preferences();
  for (const ValueId id : graph_.inputs()) {
    Storage storage;
    storage.kind = Storage::Kind::kInput;
    storage.name = graph_.value(id).name;
    plan_.storages.push_back(std::move(storage));
    Operand lies{static_cast<int>(plan_.storages.size()) - 1, dtype(id)};
    lies.known = !options_.reference_only;
    if (lies.known) lies.shape = shape(id);
    define(id, lies);
  }
  if (!options_.reference_only) {
    for (const NodeId id : graph_.nodes())
      if (with_context([&] { return node_label(graph_, id); }, [&] { return fold(id); }))
        finish(id);
    for (Fusion& fusion : find_fusions(*this)) {
      fusions_.push_back(std::make_shared<const Fusion>(std::move(fusion)));
      for (const NodeId id : fusions_.back()->nodes) fusion_of_[id.index] = fusions_.back().get();
    }
  }
  for (const NodeId id : graph_.nodes())
    if (!done_.contains(id.index) && !build_fused(id)) build_node(id);
  for (size_t i = 0; i < options_.outputs; ++i) {
    const ValueId id = graph_.outputs()[i];
    const Operand lies = operand(id).known ? row_major(id) : operand(id);
    plan_.outputs.push_back({graph_.value(id).name, lies, static_cast<int>(plan_.steps.size())});
  }
  for (const ValueAt& output : plan_.outputs)
    plan_.storages[static_cast<size_t>(output.operand.storage)].last_step =
        static_cast<int>(plan_.steps.size());
  place();
  return std::move(plan_);
}

void PlanBuilder::find_preferences() {
  std::vector<NodeId> order = graph_.nodes();
  std::reverse(order.begin(), order.end());
  for (const NodeId id : order) {
    const StepRule* rule = find_step_rule(node(id).domain, node(id).op);
    if (rule == nullptr || rule->layout == LayoutRole::kPlain || node(id).outputs.empty()) continue;
    const ValueId out = output(id);
    if (rule->layout == LayoutRole::kFollows && !(out && prefers_channels_last(out))) continue;
    for (const ValueId in : node(id).inputs)
      if (in && has_rank_of_image(graph_.value(in).type)) prefers_.insert(in.index);
  }
}

bool PlanBuilder::known_and_not_empty(NodeId id) const {
  const auto usable = [&](ValueId v) {
    const TensorType& type = graph_.value(v).type;
    return !v || (type.dtype != DType::kString && type.is_static() &&
                  element_count(type.static_shape()) > 0);
  };
  const Node& n = node(id);
  for (const ValueId v : n.inputs)
    if (v && constant(v) == nullptr &&
        (!usable(v) || (computed(v) && !forms_.at(v.index)[0].known)))
      return false;
  return std::all_of(n.outputs.begin(), n.outputs.end(),
                     [&](ValueId v) { return !v || usable(v); });
}

void PlanBuilder::build_node(NodeId id) {
  with_context([&] { return node_label(graph_, id); },
               [&] {
                 const StepRule* rule = options_.reference_only
                                            ? nullptr
                                            : find_step_rule(node(id).domain, node(id).op);
                 if (rule == nullptr || !known_and_not_empty(id) || !rule->build(*this, id))
                   emit_reference(id);
                 finish(id);
               });
}

bool PlanBuilder::build_fused(NodeId id) {
  const auto found = fusion_of_.find(id.index);
  if (found == fusion_of_.end()) return false;
  const Fusion& fusion = *found->second;
  if (id != fusion.nodes.back()) return true;
  for (const NodeId part : fusion.nodes) fusion_of_.erase(part.index);
  const bool ready = std::all_of(fusion.nodes.begin(), fusion.nodes.end(),
                                 [&](NodeId part) { return known_and_not_empty(part); });
  if (ready && with_context([&] { return node_label(graph_, id); },
                            [&] { return fusion.build(*this, fusion); }))
    return true;
  for (const NodeId part : fusion.nodes)
    if (!done_.contains(part.index)) build_node(part);
  return true;
}

bool PlanBuilder::fold(NodeId id) {
  const ResolvedOp op = resolve_op(graph_, id);
  if (!op || !op.def->foldable || !node(id).captures.empty()) return false;
  std::vector<const Tensor*> inputs;
  for (const ValueId v : node(id).inputs) {
    inputs.push_back(constant(v));
    if (v && inputs.back() == nullptr) return false;
  }
  std::vector<Tensor> made = evaluate_node(graph_, id, inputs);
  for (size_t i = 0; i < made.size(); ++i)
    if (output(id, i)) folded_[output(id, i).index] = std::move(made[i]);
  return true;
}

const Tensor* PlanBuilder::constant(ValueId id) const {
  if (!id) return nullptr;
  const auto found = folded_.find(id.index);
  return found != folded_.end() ? &found->second : graph_.constant(id);
}

void PlanBuilder::finish(NodeId id) {
  if (!done_.insert(id.index).second) return;
  for (const ValueId v : node(id).inputs)
    if (v) --pending_[v.index];
  for (const Capture& capture : node(id).captures) --pending_[capture.outer.index];
}

// -- operands

const Operand& PlanBuilder::operand(ValueId id) {
  if (!computed(id)) {
    LAPIDARY_CHECK(constant(id) != nullptr);
    constant_operand(id, Layout::kRowMajor);
  }
  const std::vector<Operand>& forms = forms_.at(id.index);
  for (const Operand& form : forms)
    if (form.layout == Layout::kChannelsLast) return form;
  return forms.front();
}

Operand PlanBuilder::constant_operand(ValueId id, Layout layout) {
  Storage storage;
  storage.kind = Storage::Kind::kConstant;
  storage.constant = *constant(id);
  Operand lies{static_cast<int>(plan_.storages.size()), storage.constant.dtype(),
               storage.constant.shape(), layout};
  if (layout == Layout::kChannelsLast) storage.constant = to_channels_last(storage.constant);
  plan_.storages.push_back(std::move(storage));
  forms_[id.index].push_back(lies);
  return lies;
}

Operand PlanBuilder::get(ValueId id, Layout layout, bool biased) {
  if (!computed(id)) operand(id);
  const auto matches = [&](const Operand& form, Layout wanted) {
    return form.layout == wanted || layouts_coincide(form.shape);
  };
  LAPIDARY_CHECK(!forms_.at(id.index).front().slice);
  for (Operand form : forms_.at(id.index))
    if (form.biased == biased && matches(form, layout)) {
      form.layout = layout;
      return form;
    }
  if (constant(id) != nullptr && !biased) return constant_operand(id, layout);
  // First the layout, then the bias.
  for (Operand form : forms_.at(id.index))
    if (matches(form, layout)) {
      form.layout = layout;
      const Operand to = create(id, layout, biased);
      convert(form, to, id);
      return to;
    }
  const Operand from = forms_.at(id.index).front();
  LAPIDARY_CHECK(from.known);
  const Operand to = create(id, layout, from.biased);
  convert(from, to, id);
  return from.biased == biased ? to : get(id, layout, biased);
}

void PlanBuilder::convert(const Operand& from, const Operand& to, ValueId id) {
  emit(conversion_step(from, to, graph_.value(id).name));
}

Operand PlanBuilder::create(ValueId id, Layout layout, bool biased) {
  // Reserved room is the value's first form; conversions of it have room of their own.
  const Operand* room = computed(id) ? nullptr : reserved(id);
  const Operand lies = room ? *room : allocate(id, layout, biased);
  LAPIDARY_CHECK(lies.layout == layout && lies.biased == biased);
  created_.push_back({id, lies});
  return lies;
}

Operand PlanBuilder::allocate(ValueId id, Layout layout, bool biased) {
  const TensorType& type = graph_.value(id).type;
  Operand lies{static_cast<int>(plan_.storages.size()), type.dtype, type.static_shape(), layout,
               biased};
  Storage storage;
  storage.size_bytes = lies.size_bytes();
  storage.first_step = static_cast<int>(plan_.steps.size());
  if (returned_.contains(id.index) && !biased &&
      (layout == Layout::kRowMajor || layouts_coincide(lies.shape))) {
    storage.kind = Storage::Kind::kOutput;
    storage.name = graph_.value(id).name;
    storage.dtype = lies.dtype;
    storage.shape = lies.shape;
  }
  plan_.storages.push_back(std::move(storage));
  return lies;
}

const Operand& PlanBuilder::reserve(ValueId id) {
  if (const Operand* room = reserved(id)) return *room;
  return reserved_[id.index] = allocate(id, Layout::kChannelsLast, dtype(id) == DType::kI8);
}

const Operand* PlanBuilder::reserved(ValueId id) const {
  const auto found = reserved_.find(id.index);
  return found == reserved_.end() ? nullptr : &found->second;
}

Operand PlanBuilder::create_slice(ValueId id, const Operand& room) {
  Operand lies{room.storage, dtype(id), shape(id), room.layout, room.biased};
  lies.slice = true;
  created_.push_back({id, lies});
  return lies;
}

bool PlanBuilder::reusable(const Operand& operand, std::span<const NodeId> nodes) {
  if (plan_.storages[static_cast<size_t>(operand.storage)].kind != Storage::Kind::kArena)
    return false;
  const auto reads_of = [&](ValueId v) {
    int64_t count = 0;
    for (const NodeId id : nodes) {
      count += std::count(node(id).inputs.begin(), node(id).inputs.end(), v);
      for (const Capture& capture : node(id).captures) count += capture.outer == v;
    }
    return count;
  };
  // Sharers that nobody will read again are dropped: a chain computed in place has one per node.
  std::vector<ValueId>& sharers = sharers_.at(operand.storage);
  for (size_t i = 0; i < sharers.size();) {
    const ValueId sharer = sharers[i];
    if (returned_.contains(sharer.index)) return false;
    const int64_t readers = pending_.at(sharer.index);
    if (readers > reads_of(sharer)) return false;
    if (readers > 0) {
      ++i;
    } else {
      sharers[i] = sharers.back();
      sharers.pop_back();
    }
  }
  return true;
}

Operand PlanBuilder::create_over(ValueId id, const Operand& from, std::span<const NodeId> nodes) {
  const Operand out{from.storage, dtype(id), shape(id), from.layout, from.biased};
  if (returned_.contains(id.index) || out.size_bytes() != from.size_bytes() ||
      !reusable(from, nodes))
    return create(id, from.layout, from.biased);
  created_.push_back({id, out});
  return out;
}

void PlanBuilder::alias(ValueId id, const Operand& lies, Layout layout) {
  Operand same = lies;
  same.shape = shape(id);
  same.dtype = dtype(id);
  same.layout = layout;
  define(id, same);
}

const Operand* PlanBuilder::signs(ValueId id, size_t axis) const {
  const auto found = signs_.find({id, axis});
  return found == signs_.end() ? nullptr : &found->second;
}

Operand PlanBuilder::create_signs(ValueId id, size_t axis) {
  const Shape of = shape(id);
  const int64_t words = kernels::b1_words(of[axis]);
  Operand lies{-1, DType::kU32, {element_count(of) / of[axis], words}};
  lies.storage = scratch(lies.size_bytes());
  signs_[{id, axis}] = lies;
  return lies;
}

int PlanBuilder::scratch(int64_t size_bytes) {
  Storage storage;
  storage.size_bytes = size_bytes;
  storage.first_step = static_cast<int>(plan_.steps.size());
  plan_.storages.push_back(std::move(storage));
  return static_cast<int>(plan_.storages.size()) - 1;
}

Tensor PlanBuilder::packed(int64_t size_bytes) {
  plan_.packed_bytes = checked_add(plan_.packed_bytes, size_bytes);
  return Tensor(DType::kU8, {size_bytes});
}

void PlanBuilder::define(ValueId id, const Operand& lies) {
  std::vector<Operand>& forms = forms_[id.index];
  forms.push_back(lies);
  sharers_[lies.storage].push_back(id);
  if (forms.size() > 1 || !tapped_.contains(id.index)) return;
  const Operand plain = lies.biased ? get(id, lies.layout) : lies;
  const int after = static_cast<int>(plan_.steps.size()) - 1;
  plan_.taps.push_back({graph_.value(id).name, plain, after});
  Storage& storage = plan_.storages[static_cast<size_t>(plain.storage)];
  storage.last_step = std::max(storage.last_step, after);
}

// -- layout and fusion

Layout PlanBuilder::follow(NodeId id) {
  const ValueId out = output(id);
  if (!has_rank_of_image(graph_.value(out).type)) return Layout::kRowMajor;
  if (prefers_channels_last(out)) return Layout::kChannelsLast;
  const size_t rank = graph_.value(out).type.shape->size();
  for (const ValueId in : node(id).inputs) {
    if (!in || constant(in) != nullptr || graph_.value(in).type.shape->size() != rank) continue;
    const Operand& lies = operand(in);
    if (lies.layout == Layout::kChannelsLast && !layouts_coincide(lies.shape))
      return Layout::kChannelsLast;
  }
  return Layout::kRowMajor;
}

NodeId PlanBuilder::only_consumer(ValueId id) const {
  if (graph_.use_count(id) != 1 || graph_.value(id).uses.empty()) return {};
  const Use& use = graph_.value(id).uses[0];
  return use.capture || in_fusion(use.node) ? NodeId() : use.node;
}

// -- steps

void PlanBuilder::touch(int storage) {
  Storage& s = plan_.storages[static_cast<size_t>(storage)];
  s.last_step = std::max(s.last_step, static_cast<int>(plan_.steps.size()));
}

void PlanBuilder::emit(StepSpec spec) {
  for (const Operand& operand : spec.reads) touch(operand.storage);
  for (const Operand& operand : spec.writes) touch(operand.storage);
  for (const int storage : spec.scratch) touch(storage);
  Step step;
  for (const NodeId id : spec.nodes) {
    step.info.nodes.push_back(node_key(graph_, id));
    if (spec.op.empty()) step.info.op += (step.info.op.empty() ? "" : "+") + node(id).op;
  }
  if (!spec.op.empty()) step.info.op = spec.op;
  step.info.kernel = std::move(spec.kernel);
  step.info.precision = std::move(spec.precision);
  add_step_costs(step.info, spec);
  step.run = std::move(spec.run);
  plan_.steps.push_back(std::move(step));
  for (const auto& [id, lies] : std::exchange(created_, {})) define(id, lies);
  for (const NodeId id : spec.nodes) finish(id);
}

void PlanBuilder::add_step_costs(StepInfo& info, const StepSpec& spec) const {
  for (const Operand& operand : spec.reads)
    info.bytes_moved += operand.known ? operand.size_bytes() : 0;
  for (const Operand& operand : spec.writes)
    info.bytes_moved += operand.known ? operand.size_bytes() : 0;
  for (const NodeId id : spec.nodes) {
    const ResolvedOp op = resolve_op(graph_, id);
    if (!op) continue;
    for (const int slot : {op.def->weight.input, op.def->weight.bias_input}) {
      const ValueId v = slot < 0 ? ValueId() : input(id, static_cast<size_t>(slot));
      const Tensor* elements = constant(v);
      if (elements == nullptr) continue;
      info.parameters += elements->size();
      info.bytes_moved += static_cast<int64_t>(elements->size_bytes());
    }
    if (op.def->macs == nullptr || !known_and_not_empty(id)) continue;
    std::vector<TensorType> inputs, outputs;
    for (const ValueId v : node(id).inputs)
      inputs.push_back(v ? graph_.value(v).type : TensorType());
    for (const ValueId v : node(id).outputs)
      outputs.push_back(v ? graph_.value(v).type : TensorType());
    info.macs += op.def->macs(attrs(id), inputs, outputs);
  }
}

void PlanBuilder::emit_reference(NodeId id) {
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = "reference";
  const auto read = [&](ValueId v) {
    if (!v) return spec.reads.push_back({});
    const bool known = !computed(v) || forms_.at(v.index)[0].known;
    spec.reads.push_back(known ? row_major(v) : operand(v));
  };
  for (const ValueId v : node(id).inputs) read(v);
  for (const Capture& capture : node(id).captures) read(capture.outer);
  for (const ValueId v : node(id).outputs) {
    if (!v) {
      spec.writes.push_back({});
      continue;
    }
    const TensorType& type = graph_.value(v).type;
    Operand lies{static_cast<int>(plan_.storages.size()), type.dtype};
    lies.known = !options_.reference_only && type.dtype != DType::kUndefined && type.is_static();
    if (lies.known) lies.shape = type.static_shape();
    Storage storage;
    storage.kind = Storage::Kind::kHeap;
    storage.first_step = static_cast<int>(plan_.steps.size());
    plan_.storages.push_back(std::move(storage));
    created_.push_back({v, lies});
    spec.writes.push_back(lies);
  }
  spec.run = reference_step(graph_, id, spec.reads, spec.writes);
  spec.precision = reference_precision(graph_, id);
  std::erase_if(spec.reads, [](const Operand& o) { return !o.valid(); });
  std::erase_if(spec.writes, [](const Operand& o) { return !o.valid(); });
  emit(std::move(spec));
}

void PlanBuilder::place() {
  std::vector<Lifetime> lifetimes;
  std::vector<size_t> owners;
  for (size_t i = 0; i < plan_.storages.size(); ++i) {
    Storage& storage = plan_.storages[i];
    storage.last_step = std::max(storage.last_step, storage.first_step);
    if (storage.kind == Storage::Kind::kHeap &&
        storage.last_step < static_cast<int>(plan_.steps.size()))
      plan_.steps[static_cast<size_t>(storage.last_step)].frees.push_back(static_cast<int>(i));
    if (storage.kind != Storage::Kind::kArena) continue;
    lifetimes.push_back({storage.size_bytes, storage.first_step, storage.last_step});
    owners.push_back(i);
  }
  const ArenaLayout layout = lay_out_arena(lifetimes);
  for (size_t i = 0; i < owners.size(); ++i) plan_.storages[owners[i]].offset = layout.offsets[i];
  plan_.arena_bytes = layout.size_bytes;
}

Plan build_plan(const Graph& graph, PlanOptions options) {
  return PlanBuilder(graph, std::move(options)).build();
}

}  // namespace lapidary::exec
