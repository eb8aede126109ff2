"""The rules that reviewers forget, checked on the text of the sources.

Approximate on purpose: no compiler, so that the rules hold in headers that nothing includes yet.
Each rule takes a Source and yields (line number, complaint).
"""

import re

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70
# One comment may speak for a short loop of operations.
REASON_WITHIN_LINES = 8

# Where the system calls may stand: the production FileSystem.
FILE_SYSTEM_SOURCES = re.compile(r"^wal/posix_\w+\.(h|cc)$")


def blank_comments_and_strings(text):
    """The text with comments and literals turned to spaces: same lines, same columns."""
    token = re.compile(
        r"//[^\n]*|/\*.*?\*/"
        r'|R"([^\s()\\]{0,16})\(.*?\)\1"'
        r'|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'",
        re.DOTALL,
    )

    def blank(match):
        if match.string.rfind("#include", match.string.rfind("\n", 0, match.start()) + 1, match.start()) >= 0:
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())

    return token.sub(blank, text)


class Source:
    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.code = blank_comments_and_strings(text)
        self.lines = text.splitlines()

    def line_of(self, position):
        return self.code.count("\n", 0, position) + 1

    def matches(self, pattern):
        for match in re.finditer(pattern, self.code, re.MULTILINE):
            yield self.line_of(match.start()), match

    def includes(self):
        for line, match in self.matches(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]'):
            yield line, match.group(1), match.group(2)

    def call_arguments(self, position):
        """The text between the parentheses of which the first opens at position."""
        depth = 0
        for end in range(position, len(self.code)):
            depth += {"(": 1, ")": -1}.get(self.code[end], 0)
            if depth == 0:
                return self.code[position + 1 : end]
        return self.code[position + 1 :]


def file_length(source):
    if len(source.lines) > MAX_FILE_LINES:
        yield 1, "%d lines; at most %d" % (len(source.lines), MAX_FILE_LINES)


def _opens_function(head, previous):
    """Whether a brace after `head`, outside any function, opens a function's body."""
    head = re.sub(r"^\s*#.*$", "", head, flags=re.MULTILINE).strip()
    if re.match(r"(inline\s+)?namespace\b|extern\b\s*$", head):
        return False
    if re.search(r"\b(class|struct|union|enum)\b[^()]*$", head):
        return False
    if re.search(r"=\s*$", head):
        return False
    # A constructor's body may follow the braces of its last member: nothing stands between.
    return "(" in head or (head == "" and previous == "function")


def function_length(source):
    code = source.code
    stack = []  # (opens a function, line)
    start, previous = 0, ""
    for match in re.finditer(r"[{};]", code):
        sign, head = match.group(), code[start : match.start()]
        start = match.end()
        inside = any(function for function, _ in stack)
        if sign == "{":
            function = not inside and _opens_function(head, previous)
            stack.append((function, source.line_of(match.start())))
        elif sign == "}" and stack:
            function, first = stack.pop()
            length = source.line_of(match.start()) - first + 1
            if function and length > MAX_FUNCTION_LINES:
                yield first, "function of %d lines; at most %d" % (length, MAX_FUNCTION_LINES)
            previous = "function" if function else "other"
        if sign == ";":
            previous = ""


_ATOMIC_CALL = (
    r"(?:\.|->)\s*(load|store|exchange|test_and_set|fetch_\w+|compare_exchange_\w+)\s*\("
    r"|\b(atomic_thread_fence)\s*\("
)


def memory_order(source):
    for line, match in source.matches(_ATOMIC_CALL):
        name = match.group(1) or match.group(2)
        # A wrapper may hand on the order it was given; a policy class may name it in `Orders`.
        if not re.search(r"(\b|_)order\b|memory_order|Orders::", source.call_arguments(match.end() - 1)):
            yield line, "%s() without a memory order" % name


def memory_order_reason(source):
    for line, match in source.matches(_ATOMIC_CALL):
        near = source.lines[max(0, line - 1 - REASON_WITHIN_LINES) : line]
        if not any("//" in text for text in near):
            name = match.group(1) or match.group(2)
            yield line, "%s() without a comment that says why its order is enough" % name


def to_do(source):
    for number, text in enumerate(source.lines, 1):
        match = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
        if match:
            yield number, "%s: do it, or write an issue" % match.group()


_QUOTED = re.compile(r"^(absl|benchmark|gmock|gtest|millrace|nlohmann|queue|wal|tests)/|concurrentqueue|xxhash")


def quoted_includes(source):
    if source.path == "queue/moodycamel.h":
        return
    for line, bracket, name in source.includes():
        if bracket == "<" and _QUOTED.search(name):
            yield line, 'write #include "%s": where it lies depends on the build' % name


def one_door_to_moodycamel(source):
    if source.path == "queue/moodycamel.h":
        return
    for line, _, name in source.includes():
        if "concurrentqueue.h" in name:
            yield line, 'include "queue/moodycamel.h" in place of %s' % name


_LAYERS = {
    "include": r"^(wal|queue|tests|tools|bench|fuzz)/|concurrentqueue|xxhash",
    "queue": r"^(wal|millrace|include|absl|tests|tools|bench|fuzz)/|xxhash",
    "wal": r"^(tests|tools|bench|fuzz|gtest|gmock|benchmark|nlohmann)/",
}


def layers(source):
    top = source.path.split("/")[0]
    if top not in _LAYERS:
        return
    for line, _, name in source.includes():
        if re.search(_LAYERS[top], name):
            yield line, "%s/ may not include %s" % (top, name)


_FILE_CALL = (
    r"(?<![\w.>:])(?:::)?\b(open|openat|creat|read|pread|preadv2?|write|pwrite|pwritev2?|fsync|fdatasync|sync_file_range"
    r"|rename|renameat2?|link|unlink|unlinkat|truncate|ftruncate|fallocate|posix_fallocate|mkdir|mkdirat|rmdir"
    r"|opendir|fdopendir|readdir|stat|fstat|lstat|flock|mmap(?!\s*\([^;]*MAP_ANONYMOUS)|fopen|remove)\s*\("
    r"|std::(?:(?:i|o|)fstream|filesystem|remove|rename)\b"
)


def file_system_seam(source):
    if source.path.split("/")[0] not in ("include", "queue", "wal"):
        return
    if FILE_SYSTEM_SOURCES.match(source.path):
        return
    for line, match in source.matches(_FILE_CALL):
        call = match.group().strip(" (")
        yield line, "%s: the disk is reached through FileSystem alone" % call


def no_boolean_parameters(source):
    if not source.path.startswith("include/"):
        return
    for line, _ in source.matches(r"[(,]\s*bool\s+\w+\s*(?:=[^,()]*)?[,)]"):
        yield line, "a boolean parameter says nothing at the call: use an enum"


def file_name(source):
    match = re.search(r"(^|[/_])(utils?|common|manager|helpers?|impl|misc)(?=[_./])", source.path)
    if match:
        yield 1, "a name that says nothing: %s" % match.group(2)


def build_rules(source):
    """Of BUILD files: the library's targets go through the macros that set its options."""
    for line, match in source.matches(r"^\s*(cc_library|cc_binary|cc_test)\("):
        yield line, "%s without the project's options: use tools/bazel/cc.bzl" % match.group(1)


CODE_RULES = [
    file_length,
    function_length,
    memory_order,
    to_do,
    quoted_includes,
    one_door_to_moodycamel,
    layers,
    file_system_seam,
    no_boolean_parameters,
    file_name,
]
# A reason for each order is asked for where the lock-free code lives.
LIBRARY_RULES = [memory_order_reason]
BUILD_RULES = [build_rules]


def check(path, text):
    """All complaints about one file, as strings "path:line: complaint [rule]"."""
    source = Source(path, text)
    if path.endswith(".bazel"):
        rules = BUILD_RULES
    else:
        rules = CODE_RULES + (LIBRARY_RULES if path.split("/")[0] in ("queue", "wal") else [])
    return [
        "%s:%d: %s [%s]" % (path, line, complaint, rule.__name__)
        for rule in rules
        for line, complaint in rule(source)
    ]
