#include <algorithm>
#include <map>

#include "src/base/checked.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// One letter per axis. Axis i from the end of an ellipsis is the letter kEllipsisBase + i, so that
/// ellipses of unequal length align as broadcasting does.
using Term = std::vector<int>;

struct Equation {
  std::vector<Term> inputs;
  Term output;
};

constexpr int kEllipsisBase = 1000;

struct RawTerm {
  std::string before, after;
  bool ellipsis = false;
};

RawTerm split_term(std::string_view text) {
  RawTerm term;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "...") {
      if (term.ellipsis) fail_invalid("term '{}' has two ellipses", text);
      term.ellipsis = true;
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(text[i]))) {
      (term.ellipsis ? term.after : term.before) += text[i];
    } else {
      fail_invalid("character '{}' in equation term '{}'", text[i], text);
    }
  }
  return term;
}

Term expand_term(const RawTerm& raw, int64_t ellipsis_rank) {
  Term term(raw.before.begin(), raw.before.end());
  if (raw.ellipsis)
    for (int64_t i = ellipsis_rank; i-- > 0;) term.push_back(kEllipsisBase + static_cast<int>(i));
  term.insert(term.end(), raw.after.begin(), raw.after.end());
  return term;
}

/// Parses "ij,jk->ik" for inputs of the given ranks. Without "->" the output is the ellipsis and
/// then the letters that occur once, in alphabetical order.
Equation parse(std::string text, std::span<const int64_t> ranks) {
  std::erase_if(text, [](char c) { return c == ' '; });
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  std::vector<RawTerm> terms;
  for (size_t begin = 0; begin <= left.size();) {
    const size_t end = std::min(left.find(',', begin), left.size());
    terms.push_back(split_term(std::string_view(left).substr(begin, end - begin)));
    begin = end + 1;
  }
  if (terms.size() != ranks.size())
    fail_invalid("equation '{}' has {} terms, expected {}, one per input", text, terms.size(),
                 ranks.size());
  Equation equation;
  int64_t widest = 0;
  std::map<char, int> occurrences;
  for (size_t i = 0; i < terms.size(); ++i) {
    const auto letters = static_cast<int64_t>(terms[i].before.size() + terms[i].after.size());
    const int64_t rest = ranks[i] - letters;
    if (rest < 0 || (rest > 0 && !terms[i].ellipsis))
      fail_invalid("equation '{}' names {} axes of input {}, which has {}", text, letters, i,
                   ranks[i]);
    widest = std::max(widest, terms[i].ellipsis ? rest : 0);
    equation.inputs.push_back(expand_term(terms[i], rest));
    for (char c : terms[i].before + terms[i].after) ++occurrences[c];
  }
  RawTerm out;
  if (arrow != std::string::npos) {
    out = split_term(std::string_view(text).substr(arrow + 2));
  } else {
    out.ellipsis = true;
    for (const auto& [letter, count] : occurrences)
      if (count == 1) out.after += letter;
  }
  equation.output = expand_term(out, widest);
  for (size_t i = 0; i < equation.output.size(); ++i) {
    const int letter = equation.output[i];
    if (letter < kEllipsisBase && !occurrences.contains(static_cast<char>(letter)))
      fail_invalid("equation '{}': output letter '{}' is in no input", text,
                   static_cast<char>(letter));
    if (std::count(equation.output.begin(), equation.output.end(), letter) > 1)
      fail_invalid("equation '{}' repeats a letter in its output", text);
  }
  return equation;
}

/// The size of each letter; sizes of one broadcast in an ellipsis.
std::map<int, Dim> letter_sizes(const Equation& equation,
                                std::span<const std::vector<Dim>> shapes) {
  std::map<int, Dim> sizes;
  for (size_t i = 0; i < shapes.size(); ++i)
    for (size_t axis = 0; axis < shapes[i].size(); ++axis) {
      const int letter = equation.inputs[i][axis];
      const auto [known, added] = sizes.emplace(letter, shapes[i][axis]);
      if (!added)
        known->second =
            broadcast_dims(std::vector<Dim>{known->second}, std::vector<Dim>{shapes[i][axis]})[0];
    }
  return sizes;
}

void infer(InferContext& ctx) {
  std::vector<std::vector<Dim>> shapes;
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    ctx.require_same_dtype(0, i);
    if (const auto* shape = ctx.shape(i)) {
      shapes.push_back(*shape);
      ranks.push_back(std::ssize(*shape));
    }
  }
  ctx.set_type(0, ctx.dtype(0));
  if (shapes.size() != ctx.input_count()) return;
  const Equation equation = parse(ctx.attrs().get_string("equation", ""), ranks);
  const auto sizes = letter_sizes(equation, shapes);
  std::vector<Dim> out;
  for (int letter : equation.output) out.push_back(sizes.at(letter));
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

/// Steps of each index letter through one operand; a letter that repeats walks its diagonal, an
/// axis of one is broadcast.
std::vector<int64_t> letter_strides(const Term& letters, const Term& term,
                                    std::span<const int64_t> shape) {
  std::vector<int64_t> strides(letters.size(), 0);
  const auto own = row_major_strides(shape);
  for (size_t axis = 0; axis < term.size(); ++axis) {
    const auto at = std::find(letters.begin(), letters.end(), term[axis]) - letters.begin();
    if (shape[axis] != 1) strides[static_cast<size_t>(at)] += own[axis];
  }
  return strides;
}

/// out[output letters] = sum over the other letters of the product of all operands.
void evaluate(EvalContext& ctx) {
  std::vector<std::vector<Dim>> shapes;
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    shapes.push_back(to_dims(ctx.input(i).shape()));
    ranks.push_back(ctx.input(i).rank());
  }
  const Equation equation = parse(ctx.attrs().get_string("equation", ""), ranks);
  const auto sizes = letter_sizes(equation, shapes);
  Term letters = equation.output;
  for (const auto& [letter, size] : sizes)
    if (std::find(letters.begin(), letters.end(), letter) == letters.end())
      letters.push_back(letter);
  Shape extent;
  for (int letter : letters) extent.push_back(sizes.at(letter).value);
  const auto kept = std::span(extent).first(equation.output.size());
  const int64_t summed = element_count(std::span(extent).subspan(kept.size()));
  Tensor out(ctx.input(0).dtype(), Shape(kept.begin(), kept.end()));
  std::vector<std::vector<int64_t>> strides;
  for (size_t i = 0; i < shapes.size(); ++i)
    strides.push_back(letter_strides(letters, equation.inputs[i], ctx.input(i).shape()));
  if (out.size() == 0 || summed == 0) return ctx.set_output(0, std::move(out));
  dispatch<NumericTypes>(out.dtype(), [&]<class T>() {
    std::vector<const T*> from;
    for (size_t k = 0; k < strides.size(); ++k) from.push_back(ctx.input(k).data<T>().data());
    auto to = out.mutable_data<T>();
    std::vector<int64_t> index(extent.size(), 0);
    for (T& element : to) {
      Real<T> sum = 0;
      for (int64_t i = 0; i < summed; ++i) {
        Real<T> factor = 1;
        for (size_t k = 0; k < strides.size(); ++k) {
          int64_t at = 0;
          for (size_t d = 0; d < index.size(); ++d) at += index[d] * strides[k][d];
          factor = static_cast<Real<T>>(factor * load(from[k][at]));
        }
        sum = static_cast<Real<T>>(sum + factor);
        next_index(index, extent);
      }
      element = store<T>(sum);
    }
  });
  ctx.set_output(0, std::move(out));
}

/// Every index of every letter is one product per operand after the first.
int64_t macs(const AttrView& attrs, std::span<const TensorType> inputs,
             std::span<const TensorType>) {
  std::vector<std::vector<Dim>> shapes;
  std::vector<int64_t> ranks;
  for (const TensorType& type : inputs) {
    shapes.push_back(to_dims(type.static_shape()));
    ranks.push_back(std::ssize(shapes.back()));
  }
  int64_t count = std::ssize(inputs) - 1;
  for (const auto& [letter, size] :
       letter_sizes(parse(attrs.get_string("equation", ""), ranks), shapes))
    count = checked_mul(count, size.value);
  return count;
}

}  // namespace

const OpDef& op_Einsum() {
  static const OpDef def{
      .name = "Einsum",
      .versions = {12},
      .later = {28},  // bfloat16
      .inputs = {1, -1},
      .outputs = {1, 1},
      .attrs = {{"equation", AttrKind::kString, true}},
      .infer = infer,
      .evaluate = evaluate,
      .macs = macs,
  };
  return def;
}

}  // namespace lapidary
