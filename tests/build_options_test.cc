// Goal: what is tested is what is delivered: our code has neither exceptions nor RTTI.
// Method: the compiler says so, for the options that every target of ours is built with.
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(BuildOptionsTest, ExceptionsAreOff) {
#ifdef __cpp_exceptions
  FAIL() << "built with exceptions";
#endif
}

TEST(BuildOptionsTest, RttiIsOff) {
#ifdef __GXX_RTTI
  FAIL() << "built with RTTI";
#endif
}

TEST(BuildOptionsTest, LanguageIsCpp20) { EXPECT_GE(__cplusplus, 202002L); }

}  // namespace
}  // namespace millrace
