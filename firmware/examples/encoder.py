"""A rotary encoder: pin interrupts to a task, position and speed without a missed step.

The handler looks at both pins and sends the position it has counted, one word a step. The time of
the step travels with it, so the task gets the speed right however late it comes, and nothing is
scheduled, so no queue overflows.

Wiring   A to GP2, B to GP3, C to GND; the pull-ups are inside.
Run      .venv/bin/python firmware/examples/run.py encoder [--target /dev/ttyACM0 [--wired]]
         To keep it: mpremote cp board.py encoder.py : with ringlane in :/lib, and in main.py
             import encoder
             encoder.main(wired=True)
         Without `wired` a timer turns a knob that is not there: try it with nothing attached.
Prints   the position and the speed every 100 steps, then where the knob stands.
"""

import asyncio
import struct

from board import PATIENCE_MS, Failed, Ticker, Wire, expect, on_interrupt
from ringlane import NORMAL, Channel

_STEPS_HZ = 500  # of the knob that is not there
_SKIPPED = 2
# By the two pins before and now: the step that was made, 0 for a bounce, or one that was missed.
_STEP = (0, 1, -1, 2, -1, 0, 2, 1, 1, 2, 0, -1, 2, -1, 1, 0)


def hardware(wired):
    """Return pin A, pin B and what their interrupts are to be triggered by."""
    if not wired:
        return Wire(), Wire(), 0
    from machine import Pin

    a, b = Pin(2, Pin.IN, Pin.PULL_UP), Pin(3, Pin.IN, Pin.PULL_UP)
    return a, b, Pin.IRQ_RISING | Pin.IRQ_FALLING


class Encoder:
    """Encoder(a, b, send_word): counts the steps of two pins and sends the position of each."""

    def __init__(self, a, b, send_word):
        self._a = a
        self._b = b
        self._send_word = send_word
        self._pins = a.value() << 1 | b.value()
        self.position = 0  # Owner: the handler
        self.skipped = 0  # times that both pins had moved: too fast for the handler

    def on_edge(self, pin):
        """Note what has moved, as a hard handler must: without allocating or raising."""
        pins = self._a.value() << 1 | self._b.value()
        step = _STEP[self._pins << 2 | pins]
        self._pins = pins
        if step == _SKIPPED:
            self.skipped += 1
        elif step:
            self.position += step
            self._send_word(self.position, NORMAL)


class Knob:
    """Knob(a, b, steps): turns two thirds of the steps on, then a third back."""

    def __init__(self, a, b, steps):
        self._a = a
        self._b = b
        self._steps = steps
        self.highest = steps * 2 // 3
        self.position = 0
        self.made = 0

    def turn(self, timer):
        """Make one step, of which one pin moves."""
        if self.made < self._steps:
            self.position += 1 if self.made < self.highest else -1
            self.made += 1
            self._a.value(self.position >> 1 & 1)
            self._b.value(self.position + 1 >> 1 & 1)


async def follow(ch, steps, patience):
    """Receive `steps` positions, `patience` ms apart at most; return the last and the highest."""
    buf = bytearray(4)
    position = highest = 0
    since = None
    for number in range(1, steps + 1):
        if not await ch.arecv(buf, patience):
            raise Failed("%d of %d steps arrived" % (number - 1, steps))
        before = position
        position = struct.unpack("<i", buf)[0]
        if not ch.dropped:
            expect("distance of two positions", abs(position - before), 1)
        highest = max(highest, position)
        if since is None:
            since, start = ch.timestamp(), position
        elif number % 100 == 0:
            us = ch.clock.us(ch.clock.diff(ch.timestamp(), since))
            speed = (position - start) * 1000000 // max(us, 1)
            print("position %4d, %5d steps/s" % (position, speed))
            since, start = ch.timestamp(), position
    return position, highest


def main(steps=450, wired=False):
    """Follow the knob for `steps` steps. Raises Failed unless every one of them arrived."""
    ch = Channel(256, slot_size=4, name="steps")
    a, b, edges = hardware(wired)
    encoder = Encoder(a, b, ch.send_word)
    on_interrupt(a, edges, encoder.on_edge)
    on_interrupt(b, edges, encoder.on_edge)
    knob = Knob(a, b, steps)
    hand = None if wired else Ticker(_STEPS_HZ, knob.turn)
    try:
        position, highest = asyncio.run(follow(ch, steps, None if wired else PATIENCE_MS))
    finally:
        a.irq(handler=None)
        b.irq(handler=None)
        if hand is not None:
            hand.stop()
    if hand is not None:
        expect("position", (position, highest), (knob.position, knob.highest))
        expect("steps missed", (encoder.skipped, ch.dropped), (0, 0))
    print(
        "%d steps: at %d, highest %d; %d dropped, %d too fast"
        % (steps, position, highest, ch.dropped, encoder.skipped)
    )
