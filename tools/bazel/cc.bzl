"""C++ targets of this project: the rules of rules_cc with this project's options."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//tools/bazel:copts.bzl", "MILLRACE_COPTS")

# Libraries are optimised in every build but --compilation_mode=dbg: the tests that try a hundred
# thousand crashes would take six times as long.  The configurations with -O1 of their own keep it.
_FAST_COPTS = select({
    "//tools/bazel:fastbuild": ["-O1"],
    "//conditions:default": [],
})

def millrace_library(name, copts = [], **kwargs):
    """A library: one header and its source, one target.

    Args:
      name: Name of the target.
      copts: Options beyond MILLRACE_COPTS.
      **kwargs: Handed to cc_library.
    """
    cc_library(name = name, copts = MILLRACE_COPTS + _FAST_COPTS + copts, **kwargs)

def millrace_binary(name, copts = [], **kwargs):
    """A program.

    Args:
      name: Name of the target.
      copts: Options beyond MILLRACE_COPTS.
      **kwargs: Handed to cc_binary.
    """
    cc_binary(name = name, copts = MILLRACE_COPTS + copts, **kwargs)

def millrace_test(name, size = "small", copts = [], deps = [], **kwargs):
    """A GoogleTest program, with main and the sanitizers' defaults.

    Tag "concurrency" puts a test under ThreadSanitizer too; tag "no_tsan" keeps it from there.

    Args:
      name: Name of the target.
      size: As in cc_test.  "small" is stopped after one minute, "medium" after five.
      copts: Options beyond MILLRACE_COPTS.
      deps: Libraries beyond GoogleTest.
      **kwargs: Handed to cc_test.
    """
    cc_test(
        name = name,
        size = size,
        copts = MILLRACE_COPTS + copts,
        deps = deps + [
            "//tools/bazel:sanitizer_defaults",
            "@googletest//:gtest",
            "@googletest//:gtest_main",
        ],
        **kwargs
    )

def millrace_benchmark(name, size = "small", tags = [], deps = [], **kwargs):
    """A Google Benchmark program: `bazel test` runs one short iteration, `bazel run` all of it.

    Args:
      name: Name of the target.
      size: As in cc_test.
      tags: Tags beyond "no_tsan".
      deps: Libraries beyond Google Benchmark.
      **kwargs: Handed to cc_test.
    """
    cc_test(
        name = name,
        size = size,
        # Bazel sets TEST_TMPDIR under `bazel test` only, where time is not what is asked about.
        args = ["--benchmark_min_time=0.001"],
        copts = MILLRACE_COPTS,
        tags = tags + ["benchmark", "no_tsan"],
        deps = deps + [
            "//tools/bazel:sanitizer_defaults",
            "@google_benchmark//:benchmark",
            "@google_benchmark//:benchmark_main",
        ],
        **kwargs
    )
