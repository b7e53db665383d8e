"""What the tests run on: CPython, real MicroPython, an emulated RP2040 if there is firmware."""

import gc
import importlib
import io
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import mutants
import pytest
import ringlane_host.simulate  # noqa: F401  MicroPython's names, for device code on CPython
from ringlane_host.boards import virtual
from ringlane_host.command import cli

ROOT = Path(__file__).resolve().parent.parent
DEVICE = ROOT / "host_tests" / "device"
PACKAGE = ROOT / "lib" / "ringlane"
STUBS = ROOT / "lib" / "ringlane-stubs"
SOAK = bool(os.environ.get("RINGLANE_SOAK"))  # run the long sweeps: soak.py does
HEAP = "heapsize=2M"  # a unix port of 32 bits has half of it by itself
ENGINE = os.environ.get("RINGLANE_ENGINE")  # "portable": that form, where the direct one can run
FENCED = bool(os.environ.get("RINGLANE_FENCED"))  # with fences, where none are needed
MUTANT = bool(os.environ.get("RINGLANE_MUTANT"))  # ringlane is broken: mutants/legs.py does that

ASKED = "".join(  # what a program on MicroPython begins with
    f"import ringlane\nringlane.{name} = {value!r}\n"
    for name, value in (("engine", ENGINE), ("fenced", FENCED))
    if value
)
exec(ASKED)

NO_UF2 = (
    "no RP2040 firmware: make test UF2=RPI_PICO.uf2, a MicroPython build for the Pico as "
    "micropython.org offers or its rp2 port builds"
)


def command(*words):
    """Run `ringlane words...` in this process; return (its exit status, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as end:  # argparse's
            status = end.code
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def device(monkeypatch):
    """The modules of device/ can be imported by CPython."""
    monkeypatch.syspath_prepend(str(DEVICE))


@pytest.fixture(scope="session")
def interpreter():
    """The path of a real MicroPython."""
    try:
        return virtual.micropython()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def micropython(interpreter):
    """A function that runs a program on real MicroPython and returns what it printed.

    `package` is the folder that holds the ringlane to import; a failure raises with the output.
    """

    def run(program, package=PACKAGE.parent, timeout=250):
        done = subprocess.run(
            [interpreter, "-X", HEAP, "-c", ASKED + program],
            env=dict(os.environ, MICROPYPATH=f"{package}:{DEVICE}:.frozen"),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not done.returncode, done.stdout + done.stderr
        return done.stdout

    return run


NO_GIL = (
    "these threads need a GIL: build MicroPython's unix port with CFLAGS_EXTRA="
    "-DMICROPY_PY_THREAD_GIL=1, and make test MICROPYTHON=build-standard/micropython"
)


@pytest.fixture(scope="session")
def x64(micropython):
    """It loads .mpy for x86-64."""
    if micropython("import sys; print(sys.implementation._mpy >> 10 & 15)").strip() != "2":
        pytest.skip("this micropython is not for x86-64")


@pytest.fixture(scope="session")
def threading_of(micropython):
    """How threads run there: "GIL", or "unsafe", truly parallel."""
    return micropython(
        "import sys; print(getattr(sys.implementation, '_thread', 'unsafe'))"
    ).strip()


@pytest.fixture(scope="session")
def gil(micropython, threading_of):
    """A function as `micropython`, of an interpreter with a GIL."""
    if threading_of != "GIL":
        pytest.skip(NO_GIL)
    return micropython


@pytest.fixture(scope="session")
def no_gil(threading_of):
    """There is none, so that threads are parallel."""
    if threading_of == "GIL":
        pytest.skip("threads under a GIL do not run in parallel")


@pytest.fixture(scope="session")
def uf2():
    """The path of the RP2040's firmware."""
    path = os.environ.get("RINGLANE_UF2")
    if not path:
        pytest.skip(NO_UF2)
    return path


@pytest.fixture(scope="module")
def pico(uf2):
    """A booted RP2040 with ringlane and the modules of device/ on it.

    Each file of tests has its own: nothing that another one has left is in memory, and no chip
    that nobody needs runs beside the tests.
    """
    with emulated_pico(uf2) as pico:
        yield pico


def emulated_pico(uf2, package=PACKAGE):
    """Return an EmulatedPico, to be entered, with that ringlane and what the tests run on it."""
    emulated = pytest.importorskip(
        "ringlane_host.boards.emulated", reason="no rp2040py: pip install rp2040py"
    )
    return emulated.EmulatedPico(uf2, emulated.compiled(package, *DEVICE.glob("*.py")))


@pytest.fixture
def visited(record_property):
    """A function that notes how much a sweep has visited: visited(schedules=10, points=3).

    soak.py adds up and prints what the tests note, and fails if one of the figures is 0.
    """

    def note(**figures):
        for name, figure in figures.items():
            record_property(name, figure)

    return note


def ours():
    """Return {name: module} of ringlane's, and of what imports it on a board."""
    return {
        name: module
        for name, module in sys.modules.items()
        if name.split(".")[0] == "ringlane"
        or str(getattr(module, "__file__", "")).startswith(f"{DEVICE}/")
    }


_loaded: dict = {}


@contextmanager
def in_form(form, fenced=False):
    """In here ringlane and the modules of device/ that are imported are those of that form."""
    kept = ours()
    for name in kept:
        del sys.modules[name]
    sys.modules.update(_loaded.get((form, fenced), {}))
    package = importlib.import_module("ringlane")
    package.engine, package.fenced = form, fenced
    try:
        yield package
    finally:
        _loaded[form, fenced] = ours()
        for name in ours():
            del sys.modules[name]
        sys.modules.update(kept)


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A function that imports ringlane broken by the mutant that mutants.find() gives for it."""

    def ours():
        return [name for name in sys.modules if name.split(".")[0] == "ringlane"]

    kept = {name: sys.modules[name] for name in ours()}

    def load(*query):
        mutants.make(mutants.find(*query), PACKAGE, tmp_path)
        for module in ours():
            del sys.modules[module]
        monkeypatch.syspath_prepend(str(tmp_path))
        package = importlib.import_module("ringlane")
        assert package.__file__.startswith(str(tmp_path))
        return package

    yield load
    for module in ours():  # also those that nothing had imported before
        del sys.modules[module]
    sys.modules.update(kept)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    # More than there are cores: the tests wait for boards, brokers and clocks a third of the time.
    return len(os.sched_getaffinity(0)) * 3 // 2


def pytest_collection_finish():
    # A scenario collects garbage often, and pytest's own objects are many.
    gc.collect()
    gc.freeze()
