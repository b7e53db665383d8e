"""What is attached to the virtual board while an example runs there: a function for each.

    ringlane run virtual firmware/examples/encoder.py --attach firmware/examples/attached.py

It runs on the host; `board` has pin(), adc() and uart() as a test's board has.
"""

import math


def encoder(board):
    """A knob that is turned for 8 seconds, 500 steps a second."""
    board.pin(4).edges(2000, every_us=4000, after_us=500_000)
    board.pin(5).edges(2000, every_us=4000, after_us=502_000)


def blocks(board):
    """A slow sine."""
    wave = [int(32768 + 30000 * math.sin(math.tau * n / 4000)) for n in range(4000)]
    board.adc(26).play(wave, hz=1000, repeat=True)


sensors = blocks


def uart(board):
    """A GPS that is moving, with one line broken."""
    for second in range(30):
        body = f"GPGLL,4916.{45 + second},N,12311.12,W,2254{second:02},A"
        check = 0
        for char in body:
            check ^= ord(char) ^ (second == 5)
        board.uart(1).receive(f"${body}*{check:02X}\r\n".encode(), after_us=second * 1_000_000)


def console(board):
    """Somebody who presses the button five times, and somebody else at the terminal."""
    for number in range(5):
        board.pin(0).press(ms=50, after_ms=1000 + number * 600)
    for number, command in enumerate(("arm zone 1", "arm zone 2", "off")):
        board.uart(1).receive(command.encode() + b"\n", after_us=(number + 1) * 1_500_000)
