"""Sampling at 1 kHz into blocks that are never copied: a handler fills the channel's own slots.

The handler claims a block and keeps it open over 50 of its calls, then commits it. The task peeks:
it works on the block where it lies, and releases it. While all blocks are full the handler leaves
one out, whole; the channel counts it, and the block's number shows where it is missing.

Wiring   the signal to GP26 (ADC0), 0 to 3.3 V.
Run      .venv/bin/python firmware/examples/run.py blocks [--target /dev/ttyACM0 [--wired]]
         To keep it: mpremote cp board.py blocks.py : with ringlane in :/lib, and in main.py
             import blocks
             blocks.main(wired=True)
         Without `wired` a sawtooth takes the place of the ADC, and every sample is checked.
Prints   the mean of every tenth block, then how many were lost while the task was busy.
"""

import asyncio
import struct

from board import PATIENCE_MS, Failed, Sawtooth, Ticker, expect, until
from ringlane import BULK, Channel

_RATE = 1000
_STEP = 64  # from sample to sample of the sawtooth
_SAMPLES = 50  # of a block
_BLOCK = 2 * _SAMPLES + 4  # the block's number, then the samples
_BLOCKS = 4  # so the task may be away for 200 ms


def hardware(wired):
    """Return what to call for a sample, of 16 bits."""
    if not wired:
        return Sawtooth(_STEP).read_u16
    from machine import ADC

    return ADC(26).read_u16


class Sampler:
    """Sampler(read, ch): `read()` is called at every tick, and blocks of it go to `ch`."""

    def __init__(self, read, ch):
        self._read = read
        self._claim = ch.claim
        self._commit = ch.commit
        self.view = None  # the block that is open. Owner: the handler, as of blocks
        self._at = 0
        self.blocks = 0  # that were begun, also those left out

    def on_tick(self, timer):
        """Take one sample, as a hard handler must: without allocating or raising."""
        at = self._at
        if at == 0:
            self.view = self._claim(BULK)  # None: no block is free, and counted
            if self.view is not None:
                struct.pack_into("<I", self.view, 0, self.blocks)
            self.blocks += 1
            at = 4
        sample = self._read()
        if self.view is not None:
            struct.pack_into("<H", self.view, at, sample)
        at += 2
        if at == _BLOCK:
            if self.view is not None:
                self._commit(BULK, _BLOCK)
                self.view = None
            at = 0
        self._at = at


async def be_busy(sampler, blocks):
    """Stay away until so many more have been begun, as if writing to a card."""
    print("busy for %d blocks" % blocks)
    end = sampler.blocks + blocks
    await until(lambda: sampler.blocks >= end, "more blocks")


async def consume(ch, blocks, sampler, known):
    """Take blocks until `blocks` have been begun; return how many came and how many are missing.

    `known`: they are the sawtooth's.
    """
    came = missing = 0
    while came + missing < blocks:
        if not await ch.ready(PATIENCE_MS):
            raise Failed("%d blocks came, then none" % came)
        m = ch.peek()
        expect("bytes of a block", m[0], _BLOCK)
        number = struct.unpack_from("<I", ch.view)[0]
        samples = struct.unpack_from("<%dH" % _SAMPLES, ch.view, 4)
        if number < came + missing:
            raise Failed("block %d after block %d" % (number, came + missing - 1))
        missing = number - came
        if known:
            first = number * _SAMPLES
            right = tuple((first + i) * _STEP & 0xFFFF for i in range(_SAMPLES))
            expect("block %d" % number, samples, right)
        if number % 10 == 0:
            print("block %3d: mean %5d" % (number, sum(samples) // _SAMPLES))
        came += 1
        if came == blocks // 2:
            # It holds this block meanwhile, and the handler fills the others.
            await be_busy(sampler, _BLOCKS + 2)
        ch.release()
    return came, missing


def main(blocks=40, wired=False):
    """Take `blocks` blocks. Raises Failed unless each arrived whole or was counted as lost."""
    ch = Channel(_BLOCKS, slot_size=_BLOCK, name="blocks", zero_copy=True)
    sampler = Sampler(hardware(wired), ch)
    ticker = Ticker(_RATE, sampler.on_tick)
    try:
        came, missing = asyncio.run(consume(ch, blocks, sampler, not wired))
    finally:
        ticker.stop()
    if not missing:
        raise Failed("no block was lost, though the task was away for longer than all of them")
    expect("blocks begun", ch.sent + ch.dropped + (sampler.view is not None), sampler.blocks)
    if missing > ch.dropped:  # it may have lost some since, of which no block tells yet
        raise Failed("%d blocks are missing, %d were dropped" % (missing, ch.dropped))
    print("%d blocks of %d samples whole, %d lost while busy" % (came, _SAMPLES, missing))
