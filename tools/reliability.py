"""Shares time among the reliability campaigns and adds up what they print; tools/reliability calls it.

A campaign is a program that is run again and again, each time with a fresh seed, for some seconds, and
ends each run with a line "RELIABILITY target=... key=number...".
"""

import argparse
import collections
import datetime
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

# What a run adds up to, and what must stay zero.  `states` is what a target tries: images, kills, inputs.
STATES = ("states", "kills", "flips", "images", "cases", "operations")
ZEROS = {
    "lost_acked": ("lost_acked",),
    "invented": ("invented", "reordered"),
    "silent": ("silent", "silent_corruption", "violations"),
    "hangs": ("hangs",),
}
# A run that takes longer hangs; none is meant to take more than a minute or two.
HANG_SECONDS = 1800
# A fuzzer's run, which begins with the kept corpus again: so long in a short campaign and in a long one.
LEAST_FUZZ_SECONDS = 60
MOST_FUZZ_SECONDS = 600
SECONDS_BETWEEN_PROGRESS = 60  # where it is no terminal

Target = collections.namedtuple("Target", "name label weight arguments environment states")


def test(label, weight, name=None, arguments=(), environment=None, states=0):
    """A program of GoogleTest.  `states`: what one run tries, of a target that does not print it."""
    name = name or label.split(":")[1].replace("_test", "")
    return Target(name, label, weight, list(arguments), environment or {}, states)


# What fuzz/campaign has found to cost more than it gives.  Leaks are looked for at the end of each run.
FUZZ_OPTIONS = ["-print_final_stats=1", "-timeout=60", "-rss_limit_mb=512", "-malloc_limit_mb=64",
                "-detect_leaks=0", "-use_value_profile=0", "-reload=0"]
FUZZ_SANITIZER_OPTIONS = "malloc_context_size=2:quarantine_size_mb=8"  # no leak is seen with fewer than 2


def fuzzer(name, weight, most_bytes=4096, entropic=0):
    """A libFuzzer target: one run is as many inputs as fit into its time, from its corpus on."""
    arguments = ["-max_len=%d" % most_bytes, "-entropic=%d" % entropic]
    return Target(name, "//fuzz:" + name, weight, arguments, {}, 0)


# One run of each is some 10 to 60 seconds, so that all get their share of a short campaign too; of fuzzers
# more in a long one.
TARGETS = [
    test("//tests:crash_test", 2),
    test("//tests:crash_truncate_test", 1),
    test("//tests:shared_checkpoints_crash_test", 1),
    test("//tests/crash:crash_enum_test", 4, environment={"MILLRACE_CRASH_MINUTES": "1"}),
    test("//tests/crash:crash_exhaustive_test", 4, environment={"MILLRACE_CRASH_MINUTES": "1"}),
    test("//tests/crash:crash_nested_test", 3, environment={"MILLRACE_CRASH_MINUTES": "1"}),
    test("//tests:kill_test", 3, environment={"MILLRACE_KILLS": "1000"}),
    test("//tests/environment:syscall_kill_test", 2, environment={"MILLRACE_STRIDE": "1"}),
    test("//tests/realfs:power_cut_test", 3, "realfs_power_cut", environment={"MILLRACE_IMAGES": "500"}),
    test("//tests/damage:corruption_matrix_test", 2),
    test("//tests:log_model_test", 2, environment={"MILLRACE_OPERATIONS": "200000"}, states=200000,
         arguments=["--gtest_filter=-ModelFindsFault/*"]),
    fuzzer("segment_reader_fuzzer", 1),
    fuzzer("open_directory_fuzzer", 2),
    fuzzer("log_model_fuzzer", 2, most_bytes=8192),
    fuzzer("frame_fuzzer", 1, entropic=1),
    fuzzer("slot_fuzzer", 1, entropic=1),
    fuzzer("cursor_files_fuzzer", 1),
    fuzzer("damage_fuzzer", 2),
    fuzzer("embed_fuzzer", 1),
]


def is_fuzzer(target):
    return target.label.startswith("//fuzz:")


def parse_line(line):
    """The numbers of one RELIABILITY line, or None."""
    if not line.startswith("RELIABILITY "):
        return None
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", line)}


class Sums:
    """What the runs of one target add up to."""

    def __init__(self):
        self.runs = self.states = self.acked = self.failed = self.skipped = 0
        self.zeros = dict.fromkeys(ZEROS, 0)
        self.seconds = 0.0

    def add_output(self, target, output):
        """Adds what one run printed."""
        found = [numbers for numbers in map(parse_line, output.splitlines()) if numbers is not None]
        for numbers in found:
            self.states += next((numbers[key] for key in STATES if key in numbers), 0)
            self.acked += numbers.get("acked", 0)
            for zero, keys in ZEROS.items():
                self.zeros[zero] += sum(numbers.get(key, 0) for key in keys)
        units = re.search(r"^stat::number_of_executed_units:\s*(\d+)", output, re.MULTILINE)
        if units:
            self.states += int(units.group(1))
        elif not found:
            self.states += target.states

    def add(self, other):
        self.runs += other.runs
        self.states += other.states
        self.acked += other.acked
        self.failed += other.failed
        for zero in ZEROS:
            self.zeros[zero] += other.zeros[zero]

    def good(self):
        return self.failed == 0 and not any(self.zeros.values())

    def line(self, name, seed):
        text = "RELIABILITY target=%s seed=%d states=%d acked=%d " % (name, seed, self.states, self.acked)
        text += " ".join("%s=%d" % (zero, self.zeros[zero]) for zero in ZEROS)
        return text + (" failed_runs=%d" % self.failed if self.failed else "")


class Campaign:
    def __init__(self, options, targets, programs):
        self.seed = options.seed
        self.output = options.output
        self.targets = targets
        self.programs = programs
        self.sums = {target.name: Sums() for target in targets}
        self.lock = threading.Lock()
        self.begin = time.monotonic()
        self.end = self.begin + options.minutes * 60
        self.running = {}  # thread -> target's name
        self.seeds = {target.name: random.Random("%d %s" % (options.seed, target.name)) for target in targets}
        self.children = set()
        self.stopping = False

    def next_target(self):
        """The target that had the least of its share, or None when the time is over."""
        with self.lock:
            if self.stopping or time.monotonic() >= self.end:
                return None
            able = [t for t in self.targets if not self.sums[t.name].skipped]
            if not able:
                return None
            running = list(self.running.values())
            # A target under way counts as if its run were over.
            due = min(able, key=lambda t: (self.sums[t.name].seconds + 30 * running.count(t.name)) / t.weight)
            self.running[threading.get_ident()] = due.name
            return due, self.seeds[due.name].getrandbits(48)

    def command(self, target, seed, scratch):
        words = [self.programs[target.label]] + target.arguments
        if is_fuzzer(target):
            # New inputs go to the first directory, which is thrown away.
            corpus = os.path.join(scratch, "corpus")
            os.mkdir(corpus)
            words += FUZZ_OPTIONS + ["-seed=%d" % (seed % 2**31 + 1), "-max_total_time=%d" % self.fuzz_seconds(),
                                     "-dict=%s" % os.path.abspath("fuzz/millrace.dict"),
                                     "-artifact_prefix=%s/%s-" % (self.output, target.name), corpus]
            kept = os.path.abspath(os.path.join("fuzz", "corpus", target.name))
            if os.path.isdir(kept):
                words.append(kept)
        return words

    def fuzz_seconds(self):
        share = (self.end - self.begin) / len(self.targets) / 4
        wanted = min(max(share, LEAST_FUZZ_SECONDS), MOST_FUZZ_SECONDS)
        return max(1, round(min(wanted, self.end - time.monotonic())))

    def run(self, target, seed):
        with tempfile.TemporaryDirectory(prefix="millrace_reliability.") as scratch:
            words = self.command(target, seed, scratch)
            ours = dict(target.environment, MILLRACE_SEED=str(seed))
            if is_fuzzer(target):
                ours["ASAN_OPTIONS"] = ":".join(
                    filter(None, [FUZZ_SANITIZER_OPTIONS, os.environ.get("ASAN_OPTIONS", "")]))
            environment = dict(os.environ, TEST_TMPDIR=scratch, **ours)
            begin = time.monotonic()
            hung = False
            child = subprocess.Popen(words, env=environment, cwd=scratch, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
            with self.lock:
                self.children.add(child)
            try:
                output = child.communicate(timeout=HANG_SECONDS)[0]
            except subprocess.TimeoutExpired:
                hung = True
                end_group(child)
                output = child.communicate()[0]
            output = output.decode("utf-8", "replace")
            with self.lock:
                self.children.discard(child)
                if not self.stopping:
                    self.note(target, seed, child.returncode, hung, output, time.monotonic() - begin, words, ours)

    def note(self, target, seed, status, hung, output, seconds, words, ours):
        sums = self.sums[target.name]
        before = dict(sums.zeros)
        skipped = status == 0 and "[  SKIPPED ]" in output and "[  PASSED  ] 0 tests" in output
        if skipped:
            sums.skipped = 1
            reason = re.search(r"^[^\n]*: Skipped\n(.*)$", output, re.MULTILINE)
            self.say("%s: skipped: %s" % (target.name, reason.group(1) if reason else "by itself"))
            return
        sums.runs += 1
        sums.seconds += seconds
        sums.add_output(target, output)
        sums.zeros["hangs"] += hung
        failed = status != 0 and not hung
        sums.failed += failed
        if failed or sums.zeros != before:
            path = os.path.join(self.output, "%s-%d.log" % (target.name, seed))
            with open(path, "w", encoding="utf-8") as file:
                file.write(output)
            repeat = " ".join(["%s=%s" % pair for pair in sorted(ours.items())] + words)
            self.say("%s: %s; its output is in %s; to repeat it:\n  %s"
                     % (target.name, "hung" if hung else "failed with %d" % status, path, repeat))

    def say(self, text):
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        print(text, file=sys.stderr, flush=True)

    def work(self):
        while True:
            due = self.next_target()
            if due is None:
                return
            try:
                self.run(*due)
            except OSError as error:
                with self.lock:
                    self.sums[due[0].name].failed += 1
                    self.sums[due[0].name].skipped = 1  # it will not be better next time
                self.say("%s: %s" % (due[0].name, error))
            finally:
                with self.lock:
                    self.running.pop(threading.get_ident(), None)

    def progress(self):
        with self.lock:
            total = Sums()
            for sums in self.sums.values():
                total.add(sums)
            share = min(1.0, (time.monotonic() - self.begin) / max(self.end - self.begin, 1e-9))
            return "%3d%%  %s  runs %d  states %d  acked %d  %s" % (
                share * 100, ",".join(sorted(set(self.running.values()))) or "-", total.runs, total.states,
                total.acked, "all well" if total.good() else "SOMETHING IS WRONG")

    def perform(self, jobs):
        threads = [threading.Thread(target=self.work) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        terminal = sys.stderr.isatty()
        told = self.begin
        try:
            while any(thread.is_alive() for thread in threads):
                time.sleep(1 if terminal else 0.2)
                if terminal:
                    width = shutil.get_terminal_size().columns - 1
                    sys.stderr.write("\r\x1b[K" + self.progress()[:width])
                    sys.stderr.flush()
                elif time.monotonic() - told >= SECONDS_BETWEEN_PROGRESS:
                    told = time.monotonic()
                    self.say(self.progress())
        except KeyboardInterrupt:
            self.say("interrupted: what was run so far counts")
            with self.lock:
                self.stopping = True
                for child in self.children:
                    end_group(child)
        for thread in threads:
            thread.join()
        if terminal:
            sys.stderr.write("\r\x1b[K")


def end_group(child):
    """Ends a program of ours with all that it started."""
    try:
        os.killpg(child.pid, 9)
    except ProcessLookupError:
        pass


def record(path, rows):
    """Puts rows at the end of the table of runs, which is the last thing before the next heading."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("| date | commit |"))
    end = head
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    lines[end:end] = rows
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def commit():
    name = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True,
                             check=False)
    return (name.stdout.strip() or "?") + ("+" if changed.stdout.strip() else "")


def row(target_name, commit_name, seed, sums):
    result = " ".join("%s=%d" % (zero, sums.zeros[zero]) for zero in ZEROS)
    if sums.failed:
        result += " failed_runs=%d" % sums.failed
    return "| %s | %s | %s | %d | %d | %d | %s |" % (
        datetime.date.today().isoformat(), commit_name, target_name, seed, sums.states, sums.acked, result)


def parse_arguments(words):
    parser = argparse.ArgumentParser(prog="tools/reliability")
    parser.add_argument("minutes", metavar="MINUTES", type=float, nargs="?", default=10)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    # From tools/reliability:
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--labels", choices=["test", "fuzz"], help=argparse.SUPPRESS)
    parser.add_argument("--output", default=".", help=argparse.SUPPRESS)
    parser.add_argument("--program", action="append", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.minutes <= 0 or options.jobs < 1:
        parser.error("MINUTES and --jobs must be more than 0")
    names = [name for name in options.only.split(",") if name]
    unknown = set(names) - {target.name for target in TARGETS}
    if unknown:
        parser.error("no target is named %s; --list shows them" % ", ".join(sorted(unknown)))
    options.targets = [target for target in TARGETS if not names or target.name in names]
    if options.seed is None:
        options.seed = random.SystemRandom().getrandbits(48)
    return options


def main():
    options = parse_arguments(sys.argv[1:])
    if options.list:
        for target in options.targets:
            print("%-32s %s" % (target.name, target.label))
    if options.list or options.check:
        return 0
    if options.labels:
        print("\n".join(t.label for t in options.targets if is_fuzzer(t) == (options.labels == "fuzz")))
        return 0

    programs = dict(text.split("=", 1) for text in options.program)
    present = []
    for target in options.targets:
        if target.label in programs:
            present.append(target)
        else:
            print("%s: skipped: there is no %s in this tree" % (target.name, target.label), file=sys.stderr)
    if not present:
        sys.exit("tools/reliability: no target is left")
    built_from = commit()  # later there may be another
    campaign = Campaign(options, present, programs)
    print("seed %d, %d targets, %g minutes, %d at once" % (options.seed, len(present), options.minutes, options.jobs),
          file=sys.stderr)
    campaign.perform(options.jobs)

    total, rows = Sums(), []
    for target in present:
        sums = campaign.sums[target.name]
        if sums.runs == 0 and sums.failed == 0:
            print("%s: not run%s" % (target.name, "" if sums.skipped else ": the time was over before its turn came"))
            continue
        total.add(sums)
        print(sums.line(target.name, options.seed))
        rows.append(row(target.name, built_from, options.seed, sums))
    print("%s runs=%d" % (total.line("all", options.seed), total.runs))
    if options.record:
        record(os.path.join("tests", "RELIABILITY.md"), rows)
    return 0 if total.good() and total.runs > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
