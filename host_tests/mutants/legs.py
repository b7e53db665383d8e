"""Runs the tests on mutants: leg by leg, until a test tells the mutant from the shipped source.

    for found in survey([mutants.find("verbs", "send")]):
        print(found.name, found.outcome, found.leg, found.test)

A leg is a part of the tests. It runs in a copy of the project, with the mutant in the place of the
shipped source. A test catches a mutant when an assertion of it fails, or what it calls raises, and
does so once more, and it then passes without the mutant. A test that does not end, or a test run
that breaks off, catches nothing: the next test and the next leg are tried.
"""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from ringlane_host.boards import virtual

from . import files
from .generate import parse

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ("lib", "host_tests", "firmware", "boards", "pyproject.toml", "README.md", "Makefile")
LEG_LIMIT = 3600  # seconds
# What a test may take with a mutant: so many times what it takes without, and a few seconds more.
_TIMES = 3
_SPARE = 4
_TRIES = 3  # of a leg, each without the tests that told nothing in those before
_HANGS = 3  # so many tests that do not end, and no further leg is tried


class LegError(Exception):
    """A leg that cannot tell: it fails without a mutant, or runs no test."""


class Run(NamedTuple):
    """What a leg's run came to."""

    outcome: str  # "passed", "failed", "hung": a test did not end, "crashed": the run broke off
    test: str = ""  # which failed or hung, or at which it crashed
    seconds: dict = {}  # {test: what it takes by itself}, of a run that passed


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

    A test is two names with a dot between them: the set's and the scenario's.
    """

    def run(self, folder, limit, tests=None, without=()):
        """Run all scenarios, or these tests; stop after the first set with one that fails.

        `limit` is in seconds, of one set.
        """
        device = folder / "host_tests" / "device"
        wanted = {}
        for path in sorted(device.glob("*_scenarios.py")):
            body = parse(path.read_text()).body
            names = [each.name for each in body if isinstance(each, ast.FunctionDef)]
            names = [f"{path.stem}.{name}" for name in names if name[0] != "_"]
            names = [name for name in names if name not in without and name in (tests or names)]
            if names:
                wanted[path.stem] = sorted(name.partition(".")[2] for name in names)
        if not wanted:
            raise LegError(f"leg 'scenarios' has no {tests or 'scenario'}")
        seconds = {}
        for each, names in wanted.items():
            begin = time.monotonic()
            status, printed = _run(
                [
                    virtual.micropython(),
                    "-c",
                    f"import harness, {each}; harness.run({each}, {names})",
                ],
                folder,
                limit,
                MICROPYPATH=f"{folder / 'lib'}:{device}:.frozen",
            )
            failed = re.search(r"^(\w+) failed$", printed, re.MULTILINE)
            if failed:
                return Run("failed", f"{each}.{failed[1]}")
            ended = re.findall(r"^(\w+) ok$", printed, re.MULTILINE)
            if status != 0 or len(ended) != len(names):
                at = next((name for name in names if name not in ended), "")
                return Run("hung" if status is None else "crashed", f"{each}.{at}")
            took = time.monotonic() - begin
            seconds.update({f"{each}.{name}": took for name in names})
        return Run("passed", "", seconds)


class Pytest:
    """Files of host_tests, of which those tests are run that pytest's -k chooses.

    `one_setup`: what takes long is set up once for all of them, not for each function of tests.
    """

    def __init__(self, files, only="", one_setup=False):
        self.files = files
        self.one_setup = one_setup
        self.chosen = f"not mutant and ({only})" if only else "not mutant"

    def run(self, folder, limit, tests=None, without=()):
        """Run all, or these tests, up to the first that fails. `limit`: seconds, of one test."""
        host_tests = folder / "host_tests"
        if tests:
            chosen = ["-k", "not mutant", *[str(host_tests / test) for test in tests]]
        else:
            paths = {path for file in self.files for path in host_tests.glob(file)}
            if not paths:
                raise LegError(f"no test file is named {self.files}")
            chosen = ["-k", self.chosen, *sorted(map(str, paths))]
        for test in without:
            chosen += ["--deselect", f"host_tests/{test}"]
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
            return Run("passed", "", self._seconds(printed))
        if status in (0, 4, 5):
            raise LegError(f"status {status} of {chosen}:\n{printed}")
        # The last that began: it failed, or has no outcome.
        began = re.findall(r"^host_tests/([\w/]+\.py::.*)$", printed, re.MULTILINE)
        test = re.sub(r" +((FAILED|ERROR) .*|Timeout .*)?$", "", began[-1]) if began else ""
        said = re.search(r"^FAILED host_tests/(.*)$", printed, re.MULTILINE)
        if said and said[1].startswith(test):
            late = said[1][len(test) :].startswith(" - subprocess.TimeoutExpired")
            return Run("hung" if late else "failed", test)
        late = status is None or re.search(r"Timeout \(\d+:", printed)
        return Run("hung" if late else "crashed", test)

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
    "cpython": Pytest(["scenarios/test_scenarios.py", "engine/test_latency.py"], "cpython"),
    "models": Pytest(["models/test_models.py"]),
    "units": Pytest(
        [
            "board/test_debug.py",
            "engine/test_clock.py",
            "engine/test_debug.py",
            "engine/test_lanes.py",
            "engine/test_report.py",
            "engine/test_stubs.py",
            "simulate/test_event_loop.py",
            "tools/test_packaging.py",
        ]
    ),
    "simulated": Pytest(["simulate/test_simulated.py", "explore/test_simulated_*.py"]),
    "tasks": Pytest(["scenarios/test_tasks.py"], "cpython or on_micropython"),
    "interleavings": Pytest(["explore/test_interleavings.py"], "no_harm"),
    "bytecodes": Pytest(
        ["explore/test_between.py", "interrupts/test_soft_handlers.py"],
        "not chip and not cycle",
    ),
    "threads": Pytest(["threads/test_*.py"]),
    "programs": Pytest(
        ["interrupts/test_contexts.py", "firmware/test_examples.py", "firmware/test_demo.py"]
    ),
    "link": Pytest(
        [f"link/test_{each}.py" for each in ("taps", "flight", "link", "streams", "remote")],
        "not rp2040",
    ),
    "rp2040": Pytest(
        ["scenarios/test_*.py", "interrupts/test_*.py"],
        "rp2040 or harm or waiting_interrupts or chip",
        one_setup=True,
    ),
}


class Found(NamedTuple):
    """What became of a mutant."""

    name: str
    outcome: str  # "caught", "hung", "crashed", "survived"; "unusable": name is why a leg is that
    leg: str = ""
    test: str = ""  # what caught it, or the first that hung or crashed
    limit: int = 0  # the seconds that the test may take with a mutant
    flaky: tuple = ()  # tests that failed, but not twice, or without the mutant too


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
        self._write(files(mutant))
        return lambda: self._write(files(mutant, broken=False))

    def _write(self, texts):
        package = self.folder / "lib" / "ringlane"
        for file, text in texts.items():
            (package / file).write_text(text)
        # Its time and size may be those of the text before.
        shutil.rmtree(package / "__pycache__", ignore_errors=True)

    def run_on(self, mutant, leg, limit, tests=None, without=()):
        """Run the leg, or these tests of it, on the mutant; return a Run."""
        mend = self.plant(mutant)
        try:
            return LEGS[leg].run(self.folder, limit, tests, without)
        finally:
            mend()


class Survey:
    """Legs, each with what its tests take without a mutant."""

    def __init__(self, legs, caught_by):
        self.legs = legs
        self.caught_by = caught_by
        self._limits = {}  # of a leg, or a LegError
        self._locks = {leg: threading.Lock() for leg in LEGS}

    def _limit(self, leg, tree):
        # The seconds that a test of the leg may take with a mutant. Without one all must pass.
        with self._locks[leg]:
            if leg not in self._limits:
                try:
                    run = LEGS[leg].run(tree.folder, 300)
                    if run.outcome != "passed":
                        text = f"leg {leg!r} {run.outcome} without a mutant: {run.test}"
                        raise LegError(text)
                    self._limits[leg] = int(_SPARE + _TIMES * max(run.seconds.values()))
                except LegError as error:
                    self._limits[leg] = error  # for every mutant to come, too
        if isinstance(self._limits[leg], LegError):
            raise self._limits[leg]
        return self._limits[leg]

    def try_on(self, mutant, tree):
        """Return the Found of the mutant."""
        leg, test, limit = self.caught_by.get(mutant.name, ("", "", 0))
        if leg in self.legs:
            try:
                run = tree.run_on(mutant, leg, limit, [test])
                if run.outcome == "failed" and self._confirm(mutant, tree, leg, test, limit):
                    return Found(mutant.name, "caught", leg, test, limit)
            except LegError:
                pass  # it is no longer there
        silent, flaky = [], []
        for leg in self.legs:
            try:
                limit = self._limit(leg, tree)
            except LegError:
                continue  # survey() tells
            without = []
            for _ in range(_TRIES):
                run = tree.run_on(mutant, leg, limit, None, without)
                if run.outcome == "failed":
                    if self._confirm(mutant, tree, leg, run.test, limit):
                        found = Found(mutant.name, "caught", leg, run.test, limit)
                        return found._replace(flaky=tuple(flaky))
                    flaky.append(run.test)
                elif run.outcome != "passed":
                    silent.append(Found(mutant.name, run.outcome, leg, run.test))
                if run.outcome == "passed" or not run.test:
                    break
                without.append(run.test)
            if len([each for each in silent if each.outcome == "hung"]) >= _HANGS:
                break
        found = silent[0] if silent else Found(mutant.name, "survived")
        return found._replace(flaky=tuple(flaky))

    def unusable(self):
        """Return a Found for each leg that cannot tell."""
        errors = {leg: each for leg, each in self._limits.items() if isinstance(each, LegError)}
        return [Found(str(error), "unusable", leg) for leg, error in errors.items()]

    def _confirm(self, mutant, tree, leg, test, limit):
        # Whether the test that failed fails again, and passes without the mutant.
        again = tree.run_on(mutant, leg, limit, [test])
        return again.outcome == "failed" and (
            LEGS[leg].run(tree.folder, max(limit, 300), [test]).outcome == "passed"
        )


def available():
    """Return the names of the legs that can run here: without firmware not that of the chip."""
    return [leg for leg in LEGS if leg != "rp2040" or os.environ.get("RINGLANE_UF2")]


def survey(mutants, legs=None, jobs=None, caught_by=None):
    """Yield the Found of each mutant, as they come, then of each leg that cannot tell.

    Raises LookupError if there are no mutants.
    `legs` are tried in their order: all that are available if None. `caught_by` is
    {name: (leg, test, limit)}: what is tried before them.
    """
    mutants = list(mutants)
    if not mutants:
        raise LookupError("no mutant of that name")
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(mutants))
    survey = Survey(legs or available(), caught_by or {})
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        trees = Queue()
        for job in range(jobs):
            trees.put(Tree(Path(folder) / str(job)))

        def look(mutant):
            tree = trees.get()
            try:
                return survey.try_on(mutant, tree)
            finally:
                trees.put(tree)

        tasks = [pool.submit(look, mutant) for mutant in mutants]
        try:
            for task in as_completed(tasks):
                yield task.result()
            yield from survey.unusable()
        finally:
            for task in tasks:
                task.cancel()
