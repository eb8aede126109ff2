// Goal: file names and numbers map one to one, and nothing else passes for a
// segment's name.
// Method: round trips at the edges; each way to be almost a name.

#include "wal/segment_name.h"

#include <string>

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(SegmentNameTest, NamesAreTheNumberInTwentyDigits) {
  EXPECT_EQ(SegmentName(1), "00000000000000000001.seg");
  EXPECT_EQ(SegmentName(1234567890123), "00000001234567890123.seg");
  EXPECT_EQ(SegmentName(kMaxSegmentNumber), "04611686018427387903.seg");
}

TEST(SegmentNameTest, NamesComeBackAsTheirNumbers) {
  for (int bit = 0; bit < 62; ++bit) {
    for (const uint64_t number : {uint64_t{1} << bit, (uint64_t{2} << bit) - 1}) {
      EXPECT_EQ(ParseSegmentName(SegmentName(number)), number);
    }
  }
}

TEST(SegmentNameTest, NamesSortAsTheirNumbers) {
  EXPECT_LT(SegmentName(9), SegmentName(10));
  EXPECT_LT(SegmentName(999'999), SegmentName(kMaxSegmentNumber));
}

TEST(SegmentNameTest, RefusesEverythingElse) {
  for (const std::string name : {
           "",
           ".seg",
           "1.seg",                      // not canonical
           "0000000000000000001.seg",    // 19 digits
           "000000000000000000001.seg",  // 21 digits
           "00000000000000000000.seg",   // no segment has number 0
           "0000000000000000000a.seg",
           "+0000000000000000001.seg",
           "-0000000000000000001.seg",
           " 0000000000000000001.seg",
           "00000000000000000001.SEG",
           "00000000000000000001.seg ",
           "00000000000000000001.segx",
           "00000000000000000001.seg.aside",
           "00000000000000000001.cursor",
           "04611686018427387904.seg",  // one above the largest
           "18446744073709551615.seg",  // 2^64 - 1
           "18446744073709551617.seg",  // 1, modulo 2^64
           "99999999999999999999.seg",
       }) {
    EXPECT_EQ(ParseSegmentName(name), std::nullopt) << name;
  }
  EXPECT_EQ(ParseSegmentName(std::string_view("0000000000000000000\0001.seg", 25)), std::nullopt);
  EXPECT_EQ(ParseSegmentName(std::string_view("0000000000000000001\0.seg", 24)), std::nullopt);
}

}  // namespace
}  // namespace millrace
