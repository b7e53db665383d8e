"""request_reply.py broken on purpose, one mutant for each of its rules of order."""

import re
import shutil

# name: (verb, what is there, what is there instead)
MUTANTS = {
    "send_response publishes before the payload": (
        "send_response",
        "        target = int(entry) + _ENTRY_BYTES\n",
        "        entry[_REPLIED] = id\n        target = int(entry) + _ENTRY_BYTES\n",
    ),
    "send_request issues after the request": (
        "send_request",
        "        entry[_ISSUED] = id\n",
        "",
    ),
}
ISSUE = "        own[_FREE] = free\n"


def make(name, package, folder):
    """Copy `package` to `folder`, broken by mutant `name`; return the copy's path."""
    verb, old, new = MUTANTS[name]
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / "request_reply.py"
    source = path.read_text()
    found = re.search(
        rf"    def {verb}\(.*?(?=\n    @micropython|\n    return)", source, re.DOTALL
    )
    if not found or found[0].count(old) != 1:
        raise LookupError(f"mutant {name!r} no longer applies: {old.strip()!r} in {verb}()")
    body = found[0].replace(old, new)
    if not new:  # what was taken out comes later
        if body.count(ISSUE) != 1:
            raise LookupError(f"mutant {name!r} no longer applies: {ISSUE.strip()!r} in {verb}()")
        body = body.replace(ISSUE, old + ISSUE)
    start, end = found.span()
    path.write_text(source[:start] + body + source[end:])
    return copy
