"""Sums up what llvm-cov exported; tools/coverage says how to call it."""

import argparse
import collections
import os
import re
import sys

DIRECTORIES = ("include", "queue", "wal")


def own_path(path):
    """The path in the work tree, or None for what is not the library's."""
    path = re.sub(r"^.*/_virtual_includes/\w+/", "include/", path)
    path = os.path.normpath(path)
    if path.startswith(os.getcwd() + "/"):
        path = os.path.relpath(path)
    return path if path.split("/")[0] in DIRECTORIES and os.path.isfile(path) else None


def is_library(path):
    """What --minimum is about: the log itself, not the simulated disk beside it."""
    return path.startswith(("queue/", "wal/")) and not path.startswith("wal/testing/")


class File:
    def __init__(self):
        self.lines = collections.Counter()
        self.branches = collections.Counter()

    def lines_reached(self):
        return sum(count > 0 for count in self.lines.values())

    def branches_taken(self):
        return sum(count > 0 for count in self.branches.values())


def read_lcov(name):
    """path -> File.  A header may stand there under more than one name."""
    files, current = collections.defaultdict(File), None
    with open(name, encoding="utf-8") as file:
        for record in file:
            kind, _, value = record.strip().partition(":")
            if kind == "SF":
                path = own_path(value)
                current = files[path] if path else None
            elif current is None:
                continue
            elif kind == "DA":
                line, count = value.split(",")[:2]
                current.lines[int(line)] += int(count)
            elif kind == "BRDA":
                *place, count = value.split(",")
                current.branches[tuple(place)] += 0 if count == "-" else int(count)
    return files


def write_lcov(name, files):
    with open(name, "w", encoding="utf-8") as out:
        for path, file in sorted(files.items()):
            out.write("SF:%s\n" % path)
            for place, count in sorted(file.branches.items()):
                out.write("BRDA:%s,%d\n" % (",".join(place), count))
            out.write("BRF:%d\nBRH:%d\n" % (len(file.branches), file.branches_taken()))
            for line, count in sorted(file.lines.items()):
                out.write("DA:%d,%d\n" % (line, count))
            out.write("LF:%d\nLH:%d\nend_of_record\n" % (len(file.lines), file.lines_reached()))


def write_untaken(name, files):
    """Each line of which some branch was never taken, though the line was reached."""
    with open(name, "w", encoding="utf-8") as out:
        for path, file in sorted(files.items()):
            with open(path, encoding="utf-8") as source:
                text = source.read().splitlines()
            taken, untaken = collections.Counter(), collections.Counter()
            for (line, *_), count in file.branches.items():
                (taken if count else untaken)[int(line)] += 1
            for line in sorted(untaken):
                if file.lines.get(line, 0) > 0 and line <= len(text):
                    of = taken[line] + untaken[line]
                    out.write("%s:%d: %d of %d: %s\n" % (path, line, untaken[line], of, text[line - 1].strip()))


def write_uncovered(name, files):
    with open(name, "w", encoding="utf-8") as out:
        for path, file in sorted(files.items()):
            with open(path, encoding="utf-8") as source:
                text = source.read().splitlines()
            for line, count in sorted(file.lines.items()):
                if count == 0 and line <= len(text):
                    out.write("%s:%d: %s\n" % (path, line, text[line - 1]))


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def row(name, reached, lines, taken, branches):
    of_branches = "%6.1f %% %6d of %6d" % (percent(taken, branches), taken, branches) if branches else ""
    print(
        "%-36s %6.1f %% %6d of %6d lines   %s"
        % (name, percent(reached, lines), reached, lines, of_branches + (" branches" if branches else ""))
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lcov", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--minimum", type=float, required=True)
    args = parser.parse_args()

    files = read_lcov(args.lcov)
    if not files:
        sys.exit("tools/coverage: %s names no file of %s" % (args.lcov, ", ".join(DIRECTORIES)))
    write_lcov(os.path.join(args.output, "coverage.lcov"), files)
    uncovered = os.path.join(args.output, "uncovered.txt")
    write_uncovered(uncovered, files)

    untaken = os.path.join(args.output, "untaken.txt")
    write_untaken(untaken, files)

    totals, library = [0, 0, 0, 0], [0, 0, 0, 0]
    for path, file in sorted(files.items(), key=lambda item: percent(item[1].lines_reached(), len(item[1].lines))):
        counts = [file.lines_reached(), len(file.lines), file.branches_taken(), len(file.branches)]
        row(path, *counts)
        totals = [total + count for total, count in zip(totals, counts)]
        if is_library(path):
            library = [total + count for total, count in zip(library, counts)]
    row("total", *totals)
    row("queue/, wal/ without wal/testing/", *library)
    print("lines that no test reached: %s\nbranches that none took: %s" % (uncovered, untaken))
    if percent(library[0], library[1]) < args.minimum:
        sys.exit("tools/coverage: fewer than %g %% of the lines; see %s" % (args.minimum, uncovered))


if __name__ == "__main__":
    main()
