#!/usr/bin/env python3
"""Goal: no error of the library is without a test that says what its message must say.

Method: error_sites.py over the sources and the tables; before that, its rules on small examples.
Run by Bazel, which places the sources under the working directory; by hand from the work tree's root.
"""

import glob
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import error_sites  # noqa: E402

SITE = 'return absl::OutOfRangeError(absl::StrCat("cannot go to ", n, ": at most "\n    // Why.\n    "so far", m));'


def complaints(site, row, exceptions=()):
    return error_sites.check({"a.cc": site}, {"t.cc": row}, dict.fromkeys(exceptions, "why"))[0]


class RulesTest(unittest.TestCase):
    def test_a_text_of_a_row_reaches_the_error_that_holds_it(self):
        self.assertEqual([], complaints(SITE, '{"cannot go to 7: at most so far 5"}'))
        self.assertEqual([], complaints(SITE, '{": at most so far"}'))

    def test_an_error_that_no_row_speaks_of_is_complained_about(self):
        self.assertEqual(1, len(complaints(SITE, '{"something else"}')))
        self.assertEqual(1, len(complaints(SITE, '// "cannot go to"')))
        self.assertEqual(1, len(complaints(SITE, '{"so far"}')), "too short to tell")

    def test_a_text_that_two_errors_share_reaches_neither(self):
        two = SITE + SITE.replace("at most", "at least")
        self.assertEqual(2, len(complaints(two, '{"cannot go to 7"}')))
        self.assertEqual(1, len(complaints(two, '{": at most so far"}')))

    def test_an_error_in_a_comment_is_none(self):
        self.assertEqual([], complaints('// absl::InternalError("of old times")', ""))

    def test_placeholders_part_texts(self):
        site = 'absl::InternalError(absl::StrFormat("cursor %s is full, with %d", name, n))'
        self.assertEqual([], complaints(site, '{"cursor c is full, with 3"}'))
        self.assertEqual(1, len(complaints(site, '{"%s is full"}')))

    def test_an_exception_excuses_its_error_and_no_other(self):
        self.assertEqual([], complaints(SITE, "", [("a.cc", "cannot go")]))
        self.assertEqual(2, len(complaints(SITE, "", [("b.cc", "cannot go to ")])))

    def test_each_failed_operation_is_in_a_row(self):
        site = 'return IoErrorAt("write", name, at, error);'
        self.assertEqual(1, len(complaints(site, '{"sync LOG: EIO"}')))
        self.assertEqual([], complaints(site, '{"log /log: write LOG at 0: EIO"}'))


class LibraryTest(unittest.TestCase):
    def test_each_error_is_in_a_row(self):
        def read(patterns):
            paths = sorted(p for pattern in patterns for p in glob.glob(pattern))
            texts = {}
            for path in paths:
                with open(path, encoding="utf-8") as file:
                    texts[path] = file.read()
            return texts

        sources = read(["wal/*.cc", "wal/*.h", "queue/*.h", "include/millrace/*.h"])
        found, counts = error_sites.check(sources, read(["tests/error_messages_*test.cc"]))
        print("%d errors, %d failed operations; %d texts in rows, %d exceptions" % counts)
        self.assertGreater(counts[0], 60, "the sources are not seen")
        self.assertEqual([], found, "\n" + "\n".join(found))


if __name__ == "__main__":
    unittest.main()
