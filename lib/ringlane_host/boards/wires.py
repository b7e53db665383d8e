"""What is attached to a virtual board: buttons, signals and lines, for a test or a script.

    wires = Wires()
    with VirtualBoard(wires=wires) as board:
        wires.pin(2).press(ms=30)
        wires.adc(26).play(samples, hz=360)

The other end, on the board, is device/machine/wires.py, which also says what the lines between
them are. What is asked for before the firmware imports machine comes when it does. Time is real.
"""

import base64
import json
import random
import select
import socket
import struct
import threading
from array import array
from pathlib import Path

from . import BoardError

PRESSED, TOGGLED = "pressed", "toggled"  # levels that the pin's pull, or its own level, decides
_PATIENCE_S = 10.0
_U16 = 65535


def readings(samples, hz, title):
    """Return what an ADC plays as a list of ints, 0 to 65535. Raises BoardError.

    `samples`: a sequence, or the path of a file: a reading a line, or, where its name ends in
    .u16le, two bytes each, the low one first.
    """
    if isinstance(samples, str | Path):
        path = Path(samples)
        try:
            if path.suffix == ".u16le":
                data = path.read_bytes()
                samples = [each for (each,) in struct.iter_unpack("<H", data[: len(data) & -2])]
            else:
                samples = [int(line) for line in path.read_text().split()]
        except (OSError, ValueError) as error:
            raise BoardError(f"{title}: no readings in {path}: {error}") from None
    samples = list(samples)
    wrong = [each for each in samples if not 0 <= each <= _U16]
    if wrong or not samples or not hz > 0:
        what = f"reading {wrong[0]!r}" if wrong else f"{len(samples)} samples at {hz!r} Hz"
        raise BoardError(f"{title}: readings are 0 to 65535, at more than 0 Hz: {what}")
    return [int(each) for each in samples]


class PinStimulus:
    """drive(), press() and edges() of a pin that has `_plan([(after_us, level), ...])`.

    `level` is 0 or 1, None to let go, PRESSED or TOGGLED; it is applied when its time comes.
    """

    def _plan(self, changes):
        raise NotImplementedError

    def drive(self, level, after_us=0):
        """Drive the pin from outside, at 0 or 1; None lets it go. Now, or later."""
        if level not in (0, 1, None):
            raise BoardError(f"a pin is driven to 0, 1 or None, not {level!r}")
        self._plan([(after_us, level)])

    def press(self, ms=50, after_ms=0, bounces=0, bounce_us=300):
        """Press a button: away from what the pull makes of the pin, and back after `ms`.

        With a pull-up, or none, pressed is 0; with a pull-down, 1. `bounces`: how often the
        contact opens and closes again, `bounce_us` apart, at both ends.
        """
        start = after_ms * 1000
        changes = []
        for at, level, before in (start, PRESSED, None), (start + ms * 1000, None, PRESSED):
            for number in range(bounces):
                changes.append((at + 2 * number * bounce_us, level))
                changes.append((at + (2 * number + 1) * bounce_us, before))
            changes.append((at + 2 * bounces * bounce_us, level))
        self._plan(changes)

    def edges(self, count, every_us, after_us=None, jitter_us=0, seed=1):
        """Change the level `count` times, each `every_us`, the first after as long or `after_us`.

        `jitter_us`: by up to so much each edge is early or late, by a fixed random sequence.
        """
        shake = random.Random(seed)
        first = every_us if after_us is None else after_us
        changes = []
        for number in range(count):
            late = shake.randint(-jitter_us, jitter_us) if jitter_us else 0
            changes.append((max(0, first + number * every_us + late), TOGGLED))
        self._plan(changes)


class _Pin(PinStimulus):
    def __init__(self, wires, number):
        self._wires = wires
        self._number = number
        self.history: list[tuple[int, int]] = []  # (microseconds, level), 0 when they were marked

    def _plan(self, changes):
        self._wires.send({"pin": self._number, "changes": changes})

    def value(self):
        """Return the level."""
        return self.history[-1][1] if self.history else 0


class _Adc:
    def __init__(self, wires, pin):
        self._wires = wires
        self._pin = pin

    def set(self, value):
        """Attach a level, 0 to 65535."""
        if callable(value):
            raise BoardError("a virtual board's ADC takes levels and recordings, not functions")
        self.play([value], hz=1)

    def play(self, samples, hz, repeat=False):
        """Play `samples`, a sequence of 0 to 65535 or a file, `hz` a second, from now on."""
        samples = readings(samples, hz, f"ADC {self._pin}")
        data = base64.b64encode(array("H", samples).tobytes()).decode()
        self._wires.send({"adc": self._pin, "samples": data, "hz": hz, "repeat": repeat})


class _Uart:
    def __init__(self, wires, number):
        self._wires = wires
        self._number = number
        self._sent = bytearray()

    def receive(self, data, gap_us=0, after_us=0):
        """Send bytes to the board: they arrive at its baud rate, `gap_us` between them."""
        if not isinstance(data, (bytes, bytearray)):
            raise BoardError(f"a UART receives bytes, not {data!r}")
        if data:
            text = base64.b64encode(data).decode()
            message = {"uart": self._number, "data": text, "gap_us": gap_us, "after_us": after_us}
            self._wires.send(message)

    @property
    def sent(self):
        """All that the firmware has written, as bytes."""
        return bytes(self._sent)

    def take(self):
        """Return what the firmware has written since the last take()."""
        part = bytes(self._sent)
        self._sent.clear()
        return part


class Wires:
    """Wires(): what is attached to one VirtualBoard, which takes it as `wires`. close() it."""

    def __init__(self):
        self._ours, self._theirs = socket.socketpair()
        self.fd = self._theirs.fileno()  # the board's end
        self._pins: dict[int, _Pin] = {}
        self._uarts: dict[int, _Uart] = {}
        self._pwm: dict[int, list[tuple[int, int, int]]] = {}
        self._origin = 0
        self._marked = threading.Event()
        self.waiting = threading.Event()  # set when the board says so: wires.say({"waits": 1})
        self._beginning = None
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="wires", daemon=True)
        self._thread.start()
        self._sending = threading.Lock()

    def close(self):
        """Detach everything."""
        if not self._closed:
            self._closed = True
            self._ours.shutdown(socket.SHUT_RDWR)
            self._thread.join()
            self._ours.close()
            self._theirs.close()

    def pin(self, number):
        """Return a pin: drive(), press(), edges(), value(), history."""
        return self._pins.setdefault(number, _Pin(self, number))

    def adc(self, pin):
        """Return an ADC's pin: set(), play(). "temperature": the chip's own."""
        return _Adc(self, pin)

    def uart(self, number):
        """Return the other end of a UART: receive(), sent, take()."""
        return self._uarts.setdefault(number, _Uart(self, number))

    def pwm(self, pin):
        """Return what PWM made of a pin: a list of (microseconds, Hz, duty of 65535)."""
        return list(self._pwm.get(pin, ()))

    def send(self, message):
        """Send a message to the board. Raises BoardError if it takes none for 10 s."""
        data = (json.dumps(message) + "\n").encode()
        with self._sending:
            while data:
                if not select.select([], [self._ours], [], _PATIENCE_S)[1]:
                    raise BoardError(
                        f"the board takes nothing from its wires for {_PATIENCE_S:.0f} s"
                    )
                data = data[self._ours.send(data, socket.MSG_DONTWAIT) :]

    def mark(self, timeout=_PATIENCE_S):
        """Let the times of histories begin now; return whether the board has answered."""
        self._marked.clear()
        self.send({"mark": 1})
        return self._marked.wait(timeout)

    def when_it_begins(self, function):
        """Let `function()` attach things when the board says so: wires.say({"begins": 1})."""
        self._beginning = function

    def _listen(self):
        with self._ours.makefile("r") as lines:
            for line in lines:
                self._note(json.loads(line))

    def _note(self, message):
        if "pin" in message:
            pin = self.pin(message["pin"])
            pin.history.append((message["us"] - self._origin, message["level"]))
        elif "pwm" in message:
            made = self._pwm.setdefault(message["pwm"], [])
            made.append((message["us"] - self._origin, message["freq"], message["duty"]))
        elif "uart" in message:
            self.uart(message["uart"])._sent.extend(base64.b64decode(message["data"]))
        elif "mark" in message:
            self._origin = message["us"]
            self._marked.set()
        elif "begins" in message and self._beginning is not None:
            threading.Thread(target=self._beginning, daemon=True).start()
        elif "waits" in message:
            self.waiting.set()


__all__ = ["PRESSED", "TOGGLED", "BoardError", "PinStimulus", "Wires"]
