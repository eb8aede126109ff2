#!/usr/bin/env python3
"""Goal: RUNBOOK.md has every event, exit code, status code and metric that the code has, and no other.

Method: reads both as text.  Run by Bazel, which places the sources under the working directory; by hand
from the work tree's root.
"""

import glob
import re
import sys

RUNBOOK = "include/millrace/RUNBOOK.md"
complaints = []


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def expect_same(what, runbook, code):
    """Complains of each entry that stands in one of two dictionaries or differs between them."""
    if len(code) < 3:
        complaints.append("%s: only %d found in the code; is this test still right?" % (what, len(code)))
    for name in sorted(set(runbook) | set(code)):
        if runbook.get(name) != code.get(name):
            complaints.append("%s %s: %s has %s, the code %s" % (
                what, name, RUNBOOK, runbook.get(name, "none"), code.get(name, "none")))


def table(title):
    """The rows of the first table below the heading: lists of cells, without the table's head."""
    section = read(RUNBOOK).split("\n## %s\n" % title, 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    width = rows[0].count("|") - 1
    for row in cells:
        if len(row) != width or not all(row):
            complaints.append("%s: row %s has not %d cells that say something" % (title, row[0], width))
    return cells


def events_of_code():
    entries = re.findall(r'\{"(\w+)",\s*EventSeverity::k(\w+),\s*"([^"]*)"\}', read("wal/event_kind.cc"))
    return {name: (severity.lower(), fields) for name, severity, fields in entries}


def check_events():
    code = events_of_code()
    runbook = {row[0].strip("`"): (row[1], row[2]) for row in table("Events")}
    expect_same("event", runbook, code)
    header = re.findall(r"^//   (\w+) +(info|warning|error) +(\w+(?:, \w+)*)",
                        read("include/millrace/event_listener.h"), re.MULTILINE)
    expect_same("event of event_listener.h", {name: (severity, fields) for name, severity, fields in header}, code)


def check_exit_codes():
    enum = re.search(r"enum class ExitCode[^{]*\{([^}]*)\}", read("tools/millrace/command.h")).group(1)
    code = {number: "" for number in re.findall(r"= (\d+)", enum)}
    expect_same("exit code", {row[0]: "" for row in table("Exit codes of `millrace`")}, code)


def check_status_codes():
    code = {"OK"}
    for path in glob.glob("wal/*.cc"):
        for name in re.findall(r"absl::(\w+)Error\(|StatusCode::k(\w+)", read(path)):
            code.add(re.sub(r"(?<!^)(?=[A-Z])", "_", name[0] or name[1]).upper())
    runbook = {row[0].strip("`"): "" for row in table("Status codes of the API")}
    expect_same("status code", runbook, {name: "" for name in code})


def check_metrics():
    code = set()
    for kind, name in re.findall(r'text\.(\w+)\(\s*"(\w+)"',
                                 read("wal/prometheus.cc")):
        code.add("millrace_" + name + ("_total" if kind in ("Counter", "Reasons") else ""))
    for name in re.findall(r"`(millrace_\w+)`", read(RUNBOOK)):
        if name not in code:
            complaints.append("metric %s: %s names it, wal/prometheus.cc does not" % (name, RUNBOOK))


def main():
    check_events()
    check_exit_codes()
    check_status_codes()
    check_metrics()
    for complaint in complaints:
        print(complaint)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
