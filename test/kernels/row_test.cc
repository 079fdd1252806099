#include "kernels/row.h"

#include <set>

#include "kernels/conv_s8/conv_s8.h"
#include "kernels/dw_s8/dw_s8.h"
#include "lapidary/error.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

/// Puts the cap back that the test found.
class RowTest : public testing::Test {
 protected:
  void TearDown() override { set_isa_cap(cap_); }
  const Isa cap_ = isa_cap();
};

TEST_F(RowTest, EveryFamilyEndsWithItsScalarRow) {
  std::vector<RowInfo> last_of_family;
  for (const RowInfo& row : all_rows()) {
    if (!last_of_family.empty() && last_of_family.back().family == row.family)
      last_of_family.pop_back();
    last_of_family.push_back(row);
  }
  std::vector<std::string_view> families;
  for (const RowInfo& row : last_of_family) {
    families.push_back(row.family);
    EXPECT_EQ(row.isa, Isa::kScalar) << row.family;
    EXPECT_EQ(row.tolerance, 0) << row.family;
  }
  EXPECT_THAT(
      families,
      testing::ElementsAre("batch_norm_f32", "conv_b1", "conv_bf16", "conv_f16w", "conv_f32",
                           "conv_f32_im2col", "conv_f32_winograd2", "conv_f32_winograd4", "conv_s8",
                           "conv_sat_s8", "conv_t2", "dw_f32", "dw_s8", "eltwise_f32", "eltwise_s8",
                           "exp_f32", "fake_quant_f32", "gemm_f32", "norm_f32", "pool", "probe",
                           "quantize", "sign_b1", "softmax_f32", "stats_f32", "transpose"));
}

TEST_F(RowTest, NamesSayFamilyAndIsaAndAreUnique) {
  std::set<std::string_view> names;
  for (const RowInfo& row : all_rows()) {
    EXPECT_EQ(row.name, std::string(row.family) + "_" + std::string(isa_name(row.isa)));
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

TEST_F(RowTest, IntegerRowsPromiseTheScalarBits) {
  for (const RowInfo& row : all_rows())
    if (row.family.ends_with("_s8") || row.family.ends_with("_b1") || row.family == "conv_t2") {
      EXPECT_EQ(row.tolerance, 0) << row.name;
    }
}

TEST_F(RowTest, ACapOfScalarRefusesEveryBetterRowWithTheReason) {
  set_isa_cap(Isa::kScalar);
  const Choice<ConvS8Kernel> choice = select_conv_s8(gemm_shape(4, 8, 16));
  EXPECT_EQ(choice.kernel->row.name, "conv_s8_scalar");
  ASSERT_EQ(choice.refused.size(), conv_s8_kernels().size() - 1);
  for (size_t i = 0; i < choice.refused.size(); ++i) {
    EXPECT_EQ(choice.refused[i].row, conv_s8_kernels()[i].row.name);
    const std::string expected =
        cpu_has(conv_s8_kernels()[i].row.isa)
            ? "LAPIDARY_ISA caps at scalar"
            : "this CPU has no " + std::string(isa_name(conv_s8_kernels()[i].row.isa));
    EXPECT_EQ(choice.refused[i].reason, expected);
  }
}

TEST_F(RowTest, EveryCapChoosesTheFirstRowThatItEnables) {
  for (const Isa cap : all_isas()) {
    if (!cpu_has(cap)) continue;
    set_isa_cap(cap);
    const ConvS8Kernel* expected = nullptr;
    for (const ConvS8Kernel& kernel : conv_s8_kernels())
      if (expected == nullptr && isa_enabled(kernel.row.isa)) expected = &kernel;
    EXPECT_EQ(select_conv_s8(gemm_shape(4, 8, 16)).kernel, expected) << isa_name(cap);
  }
}

TEST_F(RowTest, DepthwiseRowsRefuseOtherShapes) {
  EXPECT_THROW(select_dw_s8(gemm_shape(4, 8, 16)), Error);
}

}  // namespace
}  // namespace lapidary::kernels
