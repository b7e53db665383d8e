"""ringlane broken on purpose, so that it can be shown that the tests would notice.

A mutant is one edit of the shipped source. Each names the rule it breaks; make() raises when its
text is no longer in the verb it edits.
"""

import re
import shutil

PUBLISH = "        lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
RELEASE = (
    "        header[_TAIL] = "
    "0 if tail + 1 == header[_CAPACITY] + header[_CAPACITY] else tail + 1\n"
)

# name: (verb, the line before which a line goes, the line)
MUTANTS = {
    "send publishes before the payload": (
        "send",
        "        slot[_META] = size | priority << 16\n",
        PUBLISH,
    ),
    "send_word publishes before the payload": (
        "send_word",
        "        slot[_META] = 4 | priority << 16\n",
        PUBLISH,
    ),
    "recv releases before the copy": (
        "recv",
        "        meta = slot[_META]\n",
        RELEASE,
    ),
    "recv_word releases before the copy": (
        "recv_word",
        "        meta = slot[_META]\n",
        RELEASE,
    ),
    "recv_words releases before the copy": (
        "recv_words",
        "            size = slot[_META] & 0xFFFF\n",
        "    " + RELEASE,
    ),
}


def make(name, package, folder):
    """Copy `package` to `folder`, broken by mutant `name`; return the copy's path."""
    verb, line, added = MUTANTS[name]
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / "lanes.py"
    source = path.read_text()
    found = re.search(
        rf"    def {verb}\(.*?(?=\n    @micropython|\n    return)", source, re.DOTALL
    )
    if not found or found[0].count(line) != 1:
        raise LookupError(f"mutant {name!r} no longer applies: {line.strip()!r} in {verb}()")
    start, end = found.span()
    path.write_text(source[:start] + found[0].replace(line, added + line) + source[end:])
    return copy
