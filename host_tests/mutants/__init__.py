"""ringlane broken on purpose, so that it can be shown that the tests would notice.

A mutant is a small edit of the shipped source that breaks one rule of order or one check. Those of
lib/ringlane/lanes.py are in mutants/lanes.py, and so on:

    MUTANTS = {
        "send": {  # the function or class they are in; "Sender.check" where there are several
            "a class below 0 is taken": ("priority < 0 or ", ""),  # what is there, what comes
            ...

Several edits are a list of such pairs. What is there must be there exactly once, else the mutant
no longer applies, and make() says so. legs.py runs the tests on each, from `make soak`.
"""

import ast
import functools
import importlib
import shutil
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent.parent.parent / "lib" / "ringlane"


class Mutant(NamedTuple):
    """One edit of the package."""

    module: str  # of ringlane
    where: str  # the function or class
    rule: str  # what is no longer so, in words
    edits: tuple  # of (what is there, what comes there)

    @property
    def name(self):
        return f"{self.module}.{self.where}: {self.rule}"

    @property
    def file(self):
        return f"{self.module}.py"


def read(module, tables):
    """Return {name: Mutant} of the table `tables` of one module."""
    found = {}
    for where, rules in tables.items():
        for rule, edits in rules.items():
            if isinstance(edits, tuple):
                edits = [edits]
            mutant = Mutant(module, where, rule, tuple(edits))
            found[mutant.name] = mutant
    return found


_tree = functools.cache(ast.parse)


@functools.cache
def _spans(source, where):
    # The lines, from 0, of each function or class whose qualified name ends in `where`.
    if not where:
        return [(0, source.count("\n"))]
    wanted = where.split(".")
    spans = []

    def visit(node, names):
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = [*names, child.name]
                if inner[-len(wanted) :] == wanted:
                    spans.append((child.lineno - 1, child.end_lineno))
            visit(child, inner)

    visit(_tree(source), [])
    return spans


def apply(mutant, source):
    """Return `source` broken by `mutant`, and the numbers, from 1, of its lines that are not kept.

    Raises LookupError, which names the mutant, when what it replaces is not there once.
    """
    lines = source.splitlines(keepends=True)
    spans = _spans(source, mutant.where)
    if len(spans) != 1:
        raise LookupError(
            f"mutant {mutant.name!r} no longer applies: {len(spans)} of {mutant.where!r} in "
            f"{mutant.file}"
        )
    first, last = spans[0]
    text = "".join(lines[first:last])
    for old, new in mutant.edits:
        count = text.count(old)
        if count != 1 or old == new:
            raise LookupError(
                f"mutant {mutant.name!r} no longer applies: {old.strip()!r} is there {count} times"
            )
        text = text.replace(old, new)
    changes = SequenceMatcher(None, lines[first:last], text.splitlines(keepends=True))
    touched = {
        first + 1 + line
        for tag, begin, end, _, _ in changes.get_opcodes()
        if tag != "equal"
        for line in range(begin, end)
    }
    return "".join(lines[:first]) + text + "".join(lines[last:]), touched


def make(name, package, folder):
    """Copy `package` to `folder`, broken by the mutant of that name; return the copy's path."""
    mutant = ALL[name]
    copy = folder / package.name
    broken, _ = apply(mutant, (package / mutant.file).read_text())
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / mutant.file).write_text(broken)
    return copy


def out_of_order(module):
    """Return the names of a module's mutants that store an index too early, one at least."""
    early = ("publishes before", "releases before")
    found = [
        name for name, each in ALL.items() if each.module == module and each.rule.startswith(early)
    ]
    if not found:
        raise LookupError(f"no mutant of {module} stores an index too early")
    return found


ALL = {}
for _path in sorted(PACKAGE.glob("*.py")):
    if (Path(__file__).parent / _path.name).exists() and _path.stem != "__init__":
        _module = importlib.import_module(f"{__name__}.{_path.stem}")
        ALL.update(read(_path.stem, _module.MUTANTS))
