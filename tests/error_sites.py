"""Which errors of the library no row of tests/error_messages_*_test.cc reaches, by their texts.

A row states what a message must say, and its test fails if the message does not. So an error is
reached if a row demands a piece of text that stands at that error alone. Approximate on purpose, as
tidy.py is: no compiler.
"""

import difflib
import re

# A shorter text tells too little apart.
MIN_TEXT = 10

# Errors that no row can reach, and why: (file, a piece of its text).
EXCEPTIONS = {
    ("wal/cursor_open.cc", "the file was removed"):
        "not returned: tells opening the log that there is nothing left to lower",
    ("wal/cursor_registry.cc", "the file of the cursor was removed"):
        "not returned: tells a truncation that there is nothing left to lower",
    ("wal/log_append.cc", " tickets are held: drop some"):
        "takes 4194304 tickets, and the memory of as many appends",
    ("wal/log_core.cc", "the file is not this log's, or cannot be read; it was set aside"):
        "not returned: the text of an event, checkpoints_lost",
    ("wal/log_core.cc", "those of cursor "):
        "not returned: the text of an event, checkpoints_lost",
    ("wal/segment_factory.cc", "the file system does not overwrite in place"):
        "not returned: a new file is made instead",
    ("wal/segment_factory.cc", " does not suit"):
        "not returned: a new file is made instead",
    ("wal/slot_file.cc", " is not a regular file; move it"):
        "only on another FileSystem: PosixFileSystem opens no such file, and says EINVAL",
    ("wal/stored_cursor.cc", " is not a regular file; move it"):
        "not returned: the text of an event, checkpoints_lost",
    ("include/millrace/coroutine.h", "not awaited"):
        "a value before the first result, which nobody can see",
}

_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
_ERROR = re.compile(r"\babsl::(\w+Error)\s*\(")
_IO_ERROR = re.compile(r"\b(?:IoError|IoErrorAt)\s*\(\s*(?=\")")
_PLACEHOLDER = re.compile(r"%[-+ 0#]*\d*(?:\.\d+)?[a-zA-Z]")


def unescape(literal):
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "0": "\0"}.get(m.group(1), m.group(1)), literal)


def literals(code):
    """The string literals of a piece of code, those that stand side by side joined."""
    found, end = [], None
    for token in _TOKEN.finditer(code):
        if not token.group().startswith('"'):
            continue
        text = unescape(token.group()[1:-1])
        if end is not None and _without_comments(code[end : token.start()]).strip() == "":
            found[-1] += text
        else:
            found.append(text)
        end = token.end()
    return found


def _without_comments(code):
    return _TOKEN.sub(lambda m: "" if m.group().startswith("/") else m.group(), code)


def _arguments(code, opening):
    """What stands between the parentheses of which the first is at `opening`."""
    depth, at = 0, opening
    while at < len(code):
        token = _TOKEN.match(code, at)
        if token:
            at = token.end()
            continue
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        if depth == 0:
            return code[opening + 1 : at]
        at += 1
    return code[opening + 1 :]


class Site:
    """One place where an error is made."""

    def __init__(self, path, line, pieces):
        self.path, self.line, self.pieces = path, line, pieces

    def __str__(self):
        return '%s:%d: "%s"' % (self.path, self.line, "...".join(self.pieces))


def _outside_comments(text):
    return _TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()) if m.group().startswith("/") else m.group(), text)


def sites(path, text):
    """The errors that a file makes, but those of the file system."""
    code = _outside_comments(text)
    for match in _ERROR.finditer(code):
        pieces = []
        for literal in literals(_arguments(code, match.end() - 1)):
            pieces += [p for p in _PLACEHOLDER.split(literal) if p != ""]
        if pieces:
            yield Site(path, code.count("\n", 0, match.start()) + 1, pieces)


def operations(path, text):
    """(path, line, operation) of each failed call of the file system that is made an error."""
    code = _outside_comments(text)
    for match in _IO_ERROR.finditer(code):
        yield path, code.count("\n", 0, match.start()) + 1, literals(_arguments(code, code.index("(", match.start())))[0]


def _shared(piece, said):
    """The longest text that a row and a site have in common."""
    match = difflib.SequenceMatcher(None, piece, said, autojunk=False).find_longest_match()
    return piece[match.a : match.a + match.size].strip()


def _reached(site, others, says):
    for piece in site.pieces:
        for said in says:
            text = _shared(piece, said)
            if len(text) >= MIN_TEXT and not any(text in p for other in others for p in other.pieces):
                return True
    return False


def check(sources, rows, exceptions=None):
    """Complaints about errors of `sources` that no text of `rows` reaches; both by path.

    Returns the complaints, and how many sites, operations, texts and exceptions there are.
    """
    exceptions = EXCEPTIONS if exceptions is None else exceptions
    says = sorted({t for text in rows.values() for t in literals(_outside_comments(text))})
    says = [s for s in says if len(s) >= MIN_TEXT]
    all_sites = [s for path, text in sources.items() for s in sites(path, text)]
    excuses = {site: [e for e in exceptions if e[0] == site.path and any(e[1] in p for p in site.pieces)]
               for site in all_sites}
    used = {e for found in excuses.values() for e in found}
    reachable = [site for site in all_sites if not excuses[site]]
    complaints = []
    for site in reachable:
        if not _reached(site, [s for s in reachable if s is not site], says):
            complaints.append("%s: no row of tests/error_messages_*_test.cc says this, and this alone" % site)
    for left in sorted(set(exceptions) - used):
        complaints.append("%s: the exception \"%s\" is for no error any more: take it out" % left)
    all_operations = [o for path, text in sources.items() for o in operations(path, text)]
    every_text = "\n".join(says)
    for path, line, operation in all_operations:
        if not re.search(r"(^|[:( ])" + re.escape(operation) + " ", every_text, re.MULTILINE):
            complaints.append('%s:%d: no row has "%s" fail' % (path, line, operation))
    return complaints, (len(all_sites), len(all_operations), len(says), len(used))
