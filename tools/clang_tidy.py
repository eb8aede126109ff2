"""Runs clang-tidy over what Bazel compiles; tools/clang_tidy says how to call it.

A source is looked at once for each state of all that decides what clang-tidy says of it: its text, the
project's headers that it includes, its options, .clang-tidy and clang-tidy's version.  Headers of the
system are not among these: remove the cache after a change of compiler or libraries.

RECORD, which is part of the repository, names such states that were found clean, so that a machine
without a cache, as CI's, need not look at all files anew.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time

# Where the findings are ours to mend.  Sources elsewhere that Bazel compiles along are left out.
DIRECTORIES = ("include", "queue", "wal", "tools")
RECORD = "tools/clang_tidy_clean.txt"
RECORD_TITLE = "# Files in the state that `tools/clang_tidy --record` found clean, and that state's digest.\n"
DAYS_KEPT = 30
SECONDS_BETWEEN_PROGRESS = 15

_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
_FINDING = re.compile(r"^(?P<path>[^:\n]+):\d+:\d+: (?:warning|error): .*\[[\w.,-]+\]$")
_NOT_FOR_CLANG_TIDY = {"-MD", "-c", "-fcolor-diagnostics", "-Werror", "-std=c++0x"}
_WITH_VALUE = {"-MF", "-o"}


def die(message):
    sys.exit("tools/clang_tidy: " + message)


def options_of(arguments, source, output_base):
    """The compiler's options of one action, for clang-tidy in the root of the work tree."""
    # The links to public headers appear when Bazel builds; the headers are there before.
    virtual = re.compile(r"^-Ibazel-out/[^/]+/bin/(?:include/)?_virtual_includes/.*")
    options = []
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in _WITH_VALUE:
            next(rest)
        elif argument == source or argument in _NOT_FOR_CLANG_TIDY or argument.startswith("-frandom-seed"):
            continue
        elif virtual.match(argument):
            if "-Iinclude" not in options:
                options.append("-Iinclude")
        elif argument.startswith("external/"):
            options.append(os.path.join(output_base, argument))
        elif argument.startswith("bazel-out/"):
            options.pop()  # its -iquote: nothing is generated
        else:
            options.append(argument)
    return options


def read_actions(name, output_base):
    """What is compiled: source -> options."""
    with open(name, encoding="utf-8") as file:
        actions = json.load(file).get("actions", [])
    sources = {}
    for action in actions:
        arguments = action["arguments"]
        source = arguments[arguments.index("-c") + 1]
        if source.split("/")[0] in DIRECTORIES and source not in sources:
            sources[source] = options_of(arguments, source, output_base)
    return sources


class Tree:
    """The project's own files and what they include."""

    def __init__(self):
        self._texts = {}
        self._reached = {}

    def text(self, path):
        if path not in self._texts:
            with open(path, "rb") as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def _included(self, path):
        for name in _INCLUDE.findall(self.text(path).decode("utf-8", "replace")):
            for place in (name, os.path.join("include", name), os.path.join(os.path.dirname(path), name)):
                if os.path.isfile(place):
                    yield os.path.normpath(place)
                    break

    def reached(self, path):
        """The path and every file of the project that it includes, however indirectly."""
        found, open_paths = {path}, [path]
        while open_paths:
            for name in self._included(open_paths.pop()):
                if name not in found:
                    found.add(name)
                    open_paths.append(name)
        return sorted(found)


def add_lone_headers(sources, tree):
    """Adds the headers that no source includes, templates that only tests use: each is looked at itself."""
    reached = {path for source in sources for path in tree.reached(source)}
    longest = max(sources.values(), key=len)
    for directory in DIRECTORIES:
        for parent, _, names in os.walk(directory):
            for name in names:
                path = os.path.join(parent, name)
                if name.endswith(".h") and path not in reached:
                    sources[path] = ["-x", "c++"] + [option for option in longest if not option.startswith("-D")]


class Checker:
    def __init__(self, root, output_base, cache, tree):
        self._root = root
        self._output_base = output_base
        self._cache = cache
        self._tree = tree
        said = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
        # Not all that it says: the machine's CPU is there too.
        version = re.search(rb"version \S+", said).group()
        with open(".clang-tidy", "rb") as file:
            self._common = version + file.read()

    def digest(self, source, options):
        """Of all that decides what clang-tidy says of the source; alike on all machines."""
        digest = hashlib.sha256(self._common)
        digest.update(json.dumps([source, options]).replace(self._output_base, "").encode())
        for path in self._tree.reached(source):
            digest.update(path.encode() + b"\0" + hashlib.sha256(self._tree.text(path)).digest())
        return digest.hexdigest()

    def entry(self, source, options):
        """The file that holds, or will hold, what clang-tidy says of the source as it is now."""
        return os.path.join(self._cache, self.digest(source, options))

    def check(self, source, options, entry):
        """Runs clang-tidy; returns its output, or dies if it could not do its work."""
        run = subprocess.run(
            ["clang-tidy", "--quiet", "--use-color=0", source, "--"] + options,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        output = run.stdout.replace(self._root + "/", "")
        # Findings make it exit with 1 too; then there is one to show.
        if run.returncode != 0 and not any(map(_FINDING.match, output.splitlines())):
            raise RuntimeError("%s: exit code %d\n%s%s" % (source, run.returncode, output, run.stderr))
        temporary = "%s.%d" % (entry, os.getpid())
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(output)
        os.replace(temporary, entry)
        return output


def findings(outputs):
    """Each finding of the outputs once, as its lines; a header's come from many sources."""
    seen = {}
    for output in outputs:
        current = None
        for line in output.splitlines():
            match = _FINDING.match(line)
            if match:
                current = None
                key = os.path.normpath(match.group("path")) + line[len(match.group("path")) :]
                if key not in seen:
                    current = seen[key] = [key]
            elif current is not None:
                current.append(line)
    return [seen[key] for key in sorted(seen)]


def prune(cache):
    for name in os.listdir(cache):
        path = os.path.join(cache, name)
        if time.time() - os.path.getmtime(path) > DAYS_KEPT * 86400:
            os.remove(path)


def select(sources, names, root, tree):
    """The sources that FILE arguments stand for."""
    chosen = {}
    for name in names:
        path = os.path.relpath(os.path.realpath(name), root)
        found = {source: options for source, options in sources.items() if path in tree.reached(source)}
        if path in sources:
            found = {path: sources[path]}
        if not found:
            die("%s: not compiled by Bazel in any of: %s" % (name, " ".join(DIRECTORIES)))
        chosen.update(found)
    return chosen


def git(*arguments):
    """What git prints, or nothing where this is no clone, or the commit is its first."""
    run = subprocess.run(("git",) + arguments, capture_output=True, encoding="utf-8")
    return run.stdout if run.returncode == 0 else ""


def in_order_of_interest(sources, tree):
    """What was changed last comes first; of the others, each commit begins with different ones."""
    head = git("rev-parse", "HEAD")
    changed = set(git("diff", "--name-only", "HEAD").split() + git("diff", "--name-only", "HEAD~1", "HEAD").split())

    def rank(source):
        unchanged = changed.isdisjoint(tree.reached(source))
        return source not in changed, unchanged, hashlib.sha256((head + source).encode()).digest()

    return sorted(sources, key=rank)


def read_record():
    """source -> digest of the state in which it was found clean."""
    try:
        with open(RECORD, encoding="utf-8") as file:
            return dict(line.split() for line in file if not line.startswith("#"))
    except FileNotFoundError:
        return {}


def write_record(checker, sources):
    with open(RECORD, "w", encoding="utf-8") as file:
        file.write(RECORD_TITLE)
        for source, options in sorted(sources.items()):
            file.write("%s %s\n" % (source, checker.digest(source, options)))


def known_outputs(checker, sources, record):
    """What earlier runs found, and the sources of which nothing is known: source -> entry to write."""
    outputs, missing = [], {}
    for source, options in sources.items():
        if record.get(source) == checker.digest(source, options):
            outputs.append("")
            continue
        entry = checker.entry(source, options)
        try:
            with open(entry, encoding="utf-8") as file:
                outputs.append(file.read())
            os.utime(entry)
        except FileNotFoundError:
            missing[source] = entry
    return outputs, missing


def check_missing(checker, sources, missing, order, jobs, seconds):
    """What clang-tidy says of the missing sources, in order, while there is time."""
    begun = said = time.monotonic()
    outputs = []

    def check(source):
        if seconds is not None and time.monotonic() - begun > seconds:
            return None
        return checker.check(source, sources[source], missing[source])

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(check, source) for source in order]
        try:
            for future in concurrent.futures.as_completed(futures):
                output = future.result()
                if output is None:
                    continue
                outputs.append(output)
                if time.monotonic() - said >= SECONDS_BETWEEN_PROGRESS:
                    said = time.monotonic()
                    print("clang-tidy: %d of %d done" % (len(outputs), len(order)), flush=True)
        except RuntimeError as error:
            pool.shutdown(cancel_futures=True)
            die("clang-tidy failed on " + str(error))
    return outputs


def main():
    parser = argparse.ArgumentParser(prog="tools/clang_tidy")
    for name in ("--root", "--output_base", "--actions", "--cache"):
        parser.add_argument(name, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    names = [os.path.abspath(name) for name in args.files]
    os.chdir(args.root)
    os.makedirs(args.cache, exist_ok=True)
    prune(args.cache)

    tree = Tree()
    sources = read_actions(args.actions, args.output_base)
    if not sources:
        die("bazel aquery named no source; see %s" % args.actions)
    add_lone_headers(sources, tree)
    if names:
        sources = select(sources, names, args.root, tree)
    checker = Checker(args.root, args.output_base, args.cache, tree)
    outputs, missing = known_outputs(checker, sources, {} if args.all else read_record())
    print("clang-tidy: %d files, %d of them as in an earlier run" % (len(sources), len(outputs)), flush=True)
    order = in_order_of_interest(missing, tree)
    outputs += check_missing(checker, sources, missing, order, max(1, args.jobs), args.seconds)
    found = findings(outputs)
    for lines in found:
        print("\n".join(lines))
    if len(outputs) < len(sources):
        print("%d files left for another run: out of time" % (len(sources) - len(outputs)))
    if args.record and not names and not found and len(outputs) == len(sources):
        write_record(checker, sources)
        print("written: " + RECORD)
    print("%d files, %d findings" % (len(outputs), len(found)))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
