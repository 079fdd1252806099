#include "src/data/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

#include "src/base/fail.h"
#include "src/base/half.h"

namespace lapidary {

namespace {

/// Round half to even of n / 2, n >= 0 (Python's round, which torchvision uses).
int64_t half_even(int64_t n) {
  const int64_t half = n / 2;
  return n % 2 == 0 ? half : half + half % 2;
}

std::pair<int64_t, int64_t> height_width(const std::vector<int64_t>& size) {
  return {size.front(), size.back()};
}

/// Offset of `inner` on an axis of the canvas: negative cuts.
int64_t centred(int64_t inner, int64_t canvas) {
  return inner <= canvas ? (canvas - inner) / 2 : -half_even(inner - canvas);
}

Placement letterbox(const Letterbox& box, int64_t height, int64_t width) {
  const auto [canvas_height, canvas_width] = height_width(box.size);
  Placement p;
  // r = min(H / h, W / w), in integers so that the side that fits does so exactly.
  if (canvas_width * height <= canvas_height * width) {
    p.columns = canvas_width;
    p.rows = std::max<int64_t>(1, height * canvas_width / width);
  } else {
    p.rows = canvas_height;
    p.columns = std::max<int64_t>(1, width * canvas_height / height);
  }
  p.height = canvas_height;
  p.width = canvas_width;
  if (box.align == "centre") {
    p.top = (p.height - p.rows) / 2;
    p.left = (p.width - p.columns) / 2;
  }
  return p;
}

int64_t longer_side(int64_t size, int64_t longer, int64_t shorter) {
  const auto product = static_cast<double>(size * longer);
  return static_cast<int64_t>(product / static_cast<double>(shorter));
}

/// body(count, offset of channel c's first element, step between its elements) for each channel.
template <class Body>
void for_channels(const Shape& shape, Layout layout, Body&& body) {
  const int64_t total = element_count(shape);
  const bool last = layout == Layout::kNhwc;
  const int64_t channels = shape.empty() ? 1 : last ? shape.back() : shape.front();
  if (channels == 0) return;
  const int64_t each = total / channels;
  for (int64_t c = 0; c < channels; ++c)
    body(c, each, last ? c : c * each, last ? channels : int64_t{1});
}

template <class T>
void copy_as_float(const Tensor& from, std::span<float> to) {
  const auto values = from.data<T>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(values[i]);
}

/// [H, W, C] <-> [C, H, W]
Tensor transposed(const Tensor& tensor, Layout stored) {
  const Shape& s = tensor.shape();
  const bool to_channels_first = stored == Layout::kNhwc;
  const int64_t rows = to_channels_first ? s[0] * s[1] : s[0];
  const int64_t columns = to_channels_first ? s[2] : s[1] * s[2];
  Tensor out(tensor.dtype(), to_channels_first ? Shape{s[2], s[0], s[1]} : Shape{s[1], s[2], s[0]});
  const size_t element = dtype_size(tensor.dtype());
  const auto* from = static_cast<const uint8_t*>(tensor.raw());
  auto* to = static_cast<uint8_t*>(out.mutable_raw());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      std::memcpy(to + static_cast<size_t>(c * rows + r) * element,
                  from + static_cast<size_t>(r * columns + c) * element, element);
  return out;
}

Image image_of(const Tensor& tensor, Layout layout) {
  if (tensor.dtype() != DType::kU8 || (tensor.rank() != 2 && tensor.rank() != 3))
    fail_invalid("{} {} is no picture; resize, crop and channels need uint8 [C,H,W] or [H,W,C]",
                 dtype_name(tensor.dtype()), shape_text(tensor.shape()));
  Tensor pixels = tensor.rank() == 2        ? tensor.reshaped({tensor.dim(0), tensor.dim(1), 1})
                  : layout == Layout::kNchw ? transposed(tensor, layout)
                                            : tensor;
  Image image(pixels.dim(0), pixels.dim(1), pixels.dim(2));
  if (!image.pixels.empty()) std::memcpy(image.pixels.data(), pixels.raw(), image.pixels.size());
  return image;
}

void swap_red_blue(Image& image) {
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3)
    std::swap(image.pixels[i], image.pixels[i + 2]);
}

Image with_channels(Image image, const std::string& channels) {
  if (channels.empty()) return image;
  if (image.channels != 1 && image.channels != 3)
    fail_invalid("{} channels; 'channels: {}' needs a picture of 1 or 3", image.channels, channels);
  if (channels == "gray") return image.channels == 1 ? image : to_gray(image);
  if (image.channels == 1) image = to_rgb(image);
  if (channels == "bgr") swap_red_blue(image);
  return image;
}

std::vector<float> as_floats(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

float value_of(const std::vector<float>& values, int64_t channel, float none) {
  if (values.empty()) return none;
  return values.size() == 1 ? values[0] : values[static_cast<size_t>(channel)];
}

}  // namespace

Placement place(const DatasetSpec& spec, int64_t height, int64_t width) {
  if (spec.letterbox) return letterbox(*spec.letterbox, height, width);
  Placement p{height, width};
  if (spec.resize.size() == 2) {
    std::tie(p.rows, p.columns) = height_width(spec.resize);
  } else if (spec.resize.size() == 1) {
    const int64_t size = spec.resize[0];
    p.rows = width <= height ? longer_side(size, height, width) : size;
    p.columns = width <= height ? size : longer_side(size, width, height);
  }
  check_picture_size(p.rows, p.columns);
  p.height = p.rows;
  p.width = p.columns;
  if (spec.crop.empty()) return p;
  std::tie(p.height, p.width) = height_width(spec.crop);
  p.top = centred(p.rows, p.height);
  p.left = centred(p.columns, p.width);
  return p;
}

Transform::Transform(const DatasetSpec& spec, const InputRequest& request, bool picture)
    : spec_(spec),
      request_(request),
      filter_(spec.filter == "nearest"   ? Filter::kNearest
              : spec.filter == "bicubic" ? Filter::kBicubic
                                         : Filter::kBilinear),
      normalised_(spec.scale || !spec.mean.empty() || !spec.std.empty()),
      geometry_(!spec.resize.empty() || !spec.crop.empty() || spec.letterbox),
      picture_(picture),
      scale_(static_cast<float>(spec.scale.value_or(1.0))),
      mean_(as_floats(spec.mean)),
      std_(as_floats(spec.std)) {}

std::vector<float> Transform::zeros(int64_t channels) const {
  std::vector<float> out;
  for (int64_t c = 0; c < channels; ++c)
    out.push_back((0 * scale_ - value_of(mean_, c, 0)) / value_of(std_, c, 1));
  return out;
}

Image Transform::arrange(const Image& image) const {
  if (!geometry_) return image;
  if (image.channels != 1 && image.channels != 3)
    fail_invalid("{} channels; a picture that is resized or cropped has 1 or 3", image.channels);
  check_picture_size(image.height, image.width);
  const Placement p = place(spec_, image.height, image.width);
  const Window window{std::max<int64_t>(0, -p.top), std::max<int64_t>(0, -p.left),
                      std::min(p.rows, p.height), std::min(p.columns, p.width)};
  Image part = resize(image, p.rows, p.columns, filter_, window);
  if (part.height == p.height && part.width == p.width) return part;
  Image canvas(p.height, p.width, image.channels);
  const int64_t fill = spec_.letterbox ? spec_.letterbox->fill : spec_.crop_fill;
  std::fill(canvas.pixels.begin(), canvas.pixels.end(), static_cast<uint8_t>(fill));
  for (int64_t y = 0; y < part.height; ++y)
    std::memcpy(
        canvas.row(std::max<int64_t>(0, p.top) + y) + std::max<int64_t>(0, p.left) * image.channels,
        part.row(y), static_cast<size_t>(part.row_bytes()));
  return canvas;
}

Tensor Transform::finish_image(const Image& image) const {
  const int64_t channels = image.channels, pixels = image.height * image.width;
  for (const auto* values : {&mean_, &std_})
    if (values->size() > 1 && static_cast<int64_t>(values->size()) != channels)
      fail_invalid("{} values of mean or std for a picture of {} channels", values->size(),
                   channels);
  const bool channels_first = request_.layout == Layout::kNchw;
  const Shape shape = channels_first ? Shape{channels, image.height, image.width}
                                     : Shape{image.height, image.width, channels};
  if (!normalised_ && request_.dtype == DType::kU8) {
    Tensor out(DType::kU8, {image.height, image.width, channels});
    std::memcpy(out.mutable_raw(), image.pixels.data(), image.pixels.size());
    return channels_first ? transposed(out, Layout::kNhwc) : out;
  }
  Tensor out(DType::kF32, shape);
  float* to = out.mutable_data<float>().data();
  for (int64_t c = 0; c < channels; ++c) {
    std::array<float, 256> value;  // a byte has 256 values: the formula once for each
    const float mean = value_of(mean_, c, 0), deviation = value_of(std_, c, 1);
    for (size_t x = 0; x < 256; ++x)
      value[x] = ((static_cast<float>(x) * scale_) - mean) / deviation;
    const uint8_t* from = image.pixels.data() + c;
    if (channels_first)
      for (int64_t i = 0; i < pixels; ++i) to[c * pixels + i] = value[from[i * channels]];
    else
      for (int64_t i = 0; i < pixels; ++i) to[i * channels + c] = value[from[i * channels]];
  }
  return out;
}

Tensor Transform::finish_tensor(const Tensor& tensor) const {
  Tensor out = tensor;
  Layout layout = request_.layout;
  const Layout stored = spec_.layout == "nhwc" ? Layout::kNhwc : Layout::kNchw;
  if (!spec_.layout.empty() && stored != layout) {
    if (tensor.rank() != 3)
      fail_invalid("'layout: {}' needs samples of 3 axes, found {}", spec_.layout,
                   shape_text(tensor.shape()));
    out = transposed(tensor, stored);
  }
  if (!normalised_) return out;
  out = to_float32(out);
  const auto values = out.mutable_data<float>();
  const Shape shape = out.shape();
  for (const auto* given : {&mean_, &std_}) {
    const int64_t channels = shape.empty()             ? 1
                             : layout == Layout::kNhwc ? shape.back()
                                                       : shape.front();
    if (given->size() > 1 && static_cast<int64_t>(given->size()) != channels)
      fail_invalid("{} values of mean or std for samples of shape {}", given->size(),
                   shape_text(shape));
  }
  for_channels(shape, layout, [&](int64_t c, int64_t count, int64_t first, int64_t step) {
    const float mean = value_of(mean_, c, 0), deviation = value_of(std_, c, 1);
    float* x = values.data() + first;
    for (int64_t i = 0; i < count; ++i) x[i * step] = ((x[i * step] * scale_) - mean) / deviation;
  });
  return out;
}

Tensor Transform::as_asked(Tensor tensor) const {
  const DType asked = request_.dtype;
  if (asked == DType::kUndefined || asked == tensor.dtype()) return tensor;
  if (asked == DType::kF32) return to_float32(tensor);
  if (asked == DType::kF16 || asked == DType::kBF16) {
    const Tensor wide = to_float32(tensor);
    Tensor out(asked, wide.shape());
    const auto from = wide.data<float>();
    for (size_t i = 0; i < from.size(); ++i)
      if (asked == DType::kF16)
        static_cast<Half*>(out.mutable_raw())[i] = to_half(from[i]);
      else
        static_cast<BFloat16*>(out.mutable_raw())[i] = to_bfloat16(from[i]);
    return out;
  }
  fail_invalid("samples are {}{}, the graph input wants {}", dtype_name(tensor.dtype()),
               normalised_ ? " after scale, mean and std" : "", dtype_name(asked));
}

void Transform::check_shape(const Tensor& tensor) const {
  const Shape& wanted = request_.shape;
  const Shape& found = tensor.shape();
  if (wanted.empty()) return;
  const auto fits = [&](const Shape& shape) {
    return shape.size() == wanted.size() &&
           std::equal(shape.begin(), shape.end(), wanted.begin(),
                      [](int64_t have, int64_t want) { return want < 0 || have == want; });
  };
  if (fits(found)) return;
  std::string hint;
  if (found.size() == 3 && fits({found[2], found[0], found[1]}))
    hint = "; it looks like height, width, channels: say 'layout: nhwc'";
  else if (found.size() == 3 && fits({found[1], found[2], found[0]}))
    hint = "; it looks like channels, height, width: say 'layout: nchw'";
  fail_invalid("shape {}, the graph input wants {}{}", shape_text(found), shape_text(wanted), hint);
}

Tensor Transform::operator()(const Stored& stored) const {
  Tensor out;
  if (stored.tensor.empty() || picture_ || geometry_ || !spec_.channels.empty()) {
    const Layout layout = spec_.layout == "nhwc" ? Layout::kNhwc : Layout::kNchw;
    const Image image =
        stored.tensor.empty() ? arrange(stored.image) : arrange(image_of(stored.tensor, layout));
    out = finish_image(with_channels(image, spec_.channels));
  } else {
    out = finish_tensor(stored.tensor);
  }
  out = as_asked(std::move(out));
  check_shape(out);
  return out;
}

Tensor to_float32(const Tensor& tensor) {
  if (tensor.dtype() == DType::kF32) return tensor;
  Tensor out(DType::kF32, tensor.shape());
  const auto to = out.mutable_data<float>();
  switch (tensor.dtype()) {
    case DType::kF64:
      copy_as_float<double>(tensor, to);
      break;
    case DType::kU8:
      copy_as_float<uint8_t>(tensor, to);
      break;
    case DType::kI8:
      copy_as_float<int8_t>(tensor, to);
      break;
    case DType::kU16:
      copy_as_float<uint16_t>(tensor, to);
      break;
    case DType::kI16:
      copy_as_float<int16_t>(tensor, to);
      break;
    case DType::kU32:
      copy_as_float<uint32_t>(tensor, to);
      break;
    case DType::kI32:
      copy_as_float<int32_t>(tensor, to);
      break;
    case DType::kU64:
      copy_as_float<uint64_t>(tensor, to);
      break;
    case DType::kI64:
      copy_as_float<int64_t>(tensor, to);
      break;
    case DType::kBool:
      copy_as_float<bool>(tensor, to);
      break;
    case DType::kF16: {
      const auto from = tensor.data<Half>();
      std::transform(from.begin(), from.end(), to.begin(), from_half);
      break;
    }
    case DType::kBF16: {
      const auto from = tensor.data<BFloat16>();
      std::transform(from.begin(), from.end(), to.begin(), from_bfloat16);
      break;
    }
    default:
      fail_invalid("samples of {} are no numbers to compute with", dtype_name(tensor.dtype()));
  }
  return out;
}

int64_t first_nonfinite(const Tensor& tensor) {
  if (!is_float(tensor.dtype())) return -1;
  auto first = [](auto values, auto finite) -> int64_t {
    for (size_t i = 0; i < values.size(); ++i)
      if (!finite(values[i])) return static_cast<int64_t>(i);
    return -1;
  };
  switch (tensor.dtype()) {
    case DType::kF32:
      return first(tensor.data<float>(), [](float v) { return std::isfinite(v); });
    case DType::kF64:
      return first(tensor.data<double>(), [](double v) { return std::isfinite(v); });
    case DType::kF16:
      return first(tensor.data<Half>(), [](Half v) { return (v.bits & 0x7C00) != 0x7C00; });
    default:
      return first(tensor.data<BFloat16>(), [](BFloat16 v) { return (v.bits & 0x7F80) != 0x7F80; });
  }
}

}  // namespace lapidary
