#!/usr/bin/env bash
# Compiles one public header alone, twice in one file, as a user's program might include it.
#
# Usage: tests/header_test.sh COMPILER HEADER     (from the root of the work tree)
set -euo pipefail

readonly compiler=$1 header=$2
name=${header#include/}

"$compiler" -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra -Werror -fsyntax-only \
  -Iinclude -x c++ - <<<"#include \"$name\"
#include \"$name\""
