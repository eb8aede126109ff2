#!/usr/bin/env python3
"""Goal: the tests of codec and recovery notice random faults in the code they test.
Method: one random change of one line at a time (a negated condition, a dropped statement or check, a
number off by one, another constant); the quick tests, or else the slower ones, must fail with each.

Run by hand, from anywhere:

  tests/mutants.py [--count=N] [--seed=N] [--jobs=N] [--build=DIRECTORY]

Compiles with g++ at -O0, without Bazel: the tests once, then one source for each mutant. Needs what
install_packages installs. --build: where objects are kept from run to run; default: a temporary
directory. Mutants that do not compile are not counted; those that change nothing are named in
EQUIVALENT. Ends with 0 if at least 90 % of the others were found.
"""

import argparse
import concurrent.futures
import glob
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = ["format", "segment_reader", "segment_scan", "recovery", "recovery_chain", "recovery_judge",
           "recovery_losses", "recovery_table", "slot_file", "superblock"]
TESTS = ["format", "golden_format", "segment_reader", "segment_reader_content", "segment_reader_fault",
         "segment_scan", "slot_file", "slot_format", "superblock", "recovery", "recovery_chain",
         "recovery_evidence", "recovery_fault", "recovery_files", "recovery_gap", "recovery_outcome",
         "recovery_policy", "recovery_search", "recovery_table"]
# For mutants that those let live: slower, and told what is damaged.
SLOW_TESTS = ["damage/lost_newest_segment", "damage/unsynced_tail", "damage/epoch_bases", "damage/segment_set",
              "damage/corruption_matrix", "damage/read_only_open"]
SLOW_HELPERS = ["tests/damage/damage_kinds.cc", "tests/damage/damage_verdict.cc", "tests/damage/damaged_log.cc",
                "tests/flip_log.cc"]
FLAGS = ["-std=c++20", "-O0", "-fno-exceptions", "-fno-rtti", "-I.", "-Iinclude", "-w"]
LIBRARIES = ["-lgtest", "-lgtest_main", "-lpthread", "-lxxhash"]
SECONDS = 120

# File, operator, the line as it stands: why nobody can notice.
EQUIVALENT = {
    ("wal/recovery_judge.cc", "swap_constant", "Behind behind = Behind::kNothing;"):
        "where it is not set, the numbers are up to the mark, for which it does not count",
    ("wal/recovery_chain.cc", "compare", "footer->body.last_sequence > inventory_.HighestIn(*link->file)) {"):
        "a file so full of the smallest records has no room for its footer",
    ("wal/segment_reader.cc", "off_by_one",
     "const bool inside = size > 0 && at >= begin && at <= begin + size;"):
        "the one byte that it keeps is read again",
    ("wal/segment_reader.cc", "compare",
     "const bool inside = size > 0 && at >= begin && at <= begin + size;"):
        "where nothing is buffered, nothing is kept",
    ("wal/segment_reader.cc", "off_by_one", "uint64_t begin = 0;"): "nothing is buffered yet",
    ("wal/segment_reader.cc", "off_by_one", "size_t size = 0;"): "Seek() sets it",
    ("wal/segment_reader.cc", "off_by_one", "size_t capacity = 0;"): "no frame is as small",
    ("wal/segment_reader.cc", "off_by_one", "if (at >= end) return 0;"): "only what is below 0 is an error",
    ("wal/segment_reader.cc", "off_by_one", "if (inside && Buffered(at) >= bytes) return 0;"):
        "only what is below 0 is an error",
    ("wal/segment_reader.cc", "compare", "if (wanted > capacity) {"): "memory taken anew",
    ("wal/segment_reader.cc", "drop_statement", "capacity = wanted;"): "memory taken anew",
    # What TakeBuffered() and MayBeFrame() leave to Examine() is examined.
    ("wal/segment_reader.cc", "compare",
     "if (offset < begin || offset >= begin + size || next > highest) return false;"):
        "examined instead",
    ("wal/segment_reader.cc", "negate", "if (there < kFrameHeaderBytes) return false;"):
        "examined instead",
    ("wal/segment_reader.cc", "compare", "if (there < kFrameHeaderBytes) return false;"):
        "examined instead",
    ("wal/segment_reader.cc", "swap_constant",
     "if (DecodeFrameHeader(At(offset), segment_seed, offset, header) != FrameStatus::kValid ||"):
        "examined instead",
    ("wal/segment_reader.cc", "compare",
     "if (DecodeFrameHeader(At(offset), segment_seed, offset, header) != FrameStatus::kValid ||"):
        "examined instead",
    ("wal/segment_reader.cc", "compare", "if (bytes > there) return false;"): "examined instead",
    ("wal/segment_reader.cc", "drop_check",
     "if (!MayBeFrame(bytes + i, next, HighestAt(place, highest), limit - place)) continue;"):
        "examined instead",
    ("wal/segment_reader.cc", "connect",
     "if (!MayBeFrame(bytes + i, next, HighestAt(place, highest), limit - place)) continue;"):
        "examined instead",
    ("wal/segment_scan.cc", "compare", "while (offset < end) {"): "nothing stands there",
    ("wal/segment_scan.cc", "compare", "for (uint64_t offset = kFramesOffset; offset < end;) {"):
        "nothing stands there",
    ("wal/recovery.cc", "off_by_one", "uint64_t lowest_needed_ = 0;"): "no segment is numbered 0",
    ("wal/recovery_chain.cc", "swap_constant", "names = Names::kNone;"):
        "no segment is numbered 0, or less",
    # Of a link that was not read the marks prove that it is whole: it is never cut off.
    ("wal/recovery_judge.cc", "drop_statement", "fate.holds = Holds::kSomething;"):
        "it is never cut off",
    ("wal/recovery_judge.cc", "swap_constant", "fate.holds = Holds::kSomething;"):
        "it is never cut off",
}

ENUMERATOR = re.compile(r"\b(\w+)::(k[A-Z]\w*)\b")


def negate(line):
    match = re.match(r"^(\s*(?:\} else )?if \()(.*)(\) (?:\{|return\b.*|continue;|break;))$", line)
    if match and "=" not in match.group(2).split(";")[0].replace("==", "").replace("!=", "").replace(
            "<=", "").replace(">=", ""):
        yield "%s!(%s)%s" % match.groups()


def drop_check(line):
    if re.match(r"^\s*if \(.*\) (return\b.*|continue;|break;)$", line) and "= " not in line.split(")")[0]:
        yield ""


def drop_statement(line):
    if re.match(r"^\s*(?!return\b|break\b|continue\b|case\b|const\b|using\b|static\b|auto\b)[\w.\->\[\]*]+"
                r"( = .*|\(.*\)|\+\+| [-+|&]= .*);$", line) or re.match(r"^\s*(\+\+|--)[\w.\->]+;$", line):
        yield ""


def compare(line):
    for old, new in [(" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" == ", " != "),
                     (" != ", " == ")]:
        for match in re.finditer(re.escape(old), line):
            yield line[:match.start()] + new + line[match.end():]


def off_by_one(line):
    for match in re.finditer(r"(?<![\w.:'])(\d{1,5})(?![\w.':])", line):
        yield line[:match.start()] + str(int(match.group()) + 1) + line[match.end():]


def connect(line):
    for old, new in [(" && ", " || "), (" || ", " && "), (" + ", " - "), (" - ", " + "),
                     ("std::max", "std::min"), ("std::min", "std::max")]:
        for match in re.finditer(re.escape(old), line):
            if old == " && " and "auto&&" in line:
                continue
            yield line[:match.start()] + new + line[match.end():]


def swap_constant(line, others):
    for match in ENUMERATOR.finditer(line):
        for other in sorted(others.get(match.group(1), set()) - {match.group(2)})[:2]:
            yield line[:match.start(2)] + other + line[match.end(2):]


def mutants_of(path):
    """(path, line number, operator, old line, new line) of every change that may be tried."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        lines = file.read().split("\n")
    others = {}
    for line in lines:
        for enum, value in ENUMERATOR.findall(line):
            others.setdefault(enum, set()).add(value)
    for number, line in enumerate(lines):
        # Comments, declarations, and what only checks or words something.
        if re.match(r"^\s*(//|#|namespace\b|using\b|template\b|struct\b|class\b)", line):
            continue
        if "WAL_CHECK" in line or '"' in line or "reserve(" in line or re.match(r"^constexpr", line):
            continue
        # Compiled for tests/canary alone.
        if "MILLRACE_SABOTAGE" in line or number > 0 and "MILLRACE_SABOTAGE" in lines[number - 1]:
            continue
        code = line.split("  // ")[0]
        operators = [negate, drop_check, drop_statement, compare, off_by_one, connect,
                     lambda text: swap_constant(text, others)]
        names = ["negate", "drop_check", "drop_statement", "compare", "off_by_one", "connect", "swap_constant"]
        for operator, name in zip(operators, names):
            for new in operator(code):
                yield path, number, name, line, new


def library_sources():
    """All of the library and of the simulated disk: some tests open a whole log."""
    found = [os.path.relpath(path, ROOT) for top in ["wal", "wal/testing"]
             for path in glob.glob(os.path.join(ROOT, top, "*.cc"))]
    return sorted(found)


def compile_to(source, target):
    done = subprocess.run(["g++", *FLAGS, "-c", source, "-o", target], cwd=ROOT, capture_output=True, text=True)
    return done.returncode == 0, done.stderr


def object_of(build, path):
    return os.path.join(build, path.replace("/", "__") + ".o")


def absl_libraries():
    names = ["absl_status", "absl_statusor", "absl_strings", "absl_str_format", "absl_time", "absl_synchronization"]
    done = subprocess.run(["pkg-config", "--libs", *names], capture_output=True, text=True)
    return done.stdout.split()


def judge(build, programs, mutant, slot):
    """What becomes of one mutant: the first program that fails has found it."""
    path, number, _, _, new = mutant
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        lines = file.read().split("\n")
    lines[number] = new
    source = os.path.join(build, "mutant_%d.cc" % slot)
    with open(source, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    changed = os.path.join(build, "mutant_%d.o" % slot)
    good, _ = compile_to(source, changed)
    if not good:
        return "does not compile"
    for program, objects in programs:
        mutated = program + "_%d" % slot
        rest = [o for o in objects if o != object_of(build, path)]
        if link([changed, *rest], mutated):
            return "does not link"
        verdict = run(mutated)
        if verdict != "NOT FOUND":
            break
    return verdict


def link(objects, program):
    """What the linker complains of; nothing if it made the program."""
    done = subprocess.run(["g++", *objects, *LIBRARIES, *absl_libraries(), "-o", program], cwd=ROOT,
                          capture_output=True, text=True)
    return done.stderr if done.returncode != 0 else ""


def run(program):
    try:
        done = subprocess.run([program, "--gtest_brief=1", "--gtest_fail_fast"], cwd=ROOT, capture_output=True,
                              text=True, errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "found: does not end"
    if done.returncode == 0:
        return "NOT FOUND"
    failed = re.findall(r"\[  FAILED  \] (\S+?)[ ,]", done.stdout)
    return "found: " + (failed[0] if failed else "ended with %d" % done.returncode)


def build_tests(build, jobs):
    """The programs that judge, the quick one first, each with its objects."""
    library = library_sources()
    suites = [("quick_tests", ["tests/%s_test.cc" % name for name in TESTS]),
              ("slow_tests", ["tests/%s_test.cc" % name for name in SLOW_TESTS] + SLOW_HELPERS)]
    sources = library + [source for _, suite in suites for source in suite]
    headers = [path for top in ["wal", "queue", "include", "tests"]
               for path in glob.glob(os.path.join(ROOT, top, "**", "*.h"), recursive=True)]
    newest_header = max(map(os.path.getmtime, headers))
    stale = [(s, object_of(build, s)) for s in sources if not os.path.exists(object_of(build, s))
             or os.path.getmtime(object_of(build, s)) < max(newest_header, os.path.getmtime(os.path.join(ROOT, s)))]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for (source, _), (good, errors) in zip(stale, pool.map(lambda s: compile_to(*s), stale)):
            if not good:
                sys.exit("%s does not compile:\n%s" % (source, errors[-2000:]))
    programs = []
    for name, suite in suites:
        objects = [object_of(build, source) for source in suite + library]
        program = os.path.join(build, name)
        if errors := link(objects, program):
            sys.exit("the tests do not link:\n" + errors[-2000:])
        if run(program) != "NOT FOUND":
            sys.exit("the tests fail without any mutant: " + run(program))
        programs.append((program, objects))
    return programs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--build", default=None)
    arguments = parser.parse_args()
    every = [m for name in SOURCES for m in mutants_of("wal/%s.cc" % name)]
    chosen = random.Random(arguments.seed).sample(every, min(len(every), 2 * arguments.count))
    counts = {"found": 0, "missed": 0, "equivalent": 0}
    with tempfile.TemporaryDirectory(prefix="mutants_") as temp:
        build = arguments.build or temp
        os.makedirs(build, exist_ok=True)
        programs = build_tests(build, arguments.jobs)
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            slots = list(enumerate(chosen))
            for start in range(0, len(slots), arguments.jobs):
                if counts["found"] + counts["missed"] >= arguments.count:
                    break
                batch = slots[start:start + arguments.jobs]
                verdicts = pool.map(
                    lambda s: judge(build, programs, s[1], s[0] % arguments.jobs), batch)
                for (_, mutant), verdict in zip(batch, verdicts):
                    path, number, operator, old, new = mutant
                    if verdict.startswith("does not"):
                        continue
                    reason = EQUIVALENT.get((path, operator, old.strip()))
                    if verdict == "NOT FOUND" and reason:
                        verdict = "equivalent: " + reason
                        counts["equivalent"] += 1
                    else:
                        counts["found" if verdict.startswith("found") else "missed"] += 1
                    print("%s:%d %s: %s\n    %s\n    %s" % (path, number + 1, operator, verdict, old.strip(),
                                                           new.strip() or "(dropped)"), flush=True)
    judged = counts["found"] + counts["missed"]
    rate = 100.0 * counts["found"] / max(1, judged)
    print("RELIABILITY target=mutants seed=%d states=%d possible=%d found=%d equivalent=%d rate=%.1f%%"
          % (arguments.seed, judged, len(every), counts["found"], counts["equivalent"], rate))
    return 0 if judged > 0 and rate >= 90 else 1


if __name__ == "__main__":
    sys.exit(main())
