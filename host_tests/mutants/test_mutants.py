"""Mutants: what each operator makes, that they follow the source, and what counts as caught.

`make soak` runs the tests on a sample of them and prints which leg caught which.
"""

import ast
import random
import re
import textwrap

import pytest

import mutants
from mutants import PACKAGE, by_hand, legs, unnoticed
from mutants.generate import OPERATORS, generate


def of_function(body):
    """Return the Mutants of a viper function send(part, lane, size) of that body."""
    head = "@micropython.viper\ndef send(part, lane, size):\n"
    body = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return list(generate("m", f"{head}{body}\n"))


def changed(mutant):
    """Return the lines that the mutant alters, as they are then."""
    old, new = mutant.source.splitlines(), mutant.broken().splitlines()
    assert len(old) == len(new)
    return [two.strip() for one, two in zip(old, new, strict=True) if one != two]


# What the operators make

# operator: (a function's body, {name of a mutant: the lines that it alters})
MADE = {
    "left out": (
        """
        "What it does."
        import gc
        if size:
            return False
        lane[_DROPPED] += 1
        """,
        {'"return False" left out': ["pass"], '"lane[_DROPPED] += 1" left out': ["pass"]},
    ),
    "swapped": (
        """
        lane[0] = size
        lane[1] = 0
        head = size
        tail = size
        if size:
            lane[2] = 3
        """,
        {
            '"lane[0] = size" swapped with "lane[1] = 0"': ["lane[1] = 0", "lane[0] = size"],
        },
    ),
    "early": (
        """
        head = lane[_HEAD]
        if head:
            lane[5] = size
        lane[6] = size
        head += 1
        if head == 8:
            head = 0
        lane[_HEAD] = head
        """,
        {
            '"lane[6] = size" before "if head:"': [
                "lane[6] = size",
                "if head:",
                "lane[5] = size",
            ],
            '"lane[_HEAD] = head" before "lane[6] = size"': [
                "head += 1",
                "if head == 8:",
                "head = 0",
                "lane[_HEAD] = head",
                "lane[6] = size",
            ],
            '"lane[_HEAD] = head" before "if head:"': None,  # it reads head: that stays below
        },
    ),
    "again": (
        """
        tail = lane[_TAIL]
        if tail == size:
            return 1
        lane[2] = 3
        tail += 1
        lane[_TAIL] = tail
        """,
        {
            '"tail" loaded again in "if tail == size:"': ["if (lane[_TAIL]) == size:"],
        },
    ),
    "compare": (
        "return 0 <= size < 5 or lane is not part",
        {
            '"0 <= size < 5" with < before "size"': ["return 0 < size < 5 or lane is not part"],
            '"0 <= size < 5" with <= before "5"': ["return 0 <= size <= 5 or lane is not part"],
            '"lane is not part" with is': ["return 0 <= size < 5 or lane is part"],
        },
    ),
    "constant": (
        "known = size if 1 else 0\nreturn part(7, True)",
        {
            '7 is 8 in "return part(7, True)"': ["return part(8, True)"],
            '7 is 6 in "return part(7, True)"': ["return part(6, True)"],
            'True is False in "return part(7, True)"': ["return part(7, False)"],
        },
    ),
    "forced": (
        """
        while lane[0]:
            if size or lane[1]:
                break
        while size:
            size -= 1
        return 1 if size else 2
        """,
        {
            '"while lane[0]:" always': ["while 1:"],
            '"while lane[0]:" never': ["while 0:"],
            '"if size or lane[1]:" always': ["if 1:"],
            '"if size or lane[1]:" never': ["if 0:"],
            '"size" is 0 in "size or lane[1]"': ["if 0 or lane[1]:"],
            '"lane[1]" is 0 in "size or lane[1]"': ["if size or 0:"],
            '"while size:" never': ["while 0:"],  # always would not end
            '"1 if size else 2" always': ["return 1 if 1 else 2"],
            '"1 if size else 2" never': ["return 1 if 0 else 2"],
        },
    ),
}


def test_every_operator_is_shown():
    assert MADE.keys() == OPERATORS.keys()


@pytest.mark.parametrize("operator", MADE)
def test_an_operator_makes_these(operator):
    body, expected = MADE[operator]
    expected = {name: lines for name, lines in expected.items() if lines}
    found = {each.what: changed(each) for each in of_function(body) if each.operator == operator}
    if operator in ("left out", "early"):
        found = {what: lines for what, lines in found.items() if what in expected}
    assert found == expected


def test_a_load_comes_early_and_a_call_too():
    body = """
        if size:
            lane[0] = 1
        tail = lane[1]
        lane[2] = tail
        if part.put(tail):
            return 0
        """
    early = {each.what: changed(each) for each in of_function(body) if each.operator == "early"}
    assert early['"tail = lane[1]" before "if size:"'][0] == "tail = lane[1]"
    called = early['"if part.put(tail):" before "lane[2] = tail"']
    assert called == ["if part.put(tail):", "return 0", "lane[2] = tail"]


def test_what_no_context_could_tell_is_no_mutant():
    # Locals alone, and what nobody has yet.
    quiet = of_function("head = size\ntail = size\nreturn head")
    assert not [each for each in quiet if each.operator in ("swapped", "early")]
    source = "class A:\n    def __init__(self, a):\n        self.a = a\n        self.b = f(a)\n"
    assert not [each for each in generate("m", source) if each.operator in ("swapped", "early")]


# Names


def test_every_module_has_mutants_and_names_outlive_comments_and_line_breaks():
    assert all(map(mutants.of, mutants.MODULES))
    source = (PACKAGE / "fanout.py").read_text()
    moved = re.sub(r"( +)took \+= 1\n", r"\1# why\n\n\1took += (\n  1  # so\n\1)\n", source)
    assert moved.count("\n") == source.count("\n") + 8
    names = [each.name for each in generate("fanout", source)]
    assert [each.name for each in generate("fanout", moved)] == names


def test_equal_mutants_of_a_function_are_numbered_and_other_functions_do_not_count():
    one = "def a(x):\n    x[0] += 1\n"
    two = one + "    x[0] += 1\n"
    assert [each.name for each in generate("m", two) if each.operator == "left out"] == [
        'm.a: "x[0] += 1" left out',
        'm.a: "x[0] += 1" left out #2',
    ]
    other = [each.name for each in generate("m", two + one.replace("a(", "b("))]
    assert set(other) > {each.name for each in generate("m", two)}


# Those of ringlane


def test_every_mutant_keeps_the_lines_and_is_a_module():
    everything = mutants.everything()
    assert len(everything) > 3000
    for name in random.Random(1).sample(sorted(everything), 60):
        mutant = everything[name]
        broken = mutant.broken()
        assert broken != mutant.source and broken.count("\n") == mutant.source.count("\n"), name
        try:
            compile(broken, name, "exec")
        except SyntaxError as error:
            assert "nonlocal" in str(error)  # whose first assignment was left out


def test_most_mutants_compile_for_a_chip():
    everything = mutants.everything()
    names = random.Random(2).sample(sorted(everything), 60)
    assert sum(mutants.compiles(everything[name]) for name in names) > 45
    # What viper's types do not allow is none.
    bad = mutants.find("verbs", "make_sender.send", '"part = ptr32((here', "left out")
    assert not mutants.compiles(bad)


# What has to come first is stored in one function, and what follows by its caller: to leave it out
# is the mutant.
FIRST_OF_TWO = ("ends", "lane[_HIGH_WATER] = used + 1")


def test_every_rule_of_order_has_a_mutant_that_breaks_it():
    rules = 0
    left_out = f'"{FIRST_OF_TWO[1]}" left out'
    assert mutants.find("ends", "SendingEnd._admit", left_out)
    for module in mutants.MODULES:
        source = (PACKAGE / f"{module}.py").read_text()
        moves = [each for each in mutants.of(module).values() if each.operator in MOVES]
        spans = [
            [source.encode()[:at].count(b"\n") + 1 for at in (edits[0][0], edits[-1][1])]
            for edits in (each.edits for each in moves)
        ]
        lines = source.splitlines()
        for number, line in enumerate(lines, 1):
            if "# Order:" in line and (module, lines[number].strip()) != FIRST_OF_TWO:
                rules += 1
                assert any(first <= number <= last for first, last in spans), line
    assert rules > 10


MOVES = ("swapped", "early")


@pytest.mark.parametrize("module", by_hand.BY_HAND)
def test_what_is_made_by_hand_applies(module):
    source = (PACKAGE / f"{module}.py").read_text()
    for where, rule in by_hand.of(module):
        mutant = by_hand.make(module, source, where, rule)
        ast.parse(mutant.broken())
        assert mutant.name in mutants.of(module)


def test_what_goes_unnoticed_is_there():
    names = {name for module in mutants.MODULES for name in mutants.of(module)}
    assert not unnoticed.stale(names)
    assert names > {*mutants.everything()}


def test_a_query_that_finds_nothing_or_several_says_so():
    assert mutants.find("verbs", "send").operator == "early"
    with pytest.raises(LookupError, match="0 mutants of verbs.send with"):
        mutants.find("verbs", "send", "no such text")
    with pytest.raises(LookupError, match="mutants of verbs.send with .*: verbs.make_s"):
        mutants.find("verbs", "send", "left out")
    with pytest.raises(LookupError, match="verbs.room has no store with an '# Order:'"):
        mutants.find("verbs", "room")
    with pytest.raises(LookupError, match="no mutant"):
        list(legs.survey([]))


# What counts as caught


class Scripted:
    """A leg whose runs with a mutant come to these outcomes, the last for ever: of test "t"."""

    def __init__(self, *outcomes, unbroken="passed"):
        self.outcomes = list(outcomes)
        self.unbroken = unbroken
        self.known = (PACKAGE / "verbs.py").read_text()
        self.calls = 0

    def run(self, folder, limit, tests=None, without=()):
        if (folder / "lib" / "ringlane" / "verbs.py").read_text() == self.known:
            self.calls += 1  # the first is of the whole leg
            return legs.Run("passed" if self.calls == 1 else self.unbroken, "t", {"t": 1})
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        return legs.Run("passed" if without else outcome, "t")


@pytest.mark.parametrize(
    "first, second, outcome, leg, flaky",
    [
        (Scripted("failed"), Scripted("passed"), "caught", "a", 0),
        (Scripted("passed"), Scripted("failed"), "caught", "b", 0),
        (Scripted("passed"), Scripted("passed"), "survived", "", 0),
        # Only once, or without the mutant, too: another one has to.
        (Scripted("failed", "passed"), Scripted("passed"), "survived", "", 1),
        (Scripted("failed", unbroken="failed"), Scripted("failed"), "caught", "b", 1),
        # No end, or an end before the tests': the next one is tried.
        (Scripted("hung"), Scripted("failed"), "caught", "b", 0),
        (Scripted("hung"), Scripted("passed"), "hung", "a", 0),
        (Scripted("passed"), Scripted("crashed"), "crashed", "b", 0),
        (Scripted("failed", "hung"), Scripted("passed"), "survived", "", 1),
    ],
)
def test_a_mutant_is_caught_by_what_fails_twice_and_passes_without_it(
    monkeypatch, first, second, outcome, leg, flaky
):
    monkeypatch.setattr(legs, "LEGS", {"a": first, "b": second})
    (found,) = legs.survey([mutants.find("verbs", "send")], ["a", "b"], 1)
    assert (found.outcome, found.leg, len(found.flaky)) == (outcome, leg, flaky)


def test_the_test_that_caught_it_is_tried_first(monkeypatch):
    mutant = mutants.find("verbs", "send")
    monkeypatch.setattr(legs, "LEGS", {"a": Scripted("passed"), "b": Scripted("failed")})
    known = {mutant.name: ("b", "t", 7)}
    (found,) = legs.survey([mutant], ["a", "b"], 1, known)
    assert found == (mutant.name, "caught", "b", "t", 7, ())
    known = {mutant.name: ("a", "t", 7)}  # it passes now
    (found,) = legs.survey([mutant], ["a", "b"], 1, known)
    assert (found.outcome, found.leg) == ("caught", "b")


TESTS = """
import os, subprocess, sys, time
import pytest

@pytest.fixture
def broken():
    raise ValueError

def test_a():
    {}
def test_z(): pass
"""


@pytest.mark.parametrize(
    "body, outcome",
    [
        ("pass", "passed"),
        ("assert 0", "failed"),
        ("time.sleep(60)", "hung"),
        ("subprocess.run(['sleep', '60'], timeout=0.1)", "hung"),
        ("os._exit(3)", "crashed"),
        ("pass\ndef test_b(broken): pass", "crashed"),
    ],
)
def test_what_pytest_came_to(tmp_path, body, outcome):
    (tmp_path / "host_tests").mkdir()
    (tmp_path / "host_tests" / "test_x.py").write_text(TESTS.format(body))
    run = legs.Pytest(["test_x.py"]).run(tmp_path, 1)
    assert run.outcome == outcome
    if outcome != "passed" and "\n" not in body:
        assert run.test == "test_x.py::test_a"
    if outcome == "hung":
        rest = legs.Pytest(["test_x.py"]).run(tmp_path, 1, without=[run.test])
        assert rest.outcome == "passed" and [*rest.seconds] == ["test_x.py::test_z"]


def test_what_the_scenarios_came_to(tmp_path, interpreter):
    device = tmp_path / "host_tests" / "device"
    device.mkdir(parents=True)
    for name in ("harness.py", "queue_scenarios.py"):
        (device / name).write_text((legs.ROOT / "host_tests" / "device" / name).read_text())
    (tmp_path / "lib").symlink_to(legs.ROOT / "lib")
    bodies = {"b": "while True: pass", "a": "pass", "c": "assert 0"}
    text = "\n".join(f"def {name}():\n    {body}" for name, body in bodies.items())
    (device / "queue_scenarios.py").write_text(text)
    leg = legs.Scenarios()
    assert leg.run(tmp_path, 1)[:2] == ("hung", "queue_scenarios.b")
    assert leg.run(tmp_path, 1, without=["queue_scenarios.b"])[:2] == (
        "failed",
        "queue_scenarios.c",
    )
    run = leg.run(tmp_path, 1, ["queue_scenarios.a"])
    assert run.outcome == "passed" and [*run.seconds] == ["queue_scenarios.a"]
    with pytest.raises(legs.LegError, match="no .*gone"):
        leg.run(tmp_path, 1, ["queue_scenarios.gone"])
