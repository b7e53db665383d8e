"""The soak itself: that it fails where nothing was visited, and where a mutant gets past."""

import json
import re

import mutants
import pytest
import soak
from mutants import legs

PART = '"part = ptr32((here if 1 else 0) - 1 << 1)" left out'

REPORT = """<testsuites><testsuite>
<testcase file="host_tests/test_a.py" name="test_first[x]"><properties>
<property name="schedules of a | b" value="12"/><property name="schedules of a | c" value="3"/>
</properties></testcase>
<testcase file="host_tests/test_a.py" name="test_second"><properties>
<property name="schedules of d" value="{}"/><property name="points" value="7"/>
</properties></testcase>
<testcase file="host_tests/test_a.py" name="test_without_a_figure"/>
<testcase file="host_tests/test_b.py" name="test_skipped"><skipped/></testcase>
</testsuite></testsuites>"""


def test_what_the_sweeps_visited_is_added_up(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT.format(5))
    found = soak.visited(tmp_path / "report.xml")
    assert found["test_a: test_first[x]"] == {"schedules of a | b": 12, "schedules of a | c": 3}
    assert list(soak.sums(found)) == [("test_a", "2 tests, 20 schedules, 7 points")]


def test_a_sweep_that_visited_nothing_fails(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT.format(0))
    with pytest.raises(soak.SoakError, match="test_a: test_second visited nothing"):
        soak.visited(tmp_path / "report.xml")
    (tmp_path / "report.xml").write_text("<testsuites/>")
    with pytest.raises(soak.SoakError, match="no sweep"):
        soak.visited(tmp_path / "report.xml")
    (tmp_path / "report.xml").write_text(REPORT.format(5).replace("<skipped/>", ""))
    with pytest.raises(soak.SoakError, match="no sweep has noted what it visited: .'test_b'"):
        soak.visited(tmp_path / "report.xml")


def test_every_test_that_is_longer_in_a_soak_is_in_it():
    tests = legs.ROOT / "host_tests"
    imports = re.compile(r"^from conftest import .*\bSOAK\b", re.MULTILINE)
    longer = {
        path.relative_to(tests).as_posix()
        for path in tests.rglob("test_*.py")
        if imports.search(path.read_text())
    }
    assert len(longer) > 4 and longer <= {*soak.SWEEPS}
    assert "explore/test_interleavings.py" in soak.SWEEPS  # by interleavings.py
    assert all((tests / file).is_file() for file in soak.SWEEPS)


def caught():
    return mutants.find("verbs", "make_sender.send", "True is False")


def harmless():
    return caught()._replace(what="harmless", edits=((0, 0, ""),))


def run(monkeypatch, tmp_path, *arguments):
    """Run soak.py; return (what it said at its end, or None, and the JSON that it wrote)."""
    monkeypatch.setattr(soak, "BUILD", tmp_path)
    monkeypatch.setattr("sys.argv", ["soak.py", *arguments])
    try:
        soak.main()
        said = None
    except SystemExit as end:
        said = end.code
    return said, json.loads((tmp_path / "soak.json").read_text())


def test_what_no_leg_catches_is_named_and_fails(monkeypatch, tmp_path, interpreter):
    few = {each.name: each for each in (caught(), harmless())}
    monkeypatch.setattr(mutants, "everything", lambda: few)
    said, written = run(monkeypatch, tmp_path, "mutants", "--legs", "scenarios", "--all")
    assert "1 went wrong" in said and f"survived: {harmless().name}" in said
    outcomes = {each["name"]: (each["outcome"], each["leg"]) for each in written["mutants"]}
    assert outcomes == {
        caught().name: ("caught", "scenarios"),
        harmless().name: ("survived", ""),
    }
    kept = json.loads((tmp_path / "mutants.json").read_text())
    assert [*kept["caught by"]] == [caught().name]


def test_successive_samples_are_all_mutants_and_a_seed_gives_the_same_again(monkeypatch):
    monkeypatch.delenv("RINGLANE_SEED", raising=False)
    names = [f"m.f: {number}" for number in range(50)]
    state = {}
    rounds = [soak.sample(names, 20, state) for _ in range(3)]
    assert len({seed for _, seed in rounds}) == 1
    first, second, third = (set(chosen) for chosen, _ in rounds)
    assert len(first | second) == 40 and first | second | third == set(names)
    more = [*names, "m.f: new"]  # they may come and go
    assert {name for _ in range(3) for name in soak.sample(more, 20, state)[0]} == set(more)
    monkeypatch.setenv("RINGLANE_SEED", "5")
    assert soak.sample(names, 20, state) == soak.sample(names, 20, {})
    assert soak.sample(names, 99, {})[0] != names


def test_what_does_not_compile_is_counted_and_not_tried(monkeypatch, tmp_path, capsys):
    few = {caught().name: caught(), "bad": mutants.find("verbs", "make_sender.send", PART)}
    monkeypatch.setattr(mutants, "everything", lambda: few)
    monkeypatch.setattr(legs, "survey", lambda tried, *rest: iter([]))
    monkeypatch.setenv("RINGLANE_SEED", "5")
    run(monkeypatch, tmp_path, "mutants")
    said = capsys.readouterr().out
    assert "sample: 2 of 2, seed 5\nMicroPython does not compile 1 of them" in said


def test_no_mutant_of_that_name_fails(monkeypatch, tmp_path):
    said, _ = run(monkeypatch, tmp_path, "mutants", "no such mutant")
    assert "mutants: no mutant of that name" in said


def test_threads_that_did_not_race_fail(monkeypatch, tmp_path, interpreter):
    monkeypatch.setattr(soak, "MESSAGES", {"words": (3000, ", True")})
    monkeypatch.setattr(soak, "OVERTAKES", 10**9)
    said, _ = run(monkeypatch, tmp_path, "threads")
    assert "threads: words: too few pre-emptions were seen: {'messages': 3000" in said


def test_a_leg_that_runs_nothing_or_fails_unbroken_says_so(tmp_path, monkeypatch):
    with pytest.raises(legs.LegError, match="no test file is named"):
        legs.Pytest(["test_gone.py"]).run(legs.ROOT, 60)
    with pytest.raises(legs.LegError, match="has no .*gone"):
        legs.Scenarios().run(legs.ROOT, 60, ["gone_scenarios.none"])
    monkeypatch.setitem(legs.LEGS, "scenarios", FailsUnbroken())
    survived, why = legs.survey([caught()], ["scenarios"], 1)
    assert survived.outcome == "survived"
    assert why[:3] == ("leg 'scenarios' failed without a mutant: test_x", "unusable", "scenarios")


def test_what_tests_take_is_read_from_pytest(interpreter):
    outcome, _, seconds = legs.Pytest(["engine/test_latency.py"], "cpython").run(legs.ROOT, 60)
    assert outcome == "passed" and len(seconds) > 5
    assert all(test.startswith("engine/test_latency.py::test_on_cpython") for test in seconds)
    assert all(0 <= each < 60 for each in seconds.values()) and any(seconds.values())


class FailsUnbroken:
    """A leg that always fails."""

    def run(self, folder, limit, tests=None, without=()):
        return legs.Run("failed", "test_x")
