"""Sampling at 1 kHz into blocks that are never copied: a handler fills the channel's own slots.

The handler claims a block and keeps it open over 50 of its calls, then commits it. The task peeks:
it works on the block where it lies, and releases it. While all blocks are full the handler leaves
one out, whole; the channel counts it, and the block's number shows where it is missing.

Needs    a signal at GPIO 26 (a Pico's ADC0), on an ESP32 at GPIO 4, 0 to 3.3 V. One core.
Prints   the mean of every tenth block, and which blocks were lost.
"""

import asyncio
import struct
import sys

from machine import ADC, Pin, Timer
from ringlane import BULK, Channel

ESP32 = sys.platform == "esp32"  # it has soft handlers only, and its Timers are numbered
HARD = {} if ESP32 else {"hard": True}
RATE = 1000
SAMPLES = 50  # of a block
BLOCK = 2 * SAMPLES + 4  # bytes: the block's number, then the samples
BLOCKS = 4  # so the task may be away for 200 ms


class Sampler:
    """Sampler(read, ch): `read()` is called at every tick, and blocks of it go to `ch`."""

    def __init__(self, read, ch):
        self._read = read
        self._claim = ch.claim
        self._commit = ch.commit
        self._view = None  # the block that is open. Owner: the handler, of all of these
        self._at = 0
        self._number = 0

    def on_tick(self, timer):
        """Take one sample, as a hard handler must: without allocating or raising."""
        at = self._at
        if at == 0:
            self._view = self._claim(BULK)  # None: no block is free, and counted
            if self._view is not None:
                struct.pack_into("<I", self._view, 0, self._number)
            self._number += 1
            at = 4
        sample = self._read()
        if self._view is not None:
            struct.pack_into("<H", self._view, at, sample)
        at += 2
        if at == BLOCK:
            if self._view is not None:
                self._commit(BULK, BLOCK)
            at = 0
        self._at = at


async def main():
    """Print what the blocks hold."""
    ch = Channel(BLOCKS, slot_size=BLOCK, name="blocks", zero_copy=True)
    adc = ADC(Pin(4 if ESP32 else 26))
    sampler = Sampler(adc.read_u16, ch)
    timer = Timer(0 if ESP32 else -1, freq=RATE, callback=sampler.on_tick, **HARD)
    expected = 0
    while await ch.ready():
        ch.peek()
        number = struct.unpack_from("<I", ch.view)[0]
        samples = struct.unpack_from("<%dH" % SAMPLES, ch.view, 4)
        if number > expected:
            print("lost: block %d to %d" % (expected, number - 1))
        if number % 10 == 0:
            print("block %3d: mean %5d" % (number, sum(samples) // SAMPLES))
        expected = number + 1
        ch.release()
    timer.deinit()


asyncio.run(main())
