"""What the boards have in common that are seen from outside: one table of failures for all."""

import pytest
from ringlane_host.board import BoardError
from ringlane_host.board.port import PortBoard
from ringlane_host.board.virtual import RealTimeBoard
from ringlane_host.boards.virtual import VirtualBoard

# run() returns at the first wait.
LATER = """\
import asyncio, machine
async def main():
    print("begun")
    await asyncio.sleep_ms(300)
    %s
asyncio.run(main())
"""
LOOP = LATER % "await asyncio.sleep_ms(600000)"
RESETS = LATER % "machine.reset()"
RAISES = {
    "in run": "import time\ntime.sleep_ms(1)\nx = 1\n\nraise ValueError('as told')\n",
    "later": LATER % "raise ValueError('as told')",
}
_CALLED = {"unix": "a virtual board", "port": "the board at /dev/", "rp2040": "an emulated Pico"}


@pytest.fixture(params=_CALLED)
def outside(request, interpreter, tmp_path):
    """A function that makes a board of each kind, for a firmware that is given as text."""
    if request.param == "port":
        desk = VirtualBoard()
        request.addfinalizer(desk.close)
    elif request.param == "rp2040":
        uf2 = request.getfixturevalue("uf2")
        pytest.importorskip("rp2040py")

    def make(text):
        (tmp_path / "main.py").write_text(text)
        if request.param == "unix":
            board = RealTimeBoard(pytest.fail, tmp_path, tmp_path)
        elif request.param == "port":
            board = PortBoard(desk.port, pytest.fail, tmp_path, tmp_path)
        else:
            from ringlane_host.board.emulated import EmulatedBoard

            board = EmulatedBoard(uf2, pytest.fail, tmp_path, tmp_path)
        request.addfinalizer(board.close)
        return board

    make.called = _CALLED[request.param]
    return make


def test_what_is_wrong_or_cannot_be_seen_is_named(outside):
    board = outside(LOOP)
    with pytest.raises(BoardError, match=r"^no firmware \S+/nope\.py$"):
        board.run("nope.py")
    board.run()
    board.run_until(lambda: "begun" in board.log)
    with pytest.raises(BoardError, match="not met in 10 ms.*begun"):
        board.run_until(lambda: False, ms=10)
    with pytest.raises(BoardError, match="one run"):
        board.run()
    for wrong in ("lamp", -1, True, 1.5, 30):
        with pytest.raises(BoardError, match=f"no pin {wrong!r}"):
            board.pin(wrong)
    if outside.called != _CALLED["port"]:
        with pytest.raises(BoardError, match="no UART 2"):
            board.uart(2)
        with pytest.raises(BoardError, match="no ADC at pin 3"):
            board.adc(3)
        with pytest.raises(pytest.fail.Exception, match=f"^{outside.called} does not tell"):
            _ = board.uart(0).lost
        with pytest.raises(pytest.fail.Exception, match=f"^{outside.called}'s ADC takes levels"):
            board.adc(26).set(lambda us: 0)
    with pytest.raises(BoardError, match="driven to 0, 1 or None, not 2"):
        board.pin(2).drive(2)
    for ask in (lambda: board.channels, lambda: setattr(board, "bootsel", True)):
        with pytest.raises(pytest.fail.Exception, match=f"^{outside.called}.* board"):
            ask()
    assert not board.ended
    board.stop()


def test_packages_and_files_beside_the_firmware_go_along(outside, tmp_path):
    for name, text in {
        "drivers/__init__.py": "from .motor import SPEED\n",
        "drivers/motor.py": "SPEED = 7\n",
        "config.txt": "9",
        "lib/helper/__init__.py": "def told():\n    return open('/lib/helper/data.txt').read()\n",
        "lib/helper/data.txt": "5",
        "test_none.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    board = outside(
        "import drivers, helper, os\n"
        "print(drivers.SPEED, open('config.txt').read(), 'test_none.py' in os.listdir())\n"
        "try:\n    print(helper.told())\nexcept OSError:\n    print('elsewhere')\n"
    )
    board.run()
    board.run_until(lambda: board.log.count("\n") == 2, ms=2000)
    wanted = "elsewhere" if outside.called == _CALLED["port"] else "5"  # which is mounted
    assert board.log.splitlines() == ["7 9 False", wanted]


@pytest.mark.parametrize("when", RAISES)
def test_what_the_firmware_raises_fails_the_test_with_its_line(outside, when):
    board = outside(RAISES[when])
    with pytest.raises(BoardError, match="(?s)Traceback.*line 5.*ValueError: as told"):
        board.run()
        board.run_until(lambda: False, ms=2000)
    assert board.ended
    board.stop()  # it has been raised


def test_a_board_that_is_reset_fails_the_test(outside):
    board = outside(RESETS)
    with pytest.raises(BoardError, match=" was reset"):
        board.run()
        board.run_until(lambda: False, ms=4000)
