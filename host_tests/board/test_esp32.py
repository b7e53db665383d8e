"""The page about ESP32: its program counts what the scheduler's queue has dropped."""

import re

import pytest
from conftest import ROOT
from ringlane_host import boards
from ringlane_host.board import BlockingInHandler, SimulatedBoard, SoftHandlerDropped

PROGRAM = re.search(r"```python\n(.*?)```", (ROOT / "boards" / "ESP32.md").read_text(), re.S)[1]


@pytest.mark.parametrize("name", [name for name in boards.names() if "esp32" in name])
def test_the_gaps_of_a_periodic_source_are_what_was_dropped(tmp_path, name):
    (tmp_path / "main.py").write_text(PROGRAM)
    board = SimulatedBoard(name, tmp_path)
    board.allow(BlockingInHandler, SoftHandlerDropped)
    board.adc(4).set(1)
    board.run("main.py")
    board.advance(ms=50)
    sleep_ms = board.load("time").sleep_ms
    for stall_ms in (5, 20, 30):  # as a write to flash
        board.interrupt(sleep_ms, stall_ms, hard=False)
        board.advance(ms=50 + stall_ms)
    sent = len(board.channels["samples"].sent)
    told = [int(line.split()[1]) for line in board.log.splitlines()]
    periods = 50 + 3 * 50 + 55
    board.stop()
    # The queue holds eight of the 20 and of the 30; nothing is lost in 5 ms.
    assert told == [20 - 8, 20 - 8 + 30 - 8] and sent == periods - told[-1]
