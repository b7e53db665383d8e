"""Runs the tests on mutants: leg by leg, until one finds the mutant broken.

    for found in survey(["lanes.send: publishes before the payload"]):
        print(found.name, found.leg, found.test)

A leg is a part of the tests. It runs in a copy of the project, with the mutant in the place of the
shipped source; before it counts as having caught anything, it must have passed without a mutant.
"""

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

from . import ALL, apply

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ("lib", "host_tests", "firmware", "boards", "pyproject.toml", "README.md", "Makefile")

# leg: (files, pytest's -k). In the order in which they are tried, the quick ones first.
LEGS = {
    "scenarios": (["test_scenarios.py"], "not rp2040"),
    "units": (["test_latency.py", "test_stubs.py", "test_event_loop.py", "test_packaging.py"], ""),
    "simulated": (["test_simulated*.py"], ""),
    "tasks": (["test_waiting.py", "test_request_reply_tasks.py", "test_waiting_threads.py"], ""),
    "interleavings": (["test_interleavings.py"], "no_harm"),
    "models": (["test_models.py"], ""),
    "threads": (
        [
            "test_threads.py",
            "test_fanout_threads.py",
            "test_guard_threads.py",
            "test_request_reply_threads.py",
        ],
        "",
    ),
    "programs": (["test_contexts.py", "test_examples.py", "test_demo.py"], ""),
    "rp2040": (
        ["test_scenarios.py", "test_contexts.py", "test_*interrupts.py", "test_waiting.py"],
        "rp2040 or harm",
    ),
}


class Found(NamedTuple):
    """What became of a mutant: the leg and the test that caught it, None if none did."""

    name: str
    leg: str | None
    test: str | None


class LegError(Exception):
    """A leg that cannot tell: it fails without a mutant, or runs no test."""


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

    def run(self, leg, limit):
        """Run the leg; return None if it passes, else the first test that failed, and why."""
        files, only = LEGS[leg]
        tests = self.folder / "host_tests"
        paths = sorted({path for file in files for path in tests.glob(file)})
        chosen = f"not mutant and ({only})" if only else "not mutant"
        with tempfile.TemporaryFile("w+") as out:
            pytest = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfEs", "-k", chosen]
                + ["-p", "no:cacheprovider", *paths],
                cwd=self.folder,
                env=dict(os.environ, PYTHONPATH=str(self.folder / "lib")),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its children end with it
            )
            try:
                status = pytest.wait(limit)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                try:
                    os.killpg(pytest.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                pytest.wait()
            out.seek(0)
            printed = out.read()
        if status is None:
            return "did not end"
        if status == 0:
            if not re.search(r"\d+ passed", printed):
                raise LegError(f"leg {leg!r} ran no test:\n{printed}")
            return None
        failed = re.search(r"^(?:FAILED|ERROR) \S*?(\w+\.py.*)$", printed, re.MULTILINE)
        if not failed:
            raise LegError(f"leg {leg!r} neither passed nor failed, status {status}:\n{printed}")
        return failed[1].split(" - ")[0]


class Survey:
    """Legs, each with the time that it took without a mutant."""

    def __init__(self, legs):
        self.legs = legs
        self._limits = {}
        self._locks = {leg: threading.Lock() for leg in legs}

    def limit(self, leg, tree):
        """Return the seconds that the leg may take; raise LegError unless it passes unbroken."""
        with self._locks[leg]:
            if leg not in self._limits:
                begin = time.monotonic()
                failed = tree.run(leg, 1200)
                if failed:
                    raise LegError(f"leg {leg!r} fails without a mutant: {failed}")
                self._limits[leg] = 30 + 4 * (time.monotonic() - begin)
            return self._limits[leg]

    def try_on(self, mutant, tree):
        """Return the Found of the mutant."""
        first = [mutant.leg] if mutant.leg in self.legs else []
        order = first + [leg for leg in self.legs if leg not in first]
        for leg in order:
            limit = self.limit(leg, tree)
            mend = tree.plant(mutant)
            try:
                test = tree.run(leg, limit)
            finally:
                mend()
            if test:
                return Found(mutant.name, leg, test)
        return Found(mutant.name, None, None)


def survey(names, legs=None, jobs=None):
    """Yield the Found of each mutant, as they come. Raises LookupError if there are none."""
    names = list(names)
    if not names:
        raise LookupError("no mutant of that name")
    if legs is None:
        legs = [leg for leg in LEGS if leg != "rp2040" or os.environ.get("RINGLANE_UF2")]
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(names))
    survey = Survey(legs)
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
