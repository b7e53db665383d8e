"""UART fragments to a parser: lines of any length from a handler that takes what is there.

The handler reads into a buffer made beforehand and sends it on, numbered, as a message of its own
size. The task joins fragments to lines. When it was too slow and some were dropped, the numbers
show where: it discards what is left of the broken line, and is in step again at the next newline.

Needs    a GPS, or what else sends lines as NMEA 0183 has them at 9600 baud, to GPIO 5. One core.
Prints   every line whose checksum is right, and what was lost.
"""

import asyncio
import struct
import sys

from machine import UART, Pin
from ringlane import NORMAL, Channel

HARD = {} if sys.platform == "esp32" else {"hard": True}  # an ESP32 has soft handlers only
FRAGMENT = 32


class Fragments:
    """Fragments(send): its on_rx is the handler of a UART; it sends what has come.

    A slice allocates, so the views of every length are made here.
    """

    def __init__(self, send):
        self._buf = buf = memoryview(bytearray(2 + FRAGMENT))
        self._rooms = [buf[2 : 2 + size] for size in range(FRAGMENT + 1)]
        self._messages = [buf[: 2 + size] for size in range(FRAGMENT + 1)]
        self._send = send
        self._count = 0  # also of those that were dropped. Owner: the handler

    def on_rx(self, uart):
        """Send all that is there, as a hard handler must: without allocating or raising."""
        while True:
            size = uart.any()
            if not size:
                return
            if size > FRAGMENT:
                size = FRAGMENT
            uart.readinto(self._rooms[size])
            struct.pack_into("<H", self._buf, 0, self._count & 0xFFFF)
            self._count += 1
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


def checksum(body):
    """Return the exclusive or of the bytes, as NMEA 0183 has it."""
    result = 0
    for byte in body:
        result ^= byte
    return result


async def main():
    """Print the lines."""
    ch = Channel(16, slot_size=2 + FRAGMENT, name="uart")
    uart = UART(1, 9600, tx=Pin(4), rx=Pin(5), rxbuf=512)
    uart.irq(Fragments(ch.send).on_rx, UART.IRQ_RXIDLE, **HARD)
    parser = LineParser()
    buf = bytearray(ch.slot_size)
    told = 0, 0
    while m := await ch.arecv(buf):
        for line in parser.feed(buf[: m[0]]):
            print(line.decode())
        if told != (parser.gaps, parser.broken):
            told = parser.gaps, parser.broken
            print("%d fragments missing, %d lines broken" % told)


asyncio.run(main())
