"""UARTs: bytes that arrive at the baud rate, into a buffer that has an end."""

import io
import time

from micropython import RingIO, const

from . import wires
from .interrupts import Source, add_clock, disable_irq, enable_irq, now

_POLL = const(3)  # MP_STREAM_POLL
_POLLIN = const(1)
_POLLOUT = const(4)
_UARTS = const(3)  # an ESP32 has the most
_IDLE_BITS = const(32)  # so long the line is quiet before RXIDLE
_NEVER = const(1 << 29)
_lines = {}


class Line(Source):
    """One UART's receiving line: what is on its way, and what has arrived."""

    def __init__(self, number):
        super().__init__(None)
        self.number = number
        self.received = None  # a RingIO, once it is open
        self.byte_us = 87
        self.idle_us = 278
        self.trigger = self.flags = 0
        self.lost = 0
        self._coming = []  # [due, data, how many have come, gap_us]
        self._free = 0  # when the last will have come
        self._idle_at = None
        self._one = bytearray(1)

    def send(self, data, gap_us, after_us):
        """Let `data` arrive here, `gap_us` between two bytes, the first after `after_us`."""
        state = disable_irq()
        start = max(self._free, now() + after_us)
        self._free = start + len(data) * (self.byte_us + gap_us)
        self._coming.append([start + self.byte_us, data, 0, gap_us])
        enable_irq(state)
        add_clock(self)

    def tick(self, here):
        while self._coming and self._coming[0][0] <= here:
            first = self._coming[0]
            self._one[0] = first[1][first[2]]
            if self.received is None or not self.received.write(self._one):
                self.lost += 1
            self._idle_at = first[0] + self.idle_us
            first[0] += self.byte_us + first[3]
            first[2] += 1
            if first[2] == len(first[1]):
                self._coming.pop(0)
        left = self._coming[0][0] - here if self._coming else _NEVER
        if self._idle_at is None:
            return left
        if self._idle_at > here:
            return min(left, self._idle_at - here)
        self._idle_at = None
        if self.trigger:
            self.flags = self.trigger
            self.interrupt()
        return left


def line(number):
    """Return a UART's line."""
    if not isinstance(number, int) or not 0 <= number < _UARTS:
        raise ValueError("UART(%r) doesn't exist: 0 to %d" % (number, _UARTS - 1))
    if number not in _lines:
        _lines[number] = Line(number)
    return _lines[number]


class _Irq:
    def __init__(self, line):
        self._line = line

    def flags(self):
        return self._line.flags


class UART(io.IOBase):
    """machine.UART. What is written goes to the wires at once."""

    IRQ_RX = 1
    IRQ_RXIDLE = 0x40

    def __init__(self, id, baudrate=115200, bits=8, parity=None, stop=1, **keywords):
        self._line = line(id)
        self.init(baudrate, bits, parity, stop, **keywords)

    def init(
        self,
        baudrate=115200,
        bits=8,
        parity=None,
        stop=1,
        tx=None,
        rx=None,
        txbuf=None,
        rxbuf=256,
        timeout=0,
        timeout_char=0,
    ):
        """As machine.UART.init; without flow control and inverted lines."""
        if not isinstance(baudrate, int) or baudrate <= 0:
            raise ValueError("baudrate must be above 0, not %r" % (baudrate,))
        line = self._line
        line.byte_us = (1 + bits + (parity is not None) + stop) * 1000000 // baudrate
        line.idle_us = _IDLE_BITS * 1000000 // baudrate
        line.received = RingIO(max(32, rxbuf) + 1)
        self._timeout = timeout

    def deinit(self):
        """As machine.UART.deinit."""
        self._line.listen(None, False)
        self._line.received = None

    def irq(self, handler=None, trigger=0, hard=False):
        """As machine.UART.irq, for IRQ_RXIDLE and IRQ_RX, which come when the line is idle."""
        if trigger & ~(UART.IRQ_RX | UART.IRQ_RXIDLE):
            raise NotImplementedError(
                "UART.irq(trigger=0x%x): the virtual board has IRQ_RX and IRQ_RXIDLE" % trigger
            )
        line = self._line
        line.trigger = 0
        line._argument = self
        line.listen(handler, hard)
        line.trigger = trigger
        return _Irq(line)

    def any(self):
        """As machine.UART.any."""
        return self._line.received.any()

    def _wait(self, count):
        # Wait for so many bytes, or until none has come for `timeout` ms.
        received = self._line.received
        here = -1
        while here < received.any() < count and self._timeout:
            here = received.any()
            since = time.ticks_ms()
            while (
                received.any() == here and time.ticks_diff(time.ticks_ms(), since) < self._timeout
            ):
                time.sleep_ms(1)

    def read(self, size=-1):
        """As machine.UART.read."""
        self._wait(_NEVER if size < 0 else size)
        received = self._line.received
        here = received.any()
        return received.read(here if size < 0 or size > here else size) or None

    def readinto(self, buf, size=-1):
        """As machine.UART.readinto."""
        self._wait(len(buf) if size < 0 else min(size, len(buf)))
        received = self._line.received
        if not received.any():
            return None
        return received.readinto(buf) if size < 0 else received.readinto(buf, size)

    def readline(self):
        """As machine.UART.readline."""
        made = bytearray()
        while not made.endswith(b"\n"):
            self._wait(1)
            part = self._line.received.read(1)
            if not part:
                break
            made += part
        return bytes(made) or None

    def write(self, buf):
        """As machine.UART.write."""
        wires.written(self._line.number, buf)
        return len(buf)

    def flush(self):
        """As machine.UART.flush."""

    def txdone(self):
        """As machine.UART.txdone."""
        return True

    def ioctl(self, request, flags):
        """For asyncio and select."""
        if request != _POLL:
            return -1
        return flags & (_POLLOUT | (_POLLIN if self._line.received.any() else 0))
