#include "src/base/sha256.h"

#include <gtest/gtest.h>

#include "lapidary/runtime.h"

namespace lapidary {
namespace {

// FIPS 180-4 example values (NIST "SHA256.pdf", "SHA2_Additional.pdf").
TEST(Sha256, StandardVectors) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Lengths around the block and padding borders: Python's hashlib.sha256(b'\0' * n).
TEST(Sha256, PaddingBorders) {
  EXPECT_EQ(sha256_hex(std::string(55, '\0')),
            "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7");
  EXPECT_EQ(sha256_hex(std::string(56, '\0')),
            "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb");
  EXPECT_EQ(sha256_hex(std::string(64, '\0')),
            "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}

TEST(Sha256, PiecesGiveTheSameDigest) {
  const std::string text(1000, 'q');
  for (size_t piece : {1, 7, 63, 64, 65, 129}) {
    Sha256 hash;
    for (size_t at = 0; at < text.size(); at += piece) hash.update(text.substr(at, piece));
    EXPECT_EQ(hash.hex(), sha256_hex(text)) << piece;
  }
}

// With and without the CPU's own instructions for it: Python's hashlib.sha256(bytes(range(256)) *
// 5).
TEST(Sha256, EveryInstructionSetGivesTheSameDigest) {
  std::string text;
  for (int i = 0; i < 5 * 256; ++i) text += static_cast<char>(i % 256);
  const Isa cap = isa_cap();
  for (const Isa isa : {Isa::kScalar, cap}) {
    set_isa_cap(isa);
    EXPECT_EQ(sha256_hex(text), "d414b085826eb06778483ba35564dc849e643359f69ed9747878ba6e54985bed")
        << isa_name(isa);
  }
  set_isa_cap(cap);
}

}  // namespace
}  // namespace lapidary
