"""Pins: what the program drives, what is attached, and the edges between.

A pin's level is that of its output while it is one, else what drives it from outside, else that of
its pull. A pin that nothing drives reads 0.
"""

from umachine import PinBase

from . import wires
from .interrupts import Source, disable_irq, enable_irq

_NAMES = {"LED": 25}
_PINS = 49  # GPIO 0 to 48: an ESP32-S3 has the most
_known = {}


class Wire(Source):
    """One GPIO: its level and its interrupt."""

    def __init__(self, number):
        super().__init__(None)
        self.number = number
        self.output = False
        self.open_drain = False
        self.pull = None
        self.latch = 0
        self.driven = None
        self.level = 0
        self.trigger = 0
        self.flags = 0

    def settle(self):
        """Take the level that follows from who drives the pin; interrupt at an edge."""
        state = disable_irq()
        if self.output and not (self.open_drain and self.latch):
            level = self.latch
        elif self.driven is not None:
            level = self.driven
        else:
            level = 1 if self.pull == Pin.PULL_UP else 0
        if level != self.level:
            self.level = level
            wires.changed(self.number, level)
            edge = Pin.IRQ_RISING if level else Pin.IRQ_FALLING
            if self.trigger & edge:
                self.flags |= edge
                self.interrupt()
        enable_irq(state)

    def drive(self, level):
        """Drive it from outside: 0, 1, None to let go, "toggled", or as a button is "pressed"."""
        if level == "toggled":
            level = 1 - self.level
        elif level == "pressed":
            level = 1 if self.pull == Pin.PULL_DOWN else 0
        self.driven = level
        self.settle()

    def listen_to(self, pin, handler, trigger, hard):
        """Let the edges of `trigger` call `handler(pin)`."""
        self.trigger = 0
        self._argument = pin
        self.listen(handler, hard)
        self.trigger = trigger


def wire(id):
    """Return the wire of a pin's number or name, or of a Pin."""
    if isinstance(id, Pin):
        return id._wire
    if isinstance(id, str):
        number = int(id[2:]) if id[:2] == "GP" and id[2:].isdigit() else _NAMES.get(id)
        if number is None:
            raise ValueError("unknown named pin '%s'" % id)
        id = number
    if not isinstance(id, int) or not 0 <= id < _PINS:
        raise ValueError("invalid pin: %r" % (id,))
    if id not in _known:
        _known[id] = Wire(id)
    return _known[id]


class _Irq:
    def __init__(self, wire):
        self._wire = wire

    def flags(self):
        flags = self._wire.flags
        self._wire.flags = 0
        return flags

    def trigger(self, trigger=None):
        before = self._wire.trigger
        if trigger is not None:
            self._wire.trigger = trigger
        return before


class Pin(PinBase):
    """machine.Pin."""

    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_FALLING = 4
    IRQ_RISING = 8

    def __init__(self, id, mode=None, pull=-1, value=None):
        self._wire = wire(id)
        self.init(mode, pull, value)

    def init(self, mode=None, pull=-1, value=None):
        """As machine.Pin.init; `alt` and `drive` are not here."""
        if mode not in (None, Pin.IN, Pin.OUT, Pin.OPEN_DRAIN):
            raise ValueError("invalid pin mode: %r" % (mode,))
        wire = self._wire
        if mode is not None:
            wire.output = mode != Pin.IN
            wire.open_drain = mode == Pin.OPEN_DRAIN
        if pull != -1:
            wire.pull = pull
        if value is not None:
            wire.latch = 1 if value else 0
        wire.settle()

    def value(self, value=None):
        """As machine.Pin.value."""
        wire = self._wire
        if value is None:
            return wire.level
        wire.latch = 1 if value else 0
        wire.settle()

    def __call__(self, value=None):
        return self.value(value)

    def on(self):
        """As machine.Pin.on."""
        self.value(1)

    def off(self):
        """As machine.Pin.off."""
        self.value(0)

    high, low = on, off

    def toggle(self):
        """As machine.Pin.toggle."""
        self.value(not self._wire.latch)

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING, hard=False):
        """As machine.Pin.irq."""
        self._wire.listen_to(self, handler, trigger, hard)
        return _Irq(self._wire)

    def __repr__(self):
        return "Pin(%d)" % self._wire.number
