"""UARTs: bytes that arrive one by one at the baud rate, into a buffer that has an end."""

from collections import deque

from .faults import BoardError, NotSimulated, Overflowed
from .kernel import NEVER
from .sources import Source

# Near to boards/device/machine/uart.py, which has another clock, MicroPython's RingIO, and no room
# for what is checked and reported here.
__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_POLL = 3
_IN, _OUT = 1, 4
_FIFO = {"rp2": 32, "esp32": 128}
_TX_FIFO = 32


class UartState(Source):
    """One UART's lines and buffers."""

    def __init__(self, kernel, number, port, note):
        super().__init__(kernel, f"UART {number} handler", order=(20, number))
        self.number = number
        self.open = False
        self.baudrate = 115200
        self.bits = 10
        self.room = 256
        self.received = bytearray()
        self.lost = 0
        self._told = False  # that the buffer was full
        self.sent = bytearray()
        self.sent_at = 0  # when the last byte will have gone
        self.triggers = 0
        self.flags = 0
        self.idle_flag = self.rx_flag = 0
        self._fifo = _FIFO.get(port, 32)
        self._coming: deque[tuple[int, int]] = deque()
        self._line_free = 0
        self._arriving = False
        self._note = note

    def byte_us(self, count=1):
        """Return how long so many bytes take."""
        return count * self.bits * 1_000_000 // self.baudrate

    def receive(self, data, gap_us, after_us):
        """Let `data` arrive: each byte as soon as the line is free, then `gap_us` more."""
        kernel = self.kernel
        self._line_free = max(self._line_free, kernel.now + after_us)
        start = self._line_free
        for number, byte in enumerate(data):
            time = start + self.byte_us(number + 1) + number * gap_us
            self._coming.append((time, byte))
            self._line_free = time
        if self._coming and not self._arriving:
            self._arriving = True
            kernel.at(self._coming[0][0], self._arrive)

    def _arrive(self):
        kernel = self.kernel
        while self._coming and self._coming[0][0] <= kernel.now:
            byte = self._coming.popleft()[1]
            if not self.open:
                self.lost += 1  # nobody listens yet
                self._note("uart", f"UART({self.number}) is not open: a byte is lost")
            elif len(self.received) < self.room:
                self.received.append(byte)
            else:
                self.lost += 1
                if not self._told:
                    self._told = True
                    kernel.fault(
                        Overflowed,
                        f"UART({self.number}): its receive buffer of {self.room} bytes is full",
                    )
        idle_us = 32 * 1_000_000 // self.baudrate
        following = self._coming[0][0] if self._coming else NEVER
        if following > kernel.now + idle_us and self.triggers & (self.idle_flag | self.rx_flag):
            kernel.at(kernel.now + idle_us, self._idle)
        self._arriving = following < NEVER
        if self._arriving:
            kernel.at(following, self._arrive)

    def _idle(self):
        self.flags = self.triggers & (self.idle_flag | self.rx_flag)
        self._note("uart", f"UART({self.number}) idle, {len(self.received)} bytes")
        self.fire()

    def take(self, count):
        """Return up to so many bytes that have arrived."""
        part = bytes(self.received[:count])
        del self.received[:count]
        return part


def make(kernel, facts, states, pin_class):
    """Return the board's class UART."""
    rp2 = facts.port == "rp2"

    class Irq:
        """What UART.irq returns."""

        def __init__(self, state):
            self._state = state

        def flags(self):
            return self._state.flags

        def trigger(self, trigger=None):
            before = self._state.triggers
            if trigger is not None:
                self._state.triggers = trigger
            return before

    class UART:
        """machine.UART."""

        INV_TX, INV_RX = 1, 2
        if rp2:
            IRQ_RXIDLE, IRQ_TXIDLE, IRQ_BREAK = 0x40, 0x20, 0x200
        else:
            IRQ_RX, IRQ_RXIDLE, IRQ_BREAK = 1, 0x1000, 2

        def __init__(self, id, *args, **keywords):
            if not isinstance(id, int) or not 0 <= id < facts.uarts:
                text = "UART(%r) doesn't exist" if rp2 else "UART(%r) does not exist"
                raise ValueError(text % (id,))
            self._state = states(id)
            self._timeout = self._timeout_char = 0
            self.init(*args, **keywords)

        def init(
            self,
            baudrate=115200,
            bits=8,
            parity=None,
            stop=1,
            *,
            tx=None,
            rx=None,
            rts=None,
            cts=None,
            txbuf=None,
            rxbuf=None,
            timeout=0,
            timeout_char=0,
            invert=0,
            flow=0,
        ):
            kernel.work(10)
            if invert or flow:
                raise NotSimulated("UART with invert or flow is not simulated")
            for each in (tx, rx, rts, cts):
                if each is not None:
                    pin_class(each) if not isinstance(each, pin_class) else None
            state = self._state
            if not isinstance(baudrate, int) or baudrate <= 0:
                raise ValueError("baudrate must be above 0, not %r" % (baudrate,))
            state.baudrate = baudrate
            state.bits = 1 + bits + (parity is not None) + stop
            if rxbuf is not None:
                if rxbuf > 32766:
                    raise ValueError("rxbuf too large")
                state.room = max(32, rxbuf)
            state.room_tx = max(32, txbuf or 256)
            state.open = True
            state.idle_flag = UART.IRQ_RXIDLE
            state.rx_flag = 0 if rp2 else UART.IRQ_RX
            self._timeout, self._timeout_char = timeout, timeout_char

        def deinit(self):
            self._state.open = False
            self._state.listen(None, None, False)

        close = deinit

        def irq(self, handler=None, trigger=0, hard=False):
            state = self._state
            allowed = UART.IRQ_RXIDLE | (0 if rp2 else UART.IRQ_RX)
            if handler is not None and not callable(handler):
                raise ValueError("handler must be None or callable")
            if hard and not rp2:
                raise ValueError("hard IRQ is not supported")
            if trigger & ~allowed:
                raise NotSimulated(f"UART.irq(trigger={trigger:#x}): only receiving is simulated")
            state.triggers = trigger
            state.listen(handler, self, hard)
            return Irq(state)

        def any(self):
            kernel.work(5)
            return len(self._state.received)

        def _wait(self, count):
            # Wait until so many bytes are there, or for the time-outs.
            received = self._state.received
            here = -1
            while here < len(received) < count:
                here = len(received)
                self._wait_for(here, self._timeout_char if here else self._timeout)

        def _wait_for(self, here, ms):
            # Wait until more than `here` bytes are there.
            due = kernel.now + ms * 1000
            while len(self._state.received) == here and kernel.now < due:
                kernel.wait(due, polling=True)

        def read(self, n=-1):
            kernel.work(10)
            kernel.allocates("UART.read()")
            self._wait(n if n >= 0 else NEVER)
            part = self._state.take(len(self._state.received) if n < 0 else n)
            return part or (b"" if n == 0 else None)

        def readinto(self, buf, n=None):
            kernel.work(10)
            n = len(buf) if n is None else min(n, len(buf))
            self._wait(n)
            part = self._state.take(n)
            buf[: len(part)] = part
            return len(part) or None

        def readline(self):
            kernel.work(10)
            kernel.allocates("UART.readline()")
            received = self._state.received
            while (end := received.find(b"\n")) < 0:
                here = len(received)
                self._wait_for(here, self._timeout)
                if len(received) == here:
                    break
            part = self._state.take(len(received) if end < 0 else end + 1)
            return part or None

        def write(self, buf):
            kernel.work(10)
            state = self._state
            data = bytes(buf)
            state.sent += data
            state._note("uart", f"UART({state.number}) sends {data!r}")
            state.sent_at = max(state.sent_at, kernel.now) + state.byte_us(len(data))
            buffered = state.byte_us(state.room_tx + _TX_FIFO)
            if state.sent_at - kernel.now > buffered:
                kernel.wait(state.sent_at - buffered)
            return len(data)

        def flush(self):
            if self._state.sent_at > kernel.now:
                kernel.wait(self._state.sent_at)

        def txdone(self):
            kernel.work(5)
            return self._state.sent_at <= kernel.now

        def sendbreak(self):
            raise NotSimulated("UART.sendbreak is not simulated")

        def ioctl(self, request, flags):
            if request != _POLL:
                return -1
            return flags & ((_IN if self._state.received else 0) | _OUT)

    return UART


class UartHandle:
    """A UART as the test sees it: the other end of its lines."""

    def __init__(self, state):
        self._state = state

    def receive(self, data, gap_us=0, after_us=0):
        """Send bytes to the board: they arrive at its baud rate, `gap_us` between them.

        The first begins after `after_us`, or when the line is free of what was sent before.
        """
        if not isinstance(data, (bytes, bytearray)):
            raise BoardError(f"a UART receives bytes, not {data!r}")
        self._state.receive(bytes(data), gap_us, after_us)

    @property
    def sent(self):
        """All that the firmware has written, as bytes."""
        return bytes(self._state.sent)

    def take(self):
        """Return what the firmware has written since the last take()."""
        part = bytes(self._state.sent)
        self._state.sent.clear()
        return part

    @property
    def lost(self):
        """How many bytes found the receive buffer full."""
        return self._state.lost


__all__ = ["UartHandle", "UartState", "make"]
