#!/usr/bin/env python3
"""Goal: each rule of tidy.py complains where it should and only there.

Method: one bad and one good snippet for each rule, and no rule without them.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

LONG_BODY = "  f();\n" * (tidy.MAX_FUNCTION_LINES - 1)
FITTING_BODY = "  f();\n" * (tidy.MAX_FUNCTION_LINES - 2)

# rule -> (path, text) that it must complain about.
BAD = {
    "file_length": [("wal/a.cc", "int a;\n" * (tidy.MAX_FILE_LINES + 1))],
    "function_length": [
        ("wal/a.cc", "void F() {\n" + LONG_BODY + "}\n"),
        ("wal/a.cc", "namespace n {\nclass C {\n  C() : a_{1} {\n" + LONG_BODY + "}\n};\n}\n"),
        ("wal/a.h", "template <class T>\nauto F(T t) -> int {\n" + LONG_BODY + "}\n"),
    ],
    "memory_order": [
        ("queue/a.h", "// why\nint x = a.load();\n"),
        ("queue/a.h", "// why\na->store(1);\n"),
        ("wal/a.cc", "// why\na.fetch_add(border.size());\n"),
        ("wal/a.cc", "// why\na.compare_exchange_weak(x,\n  y);\n"),
    ],
    "memory_order_reason": [("queue/a.h", "\n" * 9 + "a.load(std::memory_order_relaxed);\n" + "\n" * 9)],
    "to_do": [("include/millrace/a.h", "// TO" + "DO: later\n"), ("wal/a.cc", "/* FIX" + "ME */\n")],
    "quoted_includes": [("wal/a.cc", "#include <absl/status/status.h>\n"), ("wal/a.h", "#include <xxhash.h>\n")],
    "one_door_to_moodycamel": [("queue/a.h", '#include "concurrentqueue.h"\n')],
    "layers": [
        ("include/millrace/a.h", '#include "wal/format.h"\n'),
        ("queue/a.h", '#include "absl/time/time.h"\n'),
        ("queue/a.h", '#include "millrace/log.h"\n'),
        ("wal/a.cc", '#include "tests/program.h"\n'),
    ],
    "file_system_seam": [
        ("wal/a.cc", "int f = ::open(path, 0);\n"),
        ("wal/a.cc", "if (fsync(fd) != 0) return;\n"),
        ("wal/a.cc", "std::ofstream out(path);\n"),
        ("wal/a.cc", "std::filesystem::path p;\n"),
    ],
    "no_boolean_parameters": [("include/millrace/a.h", "void F(int a, bool sync = true);\n")],
    "file_name": [("wal/string_util.h", ""), ("queue/common.h", "")],
    "build_rules": [("wal/BUILD.bazel", 'cc_library(\n    name = "a",\n)\n')],
}

# Text that looks like a breach and is none.
GOOD = [
    ("wal/a.cc", "void F() {\n" + FITTING_BODY + "}\n"),
    ("wal/a.cc", "namespace n {\n" + "int a;\n" * 200 + "}\n"),
    ("wal/a.cc", "class C {\n" + "  int a;\n" * 200 + "};\n"),
    ("wal/a.cc", "constexpr int kTable[] = {\n" + "  F(1),\n" * 200 + "};\n"),
    ("wal/a.cc", "// why\nint x = a.load(std::memory_order_acquire);\n"),
    ("queue/a.h", "// Hands on the order.\nT load(Order order) { return a_.load(order); }\n"),
    ("queue/a.h", "// why\na.exchange(1, Atomics::Orders::kNotify);\n"),
    ("wal/a.cc", "// a.load() would do\n"),
    ("wal/a.cc", 'const char* s = "a.load() open(x) std::ofstream";\n'),
    ("wal/a.cc", "file->open(); Reader::read(x); file_system.stat(p); reopen(x);\n"),
    ("wal/a.cc", "int n = 1'000'000; // don't open(x)\nchar c = '\"'; int m = 2'0;\n"),
    ("wal/a.cc", "#include <vector>\n#include \"absl/status/status.h\"\n#include \"queue/causal_queue.h\"\n"),
    ("wal/posix_file_system.cc", "int f = ::open(path, 0);\n"),
    ("queue/moodycamel.h", '#include "concurrentqueue.h"\n'),
    ("include/millrace/a.h", "bool closed = false;\nbool Closed() const;\nvoid F(int enabled);\n"),
    ("wal/commonplace.h", ""),
    ("wal/BUILD.bazel", 'millrace_library(\n    name = "a",\n)\n'),
]


class TidyRulesTest(unittest.TestCase):
    def test_each_rule_has_a_bad_snippet(self):
        rules = tidy.CODE_RULES + tidy.LIBRARY_RULES + tidy.BUILD_RULES
        self.assertEqual({rule.__name__ for rule in rules}, set(BAD))

    def test_bad_snippets_are_found_by_their_rule_alone(self):
        for rule, snippets in BAD.items():
            for path, text in snippets:
                with self.subTest(rule=rule, path=path, text=text[:80]):
                    complaints = tidy.check(path, text)
                    self.assertTrue(complaints)
                    for complaint in complaints:
                        self.assertIn("[%s]" % rule, complaint)

    def test_good_snippets_pass(self):
        for path, text in GOOD:
            with self.subTest(path=path, text=text[:80]):
                self.assertEqual(tidy.check(path, text), [])

    def test_complaints_name_the_line(self):
        text = "int a;\n// \"quoted\n/* two\nlines */\nint f = open(x);\n"
        complaint = tidy.check("wal/a.cc", text)[0]
        self.assertTrue(complaint.startswith("wal/a.cc:5: "), complaint)


if __name__ == "__main__":
    unittest.main()
