#!/usr/bin/env python3
"""Goal: the pages beside the public headers name what the headers declare, and nothing else.

Method: reads the fields of the option structs and compares them, with their defaults where they are
plain numbers, with the tables of OPTIONS.md; looks for each counter and test that the pages name.
"""

import re
import sys

INCLUDE = "include/millrace/"
PAGES = ["GUARANTEES.md", "DURABILITY.md", "OPTIONS.md", "CAPACITY.md", "LIMITS.md", "MIGRATING.md"]
STRUCTS = {"options.h": ["Options", "SyncPolicy", "AppendOptions"], "cursor.h": ["CursorOptions"]}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def struct_fields(text, name):
    body = re.search(r"^struct %s \{\n(.*?)^\};" % name, text, re.MULTILINE | re.DOTALL).group(1)
    body = re.sub(r"//[^\n]*", "", body)
    return re.findall(r"^  [\w:<>, *]+?[ >*](\w+)(?: =[^;]*)?;", body, re.MULTILINE)


def main():
    errors = []
    options = read(INCLUDE + "OPTIONS.md")
    documented = set(re.findall(r"^\| (`[^|]*) \|", options, re.MULTILINE))
    documented = {name.split(".")[-1] for cell in documented for name in re.findall(r"`([\w.]+)`", cell)}
    declared = set()
    for header, names in STRUCTS.items():
        for name in names:
            fields = struct_fields(read(INCLUDE + header), name)
            if not fields:
                errors.append("no field found in struct " + name)
            declared.update(fields)
    declared.discard("sync_policy")
    errors += ["OPTIONS.md lacks " + name for name in sorted(declared - documented)]
    errors += ["OPTIONS.md has %s, no header does" % name for name in sorted(documented - declared)]

    headers = "".join(read(INCLUDE + name) for name in
                      ["options.h", "log.h", "producer.h", "cursor.h", "stats.h", "ticket.h", "coroutine.h",
                       "recovery_report.h", "event_listener.h"])
    for page in PAGES:
        text = read(INCLUDE + page)
        for class_name, member in re.findall(r"`(Log|Producer|Cursor|Ticket|LogStats|Options)::(\w+)", text):
            if not re.search(r"\b%s\b" % member, headers):
                errors.append("%s names %s::%s, which no header declares" % (page, class_name, member))
        for enumerator in re.findall(r"`(?:\w+::)?(k[A-Z]\w+)`", text):
            if not re.search(r"\b%s\b" % enumerator, headers) and page != "MIGRATING.md":
                errors.append("%s names %s, which no header declares" % (page, enumerator))
    builds = read("tests/BUILD.bazel") + read("fuzz/BUILD.bazel")
    for test in re.findall(r"`(\w+_(?:test|fuzzer))`", read(INCLUDE + "GUARANTEES.md")):
        if 'name = "%s"' % test not in builds:
            errors.append("GUARANTEES.md names %s, which is no test" % test)
    for line in errors:
        print(line)
    print("%d fields, %d pages, %d errors" % (len(declared), len(PAGES), len(errors)))
    if errors:
        sys.exit(1)


if __name__ == "__main__":
    main()
