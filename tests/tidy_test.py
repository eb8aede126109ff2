#!/usr/bin/env python3
"""Goal: the sources keep the rules of tidy.py.  Method: reads every file of the library and tools.

Run by Bazel, which places the sources under the working directory; by hand from the work tree's root.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

ROOTS = ["include", "queue", "wal", "tools"]


def sources():
    for root in ROOTS:
        for directory, _, names in os.walk(root, followlinks=True):
            for name in sorted(names):
                if name.endswith((".h", ".cc")):
                    yield os.path.join(directory, name)
        if root != "tools":
            yield os.path.join(root, "BUILD.bazel")


def main():
    complaints, files = [], 0
    for path in sources():
        with open(path, encoding="utf-8") as file:
            complaints += tidy.check(path, file.read())
        files += 1
    for complaint in complaints:
        print(complaint)
    print("%d files, %d complaints" % (files, len(complaints)))
    # Fewer would mean that the test no longer sees the sources.
    if files < 2 * len(ROOTS):
        sys.exit("only %d files found under %s" % (files, os.getcwd()))
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
