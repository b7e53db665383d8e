"""The pytest plugin: the fixture `board`, on by installing ringlane.

    @pytest.mark.ringlane_board("rpi_pico")  # the default
    def test_a_press_is_seen(board):
        board.run("main.py")
        board.pin(2).press(ms=30)
        board.advance(ms=50)
        assert board.channels["buttons"].words == [0, 1]

The guide is README.md beside this file. Nothing is imported or patched until a test asks for it.
"""

from typing import Any

import pytest

_DEFAULT = "rpi_pico"
_BOARD = pytest.StashKey[Any]()
_FAILED = pytest.StashKey[bool]()


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "ringlane_board(name): which of boards/*.toml the fixture `board` simulates",
    )


@pytest.fixture
def board(request):
    """A simulated board after reset; stopped after the test, which fails if a fault was left.

    Which one says the mark `ringlane_board`, or an indirect parameter. Files are looked for beside
    the test, then in pytest's root folder.
    """
    from .board import SimulatedBoard

    mark = request.node.get_closest_marker("ringlane_board")
    name = getattr(request, "param", None) or (mark.args[0] if mark and mark.args else _DEFAULT)
    made = SimulatedBoard(name, request.path.parent, request.config.rootpath)
    request.node.stash[_BOARD] = made
    try:
        yield made
        if not request.node.stash.get(_FAILED, False):
            made.stop()
    finally:
        made.close()


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
