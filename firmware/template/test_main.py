"""main.py on a simulated board: `pip install ringlane pytest`, then `pytest`.

.github/workflows/test.yml does so at each push, and on real MicroPython too.
"""

import pytest


@pytest.mark.parametrize("bounces", [0, 3])
def test_a_press_switches_the_led(board, bounces):
    board.run("main.py")
    for expected in (1, 0, 1):
        board.pin(2).press(ms=100, bounces=bounces)
        board.advance(ms=200)
        assert board.pin("led").value() == expected


def test_a_spike_does_not(board):
    board.run("main.py")
    board.pin(2).press(ms=1)
    board.advance(ms=200)
    assert board.pin("led").history == []
    assert len(board.channels["edges"].sent) == 2  # though the interrupt saw both edges
