"""The board's wires: what the host attaches, and what it sees, by the socket RINGLANE_WIRES.

    to the board     {"pin": 2, "changes": [[after_us, level], ...]}
                     {"adc": 26, "samples": base64 of u16, "hz": 360, "repeat": false}
                     {"uart": 0, "data": base64, "gap_us": 0, "after_us": 0}
                     {"mark": n}
    from the board   {"pin": 25, "us": 1000, "level": 1}, {"pwm": 15, "us", "freq", "duty"},
                     {"uart": 0, "data": base64}, {"mark": n, "us": 1000},
                     {"begins": 1}, {"waits": 1}

A line of JSON each; times from the board are microseconds since the import of machine.
"""

import heapq
import json
import os
import select
import struct
from array import array
from binascii import a2b_base64, b2a_base64

from micropython import RingIO

from . import interrupts
from .interrupts import add_clock, disable_irq, enable_irq, now

_NEVER = 1 << 29
_PIN, _PWM = 0, 1
_RECORD = "<QBIH"  # when, and what of it
_HELD = 1 << 15  # bytes of records until the thread sends them

_door = None


class _Door:
    # Records are written by any context, with interrupts disabled; the thread does the rest.
    # `ends`: by pin number, ADC and UART, what is attached there.
    def __init__(self, number, ends):
        self._wire, self._signal, self._line = ends
        self._file = open(number, "r+b")
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)
        self._records = RingIO(_HELD)
        self._record = bytearray(struct.calcsize(_RECORD) + 1)
        self._out = bytearray(len(self._record))
        self._texts = []
        self._edges = []
        self._count = 0

    def note(self, kind, number, first, second):
        """Keep a record; without allocating."""
        struct.pack_into(_RECORD, self._record, 1, now(), number, first, second)
        self._record[0] = kind
        self._records.write(self._record)  # lost when there is no room for more

    def say(self, message):
        """Send a message from the program or the thread."""
        state = disable_irq()
        self._texts.append(message)
        enable_irq(state)

    def tick(self, here):
        """Take what the host says, let edges come, send what was noted."""
        while self._poll.poll(0):
            text = self._file.readline()
            if not text:
                self._poll.unregister(self._file)  # the host has gone
                break
            self._take(json.loads(text), here)
        edges = self._edges
        while edges and edges[0][0] <= here:
            _, _, wire, level = heapq.heappop(edges)
            wire.drive(level)
            interrupts._call()  # each edge finds the pins as it has left them
        while self._records.any():
            self._records.readinto(self._out)
            kind = self._out[0]
            us, number, first, second = struct.unpack_from(_RECORD, self._out, 1)
            if kind == _PIN:
                self._send({"pin": number, "us": us, "level": first})
            else:
                self._send({"pwm": number, "us": us, "freq": first, "duty": second})
        while self._texts:
            self._send(self._texts.pop(0))
        return edges[0][0] - here if edges else _NEVER

    def _send(self, message):
        self._file.write(json.dumps(message) + "\n")

    def _take(self, message, here):
        if "pin" in message:
            wire = self._wire(message["pin"])
            for after_us, level in message["changes"]:
                self._count += 1
                heapq.heappush(self._edges, (here + after_us, self._count, wire, level))
        elif "adc" in message:
            samples = array("H", a2b_base64(message["samples"]))
            self._signal(message["adc"]).play(samples, message["hz"], message["repeat"])
        elif "uart" in message:
            line = self._line(message["uart"])
            line.send(a2b_base64(message["data"]), message["gap_us"], message["after_us"])
        elif "mark" in message:
            message["us"] = here
            self._send(message)


def changed(number, level):
    """Note a pin's new level."""
    if _door is not None:
        _door.note(_PIN, number, level, 0)


def set_pwm(number, freq, duty):
    """Note what PWM is set to."""
    if _door is not None:
        state = disable_irq()
        _door.note(_PWM, number, freq, duty)
        enable_irq(state)


def written(number, data):
    """Send what a UART has written."""
    if _door is not None:
        _door.say({"uart": number, "data": b2a_base64(bytes(data)).decode().strip()})


def say(message):
    """Send a message of the program to the host, if there is one."""
    if _door is not None:
        _door.say(message)


def open_door(wire, signal, line):
    """Take what the host has said so far, then what it says.

    `wire`, `signal` and `line` return that of a pin's number, an ADC's and a UART's.
    """
    global _door
    number = os.getenv("RINGLANE_WIRES")
    if number:
        _door = _Door(int(number), (wire, signal, line))
        state = disable_irq()
        _door.tick(now())
        add_clock(_door)
        enable_irq(state)
