#!/usr/bin/env python3
"""Goal: the model test finds faults in the log's own sources, not only those put beside it.
Method: ten faults, one at a time, in a copy of the work tree; the model test must fail with each.

Run by hand, from anywhere; takes some minutes:

  tests/model_mutants.py [--operations=N] [name...]

Bazel's caches are those of tools/bazel_environment.sh (MILLRACE_CACHE, MILLRACE_DISK_CACHE).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Name, file, what stands there, what stands there instead. (Not syncing at a rotation is not among
# them: the retired segment is synced before anything in it is acknowledged, so nothing is lost.)
MUTANTS = [
    ("sync_is_left_out", "wal/wal_core.cc",
     "if (status.ok() && active_->unsynced_bytes() > 0) status = SyncSegment(*active_, reason);",
     ""),
    ("retired_segments_are_forgotten", "wal/wal_core.cc",
     "if (old->unsynced_bytes() > 0) unsynced_segments_.push_back(std::move(old));",
     ""),
    ("directory_is_not_synced", "wal/segment_factory.cc",
     "const IoResult result = SyncDirectory(directory_);",
     "const IoResult result = 0;"),
    ("truncation_keeps_the_epoch", "wal/wal_core_truncate.cc",
     "const SegmentStart start{epoch_ + 1, last_to_keep + 1,",
     "const SegmentStart start{epoch_, last_to_keep + 1,"),
    ("truncation_leaves_cursors", "wal/committer_commands.cc",
     "status = parts_.cursors->Truncate(last_to_keep, core.epoch());",
     ""),
    ("withdrawn_appends_are_written", "wal/ticket_cell.cc",
     "if ((seen & kWithdrawn) != 0) return false;",
     ""),
    ("trim_passes_cursors", "wal/committer_commands.cc",
     "lowest->committed + 1 < command.first_to_keep)",
     "lowest->committed + 2 < command.first_to_keep)"),
    ("checkpoint_is_not_synced", "wal/slot_file.cc",
     "if (const IoResult synced = SyncFile(*file_); synced < 0) {",
     "if (const IoResult synced = 0; synced < 0) {"),
    ("batch_repeats_a_record", "wal/record_reader.cc",
     "step.header.sequence + batch_.index < next_)",
     "step.header.sequence + batch_.index + 1 < next_)"),
    ("failed_appends_count_as_acknowledged", "wal/committer.cc",
     "outcomes_.failed.Add(append.count);",
     "outcomes_.acknowledged.Add(append.count);"),
]


def copy_tree(to):
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT,
                           check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        source = os.path.join(ROOT, name)
        if not os.path.lexists(source):
            continue
        os.makedirs(os.path.dirname(os.path.join(to, name)), exist_ok=True)
        shutil.copy2(source, os.path.join(to, name), follow_symlinks=False)


def run_test(tree, operations):
    """The exit status of Bazel, and what it and the test printed."""
    command = ("source tools/bazel_environment.sh && millrace_bazel mutants test --config=opt "
               "--test_output=errors --test_timeout=300 --test_arg=--gtest_filter=LogModelTest.* "
               "--test_arg=--operations=%d //tests:log_model_test" % operations)
    done = subprocess.run(["bash", "-c", command], cwd=tree, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def verdict(status, output):
    # Bazel: 3 is a test that failed, 1 a build that did.
    if status == 0:
        return "NOT FOUND"
    if status != 3:
        return "DOES NOT BUILD\n" + output[-2000:]
    for line in output.splitlines():
        if line.startswith(("expected:", "found:")) or "check failed" in line:
            return "found: " + line
    return "found: the test failed"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, default=300000)
    parser.add_argument("names", nargs="*", help="of mutants; default: all")
    arguments = parser.parse_args()
    unfound = []
    with tempfile.TemporaryDirectory(prefix="model_mutants_") as temp:
        tree = os.path.join(temp, "tree")
        copy_tree(tree)
        for name, path, old, new in MUTANTS:
            if arguments.names and name not in arguments.names:
                continue
            full = os.path.join(tree, path)
            with open(full, encoding="utf-8") as file:
                text = file.read()
            if text.count(old) != 1:
                result = "DOES NOT APPLY: %d places in %s" % (text.count(old), path)
            else:
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text.replace(old, new))
                result = verdict(*run_test(tree, arguments.operations))
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            print("%-40s %s" % (name, result), flush=True)
            if not result.startswith("found"):
                unfound.append(name)
    if unfound:
        print("not found: " + ", ".join(unfound))
    return 1 if unfound else 0


if __name__ == "__main__":
    sys.exit(main())
