#!/usr/bin/env python3
"""Goal: the ordinary tests find the faults that a write-ahead log dies of.
Method: one build with all faults in it (queue/sabotage.h), each chosen at run time; for each, tests that
know nothing of it are run until one fails, which must pass without any fault.

  tests/canary/run.py [--base=NAME] [--seconds=N] [fault...]

Only the sources that hold a fault are compiled anew; the rest is what other builds made. --base: the output
base of Bazel, see tools/bazel_environment.sh; default: canary. --seconds: how long one test may take before
it counts as hung, which finds a fault too; default 60. Ends with 0 if every fault was found.
"""

import argparse
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Each fault, and the tests that may find it, the likeliest first; behind a colon: which cases of it.
FAULTS = {
    "skip_sync": ["wal_core_test", "crash_test"],
    "acknowledge_before_sync": ["committer_test", "cursor_test", "log_close_test"],
    "skip_directory_sync": ["segment_factory_test", "crash_test"],
    "sync_wrong_file": ["wal_core_test", "crash_test"],
    "retry_failed_sync": ["io_test", "wal_core_test"],
    "ignore_short_write": ["io_test", "wal_core_test"],
    "give_up_when_interrupted": ["io_test"],
    "length_not_in_checksum": ["format_test", "golden_format_test", "segment_reader_test"],
    "offset_not_in_seed": ["format_test", "golden_format_test", "segment_reader_test"],
    "no_new_epoch": ["wal_core_truncate_test", "recovery_test"],
    "tail_not_cut": ["recovery_test", "recovery_chain_test", "crash_test"],
    "trim_before_checkpoint": ["log_cursor_test"],
    "rename_before_sync": ["cursor_file_test", "cursor_file_fault_test"],
    "watermark_not_advanced": ["committer_test", "cursor_test"],
    "cursor_saved_early": ["cursor_test", "log_cursor_test"],
    "frame_ends_before_edge": ["segment_reader_test", "recovery_test"],
    "lost_wake_up": ["model/causal_queue_model_test:*.LosesNoWakeUpOfOneProducer"],
    "forgotten_stamp": ["model/causal_queue_model_test:*.LosesNoWakeUpOfOneProducer"],
    "relaxed_notify": ["model/causal_queue_model_test:*.AWokenConsumerSeesTheNews"],
    "double_acknowledgement": ["append_counters_test", "committer_test"],
    "close_drops_pending": ["wal_core_test", "log_close_test"],
}


def hooks():
    """Each fault that the sources name, and the files that must be compiled for it."""
    faults, files = set(), set()
    for top in ["queue", "wal"]:
        for name in sorted(os.listdir(os.path.join(ROOT, top))):
            path = os.path.join(top, name)
            if not name.endswith((".h", ".cc")) or path == "queue/sabotage.h":
                continue
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                found = re.findall(r"MILLRACE_SABOTAGE\((\w+)\)", file.read())
            if not found:
                continue
            faults.update(found)
            # What stands in the queue's headers is looked for by its model alone.
            files.add(path if name.endswith(".cc") else "tests/model/.*\\.cc")
    return faults, files


def label(test):
    package, _, name = ("tests/" + test.partition(":")[0]).rpartition("/")
    return "//%s:%s" % (package, name)


def bazel(base, *words):
    command = 'source tools/bazel_environment.sh && millrace_bazel "$@"'
    return subprocess.run(["bash", "-c", command, "bash", base, *words], cwd=ROOT, stdout=subprocess.PIPE,
                          text=True)


def build(base, tests, files):
    options = ["--per_file_copt=^(%s)$@-DMILLRACE_CANARIES" % "|".join(sorted(files))]
    if bazel(base, "build", *options, *sorted(set(map(label, tests)))).returncode != 0:
        sys.exit("the canaries do not build")
    done = bazel(base, "info", "bazel-bin")
    return done.stdout.strip().splitlines()[-1]


def run(bin_directory, test, fault, seconds):
    """Why `test` failed; None if it passed."""
    name, _, cases = test.partition(":")
    program = os.path.join(bin_directory, "tests", name)
    directory = os.path.join(program + ".runfiles", "millrace")
    environment = dict(os.environ)
    environment.pop("MILLRACE_SABOTAGE", None)
    if fault is not None:
        environment["MILLRACE_SABOTAGE"] = fault
    command = [program, "--gtest_fail_fast", "--gtest_brief=1", "--gtest_filter=" + (cases or "*")]
    try:
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True,
                              errors="replace", timeout=seconds)
    except subprocess.TimeoutExpired:
        return "hung"
    if done.returncode == 0:
        return None
    failed = re.findall(r"\[  FAILED  \] (\S+\.\S+?),? ", done.stdout)
    if failed:
        return failed[0]
    checks = re.findall(r"check failed: .*", done.stderr)
    return checks[0] if checks else "ended with %d" % done.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="canary")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("faults", nargs="*")
    arguments = parser.parse_args()
    named, files = hooks()
    if named != set(FAULTS):
        sys.exit("the sources and this list do not name the same faults: %s" % sorted(named ^ set(FAULTS)))
    unknown = set(arguments.faults) - named
    if unknown:
        sys.exit("no such faults: %s" % sorted(unknown))
    chosen = {f: tests for f, tests in FAULTS.items() if not arguments.faults or f in arguments.faults}
    tests = sorted({test for some in chosen.values() for test in some})
    bin_directory = build(arguments.base, tests, files)
    begin = time.monotonic()
    whole = set()  # tests that were seen to pass
    alive = []
    for fault, some in chosen.items():
        verdict = "NOT FOUND"
        for test in some:
            reason = run(bin_directory, test, fault, arguments.seconds)
            if reason is None:
                continue
            if test not in whole:
                without = run(bin_directory, test, None, arguments.seconds * 5)
                if without is not None:
                    sys.exit("%s fails without any fault: %s" % (test, without))
                whole.add(test)
            verdict = "found by %s: %s" % (test, reason)
            break
        if verdict == "NOT FOUND":
            alive.append(fault)
        print("%-28s %s" % (fault, verdict), flush=True)
    print("RELIABILITY target=canary states=%d found=%d seconds=%.0f" % (
        len(chosen), len(chosen) - len(alive), time.monotonic() - begin))
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
