#!/usr/bin/env bash
# Compiles one public header alone, twice in one file, as a user's program might include it; and once
# as C++17, where the first error must say that C++20 is needed.
#
# Usage: tests/header_test.sh COMPILER HEADER     (from the root of the work tree)
set -euo pipefail

readonly compiler=$1 header=$2
name=${header#include/}

"$compiler" -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra -Werror -fsyntax-only \
  -Iinclude -x c++ - <<<"#include \"$name\"
#include \"$name\""

# -Wfatal-errors stops at the first error.
readonly expected='Millrace needs C++20: compile with -std=c++20'
if said=$("$compiler" -std=c++17 -Wfatal-errors -fsyntax-only -Iinclude -x c++ - 2>&1 <<<"#include \"$name\""); then
  echo "$header: compiles as C++17; include \"millrace/language.h\"" >&2
  exit 1
fi
if [[ $said != *"$expected"* ]]; then
  printf '%s: the first error as C++17 does not say "%s"; include "millrace/language.h" before what fails\n%s\n' \
    "$header" "$expected" "$said" >&2
  exit 1
fi
