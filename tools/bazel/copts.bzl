"""Compiler options of this project's own code."""

# The library is built, tested and delivered without exceptions and without RTTI.  Warnings become
# errors under --config=clang, and only for code of this workspace: see .bazelrc.
MILLRACE_COPTS = [
    "-Wall",
    "-Wextra",
    "-fno-exceptions",
    "-fno-rtti",
]
