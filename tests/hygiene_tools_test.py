#!/usr/bin/env python3
"""Goal: tools/clang_tidy, tools/coverage and tools/reliability neither lose nor double what they were told.

Method: small outputs of the programs that they call, in a directory of their own.
"""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import clang_tidy  # noqa: E402
import coverage  # noqa: E402
import reliability  # noqa: E402


class InOwnDirectory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory.name)

    def write(self, path, text):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


class ClangTidyTest(InOwnDirectory):
    FINDING = "wal/a.h:3:7: error: it is bad [bugprone-bad,-warnings-as-errors]"

    def test_a_headers_finding_is_told_once_with_its_lines(self):
        one = self.FINDING + "\n  int a;\n      ^\n"
        other = "./" + one + "wal/b.cc:1:1: warning: so is this [misc-worse]\n"
        self.assertEqual(
            clang_tidy.findings([one, other]),
            [[self.FINDING, "  int a;", "      ^"], ["wal/b.cc:1:1: warning: so is this [misc-worse]"]],
        )

    def test_a_clean_output_holds_no_finding(self):
        self.assertEqual(clang_tidy.findings(["", "12 warnings generated.\n"]), [])

    def test_options_point_to_where_files_are_before_a_build(self):
        arguments = "clang -std=c++0x -MD -MF x.d -iquote . -iquote external/a -iquote bazel-out/k8/bin".split()
        arguments += "-Ibazel-out/k8/bin/include/_virtual_includes/headers -std=c++20 -DX=1".split()
        arguments += "-Ibazel-out/k8/bin/_virtual_includes/millrace -Werror -c wal/a.cc -o a.o".split()
        self.assertEqual(
            clang_tidy.options_of(arguments, "wal/a.cc", "/base"),
            "-iquote . -iquote /base/external/a -Iinclude -std=c++20 -DX=1".split(),
        )

    def test_everything_included_counts_and_cycles_end(self):
        self.write("wal/a.cc", '#include "wal/a.h"\n#include "absl/x.h"\n')
        self.write("wal/a.h", '#include "millrace/b.h"\n')
        self.write("include/millrace/b.h", '  #  include "wal/a.h"\n')
        self.write("queue/lone.h", "")
        tree = clang_tidy.Tree()
        self.assertEqual(tree.reached("wal/a.cc"), ["include/millrace/b.h", "wal/a.cc", "wal/a.h"])
        sources = {"wal/a.cc": ["-Iinclude", "-DX=1"]}
        clang_tidy.add_lone_headers(sources, tree)
        self.assertEqual(sources["queue/lone.h"], ["-x", "c++", "-Iinclude"])
        self.assertEqual(len(sources), 2)


class Record(InOwnDirectory):
    """The record of files found clean, with clang-tidy itself left out."""

    def checker(self, output_base):
        checker = clang_tidy.Checker.__new__(clang_tidy.Checker)
        checker._output_base, checker._cache, checker._tree = output_base, "cache", clang_tidy.Tree()
        checker._common = b"14"
        return checker

    def test_a_clean_state_is_known_on_another_machine_until_a_header_changes(self):
        self.write("wal/a.cc", '#include "wal/a.h"\n')
        self.write("wal/a.h", "int a;\n")
        self.write("tools/.keep", "")
        here = {"wal/a.cc": ["-iquote", "/here/external/a"]}
        there = {"wal/a.cc": ["-iquote", "/there/external/a"]}
        self.assertEqual(clang_tidy.read_record(), {})
        clang_tidy.write_record(self.checker("/here"), here)
        record = clang_tidy.read_record()
        self.assertEqual(clang_tidy.known_outputs(self.checker("/there"), there, record), ([""], {}))
        self.write("wal/a.h", "int b;\n")
        outputs, missing = clang_tidy.known_outputs(self.checker("/there"), there, record)
        self.assertEqual((outputs, list(missing)), ([], ["wal/a.cc"]))

    def test_other_options_are_another_state(self):
        self.write("wal/a.cc", "")
        self.write("tools/.keep", "")
        clang_tidy.write_record(self.checker("/here"), {"wal/a.cc": ["-DX=1"]})
        _, missing = clang_tidy.known_outputs(
            self.checker("/here"), {"wal/a.cc": ["-DX=2"]}, clang_tidy.read_record()
        )
        self.assertEqual(list(missing), ["wal/a.cc"])


class CoverageTest(InOwnDirectory):
    def test_counts_of_one_header_under_two_names_add_up(self):
        self.write("include/millrace/b.h", "one\ntwo\nthree\n")
        self.write("wal/a.cc", "one\n")
        self.write(
            "exported.lcov",
            "SF:/x/bazel-out/k8/bin/include/_virtual_includes/headers/millrace/b.h\n"
            "DA:1,2\nDA:2,0\nDA:3,0\nBRDA:1,0,0,5\nBRDA:1,0,1,-\nend_of_record\n"
            "SF:./include/millrace/b.h\nDA:1,3\nDA:2,4\nDA:3,0\nend_of_record\n"
            "SF:/usr/include/vector\nDA:1,1\nend_of_record\n"
            "SF:wal/a.cc\nDA:1,0\nend_of_record\n",
        )
        files = coverage.read_lcov("exported.lcov")
        self.assertEqual(sorted(files), ["include/millrace/b.h", "wal/a.cc"])
        header = files["include/millrace/b.h"]
        self.assertEqual(dict(header.lines), {1: 5, 2: 4, 3: 0})
        self.assertEqual((header.branches_taken(), len(header.branches)), (1, 2))
        coverage.write_uncovered("uncovered.txt", files)
        with open("uncovered.txt", encoding="utf-8") as file:
            self.assertEqual(file.read(), "include/millrace/b.h:3: three\nwal/a.cc:1: one\n")
        coverage.write_untaken("untaken.txt", files)
        with open("untaken.txt", encoding="utf-8") as file:
            self.assertEqual(file.read(), "include/millrace/b.h:1: 1 of 2: one\n")

    def test_the_simulated_disk_is_not_the_library(self):
        self.assertTrue(coverage.is_library("wal/log.cc") and coverage.is_library("queue/credits.h"))
        self.assertFalse(coverage.is_library("wal/testing/sim_disk.cc"))
        self.assertFalse(coverage.is_library("include/millrace/log.h"))


class ReliabilityTest(InOwnDirectory):
    TARGET = reliability.test("//tests:a_test", 1, states=7)

    def sums(self, output):
        sums = reliability.Sums()
        sums.add_output(self.TARGET, output)
        return sums

    def test_every_line_of_a_run_counts(self):
        sums = self.sums("[ OK ] a\nRELIABILITY target=a seed=9 states=10 acked=3 lost_acked=0 invented=0 silent=0 hangs=0\n"
                         "RELIABILITY target=b seed=9 states=5 acked=4 lost_acked=0 invented=0 silent=0 hangs=0\n")
        self.assertEqual((sums.states, sums.acked, sums.good()), (15, 7, True))

    def test_whatever_must_be_zero_and_is_not_is_bad(self):
        for key in ("lost_acked", "invented", "reordered", "silent", "silent_corruption", "violations", "hangs"):
            self.assertFalse(self.sums("RELIABILITY target=a states=1 %s=1\n" % key).good(), key)

    def test_other_counts_are_no_faults(self):
        self.assertTrue(self.sums("RELIABILITY target=kill_test kills=4 in_flight=4 recovery=1 lost_acked=0\n").good())
        self.assertEqual(self.sums("RELIABILITY target=kill_test kills=4 in_flight=3\n").states, 4)

    def test_fuzzers_inputs_and_silent_targets_count(self):
        self.assertEqual(self.sums("stat::number_of_executed_units: 1234\n").states, 1234)
        self.assertEqual(self.sums("[  PASSED  ] 1 test.\n").states, 7)

    def test_a_failed_run_is_bad_whatever_it_printed(self):
        sums = self.sums("RELIABILITY target=a states=1 lost_acked=0\n")
        sums.failed += 1
        self.assertFalse(sums.good())
        self.assertIn("failed_runs=1", sums.line("a", 3))

    def test_records_go_to_the_end_of_the_table(self):
        self.write("page.md", "# x\n\n| date | commit | t |\n|---|---|---|\n| 1 | a | b |\n\nafter\n")
        reliability.record("page.md", ["| 2 | c | d |"])
        with open("page.md", encoding="utf-8") as file:
            self.assertEqual(file.read(), "# x\n\n| date | commit | t |\n|---|---|---|\n| 1 | a | b |\n| 2 | c | d |\n\nafter\n")


if __name__ == "__main__":
    unittest.main()
