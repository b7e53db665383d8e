"""Pins: what the firmware drives, what the test drives, and the edges between.

A pin's level is, as on a chip, that of its output while it is one, else what drives it from
outside, else that of its pull. A pin that nothing drives reads 0.
"""

from typing import Any

from ..boards.wires import PRESSED, TOGGLED, PinStimulus
from .faults import NotSimulated
from .sources import Source

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

IN, OUT, OPEN_DRAIN = "IN", "OUT", "OPEN_DRAIN"
RISING, FALLING = "rising", "falling"


class PinState(Source):
    """One pin's wire, and its interrupt."""

    def __init__(self, kernel, number, note):
        super().__init__(kernel, f"Pin {number} handler", order=(13, number))
        self.number = number
        self.mode = IN
        self.pull = None
        self.latch = 0
        self.driven = None  # from outside
        self.level = 0
        self.history = []  # (microseconds, level) at each change
        self.rising = self.falling = False  # edges that interrupt
        self.flags: tuple[str, ...] = ()
        self._note = note

    def settle(self):
        """Take the level that follows from who drives the pin; interrupt at an edge."""
        if self.mode == OUT:
            level = self.latch
        elif self.mode == OPEN_DRAIN and not self.latch:
            level = 0
        elif self.driven is not None:
            level = self.driven
        else:
            level = 1 if self.pull == "up" else 0
        if level == self.level:
            return
        self.level = level
        self.history.append((self.kernel.now, level))
        self._note("pin", f"GP{self.number} -> {level}")
        if self.rising if level else self.falling:
            self.flags = (*self.flags, RISING if level else FALLING)
            self.fire()

    def drive(self, level):
        """Drive the pin from outside; None lets it go."""
        self.driven = level
        self.settle()


def make(kernel, facts, states):
    """Return the board's class Pin; `states`: by number, filled as pins are used."""
    rp2 = facts.port == "rp2"
    modes = {0: IN, 1: OUT, 2: OPEN_DRAIN} if rp2 else {1: IN, 3: OUT, 7: OPEN_DRAIN}
    up, down = (1, 2) if rp2 else (2, 1)
    rise, fall = (8, 4) if rp2 else (1, 2)
    known: dict[int, Any] = {}

    class Irq:
        """What Pin.irq returns."""

        def __init__(self, pin):
            self._pin = pin

        def flags(self):
            seen = self._pin._state.flags
            self._pin._state.flags = ()
            return (rise if RISING in seen else 0) | (fall if FALLING in seen else 0)

        def trigger(self, trigger=None):
            state = self._pin._state
            before = (rise if state.rising else 0) | (fall if state.falling else 0)
            if trigger is not None:
                state.rising, state.falling = bool(trigger & rise), bool(trigger & fall)
            return before

    class Pin:
        """machine.Pin."""

        def __new__(cls, id, *args, **keywords):
            number = _number(id, facts)
            pin = known.get(number)
            if pin is None:
                pin = known[number] = object.__new__(cls)
                pin._state = states(number)
                pin._irq = Irq(pin)
            return pin

        def __init__(self, id, *args, **keywords):
            if args or keywords:
                self.init(*args, **keywords)

        def init(self, mode=None, pull=-1, *, value=None, alt=None, drive=None, hold=None):
            kernel.work(2)
            state = self._state
            if alt is not None:
                raise NotSimulated(f"Pin({state.number}, alt=...) is not simulated")
            if mode is not None:
                if mode not in modes:
                    if rp2 and mode == 3:
                        raise NotSimulated("Pin.ALT is not simulated")
                    raise ValueError("invalid pin mode: %r" % (mode,))
                if modes[mode] != IN and state.number in facts.input_only:
                    raise ValueError("pin can only be input")
                state.mode = modes[mode]
            if pull != -1:
                state.pull = {None: None, up: "up", down: "down"}.get(pull)
            if value is not None:
                state.latch = 1 if value else 0
            state.settle()

        def value(self, *value):
            kernel.work(2)
            state = self._state
            if not value:
                return state.level
            state.latch = 1 if value[0] else 0
            state.settle()

        __call__ = value

        def on(self):
            self.value(1)

        def off(self):
            self.value(0)

        def toggle(self):
            self.value(not self._state.latch)

        def irq(self, *args, **keywords):
            if args or keywords:
                self._set_irq(*args, **keywords)
            return self._irq

        def __repr__(self):
            state = self._state
            if not rp2:
                return "Pin(%d)" % state.number
            text = "Pin(GPIO%d, mode=%s" % (state.number, state.mode)
            return text + (", pull=PULL_%s)" % state.pull.upper() if state.pull else ")")

    def listen(self, handler, trigger, hard):
        if handler is not None and not callable(handler):
            raise ValueError("handler must be None or callable")
        state = self._state
        state.rising, state.falling = bool(trigger & rise), bool(trigger & fall)
        state.listen(handler, self, hard)

    if rp2:

        def set_irq(self, handler=None, trigger=rise | fall, hard=False):
            listen(self, handler, trigger, hard)

        Pin.high, Pin.low = Pin.on, Pin.off
    else:

        def set_irq(self, handler=None, trigger=rise | fall, wake=None):
            if wake is not None:
                raise NotSimulated("Pin.irq(wake=...) is not simulated")
            listen(self, handler, trigger, False)

    Pin._set_irq = set_irq
    for value, name in modes.items():
        setattr(Pin, name, value)
    Pin.PULL_UP, Pin.PULL_DOWN = up, down
    Pin.IRQ_RISING, Pin.IRQ_FALLING = rise, fall
    if rp2:
        Pin.ALT = 3
    return Pin


def _number(id, facts):
    # The GPIO that firmware names so.
    if isinstance(id, str):
        if id[:2] == "GP" and id[2:].isdigit() and facts.port == "rp2":
            id = int(id[2:])
        elif id.lower() in facts.pins:
            id = facts.pins[id.lower()]
        elif id == "LED" and facts.port == "rp2":
            raise NotSimulated('Pin("LED") of this board hangs on its radio chip: not simulated')
        else:
            raise ValueError('unknown named pin "%s"' % id)
    if not isinstance(id, int) or not 0 <= id < facts.gpio:
        raise ValueError("invalid pin")
    return id


class PinHandle(PinStimulus):
    """A pin as the test sees it: what is wired to it, and what it did.

    Times are virtual. What is asked for happens when the test lets time pass.
    """

    def __init__(self, kernel, state):
        self._kernel = kernel
        self._state = state

    def value(self):
        """Return the pin's level, 0 or 1."""
        return self._state.level

    @property
    def history(self):
        """Every change so far, as a list of (microseconds, level)."""
        return list(self._state.history)

    def _plan(self, changes):
        for after_us, level in changes:
            if after_us:
                self._kernel.at(self._kernel.now + after_us, lambda level=level: self._put(level))
            else:
                self._put(level)

    def _put(self, level):
        state = self._state
        if level == TOGGLED:
            level = 1 - state.level
        elif level == PRESSED:
            level = 1 if state.pull == "down" else 0
        state.drive(level)


__all__ = ["PinHandle", "PinState", "make"]
