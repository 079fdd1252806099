#include "src/train/values.h"

#include "src/base/fail.h"
#include "src/train/convert.h"

namespace lapidary::train {

void Values::set(ValueId id, at::Tensor elements) { slots_[id.index] = {std::move(elements), {}}; }

void Values::set(ValueId id, Tensor elements) { slots_[id.index] = {{}, std::move(elements)}; }

bool Values::has(ValueId id) const {
  const Slot& slot = slots_[id.index];
  return slot.device.defined() || !slot.host.empty();
}

const at::Tensor& Values::on_device(ValueId id) {
  LAPIDARY_CHECK(has(id));
  Slot& slot = slots_[id.index];
  if (!slot.device.defined()) slot.device = to_aten(slot.host, device_);
  return slot.device;
}

const Tensor& Values::on_host(ValueId id) {
  LAPIDARY_CHECK(has(id));
  Slot& slot = slots_[id.index];
  if (slot.host.empty()) slot.host = to_host(slot.device);
  return slot.host;
}

Tensor Values::shape_only(ValueId id) {
  LAPIDARY_CHECK(has(id));
  const Slot& slot = slots_[id.index];
  if (!slot.host.empty()) return slot.host;
  return Tensor::borrow(dtype_of(slot.device.scalar_type()), slot.device.sizes().vec(), nullptr,
                        nullptr);
}

}  // namespace lapidary::train
