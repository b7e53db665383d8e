"""The soak itself: that it fails where nothing was visited, and where a mutant gets past."""

import json
import re

import mutants
import pytest
import soak
from mutants import Mutant, legs

CAUGHT = "lanes.send: a class below 0 is taken"
HARMLESS = Mutant("lanes", "_pitch", "planted", ((" & ~3", " & ~3 | 0"),))

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
    longer = {path.name for path in tests.glob("test_*.py") if imports.search(path.read_text())}
    assert len(longer) > 4 and longer <= {*soak.SWEEPS}
    assert "test_interleavings.py" in soak.SWEEPS  # by interleavings.py
    assert all((tests / file).is_file() for file in soak.SWEEPS)


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


def test_a_mutant_that_no_leg_catches_is_named_and_fails(monkeypatch, tmp_path, interpreter):
    monkeypatch.setattr(mutants, "ALL", {CAUGHT: mutants.ALL[CAUGHT], HARMLESS.name: HARMLESS})
    monkeypatch.setattr(legs, "ALL", mutants.ALL)
    said, written = run(monkeypatch, tmp_path, "mutants", "lanes.", "--legs", "scenarios")
    assert "1 went wrong" in said and f"not caught: {HARMLESS.name}" in said
    first, second = written["mutants"]
    assert (first["name"], first["leg"]) == (CAUGHT, "scenarios") and first["test"]
    assert (second["name"], second["leg"]) == (HARMLESS.name, None)


def test_what_only_the_chip_catches_is_said_to_be_left_out(monkeypatch, tmp_path, interpreter):
    monkeypatch.delenv("RINGLANE_UF2", raising=False)
    monkeypatch.setattr(legs, "known", lambda: {CAUGHT: ("rp2040", "test_scenarios.py")})
    only_two = {name: mutants.ALL[name] for name in (CAUGHT, "lanes.send: class 0 is none")}
    monkeypatch.setattr(mutants, "ALL", only_two)
    said, written = run(monkeypatch, tmp_path, "mutants", "lanes.send:", "--legs", "scenarios")
    assert said is None
    assert {each["name"]: each["leg"] for each in written["mutants"]} == {
        CAUGHT: soak.NOT_TRIED,
        "lanes.send: class 0 is none": "scenarios",
    }
    said, _ = run(monkeypatch, tmp_path, "mutants", CAUGHT)
    assert "mutants: there is no leg here for any of them" in said


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
    with pytest.raises(legs.LegError, match="no set"):
        legs.Scenarios().run(legs.ROOT, 60, ["gone_scenarios.none"])
    monkeypatch.setitem(legs.LEGS, "scenarios", FailsUnbroken())
    with pytest.raises(legs.LegError, match="'scenarios' fails without a mutant: test_x"):
        list(legs.survey([CAUGHT], ["scenarios"], 1))


def test_a_known_test_may_take_some_times_what_it_takes_without_a_mutant(monkeypatch, tmp_path):
    leg = Hangs()
    monkeypatch.setitem(legs.LEGS, "scenarios", leg)
    known = {CAUGHT: ("scenarios", "test_quick")}
    (found,) = legs.survey([CAUGHT], ["scenarios"], 1, known)
    assert found == (CAUGHT, "scenarios", "test_quick")
    assert leg.calls == [(300, ["test_quick"]), (7, ["test_quick"])]
    # What is no longer there, the whole leg stands in for; the slowest of its tests says how long.
    monkeypatch.setattr(leg, "calls", [])
    list(legs.survey([CAUGHT], ["scenarios"], 1, {CAUGHT: ("scenarios", "test_gone")}))
    assert leg.calls == [(300, ["test_gone"]), (300, None), (124, None)]


def test_a_scenario_that_is_no_longer_there_is_no_error(interpreter):
    other = "lanes.send: class 0 is none"
    leg, test = legs.known()[CAUGHT]
    known = {CAUGHT: (leg, test), other: (leg, test.partition(".")[0] + ".gone")}
    found = list(legs.survey([CAUGHT, other], ["scenarios"], 1, known))
    assert [each.leg for each in found] == [leg, "scenarios"] and found[0].test == test


def test_what_tests_take_is_read_from_pytest(interpreter):
    failed, seconds = legs.Pytest(["test_latency.py"], "cpython").run(legs.ROOT, 60)
    assert failed is None and len(seconds) > 5
    assert all(test.startswith("test_latency.py::test_on_cpython") for test in seconds)
    assert all(0 <= each < 60 for each in seconds.values()) and any(seconds.values())


class Hangs:
    """A leg with a quick test and a slow one; with a mutant the first does not end."""

    def __init__(self):
        self.calls = []

    def run(self, folder, limit, tests=None):
        self.calls.append((limit, tests))
        return None if limit == 300 else "test_quick", {"test_quick": 1, "test_slow": 40}


class FailsUnbroken:
    """A leg that always fails."""

    def run(self, folder, limit, tests=None):
        return "test_x", {}
