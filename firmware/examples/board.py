"""What differs between boards: nothing else in the examples asks on which one it runs.

    board            a handler is called by          it interrupts the tasks     SecondCore
    Pico, Pico 2     a hard interrupt                between two instructions    core 1
    ESP32 family     a soft one, by the scheduler    between two bytecodes       a thread, a GIL
    virtual board    a thread, its heap locked       never: it runs beside them  a thread, no GIL

In a hard interrupt nothing can be allocated: in the thread that stands in for it neither.
"""

import _thread
import asyncio
import sys
import time

import micropython
import ringlane.waiting  # noqa: F401  before a second core could be importing it too

PATIENCE_MS = 5000  # a message that has not come by then will not come

_RP2 = sys.platform == "rp2"
_THREADS = sys.platform in ("linux", "darwin")


class Failed(Exception):
    """The run showed something that must not be; the text says what."""


def expect(what, found, expected):
    """Raise Failed unless `found` equals `expected`."""
    if found != expected:
        raise Failed("%s: %r, not %r" % (what, found, expected))


async def until(reached, what):
    """Wait until `reached()`. Raises Failed, which says what has not come, after PATIENCE_MS."""
    start = time.ticks_ms()
    while not reached():
        if time.ticks_diff(time.ticks_ms(), start) > PATIENCE_MS:
            raise Failed("%s: not in %d ms" % (what, PATIENCE_MS))
        await asyncio.sleep_ms(5)


def on_interrupt(source, trigger, handler):
    """Let `handler(source)` be called by the interrupt of a Pin or a UART."""
    if _RP2:
        source.irq(handler=handler, trigger=trigger, hard=True)
    else:
        source.irq(handler=handler, trigger=trigger)  # ESP32 has soft handlers only


class Ticker:
    """Ticker(hz, handler): calls `handler(timer)` from an interrupt, `hz` times a second.

    A tick that is late by more than a period takes the place of the next.
    """

    _number = 0  # of the next Timer of an ESP32

    def __init__(self, hz, handler):
        self._handler = handler
        self._period = 1000000 // hz
        self._stopping = False
        self._ended = False
        self._error = None
        self._timer = None
        if _THREADS:
            _thread.start_new_thread(self._run, ())
            return
        from machine import Timer

        if _RP2:
            self._timer = Timer(-1, freq=hz, mode=Timer.PERIODIC, callback=handler, hard=True)
        else:
            self._timer = Timer(Ticker._number)
            Ticker._number = (Ticker._number + 1) & 3
            self._timer.init(freq=hz, mode=Timer.PERIODIC, callback=handler)

    def stop(self):
        """End it: no call comes after this. Raises what the handler raised, if a thread ran it."""
        if self._timer is not None:
            self._timer.deinit()
            return
        self._stopping = True
        while not self._ended:
            time.sleep_ms(1)
        if self._error is not None:
            raise self._error

    def _run(self):
        micropython.heap_lock()
        try:
            due = time.ticks_us()
            while not self._stopping:
                late = time.ticks_diff(time.ticks_us(), due)
                if late < 0:
                    time.sleep_us(-late)  # a garbage collection may wake it early
                    continue
                self._handler(None)
                if late > self._period:
                    due = time.ticks_us()
                due = time.ticks_add(due, self._period)
        except Exception as error:
            self._error = error
        micropython.heap_unlock()
        self._ended = True


class Wire:
    """Wire(level=0): a pin with nothing attached, which the program drives itself.

    value() reads it; value(level) drives it, and is at once the interrupt of its edges.
    """

    def __init__(self, level=0):
        self._level = level
        self._handler = None

    def irq(self, handler=None, trigger=0, hard=False):
        """As machine.Pin.irq, for both edges."""
        self._handler = handler

    def value(self, level=None):
        """As machine.Pin.value."""
        if level is None:
            return self._level
        changed = level != self._level
        self._level = level
        if changed and self._handler is not None:
            self._handler(self)


class Sawtooth:
    """Sawtooth(step): stands for an ADC; reading number n is n * step, of 16 bits."""

    def __init__(self, step):
        self._step = step
        self._next = 0

    def read_u16(self):
        """As machine.ADC.read_u16."""
        value = self._next
        self._next = value + self._step & 0xFFFF
        return value


class FedUart:
    """FedUart(text): stands for a UART; at each tick of `feed` some more of the text is there."""

    def __init__(self, text):
        self._text = text
        self._read = 0
        self._here = 0
        self._bursts = 0
        self._handler = None

    def irq(self, handler=None, trigger=0, hard=False):
        """As machine.UART.irq."""
        self._handler = handler

    def feed(self, timer):
        """Receive 1 to 48 bytes and interrupt, as long as there is text."""
        if self._handler is not None and self._here < len(self._text):
            self._bursts += 1
            self._here += 1 + self._bursts * 29 % 48
            if self._here > len(self._text):
                self._here = len(self._text)
            self._handler(self)

    def any(self):
        """As machine.UART.any."""
        return self._here - self._read

    def readinto(self, buf):
        """As machine.UART.readinto."""
        for i in range(len(buf)):
            buf[i] = self._text[self._read + i]
        self._read += len(buf)
        return len(buf)


class SecondCore:
    """SecondCore(function): runs `function()` beside its caller."""

    def __init__(self, function):
        self._function = function
        self._ended = False
        self._error = None
        if _RP2:
            _thread.stack_size(8192)  # the usual 4096 are little for what waits and prints
        _thread.start_new_thread(self._run, ())

    def join(self):
        """Wait until the function has returned; raise what it raised."""
        start = time.ticks_ms()
        while not self._ended:
            if time.ticks_diff(time.ticks_ms(), start) > PATIENCE_MS:
                raise Failed("the second core has not ended")
            time.sleep_ms(1)
        if self._error is not None:
            raise self._error

    def _run(self):
        try:
            self._function()
        except Exception as error:
            self._error = error
        self._ended = True
