"""Mutants: that each applies, that none is missing, and that a test which misses one is told of.

`make soak` runs the tests on every mutant and prints which leg caught it.
"""

import ast
import re

import mutants
import pytest
from mutants import PACKAGE, Mutant, apply, legs

MODULES = sorted(
    path.name for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "manifest")
)


def touched(file):
    """Return the numbers of the lines of a module that its mutants do not keep."""
    source = (PACKAGE / file).read_text()
    lines = set()
    for mutant in mutants.ALL.values():
        if mutant.file == file:
            lines |= apply(mutant, source)[1]
    return lines


def checks(file):
    """Yield (line, text) of every condition in a module: if, while, the conditional expression."""
    source = (PACKAGE / file).read_text()
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            if isinstance(node.test, ast.Constant):  # while True
                continue
            span = range(node.test.lineno, node.test.end_lineno + 1)
            yield span, lines[span[0] - 1].strip()
        elif isinstance(node, ast.comprehension):
            for test in node.ifs:
                span = range(test.lineno, test.end_lineno + 1)
                yield span, lines[span[0] - 1].strip()


@pytest.mark.parametrize("file", MODULES)
def test_each_mutant_applies_and_is_a_module(file):
    source = (PACKAGE / file).read_text()
    names = [mutant.name for mutant in mutants.ALL.values() if mutant.file == file]
    assert names
    for name in names:
        broken, _ = apply(mutants.ALL[name], source)
        assert broken != source
        compile(broken, name, "exec")


@pytest.mark.parametrize("file", MODULES)
def test_every_check_has_a_mutant(file):
    lines = touched(file)
    found = list(checks(file))
    missing = [f"{file}:{span[0]}: {text}" for span, text in found if not lines & {*span}]
    assert not missing, "\n".join(missing)


def test_every_rule_of_order_has_a_mutant():
    rules = 0
    for file in MODULES:
        source = (PACKAGE / file).read_text()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("make_"):
                continue
            body = "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
            wanted = len(re.findall(r"# Order:|^ +# .*Order:", body, re.MULTILINE))
            broken = [
                each.rule
                for each in mutants.ALL.values()
                if each.file == file
                and each.where.split(".")[-1] == node.name
                and re.search(r"\b(before|after)\b", each.rule)
            ]
            assert len(broken) >= wanted, f"{file}: {node.name} has {wanted} rules, {broken}"
            rules += wanted
    assert rules > 10, rules


# What must not go unsaid


def mutant_of(where, *edits):
    return Mutant("lanes", where, "old", edits)


@pytest.mark.parametrize(
    "mutant, said",
    [
        (mutant_of("send", ("gone = 1\n", "")), "'gone = 1' is there 0 times"),
        (mutant_of("send", ("capacity", "")), "'capacity' is there 9 times"),
        (
            mutant_of("send", ("size_of(data)", "size_of(data)")),
            "'size_of(data)' is there 1 times",
        ),
        (mutant_of("none", ("size", "")), "0 of 'none' in lanes.py"),
        (mutant_of("check", ("size", "")), "2 of 'check' in lanes.py"),
    ],
)
def test_a_mutant_that_no_longer_applies_is_named(mutant, said):
    with pytest.raises(LookupError) as error:
        apply(mutant, (PACKAGE / mutant.file).read_text())
    assert str(error.value) == f"mutant 'lanes.{mutant.where}: old' no longer applies: {said}"


def test_no_mutant_is_no_survey():
    with pytest.raises(LookupError, match="no mutant"):
        list(legs.survey([]))
