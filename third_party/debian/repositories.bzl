"""External repositories for Debian 12: Bazel 4.2.3 and system libraries.

Nothing here touches the network.  Each repository has the name and the labels
of its module in the Bazel Central Registry, so that the BUILD files are the
same with MODULE.bazel.
"""

_APT = "run tools/install_packages"

# Abseil: Bazel package -> Bazel target -> pkg-config module.
_ABSL = {
    "absl/algorithm": {"algorithm": "absl_algorithm", "container": "absl_algorithm_container"},
    "absl/base": {"base": "absl_base", "config": "absl_config", "core_headers": "absl_core_headers", "dynamic_annotations": "absl_dynamic_annotations", "log_severity": "absl_log_severity", "prefetch": "absl_prefetch"},
    "absl/cleanup": {"cleanup": "absl_cleanup"},
    "absl/container": {"btree": "absl_btree", "fixed_array": "absl_fixed_array", "flat_hash_map": "absl_flat_hash_map", "flat_hash_set": "absl_flat_hash_set", "inlined_vector": "absl_inlined_vector", "node_hash_map": "absl_node_hash_map", "node_hash_set": "absl_node_hash_set"},
    "absl/debugging": {"failure_signal_handler": "absl_failure_signal_handler", "leak_check": "absl_leak_check", "stacktrace": "absl_stacktrace", "symbolize": "absl_symbolize"},
    "absl/flags": {"flag": "absl_flags", "parse": "absl_flags_parse", "reflection": "absl_flags_reflection", "usage": "absl_flags_usage"},
    "absl/functional": {"any_invocable": "absl_any_invocable", "bind_front": "absl_bind_front", "function_ref": "absl_function_ref"},
    "absl/hash": {"hash": "absl_hash"},
    "absl/memory": {"memory": "absl_memory"},
    "absl/meta": {"type_traits": "absl_type_traits"},
    "absl/numeric": {"bits": "absl_bits", "int128": "absl_int128"},
    "absl/random": {"bit_gen_ref": "absl_random_bit_gen_ref", "distributions": "absl_random_distributions", "random": "absl_random_random"},
    "absl/status": {"status": "absl_status", "statusor": "absl_statusor"},
    "absl/strings": {"cord": "absl_cord", "str_format": "absl_str_format", "strings": "absl_strings"},
    "absl/synchronization": {"synchronization": "absl_synchronization"},
    "absl/time": {"time": "absl_time"},
    "absl/types": {"any": "absl_any", "compare": "absl_compare", "optional": "absl_optional", "span": "absl_span", "variant": "absl_variant"},
    "absl/utility": {"utility": "absl_utility"},
}

_HEAD = """package(default_visibility = ["//visibility:public"])

"""

def _pkg_config(ctx, module, args):
    tool = ctx.which("pkg-config")
    if not tool:
        fail("pkg-config not found: " + _APT)
    result = ctx.execute([tool] + args + [module])
    if result.return_code != 0:
        fail("pkg-config %s: %s\n%s" % (module, result.stderr, _APT))
    return result.stdout.strip()

def _libs(ctx, module):
    return [arg for arg in _pkg_config(ctx, module, ["--libs"]).split(" ") if arg]

def _library(name, **attrs):
    lines = ["cc_library(", "    name = %r," % name]
    lines += ["    %s = %r," % (key, attrs[key]) for key in sorted(attrs) if attrs[key]]
    return "\n".join(lines + [")", ""])

# Everything but Abseil's own tests and their helpers.
_ABSEIL_SOURCE = """
cc_library(
    name = "absl",
    srcs = glob(
        ["absl/**/*.cc"],
        exclude = [
            "absl/**/*%s*" % part
            for part in ["_test", "test_", "_mock", "mock_", "_testing", "benchmark", "gentables", "print_hash_of", "_win."]
        ],
    ),
    hdrs = glob(["absl/**/*.h", "absl/**/*.inc"]),
    copts = ["-w"],
    includes = ["."],
    linkopts = ["-lpthread"],
    linkstatic = True,
)
"""

def _abseil_impl(ctx):
    # MILLRACE_ABSEIL_SOURCE names an unpacked Abseil, to build in place of the
    # system's: ThreadSanitizer must see inside absl::Mutex.
    source = ctx.os.environ.get("MILLRACE_ABSEIL_SOURCE", "")
    if source:
        ctx.file("src/BUILD.bazel", _HEAD + _ABSEIL_SOURCE, executable = False)
        for command in [
            ["cp", "-r", source + "/absl", "src/absl"],
            ["find", "src/absl", "-name", "BUILD*", "-delete"],
        ]:
            result = ctx.execute(command)
            if result.return_code != 0:
                fail(result.stderr)
    for package, targets in _ABSL.items():
        text = _HEAD
        for name, module in targets.items():
            if source:
                text += _library(name, deps = ["//src:absl"])
            else:
                text += _library(name, linkopts = _libs(ctx, module))
        ctx.file(package + "/BUILD.bazel", text, executable = False)
    ctx.file("BUILD.bazel", "", executable = False)

_abseil = repository_rule(
    implementation = _abseil_impl,
    environ = ["PATH", "PKG_CONFIG_PATH", "MILLRACE_ABSEIL_SOURCE"],
    local = True,
)

def _archive(ctx, libdir, name):
    path = ctx.path(libdir + "/" + name)
    if not path.exists:
        fail("%s not found: %s" % (path, _APT))
    ctx.symlink(path, name)

def _googletest_impl(ctx):
    libdir = _pkg_config(ctx, "gmock_main", ["--variable=libdir"])
    for name in ["libgtest.a", "libgmock.a", "libgmock_main.a"]:
        _archive(ctx, libdir, name)
    ctx.file(
        "BUILD.bazel",
        _HEAD +
        _library("gtest", srcs = ["libgmock.a", "libgtest.a"], linkopts = ["-lpthread"]) +
        _library("gtest_main", srcs = ["libgmock_main.a"], deps = [":gtest"]),
        executable = False,
    )

_googletest = repository_rule(implementation = _googletest_impl, environ = ["PATH", "PKG_CONFIG_PATH"], local = True)

def _benchmark_impl(ctx):
    libdir = _pkg_config(ctx, "benchmark", ["--variable=libdir"])
    _archive(ctx, libdir, "libbenchmark_main.a")
    ctx.file(
        "BUILD.bazel",
        _HEAD +
        _library("benchmark", linkopts = _libs(ctx, "benchmark") + ["-lpthread"]) +
        _library("benchmark_main", srcs = ["libbenchmark_main.a"], deps = [":benchmark"]),
        executable = False,
    )

_benchmark = repository_rule(implementation = _benchmark_impl, environ = ["PATH", "PKG_CONFIG_PATH"], local = True)

def _xxhash_impl(ctx):
    ctx.file("BUILD.bazel", _HEAD + _library("xxhash", linkopts = _libs(ctx, "libxxhash")), executable = False)

_xxhash = repository_rule(implementation = _xxhash_impl, environ = ["PATH", "PKG_CONFIG_PATH"], local = True)

def _concurrentqueue_impl(ctx):
    names = ["blockingconcurrentqueue.h", "concurrentqueue.h", "lightweightsemaphore.h"]
    for name in names:
        path = ctx.path("/usr/include/concurrentqueue/" + name)
        if not path.exists:
            fail("%s not found: %s" % (path, _APT))
        ctx.symlink(path, name)
    ctx.file("BUILD.bazel", _HEAD + _library("concurrentqueue", hdrs = names), executable = False)

_concurrentqueue = repository_rule(implementation = _concurrentqueue_impl, local = True)

# Header-only, under /usr/include: nothing to link.
def _nlohmann_json_impl(ctx):
    if not ctx.path("/usr/include/nlohmann/json.hpp").exists:
        fail("/usr/include/nlohmann/json.hpp not found: " + _APT)
    ctx.file("BUILD.bazel", _HEAD + _library("json") + _library("singleheader-json"), executable = False)

_nlohmann_json = repository_rule(implementation = _nlohmann_json_impl, local = True)

# A peer to measure, or a library that only measuring needs.  Where it is not installed the library is
# empty and lacks the define, so that a program that compares builds without it too.
def _peer_impl(ctx):
    name = ctx.attr.library
    attrs = {}
    if ctx.path("/usr/include/" + ctx.attr.header).exists:
        attrs = {
            "defines": ["MILLRACE_HAS_%s=1" % name.upper()],
            "linkopts": ["-l" + name[3:] if name.startswith("lib") else "-l" + name],
        }
    ctx.file("BUILD.bazel", _HEAD + _library(name, **attrs), executable = False)

_peer = repository_rule(
    implementation = _peer_impl,
    attrs = {
        "header": attr.string(mandatory = True),
        "library": attr.string(mandatory = True),
    },
    local = True,
)

# Bazel 4.2.3 would download the repositories below.  Its C++ and Java rules are
# native, so re-exporting them is enough.  (Debian's own bazel-rules-cc 0.0.4
# needs a newer Bazel.)

def _reexport(names):
    return "".join(["%s = native.%s\n" % (name, name) for name in names])

def _rules_cc_impl(ctx):
    ctx.file("BUILD.bazel", "", executable = False)
    ctx.file("cc/BUILD.bazel", "", executable = False)
    ctx.file("cc/defs.bzl", _reexport([
        "cc_binary",
        "cc_import",
        "cc_library",
        "cc_proto_library",
        "cc_test",
        "cc_toolchain",
        "cc_toolchain_suite",
    ]), executable = False)
    for name in ["cc_binary", "cc_library", "cc_test"]:
        ctx.file("cc/%s.bzl" % name, _reexport([name]), executable = False)

_rules_cc = repository_rule(implementation = _rules_cc_impl)

def _rules_java_impl(ctx):
    ctx.file("BUILD.bazel", "", executable = False)
    ctx.file("java/BUILD.bazel", "", executable = False)
    ctx.file("java/defs.bzl", _reexport([
        "java_import",
        "java_library",
        "java_proto_library",
        "java_runtime",
        "java_toolchain",
    ]), executable = False)

_rules_java = repository_rule(implementation = _rules_java_impl)

def _rules_shell_impl(ctx):
    ctx.file("BUILD.bazel", "", executable = False)
    ctx.file("shell/BUILD.bazel", "", executable = False)
    for name in ["sh_binary", "sh_library", "sh_test"]:
        ctx.file("shell/%s.bzl" % name, _reexport([name]), executable = False)

_rules_shell = repository_rule(implementation = _rules_shell_impl)

def _coverage_tools_impl(ctx):
    ctx.symlink(ctx.attr._generator, "generator.py")
    ctx.file("BUILD.bazel", _HEAD + "\n".join([
        "sh_binary(name = %r, srcs = [\"generator.py\"])" % name
        for name in ["coverage_report_generator", "lcov_merger"]
    ]), executable = False)

_coverage_tools = repository_rule(
    implementation = _coverage_tools_impl,
    attrs = {"_generator": attr.label(default = "//third_party/debian:coverage_output_generator.py")},
)

def debian_repositories():
    """Declares every external repository that the BUILD files and Bazel 4.2.3 name."""
    _abseil(name = "abseil-cpp")
    _benchmark(name = "google_benchmark")
    _concurrentqueue(name = "concurrentqueue")
    _googletest(name = "googletest")
    _nlohmann_json(name = "nlohmann_json")
    _peer(name = "leveldb", library = "leveldb", header = "leveldb/db.h")
    _peer(name = "liburing", library = "liburing", header = "liburing.h")
    _peer(name = "rocksdb", library = "rocksdb", header = "rocksdb/db.h")
    _xxhash(name = "xxhash")
    _rules_cc(name = "rules_cc")
    _rules_java(name = "rules_java")
    _rules_shell(name = "rules_shell")
    _coverage_tools(name = "remote_coverage_tools")
