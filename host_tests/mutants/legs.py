"""Runs the tests on mutants: leg by leg, until one finds the mutant broken.

    for found in survey(["lanes.send: publishes before the payload"]):
        print(found.name, found.leg, found.test)

A leg is a part of the tests. It runs in a copy of the project, with the mutant in the place of the
shipped source; before it counts as having caught anything, it must have passed without a mutant.
CAUGHT_BY says which test caught a mutant the last time: that one is tried before all legs.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from ringlane_host import virtual_board

from . import ALL, apply

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ("lib", "host_tests", "firmware", "boards", "pyproject.toml", "README.md", "Makefile")
CAUGHT_BY = Path(__file__).parent / "caught_by.json"  # soak.py mutants --keep writes it
LEG_LIMIT = 3600  # seconds
# What a test may take with a mutant: so many times what it takes without, and a few seconds more.
_TIMES = 3
_SPARE = 4


class LegError(Exception):
    """A leg that cannot tell: it fails without a mutant, or runs no test."""


def _run(command, folder, limit, **variables):
    # (status, what it printed); the status is None if it did not end in `limit` seconds.
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(os.environ, **variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its children end with it
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        out.seek(0)
        return status, out.read()


class Scenarios:
    """device/*_scenarios.py on real MicroPython, under a locked heap; without pytest it is quick.

    A test is a set's name, or two with a dot between them: the set and the scenario that failed.
    """

    def run(self, folder, limit, tests=None):
        """Run the sets; return the test that failed first, or None, and {test: its seconds}.

        `limit` is in seconds, of one set.
        """
        device = folder / "host_tests" / "device"
        sets = sorted(path.stem for path in device.glob("*_scenarios.py"))
        if tests:
            wanted = {test.split(".")[0] for test in tests}
            sets = [each for each in sets if each in wanted]
        if not sets:
            raise LegError(f"leg 'scenarios' has no set {tests}")
        seconds = {}
        for each in sets:
            begin = time.monotonic()
            status, printed = _run(
                [
                    virtual_board.micropython(),
                    "-c",
                    f"import harness, {each}; harness.run({each}, {_only(each, tests)!r})",
                ],
                folder,
                limit,
                MICROPYPATH=f"{folder / 'lib'}:{device}:.frozen",
            )
            seconds[each] = time.monotonic() - begin
            failed = re.search(r"^(\w+) failed$", printed, re.MULTILINE)
            if failed:
                return f"{each}.{failed[1]}", seconds
            if status != 0:  # it crashed, or did not end
                return each, seconds
            if not re.search(r"^\w+ ok$", printed, re.MULTILINE):
                raise LegError(f"leg 'scenarios' ran no scenario of {each}:\n{printed}")
        for test in tests or ():
            seconds[test] = seconds[test.split(".")[0]]
        return None, seconds


def _only(each, tests):
    # The scenarios of a set that `tests` name, None for all of them.
    named = [test.partition(".")[2] for test in tests or () if test.partition(".")[0] == each]
    return named if named and all(named) else None


class Pytest:
    """Files of host_tests, of which those tests are run that pytest's -k chooses.

    `one_setup`: what takes long is set up once for all of them, not for each function of tests.
    """

    def __init__(self, files, only="", one_setup=False):
        self.files = files
        self.one_setup = one_setup
        self.chosen = f"not mutant and ({only})" if only else "not mutant"

    def run(self, folder, limit, tests=None):
        """Run all, or these tests; return as Scenarios.run().

        `limit` is in seconds, of one test.
        """
        host_tests = folder / "host_tests"
        if tests:
            chosen = ["-k", "not mutant", *[str(host_tests / test) for test in tests]]
        else:
            paths = {path for file in self.files for path in host_tests.glob(file)}
            if not paths:
                raise LegError(f"no test file is named {self.files}")
            chosen = ["-k", self.chosen, *sorted(map(str, paths))]
        status, printed = _run(
            [sys.executable, "-m", "pytest", "-x", "-vv", "--tb=no", "--durations=0"]
            + ["-o", f"faulthandler_timeout={limit}", "-o", "faulthandler_exit_on_timeout=true"]
            + ["-p", "no:cacheprovider", "-p", "no:xdist", *chosen],
            folder,
            LEG_LIMIT,
            PYTHONPATH=str(folder / "lib"),
            RINGLANE_MUTANT="1",
        )
        if status == 0 and re.search(r"\d+ passed", printed):
            return None, self._seconds(printed)
        # A test that does not end is the last one that began, and has no outcome.
        began = re.findall(r"^host_tests/(test_\w+\.py::.*)$", printed, re.MULTILINE)
        # ... and with a file that cannot be imported none begins.
        began = began or re.findall(r"^ERROR host_tests/(test_\w+\.py)", printed, re.MULTILINE)
        if status == 0 or not began:
            raise LegError(f"status {status} of {chosen}:\n{printed}")
        return re.sub(r" +((FAILED|ERROR) .*|Timeout .*)?$", "", began[-1]), {}

    def _seconds(self, printed):
        # {test: what it takes by itself}. The first test to need a thing set up is the one that is
        # charged for it.
        phases = re.findall(r"^([\d.]+)s (\w+) +host_tests/(.+)$", printed, re.MULTILINE)

        def shares(test):
            return "" if self.one_setup else test.partition("[")[0]

        setups = {}
        for seconds, phase, test in phases:
            if phase == "setup":
                setups[shares(test)] = max(setups.get(shares(test), 0), float(seconds))
        return {
            test: float(seconds) + setups.get(shares(test), 0)
            for seconds, phase, test in phases
            if phase == "call"
        }


# In the order in which they are tried, the quick ones first.
LEGS = {
    "scenarios": Scenarios(),
    "cpython": Pytest(["test_scenarios.py", "test_latency.py"], "cpython"),
    "models": Pytest(["test_models.py"]),
    "units": Pytest(
        [
            "test_clock.py",
            "test_lanes.py",
            "test_report.py",
            "test_stubs.py",
            "test_event_loop.py",
            "test_packaging.py",
        ]
    ),
    "simulated": Pytest(["test_simulated*.py"]),
    "tasks": Pytest(["test_tasks.py"], "cpython or on_micropython"),
    "interleavings": Pytest(["test_interleavings.py"], "no_harm"),
    "threads": Pytest(
        [
            "test_threads.py",
            "test_fanout_threads.py",
            "test_guard_threads.py",
            "test_request_reply_threads.py",
            "test_waiting_threads.py",
        ]
    ),
    "programs": Pytest(["test_contexts.py", "test_examples.py", "test_demo.py"]),
    "rp2040": Pytest(
        ["test_scenarios.py", "test_tasks.py", "test_contexts.py", "test_*interrupts.py"],
        "rp2040 or harm or waiting_interrupts",
        one_setup=True,
    ),
}


class Found(NamedTuple):
    """What became of a mutant: the leg and the test that caught it, None if none did."""

    name: str
    leg: str | None
    test: str | None


class Tree:
    """A copy of the project in which one module at a time is broken."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
                shutil.copytree(source, self.folder / part, ignore=ignored)
            else:
                shutil.copy(source, self.folder / part)

    def plant(self, mutant):
        """Break the module; return a function that mends it."""
        path = self.folder / "lib" / "ringlane" / mutant.file
        shipped = (ROOT / "lib" / "ringlane" / mutant.file).read_text()
        self._write(path, apply(mutant, shipped)[0])
        return lambda: self._write(path, shipped)

    def _write(self, path, text):
        path.write_text(text)
        # Its time and size may be those of the text before.
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)

    def run_on(self, mutant, leg, limit, tests=None):
        """Run the leg on the mutant; return the test that failed, or None."""
        mend = self.plant(mutant)
        try:
            return LEGS[leg].run(self.folder, limit, tests)[0]
        finally:
            mend()


class Survey:
    """Legs, each with what its tests take without a mutant."""

    def __init__(self, legs, caught_by):
        self.legs = legs
        self.caught_by = {
            name: (leg, test) for name, (leg, test) in caught_by.items() if leg in legs
        }
        self._seconds = {}  # of a leg, or of those of its tests that are known: or a LegError
        self._locks = {leg: threading.Lock() for leg in LEGS}

    def _limit(self, leg, tree, known=None, test=None):
        # The seconds that a test may take with a mutant: that one of the known, or any of the leg.
        # Without a mutant they must pass.
        key = leg, test is None
        with self._locks[leg]:
            if key not in self._seconds:
                try:
                    failed, self._seconds[key] = LEGS[leg].run(tree.folder, 300, known)
                    if failed:
                        raise LegError(f"leg {leg!r} fails without a mutant: {failed}")
                except LegError as error:
                    self._seconds[key] = error  # for every mutant to come, too
        seconds = self._seconds[key]
        if isinstance(seconds, LegError):
            raise seconds
        if test is None:
            return _SPARE + _TIMES * max(seconds.values())
        if test not in seconds:
            raise LegError(f"leg {leg!r} has no test {test}")
        return _SPARE + _TIMES * seconds[test]

    def try_on(self, mutant, tree):
        """Return the Found of the mutant."""
        if mutant.name in self.caught_by:
            leg, test = self.caught_by[mutant.name]
            known = sorted({test for by, test in self.caught_by.values() if by == leg})
            try:
                limit = self._limit(leg, tree, known, test)
                if tree.run_on(mutant, leg, limit, [test]):
                    return Found(mutant.name, leg, test)
            except LegError:
                pass  # it is no longer there, or one of them fails: the whole leg will tell
        for leg in self.legs:
            failed = tree.run_on(mutant, leg, self._limit(leg, tree))
            if failed:
                return Found(mutant.name, leg, failed)
        return Found(mutant.name, None, None)


def available():
    """Return the names of the legs that can run here: without firmware not that of the chip."""
    return [leg for leg in LEGS if leg != "rp2040" or os.environ.get("RINGLANE_UF2")]


def survey(names, legs=None, jobs=None, caught_by=None):
    """Yield the Found of each mutant, as they come. Raises LookupError if there are none.

    `legs` are tried in their order: all that are available if None. `caught_by` is
    {name: (leg, test)}, what is tried before them.
    """
    names = list(names)
    if not names:
        raise LookupError("no mutant of that name")
    legs = legs or available()
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(names))
    survey = Survey(legs, {name: by for name, by in (caught_by or {}).items() if name in names})
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        trees = Queue()
        for job in range(jobs):
            trees.put(Tree(Path(folder) / str(job)))

        def look(name):
            tree = trees.get()
            try:
                return survey.try_on(ALL[name], tree)
            finally:
                trees.put(tree)

        tasks = [pool.submit(look, name) for name in names]
        try:
            for task in tasks:
                yield task.result()
        finally:
            for task in tasks:
                task.cancel()


def known():
    """Return {name: (leg, test)} as CAUGHT_BY has it."""
    if not CAUGHT_BY.exists():
        return {}
    return {
        name: (leg, test)
        for leg, tests in json.loads(CAUGHT_BY.read_text()).items()
        for test, names in tests.items()
        for name in names
    }


def keep(found):
    """Write CAUGHT_BY: what `found` says, and of the mutants that it leaves out what was there."""
    by = {name: at for name, at in known().items() if name in ALL}
    by.update({each.name: (each.leg, each.test) for each in found if each.leg})
    table = {}
    for name in sorted(by):
        leg, test = by[name]
        table.setdefault(leg, {}).setdefault(test, []).append(name)
    CAUGHT_BY.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
