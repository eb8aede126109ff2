#!/usr/bin/env python3
"""Goal: the version stands in three files and is one.

Method: reads include/millrace/version.h, MODULE.bazel and the top entry of CHANGELOG.md.
"""

import re
import sys

PLACES = {
    "include/millrace/version.h": r'kVersion = "([^"]+)"',
    "MODULE.bazel": r'\bmodule\(\s*name = "millrace",\s*version = "([^"]+)"',
    "CHANGELOG.md": r"^## (\S+)",
}


def main():
    versions = {}
    for path, pattern in PLACES.items():
        with open(path, encoding="utf-8") as file:
            match = re.search(pattern, file.read(), re.MULTILINE)
        versions[path] = match.group(1) if match else "not found"
        print("%-28s %s" % (path, versions[path]))
    found = set(versions.values())
    if len(found) != 1 or not re.fullmatch(r"\d+\.\d+\.\d+", found.pop()):
        sys.exit("the versions differ or are none")


if __name__ == "__main__":
    main()
