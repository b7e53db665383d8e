"""The .pyi stubs against the code; `make types` checks the rest of it with mypy's stubtest."""

import ast
import re
import subprocess
import sys

import pytest
from conftest import PACKAGE, ROOT

MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.name != "manifest.py")


def definitions(parent, kind):
    """Return the classes or functions right in `parent`, by name."""
    return {node.name: node for node in parent.body if isinstance(node, kind)}


def module(name):
    return ast.parse((PACKAGE / name).read_text())


def stub_class(name):
    for path in PACKAGE.glob("*.pyi"):
        found = definitions(module(path.name), ast.ClassDef)
        if name in found:
            return found[name]
    raise LookupError(f"no class {name} in a stub")


def test_every_module_has_a_stub():
    assert len(MODULES) > 5
    stubs = sorted(path.name for path in PACKAGE.glob("*.pyi"))
    assert stubs == [path.with_suffix(".pyi").name for path in MODULES]


def test_the_root_has_the_names_of_its_stub(micropython):
    names = ast.literal_eval(micropython("import ringlane; print(ringlane.__all__)"))
    imported, listed = set(), set()
    for node in module("__init__.pyi").body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.asname for alias in node.names}
        elif isinstance(node, ast.Assign):
            listed |= set(ast.literal_eval(node.value))
    assert imported == listed == set(names)


@pytest.mark.parametrize(
    ("thing", "classes"),
    [
        ("PriorityChannel(4)", ["PriorityChannel", "Lanes"]),
        ("Channel(4)", ["Channel", "Lanes"]),
        ("Channel(4, senders=2).add_sender()", ["Sender"]),
        ("Clock('name', 1, int)", ["Clock"]),
        ("PriorityClass", ["PriorityClass"]),
        ("LatencyHistogram()", ["LatencyHistogram"]),
    ],
)
def test_an_object_has_the_names_of_its_stub(micropython, thing, classes):
    names = set()
    for name in classes:
        for node in stub_class(name).body:
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.AnnAssign):
                names.add(node.target.id)
    public = {name for name in names if not name.startswith("_")}
    program = (
        "from ringlane import *\nfrom ringlane.latency import LatencyHistogram\n"
        f"print([name for name in dir({thing}) if name[0] != '_'])"
    )
    assert public == set(ast.literal_eval(micropython(program)))


def viper_verbs(file, factory):
    """Return what a factory returns, one function or a tuple of them, by name."""
    outer = definitions(module(file), ast.FunctionDef)[factory]
    inner = definitions(outer, ast.FunctionDef)
    returned = outer.body[-1].value
    return {name.id: inner[name.id] for name in getattr(returned, "elts", [returned])}


@pytest.mark.parametrize(
    ("owner", "file", "factory"),
    [
        ("Sender", "lanes.py", "make_sender"),
        ("Lanes", "lanes.py", "make_sender"),
        ("Lanes", "lanes.py", "make_receiver"),
        ("LatencyHistogram", "latency.py", "make_add"),
    ],
)
def test_the_verbs_take_and_return_what_their_stubs_say(owner, file, factory):
    stubs = definitions(stub_class(owner), ast.FunctionDef)
    verbs = viper_verbs(file, factory)
    assert verbs
    for name, verb in verbs.items():
        stub = stubs[name]
        taken = stub.args.posonlyargs + stub.args.args  # self is the only one without a bar
        assert [each.arg for each in taken] == ["self", *(each.arg for each in verb.args.args)]
        assert len(stub.args.args) == (len(taken) == 1), f"{name}: positional arguments only"
        pairs = [*zip(taken[1:], verb.args.args, strict=True)]
        hints = [(mine.annotation, code.annotation) for mine, code in pairs]
        hints.append((stub.returns, verb.returns))
        for hint, annotation in hints:
            if annotation:  # viper's: int or bool
                assert ast.unparse(hint) == ast.unparse(annotation), name


PLANTED = """
from array import array
from ringlane import HIGH, Channel, Clock, PriorityChannel, PriorityClass, cycles, report

ch = PriorityChannel(16, slot_size=32, name="planted", clock=cycles())
ch = PriorityChannel((1, 2, 3, 4, 5))
PriorityChannel((1, 2, 3, 4))  # wrong
PriorityChannel("16")  # wrong
Channel(64, senders=2)
Channel((1, 2, 3, 4, 5))  # wrong
Channel(64, clock="us")  # wrong
Clock("name", 1000, "ticks")  # wrong
buf = bytearray(32)
sent: bool = ch.send(b"", HIGH)
ch.send(memoryview(buf)[1:3], PriorityClass.BULK)
ch.send("text", HIGH)  # wrong
ch.send(None, HIGH)  # wrong
ch.send(b"x")  # wrong
ch.send(b"x", priority=HIGH)  # wrong
ch.send(b"x", "HIGH")  # wrong
ch.add_sender().send_word("x", HIGH)  # wrong
ch.send_word(3, HIGH)
ch.send_at(b"x", HIGH)  # wrong
ch.recv(b"constant")  # wrong
ch.recv()  # wrong
while m := ch.recv(buf):
    size, priority, latency = m
size, priority, latency = ch.recv(buf)  # wrong
ch.recv_words(array("I", [0] * 8))
ch.recv_words(buf)  # wrong
ch.dropped = 0  # wrong
ch.counters()[6]  # wrong
ch.clock.us(ch.timestamp())
ch.nothing()  # wrong
report()
"""


def test_a_type_checker_finds_every_planted_error(tmp_path):
    pytest.importorskip("mypy", reason="no mypy: pip install mypy")
    (tmp_path / "planted.py").write_text(PLANTED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", tmp_path / "planted.py"],
        cwd=ROOT,  # for the configuration in pyproject.toml
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(each) for each in re.findall(r"planted\.py:(\d+): error", done.stdout)}
    lines = PLANTED.splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) > 10
    assert found == wrong, done.stdout + done.stderr
