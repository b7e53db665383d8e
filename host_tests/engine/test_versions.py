"""Versions of MicroPython: what some of them compile wrongly, and what `ringlane doctor` says.

From 1.26.0 to 1.27.0 viper on ARM scales the index of a ptr16 or ptr32 in the very register that
holds it. That spoils a local variable which lives in a register, the first three on a board and
the first two in a .mpy, and the copy of the index that an augmented assignment keeps.
"""

import ast

import pytest
from conftest import PACKAGE
from ringlane_host.command import versions

_IN_REGISTERS = 3  # MAX_REGS_FOR_LOCAL_VARS in MicroPython's py/emitnative.c


def functions(node, outer=()):
    """Give (function, the names of the functions around it) of each function in `node`."""
    for child in ast.iter_child_nodes(node):
        inner = outer
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child, outer
            inner = (*outer, *locals_of(child))
        yield from functions(child, inner)


def locals_of(function):
    """Return the arguments and what is assigned, in the order in which they are numbered."""
    stored = [
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return list(dict.fromkeys([each.arg for each in function.args.args] + stored))


def spoilt(source):
    """Return the index expressions in viper functions of `source` that those versions spoil."""
    found = []
    for function, outer in functions(ast.parse(source)):
        if not any(ast.unparse(each).endswith(".viper") for each in function.decorator_list):
            continue
        own = locals_of(function)
        names = [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
        # What a closure closes over comes first.
        free = dict.fromkeys(name for name in names if name in outer and name not in own)
        first = [*free, *own][:_IN_REGISTERS]
        for node in ast.walk(function):
            match node:
                case ast.AugAssign(target=ast.Subscript() as target):
                    found.append(ast.unparse(target))
                case ast.Subscript(slice=ast.Name(id=name)) if name in first:
                    found.append(ast.unparse(node))
    return found


def viper(lines, head="def f(p: ptr32, a: int, b: int, k: int) -> int:"):
    return f"@micropython.viper\n{head}\n    {lines}\n    return k\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # By 1.27.0 the first two shift r5 and r1, the others no register of a variable.
        (viper("p[a] = 1"), ["p[a]"]),
        (viper("p[a + 1] += 1"), ["p[a + 1]"]),
        (viper("p[k] = 1"), []),
        (viper("p[a + 1] = 1"), []),
        (viper("p[2] = 1"), []),
    ],
)
def test_the_rule_finds_what_is_spoilt(source, expected):
    assert spoilt(source) == expected


def test_no_verb_of_ringlane_is_spoilt():
    sources = {path.name: path.read_text() for path in PACKAGE.glob("*.py")}
    assert sum(source.count("@micropython.viper") for source in sources.values()) > 50
    assert {name: spoilt(source) for name, source in sources.items() if spoilt(source)} == {}


@pytest.mark.parametrize(
    ("version", "processor", "fine", "says"),
    [
        ("1.22.2", "armv6m", False, "older than 1.23"),
        ("1.23.0", "armv6m", True, "should do"),
        ("1.23.0", "rv32imc", False, "older than 1.24"),
        ("1.24.1", "rv32imc", True, "should do"),
        ("1.26.1", "armv6m", True, "miscompiles some viper"),
        ("1.27.0", "armv7emsp", True, "miscompiles some viper"),
        ("1.27.0", "xtensawin", True, "should do"),
        ("1.28.0", "armv6m", True, "tested with"),
        ("1.29.0-preview", "x64", True, "tested with"),
        ("1.30.0", "armv6m", True, "should do"),
    ],
)
def test_the_doctor_says_of_a_version_whether_it_is_safe(version, processor, fine, says):
    line, is_fine = versions.of_version(version, processor)
    assert (is_fine, says in line) == (fine, True), line
