"""Fuzz targets."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//tools/bazel:copts.bzl", "MILLRACE_COPTS")

def millrace_fuzz_test(name, srcs, deps = [], size = "small", tags = [], **kwargs):
    """A libFuzzer target under --config=fuzz, else a test that replays its corpus.

    The corpus is the directory corpus/<name> of the package; an empty one fails.

    Args:
      name: Name of the target.
      srcs: Sources, one of which defines LLVMFuzzerTestOneInput.
      deps: Libraries.
      size: As in cc_test, for the replay.
      tags: Tags beyond "fuzzer".
      **kwargs: Handed to cc_test.
    """
    corpus = "corpus/" + name
    cc_test(
        name = name,
        size = size,
        srcs = srcs,
        args = select({
            "//tools/bazel:fuzzing": [],
            "//conditions:default": [native.package_name() + "/" + corpus],
        }),
        copts = MILLRACE_COPTS,
        data = native.glob([corpus + "/**"]),
        linkopts = select({
            "//tools/bazel:fuzzing": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + ["//tools/bazel:sanitizer_defaults"] + select({
            "//tools/bazel:fuzzing": [],
            "//conditions:default": ["//tools/bazel:replay_main"],
        }),
        tags = tags + ["fuzzer"],
        **kwargs
    )
