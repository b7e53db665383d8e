"""UART fragments to a parser: lines of any length from a handler that takes what is there.

The handler reads into a buffer made beforehand and sends it on, numbered, as a message of its own
size. The task joins fragments to lines. When it was too slow and some were dropped, the numbers
show where: it discards what is left of the broken line, and is in step again at the next newline.

Wiring   TX of a GPS, or what else sends lines as NMEA 0183 has them, to GP1; baud rate 9600.
Run      .venv/bin/python firmware/examples/run.py uart [--target /dev/ttyACM0 [--wired]]
         To keep it: mpremote cp board.py uart.py : with ringlane in :/lib, and in main.py
             import uart
             uart.main(wired=True)
         Without `wired` a timer takes the place of the UART and brings 1 to 48 bytes at a time.
Prints   every 20th line, then how many lines came and how many a gap has cost.
"""

import asyncio
import struct

from board import PATIENCE_MS, Failed, FedUart, Ticker, expect, on_interrupt, until
from ringlane import NORMAL, Channel

_FRAGMENT = 32
_BURSTS_HZ = 250  # of the UART that is not there


def hardware(wired, count):
    """Return the UART and the interrupt that says that something has come."""
    if not wired:
        # More than `count`: should the last be dropped, only what comes after can show it.
        text = "".join(sentence(number) for number in range(count + 100))
        return FedUart(b"\n" + text.encode()), 0
    from machine import UART, Pin

    return UART(0, 9600, tx=Pin(0), rx=Pin(1), rxbuf=512), UART.IRQ_RXIDLE


def sentence(number):
    """Return line `number`: a checked reading, as a sensor would send it."""
    body = "T%d,%s" % (number, "x" * (number * 7 % 41))
    return "$%s*%02X\n" % (body, checksum(body.encode()))


def checksum(body):
    """Return the exclusive or of the bytes, as NMEA 0183 has it."""
    result = 0
    for byte in body:
        result ^= byte
    return result


class Fragments:
    """Fragments(send): its on_rx is the handler of a UART; it sends what has come.

    A slice allocates, so the views of every length are made here.
    """

    def __init__(self, send):
        self._buf = buf = memoryview(bytearray(2 + _FRAGMENT))
        self._rooms = [buf[2 : 2 + size] for size in range(_FRAGMENT + 1)]
        self._messages = [buf[: 2 + size] for size in range(_FRAGMENT + 1)]
        self._send = send
        self.count = 0  # also of those that were dropped. Owner: the handler

    def on_rx(self, uart):
        """Send all that is there, as a hard handler must: without allocating or raising."""
        while True:
            size = uart.any()
            if not size:
                return
            if size > _FRAGMENT:
                size = _FRAGMENT
            uart.readinto(self._rooms[size])
            struct.pack_into("<H", self._buf, 0, self.count & 0xFFFF)
            self.count += 1
            self._send(self._messages[size], NORMAL)


class LineParser:
    """LineParser(): joins fragments to lines and checks them.

    `gaps`: the fragments that were missing; `broken`: the lines whose checksum was wrong.
    """

    def __init__(self):
        self._line = bytearray()
        self._number = 0
        self._in_step = False  # it may begin in the midst of a line
        self.gaps = 0
        self.broken = 0

    def feed(self, fragment):
        """Take a fragment, its number first; return the list of good lines that it ends."""
        number = struct.unpack_from("<H", fragment)[0]
        gap = number - self._number & 0xFFFF
        self._number = number + 1
        if gap:
            self.gaps += gap
            self._line = bytearray()
            self._in_step = False
        lines = []
        for byte in fragment[2:]:
            if byte != 10:
                self._line.append(byte)
                continue
            line = bytes(self._line).rstrip()
            if line[:1] == b"$" and line[-3:] == b"*%02X" % checksum(line[1:-3]):
                lines.append(line)
            elif self._in_step:
                self.broken += 1
            self._line = bytearray()
            self._in_step = True
        return lines


async def listen(ch, count, known):
    """Receive until `count` lines have come or are lost; return (lines, lost, the parser).

    `known`: the lines are those of sentence(), so that what is lost can be told.
    """
    parser = LineParser()
    buf = bytearray(ch.slot_size)
    lines = lost = 0
    busy = known
    while lines + lost < count or known and not lost:
        m = await ch.arecv(buf, PATIENCE_MS)
        if not m:
            raise Failed("%d lines came, %d were lost, then nothing" % (lines, lost))
        for line in parser.feed(buf[: m[0]]):
            text = line.decode()
            number = lines + lost
            if known:
                number = int(text[2:].split(",")[0])
                expect("line", text + "\n", sentence(number))
                lost = number - lines
            if number % 20 == 0:
                print(text)
            lines += 1
        if busy and lines >= count // 2:
            # As if it wrote to flash: it stays away until fragments have been dropped.
            busy = False
            await until(lambda: ch.dropped, "a dropped fragment")
    return lines, lost, parser


def main(count=200, wired=False):
    """Receive `count` lines. Raises Failed unless each came right or fell into a counted gap."""
    ch = Channel(64, slot_size=2 + _FRAGMENT, name="uart")
    fragments = Fragments(ch.send)
    uart, idle = hardware(wired, count)
    on_interrupt(uart, idle, fragments.on_rx)
    ticker = None if wired else Ticker(_BURSTS_HZ, uart.feed)
    try:
        lines, lost, parser = asyncio.run(listen(ch, count, not wired))
    finally:
        uart.irq(handler=None)
        if ticker is not None:
            ticker.stop()
    expect("fragments", ch.sent + ch.dropped, fragments.count)
    if parser.gaps > ch.dropped:  # it may have dropped some since, of which no gap tells yet
        raise Failed("%d fragments missing, %d dropped" % (parser.gaps, ch.dropped))
    if not wired:
        expect("lines broken", parser.broken, 0)
        if not (lost and parser.gaps):
            raise Failed("%d lines lost to %d missing fragments" % (lost, parser.gaps))
    print(
        "%d lines right, %d broken, %d lost to %d dropped fragments"
        % (lines, parser.broken, lost, parser.gaps)
    )
